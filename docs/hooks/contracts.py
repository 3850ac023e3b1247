"""What pyproject.toml says about the rooms: layers, and packages that only one room may import."""

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class House:
    """A package: rows of rooms, each row may import those below; what only one room may import, by room."""

    package: str
    rows: tuple[tuple[str, ...], ...]
    fences: dict[str, tuple[str, ...]]


def read_houses(repository: Path) -> list[House]:
    """Read the contracts of import-linter; those about the inside of a room are not drawn."""
    contracts = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    fences: dict[str, list[str]] = {}
    houses = []
    for contract in contracts["contracts"]:
        for exception in contract.get("ignore_imports", []):
            importer, imported = exception.split(" -> ")
            fences.setdefault(importer.removesuffix(".**"), []).append(imported)
    for contract in contracts["contracts"]:
        if contract["type"] == "layers" and contract["containers"] in (["equiproj"], ["ctmar"]):
            (package,) = contract["containers"]
            names = [[name.strip() for name in row.replace(":", "|").split("|")] for row in contract["layers"]]
            # `__main__` starts the command line and holds nothing
            rows = tuple(tuple(row) for row in names if row != ["__main__"])
            own = {tuple(key.split("."))[1]: tuple(v) for key, v in fences.items() if key.startswith(f"{package}.")}
            houses.append(House(package, rows, own))
    return houses


def first_line(repository: Path, module: str) -> str:
    """First sentence of the docstring of a room."""
    path = repository / "src" / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def n_modules(repository: Path, module: str) -> int:
    """How many modules a room has."""
    path = repository / "src" / Path(*module.split("."))
    return len([file for file in path.rglob("*.py") if file.name != "__init__.py"]) if path.is_dir() else 1
