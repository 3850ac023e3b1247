"""A mistake is not made twice: what Snakemake submits again ends at once if the input was at fault the first time.

Snakemake retries any job that fails, and only what a scheduler killed, or exit code 75, has a second chance. The
workflow names in two environment variables which attempt a job is and the folder where mistakes are remembered.
"""

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

from ctmar.errors import InputError

ATTEMPT, FOLDER = "CTMAR_ATTEMPT", "CTMAR_MISTAKES"


def stop_at_a_known_mistake() -> None:
    """End what is tried again after a mistake; of a first attempt forget what an earlier run was told.

    Raises:
        InputError: that of the attempt before.
    """
    file = _file()
    if file is None:
        return
    if os.environ.get(ATTEMPT, "1") == "1":
        file.unlink(missing_ok=True)
    elif file.is_file():
        raise InputError(file.read_text(encoding="utf-8"))


def remember(error: InputError) -> None:
    """Write a mistake down for the next attempt of the same command."""
    file = _file()
    if file is None:
        return
    with suppress(OSError):  # then it is made twice
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(error), encoding="utf-8")


def _file() -> Path | None:
    folder = os.environ.get(FOLDER)
    command = "\0".join(sys.argv[1:])
    return Path(folder, hashlib.sha256(command.encode("utf-8", "surrogateescape")).hexdigest()) if folder else None
