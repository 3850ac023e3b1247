"""The steps of the workflow: which rule calls which command, which rooms work for it, which files come out."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^(?:rule|checkpoint) (\w+):\n((?:[ \t]+.*\n|\n)+)", re.MULTILINE)
COMMAND = re.compile(r"\bctmar ([a-z][a-z-]*)")
CONSTANT = re.compile(r"""^([A-Z_]+) = f?"([^"]*)"$""", re.MULTILINE)
EVERYWHERE = {"cli", "config", "errors", "units"}  # every command has these


@dataclass(frozen=True)
class Step:
    """A rule of the workflow."""

    rule: str
    file: str
    comment: str
    command: str
    rooms: tuple[str, ...]
    outputs: tuple[str, ...]


def read_steps(repository: Path) -> list[Step]:
    """The rules that call a command of `ctmar`, in the order of the story."""
    commands = dict(_commands(repository / "src" / "ctmar" / "cli"))
    folder = repository / "workflow"
    order = re.findall(r'include: "(rules/\w+\.smk)"', (folder / "Snakefile").read_text(encoding="utf-8"))
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in order}
    constants = dict(CONSTANT.findall("\n".join(texts.values())))
    steps = []
    for name, text in texts.items():
        for found in BLOCK.finditer(text):
            rule, block = found.groups()
            command = COMMAND.search(_section(block, "shell"))
            if command is not None:
                outputs = tuple(_resolve(path, constants) for path in _paths(_section(block, "output"), constants))
                rooms = commands[command.group(1)]
                steps.append(Step(rule, name, _comment(text[: found.start()]), command.group(1), rooms, outputs))
    return steps


def _section(block: str, key: str) -> str:
    found = re.search(rf"^    {key}:(.*\n(?:        .*\n|\n)*)", block, re.MULTILINE)
    return found.group(1) if found else ""


def _paths(text: str, constants: dict[str, str]) -> list[str]:
    """Paths of a section, as strings or as constants; captions and labels of Snakemake's report are none."""
    found = re.findall(r'f?"([^"]+)"|\b([A-Z_]+)\b(?![^{]*\})', text)
    paths = [string or constants.get(name, "") for string, name in found]
    return [path for path in paths if "/" in path and not path.startswith(".")]


def _resolve(path: str, constants: dict[str, str]) -> str:
    """A path with the constants of the rule files put in, and what is left in braces by its last name alone."""
    for _ in range(5):
        path = re.sub(r"\{([A-Z_]+)\}", lambda found: constants.get(found.group(1), found.group()), path)
    path = path.replace("{RUN_SPACE.wildcard_pattern}", "<run>").replace("{{", "{").replace("}}", "}")
    return re.sub(r"\{(?:\w+\.)*(\w+?)(?:,[^}]*)?\}", lambda found: f"<{found.group(1).lower()}>", path)


def _comment(before: str) -> str:
    lines = before.rstrip("\n").split("\n")
    taken: list[str] = []
    while lines and lines[-1].startswith("#"):
        taken.insert(0, lines.pop().lstrip("# "))
    return " ".join(taken)


def _commands(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every command with the rooms that it imports itself or through the functions of its module."""
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        shared = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        for name, function in functions.items():
            nodes = [*shared, *(node for part in _reached(function, functions) for node in ast.walk(part))]
            modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
            rooms = {module.split(".")[1] for module in modules if module.startswith("ctmar.")}
            yield name.replace("_", "-"), tuple(sorted(rooms - EVERYWHERE))


def _reached(function: ast.FunctionDef, functions: dict[str, ast.FunctionDef]) -> list[ast.FunctionDef]:
    found, waiting = {function.name: function}, [function]
    while waiting:
        names = {node.id for node in ast.walk(waiting.pop()) if isinstance(node, ast.Name)} & set(functions)
        waiting += [functions[name] for name in names - set(found)]
        found |= {name: functions[name] for name in names}
    return list(found.values())
