"""Commands for what is left: after a kill, and of finished trainings."""

from pathlib import Path
from typing import Annotated

import typer


def recover(
    folder: Annotated[Path, typer.Argument(help="Folder in which Snakemake works: that of its --directory.")] = Path(),
    *,
    end: Annotated[
        bool,
        typer.Option(
            "--end",
            help="End what a killed Snakemake has left running: trainings save first, others begin their step again.",
        ),
    ] = False,
    job_prefix: Annotated[
        str, typer.Option(help="With what names of the workflow's jobs in Slurm begin: slurm-jobname-prefix.")
    ] = "equiproj",
) -> None:
    """After a kill or a power failure: show what was left running, remove what is half-written, unlock the folder.

    Nothing is touched while a Snakemake works in the folder, on this machine or another, and never a process that no
    Snakemake of this folder started. `make report` calls it first.
    """
    from ctmar.jobs.recovery import recover as recover_folder

    recover_folder(folder, typer.echo, end=end, job_prefix=job_prefix)


def clean(
    folder: Annotated[Path, typer.Argument(help="Folder of runs: of one (of `ctmar train`), or of a study's results.")],
) -> None:
    """Remove checkpoints of finished runs, and half-written files whose writers have ended; results stay."""
    from ctmar.jobs.recovery import clean as clean_folder

    n_files, n_bytes = clean_folder(folder)
    typer.echo(f"removed {n_files} files, {n_bytes / 1e6:.1f} MB")


COMMANDS = (recover, clean)
