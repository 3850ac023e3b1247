"""The command that trains one run."""

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmar.cli.explain import explains
from ctmar.cli.options import Extensions, Settings
from ctmar.cli.progress import progress
from ctmar.cli.stopping import EXIT_CODE, stop_requests

if TYPE_CHECKING:
    from ctmar.config import Network, Run


@explains(run="Run", network="Network", settings="Training")
def train(
    pairs_train: Annotated[Path, typer.Argument(help="Pair file to train on.")],
    pairs_validation: Annotated[
        Path | None,
        typer.Argument(
            help="Pair file to validate on after each epoch. Left out: the last patients of the training file that hold"
            " a tenth of its pairs (with one patient: the last slices) are held out of training.",
        ),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            help="Folder of the run: weights.pt, metrics.jsonl, run.json, and until they are there checkpoint.pt, from"
            " which a killed run goes on."
        ),
    ],
    run: Annotated[
        str,
        typer.Option(
            help="Method, norm, weights, seed: keys of a run as YAML or JSON text, braces may be left out, or @FILE;"
            " the network is called as --network says unless it has a name here."
        ),
    ] = "method: plain",
    network: Annotated[str, typer.Option(help="Name of an architecture, or its keys: YAML, JSON, or @FILE.")] = "dncnn",
    settings: Settings = "{}",
    group: Annotated[
        str, typer.Option(help="Group of turns and mirror images: C<n>, D<n>, a product of such, module:name.")
    ] = "C4",
    extension: Extensions = None,
) -> None:
    """Train one model; with the same settings a killed run goes on where it stopped.

    SIGTERM and SIGUSR1 save after the running step and end with exit code 75 (the same command goes on from there);
    a second signal ends at once.
    """
    from ctmar.config import RunSettings, Training, parse_settings
    from ctmar.store.run_folder import RunFolder
    from ctmar.training.holdout import hold_out
    from ctmar.training.loop import InterruptedTrainingError
    from ctmar.training.loop import train as train_run

    one_network = _network(network)
    one_run = _run(run, one_network.architecture)
    chosen = RunSettings(
        run=one_run,
        network=one_network,
        training=parse_settings(Training, settings),
        group=group,
    )
    if pairs_validation is None:
        print(f"validation on {hold_out(pairs_train)}", file=sys.stderr)
    try:
        with stop_requests() as interrupted, progress(_title(one_run)) as show:
            folder = RunFolder(output)
            train_run(pairs_train, pairs_validation, chosen, folder, progress=show, interrupted=interrupted)
    except InterruptedTrainingError as error:
        with suppress(OSError):  # the signal may have ended the reader of our log first
            print(f"ctmar: stopped by a signal {error}; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(EXIT_CODE) from None


def _network(text: str) -> "Network":
    from ctmar.config import Network, parse_settings

    return Network(architecture=text) if re.fullmatch(r"[\w.:]+", text) else parse_settings(Network, text)


def _run(text: str, network: str) -> "Run":
    from ctmar.config import Run, parse_settings

    return parse_settings(Run, text, network=network, method="plain")


def _title(run: "Run") -> str:
    weight = f" λ⊥={run.lam_perp:g}" if run.lam_perp else ""
    return f"train {run.method}{'' if run.norm == 'none' else f' {run.norm}'}{weight} seed {run.seed}"


COMMANDS = (train,)
