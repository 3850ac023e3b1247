"""Every test states what it expects, and those that start Snakemake stay out of `make test-fast`."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
STATEMENTS = ("raises", "warns", "fail")


def functions_named_test(source: str) -> Iterator[ast.FunctionDef]:
    """The test functions of a module, methods included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def expects_something(test: ast.FunctionDef) -> bool:
    """Whether its body asserts, raises, expects an exception or calls a function named ``assert_...``."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in STATEMENTS or name.startswith("assert_"):
                return True
    return False


def test_every_test_says_what_it_expects():
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("test_*.py"))}
    tests = [(path, test) for path, source in sources.items() for test in functions_named_test(source)]
    silent = [f"{path.relative_to(TESTS)}::{test.name}" for path, test in tests if not expects_something(test)]
    assert silent == []
    assert len(tests) > 500


def functions_that_start_snakemake(source: str) -> set[str]:
    """Names of the functions of a module that hold a command line of Snakemake, or that call such a function."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    found = {function.name for function in functions if holds_a_command_line(function)}
    while True:
        reached = {function.name for function in functions if names_in(function) & found} | found
        if reached == found:
            return found
        found = reached


def holds_a_command_line(function: ast.FunctionDef) -> bool:
    """Whether a list in it begins with "snakemake", or has it behind "-m"."""
    for node in ast.walk(function):
        if isinstance(node, ast.List):
            words = [getattr(element, "value", None) for element in node.elts]
            if "snakemake" in words[:1] or ("-m", "snakemake") in pairwise(words):
                return True
    return False


def names_in(function: ast.FunctionDef) -> set[str]:
    """Every name that its body reads."""
    return {n.id for statement in function.body for n in ast.walk(statement) if isinstance(n, ast.Name)}


def test_what_starts_snakemake_by_itself_is_marked():
    unmarked = []
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if path == Path(__file__) or "pytestmark = pytest.mark.workflow" in source:
            continue
        starting = functions_that_start_snakemake(source)
        for test in functions_named_test(source):
            marked = any("workflow" in ast.unparse(mark) for mark in test.decorator_list)
            by_fixture = "snakemake" in {a.arg.split("_")[0] for a in test.args.args}  # tests/workflow/conftest.py
            if test.name in starting and not (marked or by_fixture):
                unmarked.append(f"{path.relative_to(TESTS)}::{test.name}")
    assert unmarked == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("assert f(x) == 1", True),
        ("np.testing.assert_allclose(f(x), 1)", True),
        ("assert_refused(x)", True),
        ("with pytest.raises(ValueError):\n        f(x)", True),
        ("f(x)", False),
        ("run_script(x)", False),
    ],
)
def test_what_counts_as_an_expectation(body: str, expected: bool):
    (test,) = functions_named_test(f"def test_it():\n    {body}\n")
    assert expects_something(test) is expected
