"""Commands that mirror a study to MLflow and show it there; neither can fail a study."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.stopping import stop_requests

Results = Annotated[Path, typer.Argument(help="Folder of a study's results, results/NAME; it need not be finished.")]


def sync(
    results: Results,
    follow: Annotated[
        int | None, typer.Option(min=1, metavar="PID", help="Go on, also while runs train, until this process ends.")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option(min=0, help="Number that the workflow gives; the exit code is then 0 in any case.")
    ] = None,
) -> None:
    """Mirror a study to MLflow: what is there already is not written again, what failed before is tried again.

    The mirror is the database results/NAME/mlflow/mlflow.db, or the place that MLFLOW_TRACKING_URI names. The last line
    says what could not be mirrored, and then the exit code is 1.
    """
    from ctmar.tracking.follow import follow as follow_study
    from ctmar.tracking.mirror import Mirror
    from ctmar.tracking.mirror_summary import last_attempt
    from ctmar.tracking.workflow import SYNCHRONISED

    with stop_requests() as interrupted:
        if follow is not None:
            follow_study(results, follow, interrupted, _say)
            return
        summary = Mirror(results).synchronise(interrupted)
    written = results / SYNCHRONISED
    summary = summary.model_copy(update={"attempt": last_attempt(written) if attempt is None else attempt})
    summary.write(written)
    _say(summary.said)
    if attempt is None and summary.missing:
        raise typer.Exit(1)


def mlflow(
    results: Results,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of this machine; 0 takes a free one.")] = 0,
) -> None:
    """Open MLflow's interface on a study: start it for the study's own database, and print the address.

    With MLFLOW_TRACKING_URI only the address on that server is printed. Ctrl-C ends it.
    """
    from ctmar.tracking.interface import show

    show(results, port, _say)


def _say(line: str) -> None:
    print(f"ctmar: {line}", file=sys.stderr, flush=True)


COMMANDS = (sync, mlflow)
