"""Which files of a study a bundle holds, by the kind of its data, and under which names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ctmar.bundles.bundle_readme import readme
from ctmar.bundles.patient_names import PatientNames
from ctmar.bundles.study_provenance import PROVENANCE, StudyProvenance, read_study_provenance
from ctmar.config import Config, validate_section
from ctmar.config.section import PRIVATE_PATH
from ctmar.errors import InputError
from ctmar.store.checkout import Checkout
from ctmar.store.code_digest import CodeDigests
from ctmar.store.provenance import sha256_of

Content = bytes | Path  # of a file of a bundle: made here, or a file as it lies there, which may be large
Entries = Mapping[str, Content]
CONFIG = "config.yaml"
PAGE = "report/index.html"
_TEXTS = (".csv", ".json", ".jsonl", ".yaml", ".html", ".md", ".txt")
# the table that `ctmar summarise` makes again is as large as those of all runs; the configuration lies above
_NOT_COPIED = ("summary/slices.parquet", CONFIG)
# pictures of patients, and tables that describe them one by one
_OF_PATIENTS = re.compile(r"(?:.*/)?examples\.npz|data/(?:thumbnails\.npz|catalogue\.csv|.*quarantine\.csv)")
_REPORTS_OF_PATIENTS = ("index.html", "dataset_card.md")


@dataclass(frozen=True)
class PublishedStudy:
    """A finished study as it can be published.

    Args:
        results: folder of its results.
        reports: folder of its report.
        checkout: the code it ran with.
        with_images: of somebody's own CT, the report with its example images too.
    """

    results: Path
    reports: Path
    checkout: Checkout = field(default_factory=Checkout)
    with_images: bool = False

    def provenance(self) -> StudyProvenance:
        """Where the study came from.

        Raises:
            InputError: it is missing or malformed, or the code is another by now.
        """
        path = self.results / PROVENANCE
        record = read_study_provenance(path)
        if record.code.source_sha256 != CodeDigests(self.checkout.source).of_source:
            raise InputError(
                f"{path}: expected the code of this checkout, found another version's: run Snakemake again"
            )
        return record

    def entries(self) -> dict[str, Content]:
        """Contents by name, in the order of the names.

        Raises:
            InputError: a file is missing or has changed since the provenance was written.
        """
        record = self.provenance()
        config = validate_section(Config, record.configuration.published, str(self.results / PROVENANCE))
        found: dict[str, Content] = dict(self._texts(record, config))
        for name, (path, digest) in self._files(record, config).items():
            _check(path, digest)
            found[name] = path
        if not config.source.is_public:
            found = without_pseudonyms(found)
        found |= {f"code/{name}": path for name, path in self.checkout.files.items()}
        return dict(sorted(found.items()))

    def _files(self, record: StudyProvenance, config: Config) -> dict[str, tuple[Path, str]]:
        """Files of the study with their checksums, by name in the bundle."""
        files = {}
        for name, digest in record.results.items():
            if name not in _NOT_COPIED and (shows_no_patient(config) or not _OF_PATIENTS.fullmatch(name)):
                # the inputs are named by the configuration, which lies beside them
                place = name if name.startswith("inputs/") else f"results/{name}"
                files[place] = (self.results / name, digest)
        for name, digest in record.reports.items():
            if shows_no_patient(config) or self.with_images or name not in _REPORTS_OF_PATIENTS:
                files[f"report/{name}"] = (self.reports / name, digest)
        return files

    def _texts(self, record: StudyProvenance, config: Config) -> Iterator[tuple[str, bytes]]:
        values = runnable(record)
        yield CONFIG, yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode()
        yield PROVENANCE, (self.results / PROVENANCE).read_bytes()
        yield "environment.txt", record.environment.as_requirements().encode()
        yield "README.md", readme(record, config, left_out(values), not shows_no_patient(config)).encode()


def shows_no_patient(config: Config) -> bool:
    """Whether everybody may see the images of a study: the CT is public, and so are the masks in it."""
    return config.source.is_public and config.simulation.masks != "folder"


def runnable(record: StudyProvenance) -> dict[str, Any]:
    """The configuration with the files of the bundle in it, relative to itself."""
    values = dict(record.configuration.published)
    values["extensions"] = [f"inputs/{name}" for name in record.configuration.extensions]
    if record.configuration.manifest is not None:
        values["source"] = values["source"] | {"manifest": f"inputs/{record.configuration.manifest}"}
    return values


def left_out(values: Mapping[str, Any], where: str = "") -> list[str]:
    """Keys of a published configuration whose paths stayed on the user's machine."""
    found = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += left_out(value, f"{where}{key}.")
        elif value == PRIVATE_PATH:
            found.append(f"{where}{key}")
    return found


def read_content(content: Content) -> bytes:
    """The bytes of a file of a bundle."""
    return content if isinstance(content, bytes) else content.read_bytes()


def without_pseudonyms(entries: Entries) -> dict[str, Content]:
    """The same with a number in place of every pseudonym of a text."""
    texts = {name: read_content(content) for name, content in entries.items() if name.endswith(_TEXTS)}
    names = PatientNames.of(texts.values())
    return dict(entries) | {name: names.replace(content) for name, content in texts.items()}


def _check(path: Path, digest: str) -> None:
    if not path.is_file():
        raise InputError(f"{path}: expected a file of the study, found none: run Snakemake again")
    if sha256_of(path) != digest:
        raise InputError(f"{path}: expected the file of the provenance, found another: run Snakemake again")
