"""Commands that show finished studies."""

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
    sources: Annotated[
        Path | None, typer.Option(help="ctmar-sources.json of `ctmar acquire`: licences, citations.")
    ] = None,
    description: Annotated[
        Path | None, typer.Option(help="JSON file of what `ctmar list-reports` says of the study.")
    ] = None,
) -> None:
    """Assemble the report, one HTML file that needs no network, and the two cards."""
    from ctmar.config import load_config
    from ctmar.reporting.cards import write_dataset_card, write_model_card
    from ctmar.reporting.page import build_report
    from ctmar.reporting.studies import describe_study, write_description
    from ctmar.reporting.study_files import ReportInputs, read_results

    tables, study = read_results(ReportInputs.of_study(results, sources)), load_config(config)
    write_model_card(tables, study, model_card)
    write_dataset_card(tables, study, dataset_card)
    typer.echo(f"wrote {build_report(tables, study, output)}")
    if description is not None:
        write_description(describe_study(tables, study), description)


def list_reports(
    reports: Annotated[Path, typer.Argument(help="Folder with one folder for each study: its index.html, study.json.")],
) -> None:
    """List the reports of all studies on one page, index.html of the folder, newest first."""
    from ctmar.reporting.studies import list_reports as list_all

    typer.echo(f"wrote {list_all(reports)}")


COMMANDS = (report, list_reports)
