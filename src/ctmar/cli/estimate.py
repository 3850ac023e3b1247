"""Commands that say what a study will cost, before it is started, and what its training steps cost."""

from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Extensions, Output, Pairs, Settings
from ctmar.cli.progress import progress


def estimate(
    config: Annotated[Path, typer.Argument(help="Configuration of a study (YAML).")],
    teraflops: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Operations a second that one GPU is assumed to sustain in training [10¹²]; layers of 32 channels "
            "keep a small part of a large GPU busy. By default what the site says.",
        ),
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option(envvar="EQUIPROJ_SITE", help="What is specific to the cluster, as workflow/profiles/site.yaml."),
    ] = None,
    slices: Annotated[
        int, typer.Option(min=1, help="CT slices of the study, all subsets together; known only after ingestion.")
    ] = 1000,
    patients: Annotated[
        int | None,
        typer.Option(min=1, help="Patients of the study, all subsets together; by default those that it names."),
    ] = None,
) -> None:
    """Print what a study takes, and what it will decide: pairs, runs, hours, and power of its primary comparisons.

    A pair and a step of each method are timed here on made-up data. What jobs ask a scheduler for comes from the model
    that the workflow uses.
    """
    import torch

    from ctmar.config import Site, load_config, load_site
    from ctmar.estimate.estimate_text import simulation_text, table, training_text
    from ctmar.estimate.jobs_in_words import jobs_text
    from ctmar.estimate.primary_power import patients_of_study, power_text
    from ctmar.estimate.training_cost import estimate_training
    from ctmar.training.own_code_check import check_own_code

    study = load_config(config)
    check_own_code(study)
    place = load_site(site) if site else Site()
    if teraflops:
        place = place.model_copy(update={"teraflops": teraflops})
    wanted = study.training.device
    device = "cuda" if wanted == "cuda" and torch.cuda.is_available() else "cpu"
    with progress(f"estimate {config.name}") as show:
        rows = estimate_training(study, device, show)
    typer.echo(f"{config}\n\n{table(rows, device)}\n")
    typer.echo(training_text(rows, study, device, place.teraflops))
    typer.echo(jobs_text(study, place))
    typer.echo(simulation_text(study, slices))
    summary = Path("results") / study.study.name / "summary" / "variances.csv"
    typer.echo(power_text(study, patients_of_study(study, patients), summary))


def cost(
    pairs: Pairs,
    output: Output,
    study: Annotated[str, typer.Option(help="The `study` section: networks and methods to time.")],
    training: Annotated[str, typer.Option(help="The `training` section: batch and patch size.")] = "{}",
    settings: Settings = "{}",
    extension: Extensions = None,
) -> None:
    """Time a training step with every method and norm, side by side in one process."""
    from ctmar.config import Study, Timing, Training, parse_settings
    from ctmar.estimate.step_cost import measure_cost

    measure_cost(
        pairs,
        parse_settings(Study, study),
        parse_settings(Training, training),
        parse_settings(Timing, settings),
        output,
    )


COMMANDS = (estimate, cost)
