"""The command that shows a finished study."""

from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Output


def report(
    results: Annotated[Path, typer.Argument(help="Folder of a finished study's results.")],
    config: Annotated[Path, typer.Option(help="The study's configuration as it was run (YAML).")],
    output: Output,
    model_card: Annotated[Path, typer.Option(help="Markdown file about the models.")],
    dataset_card: Annotated[Path, typer.Option(help="Markdown file about the data.")],
    sources: Annotated[Path | None, typer.Option(help="sources.json of `ctmar acquire`: licences, citations.")] = None,
) -> None:
    """Assemble the report, one HTML file that needs no network, and the two cards."""
    from ctmar.config import load_config
    from ctmar.reporting.cards import write_dataset_card, write_model_card
    from ctmar.reporting.page import build_report
    from ctmar.reporting.study_files import ReportInputs

    inputs, study = ReportInputs.of_study(results, sources), load_config(config)
    write_model_card(inputs, study, model_card)
    write_dataset_card(inputs, study, dataset_card)
    typer.echo(f"wrote {build_report(inputs, study, output)}")


COMMANDS = (report,)
