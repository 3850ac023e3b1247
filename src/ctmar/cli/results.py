"""Commands that join, compare and show."""

from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Output, Pairs, RunFolders, Settings


def cost(
    pairs: Pairs,
    output: Output,
    study: Annotated[str, typer.Option(help="The `study` section: networks and methods to time.")],
    training: Annotated[str, typer.Option(help="The `training` section: batch and patch size.")] = "{}",
    settings: Settings = "{}",
) -> None:
    """Time a training step with every method and norm, side by side in one process."""
    from ctmar.config import Evaluation, Study, Training, parse_settings
    from ctmar.training.cost import measure_cost

    measure_cost(
        pairs,
        parse_settings(Study, study),
        parse_settings(Training, training),
        parse_settings(Evaluation, settings),
        output,
    )


def summarise(
    runs: RunFolders,
    references: Annotated[Path, typer.Option(help="Table made by `ctmar evaluate-references`.")],
    cost: Annotated[Path, typer.Option(help="Table made by `ctmar cost`.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    settings: Settings = "{}",
) -> None:
    """Join all runs into tables with intervals and paired differences, and test the paper's claims."""
    from ctmar.config import Evaluation, parse_settings
    from ctmar.evaluation.collect import collect

    collect(runs, references, cost, parse_settings(Evaluation, settings), output)


COMMANDS = (cost, summarise)
