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
    """Assemble the report, one HTML file that needs no network, and the two cards; one set aside before goes.

    What is missing or damaged is left out, and a banner of the page says what and why.
    """
    from ctmar.config import load_config
    from ctmar.reporting import outdated
    from ctmar.reporting.cards import write_dataset_card, write_model_card
    from ctmar.reporting.page import build_report
    from ctmar.reporting.studies import write_description
    from ctmar.reporting.study_description import describe_study
    from ctmar.reporting.study_files import ReportInputs, read_results

    study = load_config(config)
    tables = read_results(ReportInputs.of_study(results, sources), study)
    write_model_card(tables, study, model_card)
    write_dataset_card(tables, study, dataset_card)
    typer.echo(f"wrote {build_report(tables, study, output)}")
    if description is not None:
        write_description(describe_study(tables, study), description)
    outdated.discard(output.parent)


def paper(
    results: Annotated[Path, typer.Argument(help="Folder of a finished study's results.")],
    config: Annotated[Path, typer.Option(help="The study's configuration as it was run (YAML).")],
    page: Annotated[Path, typer.Option(help="Its report, made by `ctmar report`.")],
    output: Annotated[Path, typer.Option(help="Folder to fill; it appears whole or not at all.")],
    sources: Annotated[
        Path | None, typer.Option(help="ctmar-sources.json of `ctmar acquire`: licences, citations.")
    ] = None,
) -> None:
    """Write what a paper needs of a report.

    Figures (SVG, PDF), tables (LaTeX, CSV), BibTeX, methods, and a data dictionary.
    """
    from ctmar.config import load_config
    from ctmar.reporting.paper.folder import write_paper
    from ctmar.reporting.study_files import ReportInputs, read_results

    study = load_config(config)
    n_files = write_paper(read_results(ReportInputs.of_study(results, sources), study), study, page, output)
    typer.echo(f"wrote {n_files} files into {output}")


def list_reports(
    reports: Annotated[Path, typer.Argument(help="Folder with one folder for each study: its index.html, study.json.")],
) -> None:
    """List the reports of all studies on one page, index.html of the folder, newest first."""
    from ctmar.reporting.studies import list_reports as list_all

    typer.echo(f"wrote {list_all(reports)}")


def set_report_aside(
    folder: Annotated[Path, typer.Argument(help="Folder of a study's report: index.html, the cards, study.json.")],
) -> None:
    """Move a report that is about to be made again into the folder outdated beside it; it and the list say so.

    Snakemake does this when it starts. The next report removes it; until then nobody takes it for the current one.
    """
    from ctmar.reporting.outdated import set_aside
    from ctmar.reporting.studies import list_reports as list_all

    if set_aside(folder):
        list_all(folder.parent)
        typer.echo(f"set aside the report of an earlier run: {folder / 'outdated'}")


def report_unfinished(
    results: Annotated[Path, typer.Argument(help="Folder of a study's results, with its config.yaml.")],
    reports: Annotated[Path, typer.Argument(help="Folder of the study's report; the page lies in its unfinished/.")],
    sources: Annotated[
        Path | None, typer.Option(help="ctmar-sources.json of `ctmar acquire`: licences, citations.")
    ] = None,
) -> None:
    """Make a page of what exists of a study that failed, was stopped or still runs, and list it; nothing else changes.

    A banner says which planned runs are missing and why. The workflow ends in this page where a job failed; the report
    of the finished study removes it.
    """
    from ctmar.config import load_config
    from ctmar.reporting import unfinished
    from ctmar.reporting.studies import list_reports as list_all

    page = unfinished.report_unfinished(results, load_config(results / "config.yaml"), reports, sources)
    list_all(reports.parent)
    typer.echo(f"what there is of the study, and what is missing: {page}")


COMMANDS = (report, paper, list_reports, set_report_aside, report_unfinished)
