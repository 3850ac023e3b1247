"""Commands that train: one run, or all runs of a job of the study, which are measured at once."""

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmar.cli.explain import explains
from ctmar.cli.options import Extensions, Settings, Signals
from ctmar.cli.progress import progress
from ctmar.cli.stopping import EXIT_CODE, stop_requests
from ctmar.errors import InterruptedWorkError

if TYPE_CHECKING:
    from ctmar.config import Network, Run

DIVERGED = 3  # exit code of a training without a network to show for it; 1 and 2 are errors, 75 goes on


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
            help="Folder of the run: weights.pt, metrics.jsonl, layers.jsonl (norms of every layer through training),"
            " kernels.npz (kernels beside their projections), run.json, and checkpoint.pt, from which a killed run"
            " goes on and lost files are written again; `ctmar clean` removes it. A workflow engine deletes declared"
            " outputs when a job dies: declare the five files, or those you use, not the folder."
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
    a second signal ends at once. A training that diverges ends with exit code 3: run.json says where, and the same
    command would end there again.
    """
    from ctmar.config import RunSettings, Training, parse_settings
    from ctmar.store.run_folder import RunFolder
    from ctmar.training.holdout import hold_out
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
            diverged = train_run(pairs_train, pairs_validation, chosen, folder, progress=show, interrupted=interrupted)
    except InterruptedWorkError as error:
        raise _stopped(error) from None
    if diverged is not None:
        advice = "lower training.learning_rate or the penalty's weight"
        print(f"ctmar: the training diverged {diverged}; see {folder.diagnosis}; {advice}", file=sys.stderr)
        raise typer.Exit(DIVERGED)


@explains(job="Job", settings="Training", evaluation="Evaluation")
def train_and_evaluate(
    pairs: Annotated[Path, typer.Argument(help="Folder of train.h5, validation.h5 and test.h5.")],
    *,
    split: Annotated[Path, typer.Option(help="Split made by `ctmar split`: the patients of each fold.")],
    job: Annotated[str, typer.Option(help="Keys of a job: its runs, network and group; YAML or JSON text, or @FILE.")],
    output: Annotated[Path, typer.Option(help="Folder for the folders of the runs, network/setting/seed-0, ….")],
    finished: Annotated[Path, typer.Option(help="List of all files of the runs with their SHA-256, written last.")],
    settings: Settings = "{}",
    signals: Signals = None,
    evaluation: Annotated[str, typer.Option(help="Keys of the section evaluation: YAML, JSON, or @FILE.")] = "{}",
    granted: Annotated[
        str,
        typer.Option(
            help="What the scheduler gave: keys settings (a name of all that the job follows from), number (of this"
            " attempt), memory_mb, minutes. It is written down, with the end, in a file beside the list."
        ),
    ] = "{}",
    workers: Annotated[
        int, typer.Option(min=1, help="Runs at a time, each in a process of its own; no result depends on it.")
    ] = 1,
    gpus: Annotated[
        int,
        typer.Option(
            min=0,
            help="GPUs of a job with `device: cuda`, which its processes share: those in CUDA_VISIBLE_DEVICES, else"
            " as many as no other job of this machine has locked.",
        ),
    ] = 1,
    scratch: Annotated[
        Path | None,
        typer.Option(envvar="CTMAR_SCRATCH", help="Folder on this node to which the pairs are copied for the job."),
    ] = None,
    mps: Annotated[
        bool,
        typer.Option("--mps", envvar="CTMAR_MPS", help="Share a GPU through NVIDIA's multi-process service."),
    ] = False,
    extension: Extensions = None,
) -> None:
    """Train and measure runs on the same pairs, each on the patients of its fold.

    What is finished, with the same settings, data and code, is neither trained nor measured again; so is a training
    that diverged, which ends no other run of the job and is no error here. SIGTERM and SIGUSR1 save and end with exit
    code 75, as for `ctmar train`; so does what another machine or more memory would mend. In the folder of the runs,
    `sha256sum --check` reads the list.
    """
    from ctmar.config import Evaluation, Job, Training, parse_settings
    from ctmar.jobs.endings import TryAgainError
    from ctmar.jobs.one_run import JobFiles, Work
    from ctmar.jobs.study_job import Machine, run_job
    from ctmar.store.attempt_records import Granted

    work = Work(
        files=JobFiles(pairs=pairs, split=split, signals=signals, runs=output, finished=finished),
        job=parse_settings(Job, job),
        training=parse_settings(Training, settings),
        evaluation=parse_settings(Evaluation, evaluation),
    )
    machine = Machine(parse_settings(Granted, granted), n_workers=workers, n_gpus=gpus, scratch=scratch, mps=mps)
    try:
        with stop_requests() as interrupted, progress(f"train {finished.stem}") as show:
            run_job(work, machine, progress=show, interrupted=interrupted)
    except InterruptedWorkError as error:
        raise _stopped(error) from None
    except TryAgainError as error:
        print(f"ctmar: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_CODE) from None


def _stopped(error: Exception) -> typer.Exit:
    with suppress(OSError):  # the signal may have ended the reader of our log first
        print(f"ctmar: stopped by a signal {error}; the same command goes on from there", file=sys.stderr)
    return typer.Exit(EXIT_CODE)


def _network(text: str) -> "Network":
    from ctmar.config import Network, parse_settings

    return Network(architecture=text) if re.fullmatch(r"[\w.:]+", text) else parse_settings(Network, text)


def _run(text: str, network: str) -> "Run":
    from ctmar.config import Run, parse_settings

    return parse_settings(Run, text, network=network, method="plain")


def _title(run: "Run") -> str:
    weight = f" λ⊥={run.lam_perp:g}" if run.lam_perp else ""
    return f"train {run.method}{'' if run.norm == 'none' else f' {run.norm}'}{weight} seed {run.seed}"


COMMANDS = (train, train_and_evaluate)
