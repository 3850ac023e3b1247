"""The command that trains one run."""

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctmar.cli.explain import explains
from ctmar.cli.options import Settings
from ctmar.cli.progress import progress
from ctmar.cli.stopping import EXIT_CODE, stop_requests
from ctmar.errors import InputError

if TYPE_CHECKING:
    from ctmar.config import Network, Run
    from ctmar.training.outcome import TrainingFiles

FILES = {"weights": "weights.pt", "metrics": "metrics.jsonl", "run_file": "run.json", "checkpoint": "checkpoint.pt"}


@explains(settings="Training", network="Network", run="Run")
def train(
    pairs_train: Annotated[Path, typer.Argument(help="Pair file to train on.")],
    pairs_validation: Annotated[
        Path | None,
        typer.Argument(
            help="Pair file to validate on after each epoch. Left out: the last patients of the training file that hold"
            " a tenth of its pairs (with one patient: the last slices) are held out of training.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the four files below.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Trained weights, a state dictionary. Default: weights.pt in --output.")
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(help="Learning curve, one JSON object for each epoch. Default: metrics.jsonl in --output."),
    ] = None,
    run_file: Annotated[
        Path | None,
        typer.Option(help="Settings, provenance, cost, layers (JSON). Default: run.json in --output."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Side file from which a killed run goes on, removed at the end. Default: checkpoint.pt in --output."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="The six options that follow in one, as the workflow gives them: YAML, JSON, or @FILE."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="What is compared: see the keys below. Default: plain.")] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            help="Matrix norm of the projection penalty: frobenius, spectral, nuclear, schatten:p, entrywise:p,"
            " induced:1, induced:inf, mixed:p,q; none for other methods. Default: none."
        ),
    ] = None,
    lam_perp: Annotated[float | None, typer.Option(help="Weight λ⊥ ≥ 0, in units of the loss. Default: 0.")] = None,
    lam_equi: Annotated[float | None, typer.Option(help="Weight λ_G ≥ 0, in units of the loss. Default: 0.")] = None,
    softness: Annotated[float | None, typer.Option(help="Share from 0 to 1, for method softness. Default: 0.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, data order and method. Default: 0.")] = None,
    network: Annotated[str, typer.Option(help="Name of an architecture, or its keys: YAML, JSON, or @FILE.")] = "dncnn",
    settings: Settings = "{}",
    group_order: Annotated[int, typer.Option(min=1, help="n of the rotation group C_n.")] = 4,
    power: Annotated[int, typer.Option(min=1, max=2, help="1: the penalty is the norm, 2: its square.")] = 1,
) -> None:
    """Train one model; with the same settings a killed run goes on where it stopped.

    SIGTERM and SIGUSR1 save after the running step and end with exit code 75 (the same command goes on from there);
    a second signal ends at once.
    """
    from ctmar.config import Training, parse_settings
    from ctmar.training.holdout import hold_out
    from ctmar.training.loop import InterruptedTrainingError
    from ctmar.training.loop import train as train_run

    one_network = _network(network)
    options = {"method": method, "norm": norm, "lam_perp": lam_perp, "lam_equi": lam_equi, "softness": softness}
    one_run = _run(run, {**options, "seed": seed}, one_network.architecture)
    named = {"weights": weights, "metrics": metrics, "run_file": run_file, "checkpoint": checkpoint}
    files, training = _files(output, named), parse_settings(Training, settings)
    if pairs_validation is None:
        print(f"validation on {hold_out(pairs_train)}", file=sys.stderr)
    try:
        with stop_requests() as interrupted, progress(_title(one_run)) as show:
            train_run(
                pairs_train,
                pairs_validation,
                one_run,
                one_network,
                training,
                group_order,
                2 if power == 2 else 1,
                files,
                show,
                interrupted,
            )
    except InterruptedTrainingError as error:
        with suppress(OSError):  # the signal may have ended the reader of our log first
            print(f"ctmar: stopped by a signal {error}; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(EXIT_CODE) from None


def _network(text: str) -> "Network":
    from ctmar.config import Network, parse_settings

    return Network(architecture=text) if re.fullmatch(r"\w+", text) else parse_settings(Network, text)


def _run(text: str | None, options: dict[str, Any], network: str) -> "Run":
    from ctmar.config import Run, parse_settings, validate_section

    given = {name: value for name, value in options.items() if value is not None}
    if text is None:
        return validate_section(Run, {"network": network, "method": "plain", **given}, "options of the run")
    if given:
        raise InputError(f"--run and --{next(iter(given)).replace('_', '-')}: expected one or the other, found both")
    return parse_settings(Run, text)


def _files(output: Path | None, named: dict[str, Path | None]) -> "TrainingFiles":
    from ctmar.training.outcome import TrainingFiles

    missing = [name for name, path in named.items() if path is None]
    if output is None and missing:
        raise InputError(f"--output: expected a folder, or --{missing[0].replace('_', '-')}, found neither")
    return TrainingFiles(**{name: path or Path(output or "") / FILES[name] for name, path in named.items()})


def _title(run: "Run") -> str:
    weight = f" λ⊥={run.lam_perp:g}" if run.lam_perp else ""
    return f"train {run.method}{'' if run.norm == 'none' else f' {run.norm}'}{weight} seed {run.seed}"


COMMANDS = (train,)
