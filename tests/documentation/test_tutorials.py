"""What the tutorials and pages show is accepted: every configuration, every command and its options."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from ctmar.cli.app import app
from ctmar.config import Config, validate_section

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
COMMANDS = vars(typer.main.get_command(app))["commands"]


def fenced(path: Path, *languages: str) -> list[str]:
    """The blocks of code of a page in some languages; "" is what is typed into a shell."""
    parts = re.split(r"^```(\w*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    opened = zip(parts[1::4], parts[2::4], strict=True)  # text, language, block, "", text, language, ...
    return [block for language, block in opened if language in languages]


# a study with code of its reader's own is read by that code's own test, which brings the file
STUDIES = [
    (path.name, k, text)
    for path in PAGES
    for k, text in enumerate(fenced(path, "yaml"))
    if "study:" in text and "extensions:" not in text
]
LINES = [
    (path.name, line.strip())
    for path in PAGES
    for block in fenced(path, "", "bash")
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("ctmar ")
]


@pytest.mark.parametrize(("page", "number", "text"), STUDIES)
def test_a_study_that_is_shown_is_valid(page: str, number: int, text: str):
    config = validate_section(Config, yaml.safe_load(text), page)
    assert len(config.study.expand()) > 1


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_that_is_shown_has_these_options(page: str, line: str):
    _, name, *words = shlex.split(line, comments=True)
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_every_case_is_shown_by_a_test_that_exists():
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (REPOSITORY / "docs" / "cases.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    for file, test in named:
        found = [REPOSITORY / "tests" / folder / file for folder in ("ctmar", ".")]
        sources = [path.read_text(encoding="utf-8") for path in found if path.is_file()]
        assert any(f"def {test}(" in source for source in sources), f"{file}::{test}"


def test_there_is_something_to_check():
    assert len(STUDIES) >= 1
    assert len(LINES) >= 5
