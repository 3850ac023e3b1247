"""Digests of commands: every module below counts, no other does, and neither does a word that does not run."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from ctmar.store import code_digest
from ctmar.store.closure import Closure
from ctmar.store.code_digest import DISTRIBUTIONS, SOURCE, CodeDigests, digest_of

REPOSITORY = Path(__file__).resolve().parents[3]
EFFECT = '\nprint("changed")\n'


@pytest.fixture(scope="module")
def copied_source(tmp_path_factory) -> Path:
    return shutil.copytree(SOURCE, tmp_path_factory.mktemp("copy") / "src", ignore=shutil.ignore_patterns("*.pyc"))


def modules(source: Path) -> dict[str, Path]:
    found = {}
    for path in source.rglob("*.py"):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@pytest.mark.parametrize("command", ["ingest", "split", "simulate-subset", "train", "evaluate", "summarise", "report"])
def test_every_module_below_a_command_counts_and_no_other(copied_source, command):
    closure = Closure.of_command(command, copied_source)
    before = digest_of(closure)
    for name, path in modules(copied_source).items():
        text = path.read_text()
        path.write_text(text + EFFECT)
        after = digest_of(Closure.of_command(command, copied_source)) if name in closure.code else None
        path.write_text(text)
        assert after != before, f"{name} is below {command}, but a change of it changes nothing"
    assert len(closure.code) > 10
    others = [path for name, path in modules(copied_source).items() if name not in closure.code]
    assert len(others) > 100
    texts = {path: path.read_text() for path in others}
    try:
        for path, text in texts.items():
            path.write_text(text + EFFECT)
        assert digest_of(Closure.of_command(command, copied_source)) == before
    finally:
        for path, text in texts.items():
            path.write_text(text)


def test_a_comment_in_every_module_changes_nothing(copied_source):
    commands = ("ingest", "simulate-subset", "train", "evaluate", "report")
    before = [CodeDigests(copied_source).command(name) for name in commands]
    for path in modules(copied_source).values():
        path.write_text("# a comment\n" + path.read_text() + "\n\n# another\n")
    assert [CodeDigests(copied_source).command(name) for name in commands] == before


def test_the_attenuation_of_water_counts_where_it_is_used(copied_source):
    commands = ("ingest", "simulate-subset", "evaluate", "evaluate-references", "split", "join-pairs", "summarise")
    before = {name: CodeDigests(copied_source).command(name) for name in commands}
    units = copied_source / "ctmar" / "units.py"
    text = units.read_text()
    assert "= 0.192" in text
    units.write_text(text.replace("= 0.192", "= 0.200"))
    changed = [name for name in commands if CodeDigests(copied_source).command(name) != before[name]]
    units.write_text(text)
    assert changed == ["ingest", "simulate-subset", "evaluate", "evaluate-references"]


def test_a_template_counts_for_the_report_alone(copied_source):
    before = {name: CodeDigests(copied_source).command(name) for name in ("report", "train")}
    page = copied_source / "ctmar" / "reporting" / "templates" / "page.html"
    page.write_text(page.read_text() + "<!-- -->")
    after = {name: CodeDigests(copied_source).command(name) for name in ("report", "train")}
    assert after["report"] != before["report"]
    assert after["train"] == before["train"]


def test_the_version_of_an_imported_package_counts(monkeypatch):
    digests = CodeDigests()
    before = {name: digests.command(name) for name in ("train", "acquire")}
    monkeypatch.setattr(code_digest, "version_of", lambda name: "99" if name == "torch" else "1")
    torch = {name: digests.command(name) for name in before}
    monkeypatch.setattr(code_digest, "version_of", lambda name: "1")
    none = {name: digests.command(name) for name in before}
    assert torch["train"] != none["train"]
    assert none["train"] != before["train"]
    assert torch["acquire"] == none["acquire"] == before["acquire"]  # which imports nothing but Python's own


@pytest.mark.parametrize("command", ["ingest", "simulate-subset", "train", "evaluate", "report", "sync"])
def test_every_imported_package_has_a_version(command):
    distributions = metadata.packages_distributions()
    for name in Closure.of_command(command, SOURCE).imported:
        known_as = {found.lower().replace("_", "-") for found in distributions[name]}
        assert DISTRIBUTIONS.get(name, name).replace("_", "-") in known_as
        assert code_digest.version_of(name)


def test_the_memory_is_used_until_the_source_changes(copied_source, tmp_path, monkeypatch):
    memory = tmp_path / "memory.json"
    first = CodeDigests(copied_source, memory).command("split")
    assert list(json.loads(memory.read_text())["digests"]) == ["split"]
    with monkeypatch.context() as patched:
        patched.setattr(code_digest, "digest_of", lambda closure: pytest.fail("read the syntax again"))
        assert CodeDigests(copied_source, memory).command("split") == first
    split = copied_source / "ctmar" / "datasets" / "split.py"
    split.write_text(split.read_text() + EFFECT)
    assert CodeDigests(copied_source, memory).command("split") != first


@pytest.mark.parametrize("text", ["", "[]", '{"source": 1}', "\xff"])
def test_a_broken_memory_is_made_again(tmp_path, text):
    memory = tmp_path / "memory.json"
    memory.write_text(text, encoding="latin-1")
    assert CodeDigests(memory=memory).command("split") == CodeDigests().command("split")


def test_a_memory_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").touch()
    assert CodeDigests(memory=tmp_path / "file" / "memory.json").command("split") == CodeDigests().command("split")


def test_a_script_counts_with_what_it_imports():
    scripts = [REPOSITORY / "benchmarks" / f"{name}.py" for name in ("penalty_cost", "ingest_speed")]
    closures = [Closure.of_script(path, SOURCE) for path in scripts]
    assert "equiproj.regularisers.penalty" in closures[0].code
    assert "ctmar.datasets.ingest" in closures[1].code
    assert "ctmar.datasets.ingest" not in closures[0].code
    assert len({CodeDigests().script(path) for path in scripts}) == 2
