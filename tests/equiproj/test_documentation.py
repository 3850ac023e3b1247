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


def test_documents_that_are_cited_exist():
    """A document that only its authors have is no source for a reader."""
    sources = [path for folder in ("src", "docs/examples") for path in (REPOSITORY / folder).rglob("*.py")]
    tracked = {
        p.name for folder in ("docs", "config", "envs", "reports/example") for p in (REPOSITORY / folder).rglob("*.md")
    }
    tracked |= {path.name for path in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("src/*/*/templates/*.md"))}
    tracked |= {"methods.md", "data_dictionary.md"}  # `ctmar paper` writes them
    cited = {(p.name, name) for p in sources for name in re.findall(r"\b[a-z_]+\.md\b", p.read_text(encoding="utf-8"))}
    assert {(path, name) for path, name in cited if name not in tracked} == set()
    assert len(cited) > 3


def test_equation_numbers_are_unique():
    numbers = re.findall(r"\\tag\{(\d+\.\d+)\}", DERIVATION)
    assert len(numbers) == len(set(numbers))
