"""Commands that measure trained models and images, and compare them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctmar.cli.options import Extensions, Pairs, RunFolders, RunPath, Settings, Signals, listed


def evaluate(
    pairs: Pairs,
    run: RunPath,
    settings: Settings = "{}",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the network runs.")] = "cpu",
    signals: Signals = None,
    extension: Extensions = None,
) -> None:
    """Measure one trained model on every pair: PSNR and SSIM of both protocols, errors in HU, equivariance defect.

    RUN gets slices.csv (one row for each pair), model.json (non-equivariance, measured defect, detectability and cost
    of the model) and examples.npz (images of the example pairs, 1/cm, and of the last of them what the model makes of
    the input turned by 90°, 180° and 270°, turned back).
    """
    from ctmar.config import Evaluation, parse_settings
    from ctmar.evaluation.measured_run import evaluate_run
    from ctmar.store.run_folder import RunFolder

    evaluate_run(RunFolder(run), pairs, parse_settings(Evaluation, settings), device, signals)


def evaluate_references(
    pairs: Pairs,
    output: Annotated[Path, typer.Argument(help="Folder for slices.csv and examples.npz.")],
    split: Annotated[
        Path | None, typer.Option(help="Split made by `ctmar split`: the examples are those of every fold's runs.")
    ] = None,
    settings: Settings = "{}",
    extension: Extensions = None,
) -> None:
    """Measure the input, linear interpolation and (where the file has it) NMAR on every pair of a file."""
    from ctmar.config import Evaluation, parse_settings
    from ctmar.datasets.split import patients_of, read_split
    from ctmar.evaluation.references import evaluate_references as evaluate_all

    tested = [None] if split is None else [patients_of([fold], "test") for fold in read_split(split)]
    evaluate_all(pairs, parse_settings(Evaluation, settings), output, tested)


def evaluate_images(
    prediction: Annotated[Path, typer.Option(help="Images to judge (.npy), attenuation [1/cm]: (h, w) or (n, h, w).")],
    truth: Annotated[Path, typer.Option(help="Artefact-free images (.npy) [1/cm], of the same shape.")],
    metal: Annotated[Path, typer.Option(help="Non-zero where there is metal (.npy), of the same shape.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON with every image instead of a table.")] = False,
) -> None:
    """Print PSNR and SSIM of plain arrays under both metric protocols, fixed and official, and errors in HU."""
    import json

    from ctmar.evaluation import plain_arrays

    measured = plain_arrays.measure_images(prediction, truth, metal)
    typer.echo(
        json.dumps(plain_arrays.as_json(measured), indent=2, ensure_ascii=False)
        if as_json
        else plain_arrays.as_table(measured)
    )


def summarise(
    runs: RunFolders,
    references: Annotated[Path, typer.Option(help="Table made by `ctmar evaluate-references`.")],
    cost: Annotated[Path, typer.Option(help="Table made by `ctmar cost`.")],
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for the tables: models, runs, diverged, … (.csv), slices (.parquet), verdicts (.json)."
        ),
    ],
    settings: Settings = "{}",
) -> None:
    """Join all runs into tables with intervals and tests against plain, and judge the paper's claims."""
    from ctmar.config import Judgement, parse_settings
    from ctmar.evaluation.collect import collect

    collect(listed(runs), references, cost, parse_settings(Judgement, settings), output)


COMMANDS = (evaluate, evaluate_references, evaluate_images, summarise)
