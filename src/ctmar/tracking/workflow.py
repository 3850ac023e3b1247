"""What the workflow itself asks of the mirror; nothing here imports MLflow, for it runs when the workflow is read."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

SYNCHRONISED = Path("mlflow", "synchronised.json")
_PATIENCE_SECONDS = 10.0  # with a mirror that does not answer; what is not written now is written the next time


class Follower:
    """`ctmar sync --follow` in the background of a process: it ends with this process, however that ends.

    Args:
        results: folder of the study's results, which may not be there yet.
        log: file for what it says.
    """

    def __init__(self, results: str, log: str) -> None:
        self._results, self._log = results, Path(log)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as file:
            # a session of its own: Ctrl-C in a terminal reaches all processes of one
            self._process = subprocess.Popen(
                ["ctmar", "sync", self._results, "--follow", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self) -> None:
        """End it and wait until it has, for a study that is over is not written any more; without one do nothing."""
        if self._process is None:
            return
        # all of its session, for a script may stand between it and this process
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + _PATIENCE_SECONDS
            is_there = _signal_group(self._process, number)
            while is_there and time.monotonic() < until:
                time.sleep(0.05)
                is_there = _signal_group(self._process, 0)
            if not is_there:
                return


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to the processes of a session, 0 for none; whether there still are any."""
    process.poll()  # else it stays behind as a zombie, which counts
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def synchronise_once(results: str) -> None:
    """Run `ctmar sync`, which says on its last line what is missing; a study that failed ends with this."""
    if (Path(results) / "config.yaml").is_file():
        subprocess.run(["ctmar", "sync", results], check=False, stdin=subprocess.DEVNULL)


def next_attempt(results: str) -> int:
    """The number of the attempt that the mirror needs: another one, and so a reason to run, after one that failed.

    Examples:
        >>> import tempfile
        >>> results = Path(tempfile.mkdtemp())
        >>> file = results / SYNCHRONISED
        >>> file.parent.mkdir()
        >>> next_attempt(str(results))
        0
        >>> _ = file.write_text('{"attempt": 3, "missing": "2 of 7 runs are not mirrored"}')
        >>> next_attempt(str(results))
        4
        >>> _ = file.write_text('{"attempt": 4, "missing": ""}')
        >>> next_attempt(str(results))
        4
    """
    found = _read(results)
    return int(found.get("attempt", 0)) + bool(found.get("missing", ""))


def what_is_missing(results: str) -> str:
    """What the last synchronisation could not mirror, in one line with the command that goes on; empty if nothing."""
    return str(_read(results).get("missing", ""))


def _read(results: str) -> dict[str, Any]:
    try:
        found = json.loads((Path(results) / SYNCHRONISED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
