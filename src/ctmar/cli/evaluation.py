"""Commands that measure trained models and images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctmar.cli.options import Pairs, Settings

Weights = Annotated[Path, typer.Option(help="State dictionary of the trained network.")]
RunFile = Annotated[Path, typer.Option(help="Description of the run (JSON), written by `ctmar train`.")]
SlicesTable = Annotated[Path, typer.Option(help="CSV with one row for each test pair.")]
Examples = Annotated[Path, typer.Option(help="Images of the example pairs (NPZ) [1/cm].")]


def evaluate(
    pairs: Pairs,
    weights: Weights,
    run_file: RunFile,
    slices: SlicesTable,
    model: Annotated[Path, typer.Option(help="Non-equivariance, measured defect and cost of the model (JSON).")],
    examples: Examples,
    settings: Settings = "{}",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the network runs.")] = "cpu",
) -> None:
    """Measure one trained model on every pair: PSNR and SSIM of both protocols, errors in HU, equivariance defect."""
    from ctmar.config import Evaluation, parse_settings
    from ctmar.evaluation.trained import evaluate_run

    evaluate_run(weights, run_file, pairs, parse_settings(Evaluation, settings), slices, model, examples, device)


def evaluate_references(pairs: Pairs, slices: SlicesTable, examples: Examples, settings: Settings = "{}") -> None:
    """Measure the input, linear interpolation and (where the file has it) NMAR on every pair of a file."""
    from ctmar.config import Evaluation, parse_settings
    from ctmar.evaluation.references import evaluate_references as evaluate_all

    evaluate_all(pairs, parse_settings(Evaluation, settings), slices, examples)


COMMANDS = (evaluate, evaluate_references)
