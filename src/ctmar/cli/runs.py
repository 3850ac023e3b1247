"""The command that trains one run."""

from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Settings
from ctmar.cli.progress import progress

Weights = Annotated[Path, typer.Option(help="State dictionary of the trained network.")]
RunFile = Annotated[Path, typer.Option(help="Description of the run (JSON).")]


def train(
    pairs_train: Annotated[Path, typer.Argument(help="Pair file to train on.")],
    pairs_validation: Annotated[Path, typer.Argument(help="Pair file to validate on after each epoch.")],
    weights: Weights,
    metrics: Annotated[Path, typer.Option(help="Losses and validation PSNR, one JSON object for each epoch.")],
    run_file: RunFile,
    checkpoint: Annotated[Path, typer.Option(help="Side file from which a killed run goes on; removed at the end.")],
    run: Annotated[str, typer.Option(help="network, method, norm, lam_perp, lam_equi, seed as YAML or JSON.")],
    network: Annotated[str, typer.Option(help="Architecture and settings as YAML or JSON.")] = "{}",
    settings: Settings = "{}",
    group_order: Annotated[int, typer.Option(min=1, help="n of the rotation group C_n.")] = 4,
    power: Annotated[int, typer.Option(min=1, max=2, help="1: the penalty is the norm, 2: its square.")] = 1,
) -> None:
    """Train one model; with the same settings a killed run goes on where it stopped."""
    from ctmar.config import Network, Run, Training, parse_settings
    from ctmar.training.loop import TrainingFiles
    from ctmar.training.loop import train as train_run

    one_run = parse_settings(Run, run)
    with progress(f"train {one_run.method} {one_run.norm} λ⊥={one_run.lam_perp:g} seed {one_run.seed}") as show:
        train_run(
            pairs_train,
            pairs_validation,
            one_run,
            parse_settings(Network, network),
            parse_settings(Training, settings),
            group_order,
            2 if power == 2 else 1,
            TrainingFiles(weights, metrics, run_file, checkpoint),
            show,
        )


COMMANDS = (train,)
