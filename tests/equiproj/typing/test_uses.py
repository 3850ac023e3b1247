"""A type checker finds every wrong use of the library, and nothing else."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import get_type_hints

import pytest
from tests.conftest import REPOSITORY

from equiproj.layers import WeightDeclaration, typed_parameters

USES = Path(__file__).with_name("uses.py")
Found = dict[int, str]


def expected(checker: str) -> Found:
    """Line → what the checker has to call it."""
    lines = enumerate(USES.read_text().splitlines(), start=1)
    return {number: found[1] for number, line in lines if (found := re.search(rf"#.*\b{checker}: ([\w-]+)", line))}


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # errors were found, and nothing else went wrong
    return done.stdout


def by_mypy() -> Found:
    out = run("mypy", "--no-error-summary", "--hide-error-context", "--no-pretty", str(USES))
    return {
        int(line): code for line, code in re.findall(r"^\S*uses\.py:(\d+): error: .*\[([\w-]+)\]$", out, re.MULTILINE)
    }


def by_pyright() -> Found:
    report = json.loads(run("pyright", "--outputjson", "--pythonpath", sys.executable, str(USES)))
    return {each["range"]["start"]["line"] + 1: each["rule"] for each in report["generalDiagnostics"]}


def test_there_are_wrong_uses_and_right_ones() -> None:
    assert len(expected("mypy")) == len(expected("pyright")) > 25
    assert USES.read_text().count("\n    ") - len(expected("mypy")) > 10


def test_the_keywords_are_those_of_typed_parameters() -> None:
    keywords = {name for name, each in signature(typed_parameters).parameters.items() if each.kind is each.KEYWORD_ONLY}
    assert set(get_type_hints(WeightDeclaration)) == keywords - {"include_statistics"}


@pytest.mark.slow
@pytest.mark.parametrize("checker", [by_mypy, by_pyright], ids=["mypy", "pyright"])
def test_a_checker_finds_the_wrong_uses_and_nothing_else(checker: Callable[[], Found]) -> None:
    assert checker() == expected(checker.__name__.removeprefix("by_"))
