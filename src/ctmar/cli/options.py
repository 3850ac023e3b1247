"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from ctmar.errors import InputError

Settings = Annotated[
    str,
    typer.Option(help="Keys of this step's section of the configuration: YAML or JSON text, or @FILE; {} = defaults."),
]
Output = Annotated[Path, typer.Option(help="File to write; it appears whole or not at all.")]
Threads = Annotated[int, typer.Option(min=1, help="Processes or threads; the result does not depend on them.")]


def _run_files(files: list[Path] | None) -> list[Path] | None:
    from ctmar.config.own_code import register_extensions

    register_extensions(files or ())
    return files


Extensions = Annotated[
    list[Path] | None,
    typer.Option(
        "--extension",
        callback=_run_files,
        help="Python file of your own, as `extensions` of the configuration lists it; its code runs. May be repeated.",
    ),
]
RunFolders = Annotated[
    list[Path], typer.Argument(help="Folders of finished runs; @FILE stands for those that a file names, one a line.")
]
Pairs = Annotated[Path, typer.Argument(help="Pair file made by `ctmar simulate-subset`.")]
Signals = Annotated[
    Path | None,
    typer.Option(help="Images with signals and without, made by `ctmar simulate-signals`; none: no detectability."),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run, written by `ctmar train`.")]


def listed(paths: list[Path]) -> list[Path]:
    """Paths, and in place of each ``@FILE`` those in the lines of a file: a command line has no room for thousands.

    Raises:
        InputError: a file cannot be read as text.

    Examples:
        >>> listed([Path("a"), Path("b c")])
        [PosixPath('a'), PosixPath('b c')]
    """
    return [found for path in paths for found in (_lines(Path(str(path)[1:])) if str(path)[:1] == "@" else [path])]


def _lines(file: Path) -> list[Path]:
    try:
        return [Path(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: expected a text file with a path in each line, {type(error).__name__}") from None
