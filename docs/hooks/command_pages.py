"""One page with every command, its arguments and its options, from the command line itself."""

import enum
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from ctmar.cli.app import app

HEAD = """# Commands

Every step of the workflow is a command, and each works by itself. `ctmar COMMAND --help` shows what is here, and the
keys of the sections of the [configuration](configuration.md) that a command takes with `--settings`. A mistake is one
line on stderr and exit code 2; a training run that a scheduler stopped ends with exit code 75.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Write the page."""
    commands: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
    sections = [section(name, command) for name, command in commands.items()]
    files.append(File.generated(config, "commands.md", content="\n\n".join([HEAD, *sections])))
    return files


def section(name: str, command: Any) -> str:
    """Heading, help and a table of one command."""
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    shown = [name_of(p) if p.required else f"[{name_of(p)}]" for p in arguments]
    lines = [f"## ctmar {name}", command.help, f"```\n{' '.join(['ctmar', name, *shown, '[OPTIONS]'])}\n```"]
    rows = ["| | default | meaning |", "|---|---|---|"]
    for parameter in command.params:
        if parameter.name != "help":
            meaning = " ".join((parameter.help or "").split()).replace("|", r"\|")
            rows.append(f"| `{name_of(parameter)}` | {default_of(parameter)} | {meaning} |")
    return "\n\n".join([*lines, "\n".join(rows)])


def name_of(parameter: Any) -> str:
    """How a user writes it: the option, or the argument in capitals."""
    first: str = parameter.opts[0]
    return first if first.startswith("-") else str(parameter.metavar or first.upper())


def default_of(parameter: Any) -> str:
    """What holds where it is left out."""
    value = parameter.default
    if parameter.required:
        return "needed"
    if value is None or value is False or value == ():
        return ""
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"
