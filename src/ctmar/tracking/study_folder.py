"""The results of a study as the mirror sees them: its configuration, its runs, and the mirror's own files."""

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ctmar.config import SHOWN_ONLY, Config, Run, load_config
from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path
from ctmar.store.run_folder import RunFolder


@dataclass(frozen=True)
class StudyFolder:
    """A folder of results.

    Args:
        results: the folder.
        text: its configuration as it was run.
        config: the same, read.
    """

    results: Path
    text: bytes
    config: Config = field(compare=False)

    @classmethod
    def read(cls, results: Path) -> "StudyFolder":
        """Read the configuration that lies beside the results.

        Raises:
            InputError: there is none, or it is not right.
        """
        path = results / "config.yaml"
        try:
            text = path.read_bytes()
        except OSError:
            raise InputError(
                f"{results}: expected the folder of a study's results, results/NAME, with its config.yaml"
            ) from None
        return cls(results, text, load_config(path))

    @property
    def folder(self) -> Path:
        """Where the mirror keeps its own files."""
        return self.results / "mlflow"

    @property
    def lock(self) -> Path:
        """Held while the mirror is written: one process at a time."""
        return self.folder / "lock.json"

    @property
    def examples(self) -> Path:
        """What is shown beside the predictions."""
        return self.results / "references" / "examples.npz"

    @cached_property
    def runs(self) -> list[tuple[Run, RunFolder]]:
        """The runs that the configuration asks for, and where they are."""
        top = self.results / "runs"
        return [(run, RunFolder.of(top, run)) for run in self.config.study.expand()]

    @cached_property
    def name(self) -> str:
        """The name of this folder in the mirror, drawn once: two checkouts may share a server and a study's name."""
        path = self.folder / "study.json"
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["id"])
        except (OSError, ValueError, KeyError, TypeError):
            name = f"{self.config.study.name}-{uuid.uuid4().hex[:8]}"
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps({"id": name}) + "\n", encoding="utf-8")
            return name

    @property
    def key(self) -> str:
        """Digest of all that shapes a result."""
        shaping = {name: value for name, value in self.config.published().items() if name not in SHOWN_ONLY}
        return hashlib.sha256(json.dumps([self.name, shaping], sort_keys=True).encode()).hexdigest()
