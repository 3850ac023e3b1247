"""Help on the keys of a command's sections, read from the schema when it is asked for, so that it cannot lag behind."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

CommandT = TypeVar("CommandT", bound=Callable[..., None])


def explains(**sections: str) -> Callable[[CommandT], CommandT]:
    """Mark a command: its option (by parameter) takes the keys of a section of `ctmar.config` (by class name)."""

    def mark(command: CommandT) -> CommandT:
        vars(command)["sections"] = sections
        return command

    return mark


class ExplainingCommand(TyperCommand):
    """A command whose ``--help`` ends with a table of keys for every section that it takes."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help of options, then the keys."""
        super().format_help(ctx, formatter)
        sections: dict[str, str] = getattr(self.callback, "sections", {})
        for option, section in sections.items():
            Console().print(keys_table(option, section))


def keys_table(option: str, section: str) -> Table:
    """Key, default and meaning (with unit, and choices where there are any) of one section."""
    from ctmar import config
    from ctmar.config.reference import reference_rows

    model = getattr(config, section)
    table = Table(title=f"Keys of --{option}", title_justify="left", box=box.SIMPLE_HEAD, expand=True)
    table.add_column("key", style="bold cyan", no_wrap=True)
    table.add_column("default", overflow="fold")
    table.add_column("meaning", ratio=1)
    for key, default, meaning in reference_rows(model):
        kind = model.model_fields[key].annotation
        choices = f" One of: {', '.join(map(str, get_args(kind)))}." if get_origin(kind) is Literal else ""
        table.add_row(key, Text(default.strip("`")), Text((meaning or "") + choices))
    return table
