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
    from ctmar.estimate.step_cost import measure_cost

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
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for the tables: models, sizes, materials, runs, references, curves (.csv), slices (.parquet)."
        ),
    ],
    settings: Settings = "{}",
) -> None:
    """Join all runs into tables with intervals and paired tests against plain, and judge the paper's claims."""
    from ctmar.config import Evaluation, parse_settings
    from ctmar.evaluation.collect import collect

    collect(runs, references, cost, parse_settings(Evaluation, settings), output)


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
    from ctmar.reporting.results import ReportInputs

    inputs, study = ReportInputs.of_study(results, sources), load_config(config)
    write_model_card(inputs, study, model_card)
    write_dataset_card(inputs, study, dataset_card)
    typer.echo(f"wrote {build_report(inputs, study, output)}")


COMMANDS = (cost, summarise, report)
