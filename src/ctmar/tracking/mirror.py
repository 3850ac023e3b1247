"""The mirror of a study in MLflow: one parent run, and under it one run for each training.

The files of the results are the truth. The mirror can be deleted and written again, at any moment, also while runs
train; it can neither fail a study nor hold it up. What could not be written is named, and written the next time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ctmar.errors import InputError
from ctmar.store.mirrored_runs import write_mirrored
from ctmar.store.run_lock import hold_lock
from ctmar.tracking.bounded import OutOfTimeError, reason_of, time_limit
from ctmar.tracking.connection import tracking_uri
from ctmar.tracking.mirror_summary import Summary
from ctmar.tracking.pictures import example_images
from ctmar.tracking.run_state import RunState, read_state, signature
from ctmar.tracking.session import Session
from ctmar.tracking.study_folder import StudyFolder

LIMIT_SECONDS = 120.0  # to connect, and again for each run; a new database alone takes 5 to 15
_INTERRUPTED = "it was interrupted"
_FAILURES_IN_A_ROW = 3  # then it is not the run that MLflow dislikes


@dataclass
class Mirror:
    """One study and its mirror; one that lives on writes only what is new since its last look.

    Args:
        results: the folder of the study's results.
        following: whether more is to come, so that a study with runs that wait is not over.
    """

    results: Path
    following: bool = False
    _study: StudyFolder | None = None
    _session: Session | None = None
    _states: dict[Path, RunState] = field(default_factory=dict)
    _signatures: dict[Path, tuple[object, ...]] = field(default_factory=dict)
    _pending: set[Path] = field(default_factory=set)

    def synchronise(self, interrupted: Callable[[], bool] = lambda: False) -> Summary:
        """Write what is new; what goes wrong is in the summary.

        Raises:
            InputError: ``results`` is no study's folder, see `StudyFolder`.
            InterruptedWorkError: ``interrupted`` said so while another process wrote the mirror.
        """
        study = StudyFolder.read(self.results)
        if study != self._study:  # other settings: another parent, and other runs
            self._study, self._session, self._states, self._signatures = study, None, {}, {}
        with hold_lock(study.lock, interrupted):
            failed, warning = self._read(study), None
            try:
                failed |= self._write(study, interrupted)
            # MLflow sits on SQLAlchemy, Alembic, requests and the file system, whose errors have nothing else in
            # common; and none of them is worth a study
            except (Exception, OutOfTimeError) as error:
                self._session = None
                warning = reason_of(error, tracking_uri(study.folder))
                failed |= dict.fromkeys(self._pending, warning)
        return Summary.of(study, self._states, failed, warning)

    def _read(self, study: StudyFolder) -> dict[Path, str]:
        """Read the folders that have changed; gives why some could not be read."""
        failed = {}
        for run, folder in study.runs:
            now = signature(folder)
            if self._signatures.get(folder.path) == now:
                continue
            try:
                state = read_state(folder)
            except (InputError, OSError) as error:  # also a file that goes away while it is read
                failed[folder.path] = str(error).replace(f"{self.results}/", "")
                continue
            self._signatures[folder.path] = now
            self._pending.discard(folder.path)
            self._states.pop(folder.path, None)
            if state is not None and study.config.asks_for(run, state.origin):
                self._states[folder.path] = state
                self._pending.add(folder.path)
        return failed

    def _write(self, study: StudyFolder, interrupted: Callable[[], bool]) -> dict[Path, str]:
        """Write the runs that are new; gives why some could not be written."""
        if not self._states and self.following:
            return {}  # a database takes seconds to make, for nothing yet
        if self._session is None:
            self._pending = set(self._states)  # another server, or what the last one lost
            if interrupted():  # it takes seconds to connect
                return dict.fromkeys(self._pending, _INTERRUPTED)
            with time_limit(LIMIT_SECONDS):
                self._session = Session.open(study)
        failed: dict[Path, str] = {}
        images = partial(example_images, references=study.examples, window_hu=study.config.report.window_hu)
        in_a_row = 0
        for path in sorted(self._pending):
            if interrupted():
                failed |= dict.fromkeys(self._pending - failed.keys(), _INTERRUPTED)
                break
            try:
                with time_limit(LIMIT_SECONDS):
                    self._session.write(self._states[path], images)
            except (Exception, OutOfTimeError) as error:  # as above; the others may fare better
                failed[path] = reason_of(error, tracking_uri(study.folder))
                in_a_row += 1
                if in_a_row == _FAILURES_IN_A_ROW or isinstance(error, OutOfTimeError):
                    raise
                continue
            self._pending.discard(path)
            in_a_row = 0
        self._close(study, failed)
        return failed

    def _close(self, study: StudyFolder, failed: dict[Path, str]) -> None:
        """Say of the study how far it is, and of older runs that they are not what the folder holds now."""
        assert self._session is not None
        states = self._states.values()
        over = len(self._states) == len(study.runs) and all(state.is_over for state in states) and not failed
        goes_on = self.following or any(state.status == "RUNNING" for state in states)
        with time_limit(LIMIT_SECONDS):
            self._session.supersede({state.key for state in states})
            self._session.finish("FINISHED" if over else "RUNNING" if goes_on else "KILLED")
        ids = {path: self._session.run_id(state.key) for path, state in self._states.items()}
        top = study.results / "runs"
        write_mirrored(study.results, {str(path.relative_to(top)): run_id for path, run_id in ids.items() if run_id})
