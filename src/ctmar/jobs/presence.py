"""Snakemake makes itself known: in a file of its folder while it runs, and in the environment of all that it starts."""

import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from ctmar.errors import InputError
from ctmar.store.run_lock import hold_lock, is_stale
from ctmar.store.writer import this_writer

STARTED_BY = "CTMAR_SNAKEMAKE"  # in the environment of a job: the record of the Snakemake that started it
STUDIES = "CTMAR_STUDIES"  # in the same place: a digest of each configuration that it read
_RECORDS = Path(".snakemake", "ctmar")


def announce(folder: Path) -> None:
    """Keep a record of this process in a folder in which it runs a workflow, until it ends; `ctmar recover` reads it.

    Nothing happens where nobody may write: no workflow can run there either, a dry run can.
    """
    me = this_writer()
    record = (folder / _RECORDS / f"{me.host}~{me.machine}~{me.pid}~{me.started}.json").absolute()
    held = ExitStack()
    try:
        held.enter_context(hold_lock(record))
    except InputError:
        return
    atexit.register(held.close)
    os.environ[STARTED_BY] = str(record)


def is_study_as_started(sha256: str, *, starts: bool) -> bool:
    """Whether a configuration is still that of the Snakemake whose job reads it again; an edit makes it another.

    On a cluster every job reads the configuration anew: one that was edited meanwhile would train something else under
    the name of what was planned.

    Args:
        sha256: digest of the configuration as it reads now.
        starts: whether this process is the Snakemake that plans; it tells all that it starts.
    """
    known = os.environ.get(STUDIES, "").split()
    if starts:  # of one workflow that calls another each tells its own
        os.environ[STUDIES] = " ".join([*known, sha256])
    return starts or not known or sha256 in known


def records(folder: Path) -> Iterator[Path]:
    """The records of the Snakemakes that run a workflow in a folder, or did when they were killed."""
    yield from sorted((folder / _RECORDS).glob("*.json"))


def has_ended(record: Path, folder: Path) -> bool:
    """Whether a record is of a Snakemake that ran in the folder and does no more."""
    of_folder = record.parent.resolve() == (folder / _RECORDS).resolve()
    return of_folder and (is_stale(record) or not record.exists())
