"""After a kill: whether somebody works in a folder of the workflow, what was left, and the way to go on."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ctmar.errors import InputError
from ctmar.jobs.orphans import OrphanedProcess, SlurmJob, SlurmSilentError, end_all, orphaned_processes, slurm_jobs
from ctmar.jobs.presence import records
from ctmar.store.atomic import is_leftover
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import is_stale, read_holder
from ctmar.store.writer import this_writer

WRITTEN_INTO = ("results", "resources", "reports", "benchmarks", ".snakemake/ctmar")
Tell = Callable[[str], None]


def recover(folder: Path, tell: Tell, *, end: bool, job_prefix: str) -> bool:
    """Put a folder, in which a Snakemake was killed, into a state in which its command goes on.

    Where a Snakemake lives, nothing is touched. What a dead one left running is told, and ended where that is wanted;
    half-written files of writers that have ended are removed; Snakemake's lock is, once nothing is left running.

    Args:
        folder: where Snakemake works (its `--directory`).
        tell: called with each line that a user should read.
        end: whether to end what was left running.
        job_prefix: with what the names of the workflow's jobs in Slurm begin.

    Returns:
        Whether the command can go on now.

    Raises:
        InputError: Slurm refuses to end a job.
    """
    known = list(records(folder))
    living = [read_holder(record) for record in known if not is_stale(record)]
    if living:
        elsewhere = any(holder is None or holder.machine != this_writer().machine for holder in living)
        hint = " (a machine that was switched off is known to be so one to three minutes later)" if elsewhere else ""
        tell(f"Snakemake works in {folder.resolve()}, {', '.join(map(str, living))}: nothing is touched{hint}")
        return False
    left = _left(folder, job_prefix if known else None, tell)
    if not known and not left:
        tell(f"no Snakemake of this workflow was killed in {folder.resolve()}: there is nothing to recover")
        return True
    for one in left:
        tell(f"{'ends' if end else 'left running by a Snakemake that has ended'}: {one}")
    if left and not end:
        tell("these go on and write their results; wait until they have ended, or end them: ctmar recover --end")
        return False
    while left:  # a shell may have begun its next command meanwhile
        end_all(left)
        left = _left(folder, None, tell)
    _clear(folder, known, tell)
    tell("the command that was killed goes on from here: `make report`, or your line of snakemake with its profile")
    return True


def _left(folder: Path, job_prefix: str | None, tell: Tell) -> list[OrphanedProcess | SlurmJob]:
    left: list[OrphanedProcess | SlurmJob] = [*orphaned_processes(folder)]
    try:
        left += slurm_jobs(folder, job_prefix) if job_prefix else ()
    except SlurmSilentError as error:  # installed on a workstation, perhaps, where no study ever used it
        tell(f"jobs of this folder in Slurm, if there are any, are not seen: {error}")
    return left


def _clear(folder: Path, known: list[Path], tell: Tell) -> None:
    removed = remove_half_written(folder / name for name in WRITTEN_INTO)
    if removed:
        tell(f"removed {removed} half-written files or folders")
    locks = folder / ".snakemake" / "locks"
    if locks.is_dir() and any(locks.iterdir()):
        shutil.rmtree(locks)
        tell("removed Snakemake's lock, whose holder has ended")
    for record in known:
        record.unlink(missing_ok=True)


def remove_half_written(folders: Iterator[Path]) -> int:
    """Remove what writers that have ended left half-written below folders; returns how many files and folders."""
    found = [path for folder in folders for path in _leftovers(folder)]
    for path in found:
        _remove(path)
    return len(found)


def clean(folder: Path) -> tuple[int, int]:
    """Remove below a folder the checkpoints of finished runs, and what writers that have ended left half-written.

    Returns:
        How many files and folders were removed, and their bytes.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of runs, found {'a file' if folder.exists() else 'nothing'}")
    found = [*_leftovers(folder)]
    found += [path for path in folder.rglob("checkpoint.pt") if _is_finished(RunFolder(path.parent))]
    return len(found), sum(map(_remove, found))


def _is_finished(folder: RunFolder) -> bool:
    try:
        folder.read_description()
    except InputError:
        return False
    idle = not folder.lock.exists() or is_stale(folder.lock)
    return idle and all(path.is_file() for path in (*folder.of_network, folder.metrics))


def _leftovers(folder: Path) -> Iterator[Path]:
    """Half-written files and folders."""
    for parent, folders, names in os.walk(folder):
        found = [name for name in (*folders, *names) if name.startswith(".") and is_leftover(Path(parent, name))]
        folders[:] = [name for name in folders if name not in found]  # nothing in them is whole
        yield from (Path(parent, name) for name in found)


def _remove(path: Path) -> int:
    """Remove a file or a folder; how many bytes that were."""
    files = [one for one in (path, *path.rglob("*")) if one.is_file()]
    n_bytes = sum(one.stat().st_size for one in files)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return n_bytes
