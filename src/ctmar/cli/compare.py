"""The command that lays two studies side by side."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a finished study's results, results/NAME.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="That of another study.")],
    output: Annotated[Path, typer.Option(help="Folder to fill; it appears whole or not at all.")],
) -> None:
    """Compare two studies: origins, settings that both have (B − A), and verdicts.

    Writes index.html and the same as CSV. Differences are paired over the patients and seeds that both studies share.
    """
    from ctmar.bundles.study_comparison import compare_finished_studies
    from ctmar.reporting.comparison_page import PAGE, answer, write_comparison

    found = compare_finished_studies(first, second)
    write_comparison(found, output)
    typer.echo(f"{answer(found)}\nwrote {output / PAGE}")


COMMANDS = (compare,)
