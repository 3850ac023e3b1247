"""What is said of the code's own working tree: commit, difference, files; also where there is no git."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from ctmar.store.checkout import Checkout

NO_SIGNATURE = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *NO_SIGNATURE, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def unpacked(tmp_path) -> Path:
    """A repository as a release archive unpacks, in a folder with a blank."""
    folder = tmp_path / "my checkout"
    files = ["src/ctmar/__init__.py", "src/equiproj/__init__.py", "workflow/Snakefile", "envs/cpu.txt", "LICENSE"]
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "src" / "ctmar" / "__pycache__").mkdir()
    (folder / "src" / "ctmar" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"x")
    return folder


@pytest.fixture
def committed(unpacked) -> Path:
    """The same in a git working tree with one commit."""
    git(unpacked, "init", "-q")
    (unpacked / ".gitignore").write_text("__pycache__/\n")
    git(unpacked, "add", ".")
    git(unpacked, "commit", "-q", "-m", "first")
    return unpacked


def test_a_clean_tree_is_its_commit(committed):
    checkout = Checkout(committed / "src")
    assert checkout.commit == git(committed, "rev-parse", "HEAD")
    assert checkout.uncommitted_sha256 is None
    assert checkout.said == checkout.commit
    assert "src/ctmar/__pycache__/a.cpython-311.pyc" not in checkout.files
    assert {"src/ctmar/__init__.py", "workflow/Snakefile", "LICENSE"} <= set(checkout.files)


def test_edited_deleted_and_unknown_files_are_the_difference(committed):
    (committed / "src" / "ctmar" / "new ä.py").write_text("new")
    (committed / "workflow" / "Snakefile").write_text("edited")
    (committed / "envs" / "cpu.txt").unlink()
    (committed / "notes.txt").write_text("no code")
    checkout = Checkout(committed / "src")
    expected = {
        "envs/cpu.txt": "",
        "src/ctmar/new ä.py": hashlib.sha256(b"new").hexdigest(),
        "workflow/Snakefile": hashlib.sha256(b"edited").hexdigest(),
    }
    assert checkout.uncommitted == expected
    text = "".join(f"{name}\0{digest}\0" for name, digest in expected.items())
    assert checkout.uncommitted_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert checkout.said.endswith("with local changes")
    assert "src/ctmar/new ä.py" in checkout.files
    assert "notes.txt" not in checkout.files
    assert "envs/cpu.txt" not in checkout.files


def test_another_difference_is_another_state(committed):
    before = Checkout(committed / "src").state
    (committed / "workflow" / "Snakefile").write_text("one")
    one = Checkout(committed / "src").state
    (committed / "workflow" / "Snakefile").write_text("two")
    assert len({before, one, Checkout(committed / "src").state}) == 3


def test_an_unpacked_archive_says_so(unpacked):
    checkout = Checkout(unpacked / "src")
    assert checkout.commit is None
    assert checkout.uncommitted == {}
    assert checkout.said == "not run from a git working tree"
    assert "src/ctmar/__init__.py" in checkout.files
    assert not any("__pycache__" in name for name in checkout.files)
    before = checkout.state
    (unpacked / "src" / "ctmar" / "__init__.py").write_text("edited")
    assert Checkout(unpacked / "src").state != before


def test_somebody_elses_repository_around_an_installed_package_is_not_ours(tmp_path, unpacked):
    project = tmp_path / "project"
    installed = project / ".venv" / "lib"
    installed.mkdir(parents=True)
    (unpacked / "src" / "ctmar").rename(installed / "ctmar")
    (installed / "equiproj").mkdir()
    (installed / "other").mkdir()
    (installed / "other" / "a.py").write_text("somebody else's")
    git(project, "init", "-q")
    (project / "a.txt").write_text("a")
    git(project, "add", "a.txt")
    git(project, "commit", "-q", "-m", "theirs")
    checkout = Checkout(installed)
    assert checkout.folder is None
    assert checkout.commit is None
    assert list(checkout.files) == ["src/ctmar/__init__.py"]


def test_a_repository_in_the_environment_does_not_count(committed, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", os.fspath(other / ".git"))
    commit = Checkout(committed / "src").commit
    monkeypatch.delenv("GIT_DIR")
    assert commit == git(committed, "rev-parse", "HEAD")
