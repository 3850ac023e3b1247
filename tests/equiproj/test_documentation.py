"""Docstrings cite equations and sections that exist."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DERIVATION = (REPOSITORY / "docs" / "derivation.md").read_text(encoding="utf-8")


def cited(kind):
    for path in sorted((REPOSITORY / "src" / "equiproj").rglob("*.py")):
        for found in re.finditer(rf"{kind}s? ((?:\d+\.\d+(?:, | and )?)+)", path.read_text(encoding="utf-8")):
            for number in re.findall(r"\d+\.\d+", found.group(1)):
                yield path.name, number


def test_equations_exist():
    numbers = set(re.findall(r"\\tag\{(\d+\.\d+)\}", DERIVATION))
    missing = [(name, number) for name, number in cited("equation") if number not in numbers]
    assert not missing
    assert len(list(cited("equation"))) > 20


def test_sections_exist():
    numbers = set(re.findall(r"^### (\d+\.\d+) ", DERIVATION, flags=re.MULTILINE))
    # other people's sections are cited with their book
    missing = [(name, number) for name, number in cited("[(]section") if number not in numbers]
    assert not missing


def test_equation_numbers_are_unique():
    numbers = re.findall(r"\\tag\{(\d+\.\d+)\}", DERIVATION)
    assert len(numbers) == len(set(numbers))
