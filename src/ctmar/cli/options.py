"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Settings = Annotated[
    str,
    typer.Option(help="Keys of this step's section of the configuration: YAML or JSON text, or @FILE; {} = defaults."),
]
Output = Annotated[Path, typer.Option(help="File to write; it appears whole or not at all.")]
Threads = Annotated[int, typer.Option(min=1, help="Processes or threads; the result does not depend on them.")]
RunFolders = Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]
Pairs = Annotated[Path, typer.Argument(help="Pair file made by `ctmar simulate-subset`.")]
