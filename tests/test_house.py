"""How the source is laid out: files found by their names alone, and no module that waits for itself."""

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"


def modules(package: str) -> dict[str, Path]:
    """The modules of a package by their dotted names."""
    found = {}
    for path in sorted((SOURCE / package).rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@pytest.mark.parametrize("package", ["equiproj", "ctmar"])
def test_no_two_files_of_a_package_share_a_name(package: str):
    names = Counter(path.name for path in modules(package).values() if not path.name.startswith("__"))
    assert {name: n for name, n in names.items() if n > 1} == {}


def imports_at_the_top(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that run when this one is imported; what functions import comes later."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in known else str(node.module))
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & set(known)


def in_cycles(edges: dict[str, set[str]]) -> set[str]:
    """Nodes that are left when those that lead nowhere are taken away, one after the other."""
    left = {node: set(targets) for node, targets in edges.items()}
    while True:
        ends = {node for node, targets in left.items() if not targets & set(left)}
        if not ends:
            return set(left)
        left = {node: targets for node, targets in left.items() if node not in ends}


def test_no_import_goes_round():
    known = modules("equiproj") | modules("ctmar")
    edges = {name: imports_at_the_top(path, known) - {name} for name, path in known.items()}
    assert sum(map(len, edges.values())) > 300
    assert in_cycles(edges) == set()


def test_a_cycle_would_be_seen():
    edges = defaultdict(set, {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()})
    assert in_cycles(edges) == {"a", "b", "c", "d"}
