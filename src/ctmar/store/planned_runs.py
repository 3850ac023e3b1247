"""What became of each run that a configuration asks for, told from what lies in its folder and from its job's attempts.

Nothing is read but ``run.json`` and the attempts; whether the tables of a run are whole is found by who reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctmar.config import Config, Run
from ctmar.errors import InputError
from ctmar.store.attempt_records import Attempt, AttemptsFile
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import is_stale
from ctmar.store.run_records import RunDescription

# finished: trained and measured; diverged: the training stopped being finite; damaged: a file of a finished job is
# missing or no such file; running: a process works in the folder; failed: an error ended it; killed: its process
# vanished; stopped: asked to stop, it goes on from there; not run: no training has begun
State = Literal["finished", "diverged", "damaged", "running", "failed", "killed", "stopped", "not run"]
_ENDS: dict[str, tuple[State, str]] = {  # by the outcome of the last attempt
    "error": ("failed", "an error: "),
    "machine": ("failed", "a fault of the machine: "),
    "out of memory": ("failed", "the memory did not suffice: "),
    "out of time": ("stopped", "its time limit was near"),
    "stopped": ("stopped", "a signal asked it to stop"),
    "vanished": ("killed", "its process ended without a word"),
}


@dataclass(frozen=True)
class PlannedRun:
    """A run that a configuration asks for.

    Args:
        run: its settings.
        folder: where its files are, or would be.
        state: what became of it.
        why: the same in words, with what is known of the cause; it may name files. Empty for a finished run.
        attempts: of its job, in their order.
        description: what training says of it, where it says anything.
    """

    run: Run
    folder: RunFolder
    state: State
    why: str
    attempts: Sequence[Attempt]
    description: RunDescription | None


def planned_runs(results: Path, config: Config, runs: Sequence[Run] | None = None) -> list[PlannedRun]:
    """What became of every run of a study, in the order of its configuration.

    Args:
        results: folder of the study's results.
        config: the configuration.
        runs: those of its runs that are asked for; None: all.
    """
    attempts = _attempts_of_runs(results / "jobs")
    runs = config.study.expand() if runs is None else runs
    return [_planned(results / "runs", run, config, attempts.get(run.folder_name, [])) for run in runs]


def _attempts_of_runs(jobs: Path) -> dict[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = {}
    for path in sorted(jobs.glob("*.attempts.jsonl")):
        for attempt in AttemptsFile(path).read():
            for run in attempt.start.runs:
                found.setdefault(run, []).append(attempt)
    return found


def _planned(runs: Path, run: Run, config: Config, attempts: Sequence[Attempt]) -> PlannedRun:
    folder = RunFolder.of(runs, run)
    held = _is_held(folder)  # first: of a run that ends meanwhile that is told a moment late
    description = None
    try:
        description = folder.read_description() if folder.run.is_file() else None
        if description is not None and not config.asks_for(run, description):
            description = None
        state, why = _of_files(folder, description)
    except InputError as error:
        state, why = "damaged", str(error)
    if state in ("not run", "killed") and held:
        state, why = "running", "it is being measured" if description else "it is being trained"
    elif state in ("not run", "killed") and attempts:
        state, why = _of_attempt(runs, attempts[-1], state == "killed", why)
    return PlannedRun(run, folder, state, why, attempts, description)


def _of_files(folder: RunFolder, description: RunDescription | None) -> tuple[State, str]:
    """What the files of a run tell that nobody works at, and of whose job nothing is known."""
    if description is None and folder.run.is_file():
        return "not run", "what lies in its folder was trained by another configuration"
    if description is None:
        begun = folder.started.is_file()
        return ("killed", "its process ended without a word") if begun else ("not run", "its job has not begun")
    if description.diverged is not None:
        return "diverged", str(description.diverged)
    missing = [path for path in folder.results if not path.is_file()]
    if not missing:
        return "finished", ""
    # what measures a run writes its own files at once, and last
    was_measured = not {folder.slices, folder.model} & set(missing)
    names = ", ".join(path.name for path in missing)
    return "damaged" if was_measured else "killed", f"expected {names}, found no such file"


def _of_attempt(runs: Path, last: Attempt, begun: bool, why: str) -> tuple[State, str]:
    """What the last attempt of its job tells of a run that is not finished."""
    if last.outcome == "finished":
        return "damaged", why if begun else "its job is finished, and its files are not there"
    at_work = any(_is_held(RunFolder(runs / name)) for name in last.start.runs)
    if last.is_running_here or (last.end is None and at_work):
        return "not run", "its job is running"
    state, words = _ENDS[last.outcome]
    words += last.end.message if last.end and words.endswith(": ") else ""
    return (state, words) if begun else ("not run", f"its job did not come to it; {words}")


def _is_held(folder: RunFolder) -> bool:
    try:
        return folder.lock.exists() and not is_stale(folder.lock)
    except (
        OSError
    ):  # in a folder that cannot be written nobody learns how long a lock on another machine has been silent
        return True
