"""How far a mirror is, as a file and in one line."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from ctmar.store.atomic import atomic_path
from ctmar.tracking.run_state import RunState
from ctmar.tracking.study_folder import StudyFolder


class Summary(BaseModel):
    """How far the mirror is; what `synchronised.json` holds.

    Args:
        attempt: number that the workflow gave, see `ctmar.tracking.workflow.next_attempt`.
        n_runs: that the study has.
        n_mirrored: that are over and in the mirror.
        n_not_finished: that wait or train, mirrored as far as they are.
        not_mirrored: the reason for each run that could not be read or written.
        warning: why MLflow could not be used at all.
        said: how far it is, in one line.
        missing: what is not mirrored, in one line with the command that goes on; empty where nothing is missing.
    """

    attempt: int = 0
    n_runs: int
    n_mirrored: int
    n_not_finished: int
    not_mirrored: dict[str, str]
    warning: str | None
    said: str
    missing: str

    @classmethod
    def of(
        cls, study: StudyFolder, states: Mapping[Path, RunState], failed: Mapping[Path, str], warning: str | None
    ) -> "Summary":
        """Count."""
        over = {path for path, state in states.items() if state.is_over}
        n_runs, n_mirrored = len(study.runs), len(over - set(failed))
        n_not_finished = n_runs - len(over | set(failed))
        missing = _missing(study, failed, warning)
        waiting = f"; {n_not_finished} are not finished" if n_not_finished else ""
        return cls(
            n_runs=n_runs,
            n_mirrored=n_mirrored,
            n_not_finished=n_not_finished,
            not_mirrored={str(path.relative_to(study.results)): reason for path, reason in sorted(failed.items())},
            warning=warning,
            said=missing or f"{n_mirrored} of {n_runs} runs are mirrored to MLflow{waiting}",
            missing=missing,
        )

    def write(self, path: Path) -> None:
        """Write the file."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _missing(study: StudyFolder, failed: Mapping[Path, str], warning: str | None) -> str:
    reason = warning or next(iter(failed.values()), "")
    what = f"{len(failed)} of {len(study.runs)} runs are" if failed else "the study is"
    return f"{what} not mirrored to MLflow: {reason}; `ctmar sync {study.results}` tries again" if reason else ""


def last_attempt(path: Path) -> int:
    """The attempt in a file that may not be there."""
    try:
        return Summary.model_validate_json(path.read_bytes()).attempt
    except (OSError, ValidationError):
        return 0
