"""A study whose experiment and parent run are open in MLflow."""

from dataclasses import dataclass

from ctmar.store.checkout import Checkout
from ctmar.store.code_digest import CodeDigests
from ctmar.tracking.connection import connect, find_experiment
from ctmar.tracking.parameters import study_parameters
from ctmar.tracking.run_state import RunState
from ctmar.tracking.stored import CURRENT, KIND, STATE, SUPERSEDED, Images, StoredStudy
from ctmar.tracking.study_folder import StudyFolder
from ctmar.tracking.view import VIEW, view_of

_NOTE = (
    "The runs of the study **{name}** are below this one; each is known by its configuration, and what an older"
    " configuration left is tagged `workflow.state = superseded`. Charts over λ⊥: `make mlflow` prints the address.\n\n"
    "The files of the study are the truth; this is a mirror of them."
)


@dataclass(frozen=True)
class Session:
    """What one connection needs to know.

    Args:
        study: what is mirrored.
        stored: its runs in MLflow.
        source: tags of the code, true of runs whose training ran this very code.
        code_sha256: digest of that code.
    """

    study: StudyFolder
    stored: StoredStudy
    source: dict[str, str]
    code_sha256: str

    @classmethod
    def open(cls, study: StudyFolder) -> "Session":
        """Connect, and find or create the experiment and the parent run.

        Raises:
            MirrorError: the experiment was deleted, or the study moved.
        """
        client = connect(study.folder)
        experiment_id = find_experiment(client, study.folder, study.config.tracking.experiment)
        stored = StoredStudy(client, experiment_id, study.name)
        runs = [run for run, _ in study.runs]
        if study.key not in stored.entries:
            note = {"mlflow.note.content": _NOTE.format(name=study.config.study.name)}
            parameters = study_parameters(study.config.study, runs)
            name = f"{study.config.study.name}: {len(runs)} runs"
            entry = stored.create(study.key, "study", name, parameters=parameters, tags=note)
            client.log_dict(entry.run_id, study.config.published(), "configuration.json")
        client.set_experiment_tag(experiment_id, VIEW + study.name, view_of(runs, study.name))
        client.set_experiment_tag(experiment_id, "mlflow.experimentKind", "custom_model_development")
        return cls(study, stored, *_source())

    def write(self, run: RunState, images: Images) -> None:
        """Bring a run up to date."""
        source = self.source if run.origin.provenance.code_sha256 == self.code_sha256 else {}
        self.stored.write_run(run, self.stored.entries[self.study.key], images, source)

    def run_id(self, key: str) -> str | None:
        """The id of a run in MLflow; None of one that is not there."""
        entry = self.stored.entries.get(key)
        return None if entry is None else entry.run_id

    def supersede(self, keys: set[str]) -> None:
        """Tag and rename every run of this folder that is none of these and not the study itself."""
        for key, entry in list(self.stored.entries.items()):
            if entry.tags[STATE] == CURRENT and key not in keys and key != self.study.key:
                what = "study" if entry.tags[KIND] == "study" else "run"
                name = f"{entry.name} (superseded)"
                status = "KILLED" if entry.status == "RUNNING" else entry.status
                self.stored.update(key, status=status, name=name, tags={STATE: SUPERSEDED, KIND: what})

    def finish(self, status: str) -> None:
        """Give the parent run its status."""
        name = f"{self.study.config.study.name}: {len(self.study.runs)} runs"
        self.stored.update(self.study.key, status=status, name=name, tags={STATE: CURRENT})


def _source() -> tuple[dict[str, str], str]:
    """Tags of the code as it is now, with a commit where the working tree holds nothing else; and its digest."""
    checkout = Checkout()
    tags = {"mlflow.source.name": "equiproj: ctmar train", "mlflow.source.type": "PROJECT"}
    if checkout.commit is not None and not checkout.uncommitted:
        tags["mlflow.source.git.commit"] = checkout.commit
    return tags, CodeDigests().command("train")
