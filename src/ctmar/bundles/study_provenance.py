"""Where a study came from, ``results/STUDY/provenance.json``: code, configuration, environment, machine, checksums.

What the trainings ran on is told by their own records (`RunsOrigin`); environment and hardware are those of the process
that wrote the file, which on a cluster may be another machine.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ctmar.bundles.environment_lock import Environment, this_environment
from ctmar.bundles.hardware import Hardware, this_machine
from ctmar.config import Config, validate_json
from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path
from ctmar.store.checkout import Checkout
from ctmar.store.code_digest import CodeDigests
from ctmar.store.provenance import package_versions, read_checksums, sha256_of
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription

PROVENANCE = "provenance.json"
TABLES = ("*.csv", "*.json", "config.yaml", "summary/*", "references/*", "data/*", "inputs/*")
OWN_REPORTS = ("index.html", "model_card.md", "dataset_card.md")
_NOT_A_RESULT = {PROVENANCE, "synchronised.json"}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Code(_Record):
    """Version, commit (none outside git), what differs from it, digests of both packages and of the workflow."""

    version: str
    commit: str | None
    uncommitted_files: int
    uncommitted_sha256: str | None
    source_sha256: str
    workflow_sha256: str | None


class Configuration(_Record):
    """The configuration without paths of the user's, its digest, and which files of ``inputs`` it means."""

    published: dict[str, Any]
    sha256: str
    extensions: list[str]
    manifest: str | None


class RunsOrigin(_Record):
    """What the trainings say of themselves: how many, on what, with which code and software, how long together [s]."""

    n_runs: int
    devices: list[str]
    processors: list[str]
    code_sha256: list[str]
    own_code_sha256: list[dict[str, str]]
    software: list[dict[str, str]]
    seconds_of_training: float


class StudyProvenance(_Record):
    """All of it; files by their names below ``results/STUDY``, ``reports/STUDY`` and the folder of the study."""

    study: str
    code: Code
    configuration: Configuration
    environment: Environment
    hardware: Hardware
    runs: RunsOrigin
    newest_result: str
    results: dict[str, str]
    reports: dict[str, str]
    data: dict[str, str]


@dataclass(frozen=True)
class Given:
    """What a study was given beside its configuration and its CT: list of sources, manifest, code of the user's own."""

    sources: Path | None = None
    manifest: Path | None = None
    own_code: Sequence[Path] = ()

    def keep(self, folder: Path) -> None:
        """Copy the files to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in filter(None, (self.sources, self.manifest, *self.own_code)):
            shutil.copyfile(path, folder / path.name)


def describe_study(results: Path, config: Config, reports: Path, given: Given = Given()) -> StudyProvenance:
    """Describe a finished study.

    Args:
        results: folder of its results.
        config: its configuration.
        reports: folder of its report.
        given: what it was given.

    Raises:
        InputError: a list of checksums or the record of a run is missing or malformed.
    """
    checkout, published = Checkout(), config.published()
    own, run_files = result_files(results), run_checksums(results, config.study.jobs())
    return StudyProvenance(
        study=config.study.name,
        code=_code(checkout),
        configuration=Configuration(
            published=published,
            sha256=_sha256(json.dumps(published, sort_keys=True)),
            extensions=[path.name for path in given.own_code],
            manifest=given.manifest.name if given.manifest else None,
        ),
        environment=this_environment(checkout, given.own_code),
        hardware=this_machine(),
        runs=_runs_origin(descriptions(results, run_files)),
        newest_result=_newest(own),
        results={name: sha256_of(path) for name, path in own.items()} | run_files,
        reports={name: sha256_of(reports / name) for name in OWN_REPORTS if (reports / name).is_file()},
        data=read_checksums(results / "data.sha256"),
    )


def write_study_provenance(record: StudyProvenance, output: Path) -> None:
    """Write the record."""
    with atomic_path(output) as temporary:
        temporary.write_text(json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n", "utf-8")


def read_study_provenance(path: Path) -> StudyProvenance:
    """Read a record.

    Raises:
        InputError: it is missing, or a key or value is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: expected what `ctmar provenance` writes, the workflow's last step, found {error.strerror}"
        ) from None
    return validate_json(StudyProvenance, content, str(path))


def result_files(results: Path) -> dict[str, Path]:
    """The tables and images of a study beside its runs, by name."""
    found = {path for pattern in TABLES for path in results.glob(pattern) if path.is_file()}
    names = {path.relative_to(results).as_posix(): path for path in found if path.name not in _NOT_A_RESULT}
    return {name: path for name, path in sorted(names.items()) if not Path(name).name.startswith(".")}


def run_checksums(results: Path, jobs: Iterable[str]) -> dict[str, str]:
    """Digests of the files of all runs, as the jobs wrote them, by name below ``results``."""
    lists = [results / "jobs" / f"{job}.sha256" for job in jobs]
    found = {f"runs/{name}": digest for path in lists for name, digest in read_checksums(path).items()}
    return dict(sorted(found.items()))


def descriptions(results: Path, run_files: Iterable[str]) -> list[RunDescription]:
    """What every run says of itself."""
    folders = sorted({Path(name).parent for name in run_files})
    return [RunFolder(results / folder).read_description() for folder in folders]


def _code(checkout: Checkout) -> Code:
    workflow = {name: path for name, path in checkout.files.items() if name.startswith("workflow/")}
    lines = "".join(f"{name}\0{sha256_of(path)}\0" for name, path in workflow.items())
    return Code(
        version=package_versions(["equiproj"])["equiproj"],
        commit=checkout.commit,
        uncommitted_files=len(checkout.uncommitted),
        uncommitted_sha256=checkout.uncommitted_sha256,
        source_sha256=CodeDigests(checkout.source).of_source,
        workflow_sha256=_sha256(lines) if lines else None,
    )


def _runs_origin(runs: list[RunDescription]) -> RunsOrigin:
    origins = [run.provenance for run in runs]
    return RunsOrigin(
        n_runs=len(runs),
        devices=sorted({run.device for run in runs}),
        processors=sorted({origin.processor for origin in origins}),
        code_sha256=sorted({origin.code_sha256 for origin in origins}),
        own_code_sha256=_distinct([origin.own_code_sha256 for origin in origins]),
        software=_distinct([origin.software for origin in origins]),
        seconds_of_training=round(sum(run.seconds_total for run in runs), 1),
    )


def _distinct(tables: list[dict[str, str]]) -> list[dict[str, str]]:
    return [json.loads(text) for text in sorted({json.dumps(table, sort_keys=True) for table in tables})]


def _newest(files: dict[str, Path]) -> str:
    """When the newest result was written: the study itself keeps no clock."""
    newest = max(path.stat().st_mtime for path in files.values())
    return datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
