"""The working tree of this code: its commit, what differs from it, and which of its files make a study."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ctmar.store.code_digest import SOURCE, CodeDigests
from ctmar.store.provenance import sha256_of
from ctmar.store.running_code import PACKAGES

# what runs; the configuration of a study is told apart, and documents change no result
RUNNING = ("src", "workflow", "envs", "Snakefile", "pyproject.toml")
# what somebody else needs beside it to install and run it
_BESIDE = ("Makefile", "README.md", "LICENSE", "CITATION.cff")
_NO_CODE = ("__pycache__", ".pyc")


@dataclass(frozen=True)
class Checkout:
    """A folder with the code and the workflow, in a git working tree or unpacked from an archive.

    Args:
        source: the folder of our packages.
    """

    source: Path = SOURCE

    @property
    def folder(self) -> Path | None:
        """The folder of the repository; None where the packages are installed without the workflow."""
        parent = self.source.parent
        return parent if (parent / "workflow" / "Snakefile").is_file() else None

    @cached_property
    def commit(self) -> str | None:
        """The commit; None outside a git working tree, as in an unpacked archive or an installed package."""
        # an environment can lie inside somebody else's working tree, whose commit says nothing of this code
        if not self._git("ls-files", "--", *(f"{self.source / package}/__init__.py" for package in PACKAGES)):
            return None
        return self._git("rev-parse", "HEAD").strip() or None

    @cached_property
    def uncommitted(self) -> dict[str, str]:
        """Files of the running code that differ from the commit or are unknown to it: SHA-256, empty where deleted."""
        if self.commit is None or self.folder is None:
            return {}
        changed = self._git("diff", "--name-only", "--no-renames", "-z", "HEAD", "--", *RUNNING)
        names = {*changed.split("\0"), *self._unknown(RUNNING)} - {""}
        files = {name: self.folder / name for name in sorted(names)}
        return {name: sha256_of(path) if path.is_file() else "" for name, path in files.items()}

    @property
    def uncommitted_sha256(self) -> str | None:
        """Digest of all that differs from the commit; None where nothing does."""
        lines = "".join(f"{name}\0{digest}\0" for name, digest in self.uncommitted.items())
        return hashlib.sha256(lines.encode()).hexdigest() if lines else None

    @property
    def state(self) -> str:
        """What another version of the code has otherwise: commit and difference, outside git the code's own digest."""
        return f"{self.commit} {self.uncommitted_sha256}" if self.commit else CodeDigests(self.source).of_source

    @property
    def said(self) -> str:
        """Commit and difference in words."""
        if self.commit is None:
            return "not run from a git working tree"
        return self.commit + (" with local changes" if self.uncommitted else "")

    @cached_property
    def files(self) -> dict[str, Path]:
        """The files that make a study, by their names in the repository: of an installed package its own alone."""
        if self.folder is None:
            return {f"src/{path.relative_to(self.source)}": path for path in _below(self.source, PACKAGES)}
        wanted = (*RUNNING, *_BESIDE)
        if self.commit is None:
            found = _below(self.folder, wanted)
        else:
            names = {*self._git("ls-files", "-z", "--", *wanted).split("\0"), *self._unknown(wanted)} - {""}
            found = [self.folder / name for name in sorted(names)]
        return {path.relative_to(self.folder).as_posix(): path for path in found if path.is_file()}

    def _unknown(self, wanted: tuple[str, ...]) -> list[str]:
        return self._git("ls-files", "--others", "--exclude-standard", "-z", "--", *wanted).split("\0")

    def _git(self, *arguments: str) -> str:
        """What git prints in the repository; nothing where there is no git or no repository."""
        # a hook or another tool may have left its own repository in the environment
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", "-C", str(self.folder or self.source), "-c", "core.quotepath=off", *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        except (OSError, UnicodeDecodeError, subprocess.CalledProcessError):
            return ""
        return done.stdout


def _below(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Files below some names of a folder, without what Python and tools leave there."""
    tops = [folder / name for name in names]
    found = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    return sorted(
        path
        for path in found
        if not any(part.endswith(_NO_CODE) or part.startswith(".") for part in path.relative_to(folder).parts)
    )
