"""The command that says what a study will cost, before it is started."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmar.cli.progress import progress

if TYPE_CHECKING:
    from ctmar.config import Config
    from ctmar.training.estimate import Estimate


ALIGNMENT = "<<<>>>>>"  # of the columns: text to the left, numbers to the right


def estimate(
    config: Annotated[Path, typer.Argument(help="Configuration of a study (YAML).")],
    teraflops: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="Operations a second that one GPU is assumed to sustain in training [10¹²]; layers of 32 channels "
            "keep a small part of a large GPU busy.",
        ),
    ] = 10.0,
    slices: Annotated[
        int, typer.Option(min=1, help="CT slices of the study, all subsets together; known only after ingestion.")
    ] = 1000,
) -> None:
    """Print the pairs, runs and hours of a study; a pair and a step of each method are timed here on made-up data."""
    import torch

    from ctmar.config import load_config
    from ctmar.training.estimate import estimate_training

    study = load_config(config)
    wanted = study.training.device
    device = "cuda" if wanted == "cuda" and torch.cuda.is_available() else "cpu"
    with progress(f"estimate {config.name}") as show:
        rows = estimate_training(study, device, show)
    typer.echo(f"{config}\n\n{table(rows, device)}\n")
    typer.echo(training_text(rows, study, device, teraflops))
    typer.echo(simulation_text(study, slices))


def table(rows: "list[Estimate]", device: str) -> str:
    """One line for each network, method and norm."""
    unit = "GPU" if device == "cuda" else "core"
    columns = (
        "network",
        "method",
        "norm",
        "runs",
        "steps/run",
        f"{unit}-ms/step",
        "GFLOP/step",
        f"{unit}-hours, all runs",
    )
    cells = [
        (
            row.network,
            row.method,
            row.norm,
            f"{row.n_runs:,}",
            f"{row.n_steps:,}",
            f"{1e3 * row.step.seconds:,.1f}",
            f"{row.step.flops / 1e9:,.2f}",
            f"{row.seconds / 3600:,.2f}",
        )
        for row in rows
    ]
    lines = (columns, *cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(_padded, line, widths, ALIGNMENT)) for line in lines)


def _padded(cell: str, width: int, alignment: str) -> str:
    return f"{cell:{alignment}{width}}"


def training_text(rows: "list[Estimate]", config: "Config", device: str, teraflops: float) -> str:
    """The sums, where they were measured, and what they assume."""
    threads = config.training.threads
    hours, n_runs = sum(row.seconds for row in rows) / 3600, sum(row.n_runs for row in rows)
    flops = sum(row.flops for row in rows)
    lines = [
        f"training: {n_runs:,} runs, {sum(row.n_runs * row.n_steps for row in rows):,} steps, {flops:.3g} operations"
    ]
    if device == "cuda":
        return "\n".join([*lines, f"{hours:,.1f} GPU-hours, measured on this GPU"])
    lines += [f"{hours:,.1f} core-hours of this machine's CPU in float32, {threads} thread(s) to a run"]
    if config.training.device == "cuda":
        lines += [
            "the configuration asks for a GPU and torch finds none here: the times above are this CPU's",
            f"{flops / teraflops / 1e12 / 3600:,.1f} GPU-hours if one GPU sustains {teraflops:g}·10¹² operations a"
            " second (--teraflops), an assumption and no measurement",
        ]
    return "\n".join(lines)


def simulation_text(config: "Config", n_slices: int) -> str:
    """Pairs, disk and time of every subset, if ``n_slices`` slices are dealt by the fractions of the split."""
    from ctmar.simulation.estimate import estimate as estimate_simulation
    from ctmar.simulation.estimate import measure_cost, synthetic_slice
    from ctmar.simulation.operators import operators_on

    settings, source = config.simulation, synthetic_slice(config.ingest.image_size)
    subsets = [subset for subset, n_masks in settings.masks_per_slice.items() if n_masks]
    costs = {
        nmar: measure_cost(settings, operators_on("cpu"), source, None, nmar)
        for nmar in {subset in settings.nmar for subset in subsets}
    }
    lines = [f"simulation of {n_slices:,} slices (--slices) on one thread of this machine:"]
    for subset in subsets:
        n_own, n_masks = round(n_slices * config.split.fractions[subset]), settings.masks_per_slice[subset]
        cost = costs[subset in settings.nmar]
        lines.append(f"  {subset}: {estimate_simulation(cost, n_own, n_masks, 1, settings.store_sinograms)}")
    return "\n".join(lines)


COMMANDS = (estimate,)
