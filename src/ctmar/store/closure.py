"""What a command runs: its import closure, found by reading the source and without importing any of it.

A module counts as a whole. Two kinds count by name, because they bring together what has nothing in common: the
modules of the command line (of which one command counts, with what it uses) and the ``__init__`` of a package (of which
those names count that somebody imports from it).
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctmar.store.running_code import PACKAGES, Import, Part, parts_of

_COMMAND_LINE = "ctmar.cli"
# they tell how it goes, what went wrong and when to stop; none of them shapes an output
SILENT = ("ctmar.errors", "ctmar.cli.progress", "ctmar.cli.explain", "ctmar.cli.stopping", "typer", "rich")


@dataclass
class Closure:
    """The code below an entry point.

    Attributes:
        source: the folder of our packages.
        code: the parts of each module that run.
        imported: names of other people's packages that they import.
    """

    source: Path
    code: dict[str, set[Part]] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    _taken: set[tuple[str, str | None]] = field(default_factory=set)
    _read: dict[str, tuple[Part, ...]] = field(default_factory=dict)

    @classmethod
    def of_command(cls, command: str, source: Path) -> "Closure":
        """What one command of the command line runs, such as ``simulate-subset``.

        Raises:
            LookupError: there is none of this name.
        """
        closure, name = cls(source), command.replace("-", "_")
        for path in sorted(source.joinpath(*_COMMAND_LINE.split(".")).glob("*.py")):
            module = f"{_COMMAND_LINE}.{path.stem}"
            if any("COMMANDS" in part.binds and name in part.uses for part in closure.parts(module)):
                closure._take(module, name)
                return closure
        raise LookupError(f"{source}: expected a command of `ctmar`, found none with the name {command!r}")

    @classmethod
    def of_script(cls, script: Path, source: Path) -> "Closure":
        """What a script outside of our packages runs."""
        closure = cls(source)
        closure._run(script.name, parts_of(script.read_bytes()))
        return closure

    def data_files(self) -> list[Path]:
        """Files of its packages that are no modules, such as templates and style sheets."""
        packages = {path.parent for module in self.code if (path := self.path(module))}
        return sorted(path for package in packages for path in _other_files(package))

    def path(self, module: str) -> Path | None:
        """The file of a module of ours, if there is one."""
        path = self.source.joinpath(*module.split("."))
        return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)

    def parts(self, module: str) -> tuple[Part, ...]:
        """What a module consists of."""
        if module not in self._read:
            path = self.path(module)
            # the command line reads the annotations of its functions
            annotations = module.startswith(f"{_COMMAND_LINE}.")
            self._read[module] = parts_of(path.read_bytes(), annotations) if path else ()
        return self._read[module]

    def _take(self, module: str, name: str | None) -> None:
        """Take a module, or one name of it, and what every import of it runs."""
        if module in SILENT or (module, name) in self._taken or self.path(module) is None:
            return
        self._taken.add((module, name))
        parts = self.parts(module)
        if "." in module:
            self._take(module.rpartition(".")[0], "")
        if name is None:
            self._run(module, parts)
            return
        if name and not self._binds(module, name):  # a `__getattr__` brings it from somewhere below
            self._take_below(module)
        found = [part for part in parts if name in part.binds or not part.binds]
        self._run(module, found)
        for used in {used for part in found for used in part.uses} & {bound for part in parts for bound in part.binds}:
            self._take(module, used)

    def _run(self, module: str, parts: Iterable[Part]) -> None:
        self.code.setdefault(module, set()).update(parts)
        for part in parts:
            for found in part.imports:
                self._follow(module, found)
            for package in part.packages:
                self._take_below(package)

    def _follow(self, module: str, found: Import) -> None:
        origin = self._origin(module, found)
        package = origin.partition(".")[0]
        if package not in PACKAGES:
            if package not in SILENT and package not in sys.stdlib_module_names:
                self.imported.add(package)
            return
        path = self.path(origin)
        by_name = path is not None and path.name == "__init__.py" and found.name is not None
        if by_name and self.path(f"{origin}.{found.name}") and not self._binds(origin, found.name):
            self._take(f"{origin}.{found.name}", None)
        else:
            self._take(origin, found.name if by_name else None)

    def _binds(self, module: str, name: str | None) -> bool:
        return any(name in part.binds for part in self.parts(module))

    def _origin(self, module: str, found: Import) -> str:
        if not found.level:
            return found.module
        path = self.path(module)
        is_package = path is not None and path.name == "__init__.py"
        parents = module.split(".")[: len(module.split(".")) - found.level + is_package]
        return ".".join([*parents, found.module] if found.module else parents)

    def _take_below(self, package: str) -> None:
        """Take a package with everything below it."""
        for path in sorted(self.source.joinpath(*package.split(".")).rglob("*.py")):
            parts = path.relative_to(self.source).with_suffix("").parts
            self._take(".".join(parts[:-1] if parts[-1] == "__init__" else parts), None)


def _other_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
            yield from _other_files(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc") and path.name != "py.typed":
            yield path
