"""What the workflow itself asks of the mirror; nothing here imports MLflow, for it runs when the workflow is read."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

SYNCHRONISED = Path("mlflow", "synchronised.json")


def start_follower(results: str, log: str) -> None:
    """Start `ctmar sync --follow` in the background; it ends when this process does, however that ends.

    Args:
        results: folder of the study's results, which may not be there yet.
        log: file for what it says.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with Path(log).open("wb") as file:
        # a session of its own: Ctrl-C in a terminal reaches all processes of one
        subprocess.Popen(
            ["ctmar", "sync", results, "--follow", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


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
