"""Two finished studies compared: origins by their records, settings by their runs, verdicts by their summaries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctmar.bundles.reproduction import run_names
from ctmar.bundles.study_provenance import PROVENANCE, StudyProvenance, read_study_provenance
from ctmar.config import Config, validate_section
from ctmar.errors import InputError
from ctmar.evaluation.compared_studies import shared_settings, unshared_settings
from ctmar.evaluation.kernels import shared_verdicts
from ctmar.evaluation.measured_study import MeasuredStudy, read_study
from ctmar.evaluation.rerun import differing
from ctmar.reporting.checked_files import read_claims
from ctmar.reporting.comparison_page import StudyComparison
from ctmar.store.provenance import sha256_of

_SAYS_NOTHING = {"seconds_of_training"}  # of the trainings: no two studies have the same


@dataclass(frozen=True)
class _Study:
    record: StudyProvenance
    measured: MeasuredStudy
    verdicts: list[dict[str, str]]


def compare_finished_studies(first: Path, second: Path) -> StudyComparison:
    """Compare two studies; nothing of them runs.

    Args:
        first: results of study A, ``results/NAME``.
        second: results of study B.

    Raises:
        InputError: a folder is no study, or its study is not finished, or a file of it is malformed.
    """
    one, other = _read(first), _read(second)
    return StudyComparison(
        names=(one.record.study, other.record.study),
        confidence=one.measured.settings.confidence,
        origins=[
            (area, *found)
            for area, values in _areas(one.record).items()
            for found in differing(values, _areas(other.record)[area])
        ],
        settings=shared_settings(one.measured, other.measured),
        only=unshared_settings(one.measured, other.measured),
        verdicts=shared_verdicts([one.verdicts, other.verdicts]),
    )


def _read(results: Path) -> _Study:
    kept = results / "config.yaml"
    if not kept.is_file():
        raise InputError(f"{results}: expected the results of a study (results/NAME), found no config.yaml there")
    record = read_study_provenance(results / PROVENANCE)
    if record.results.get(kept.name) != sha256_of(kept):
        raise InputError(f"{results}: expected a finished study, found a {PROVENANCE} of another config.yaml")
    config = validate_section(Config, record.configuration.published, f"{results / PROVENANCE}")
    verdicts = [row for name in ("questions", "claims") for row in read_claims(results / "summary" / f"{name}.json")]
    runs = [results / "runs" / name for name in run_names(config)]
    return _Study(record, read_study(runs, config.judgement), verdicts)


def _areas(record: StudyProvenance) -> dict[str, dict[str, Any]]:
    """What studies may differ by, by what it is about."""
    values = record.model_dump(mode="json")
    return {
        "configuration": values["configuration"]["published"],
        "code": values["code"],
        "environment": values["environment"],
        "machine": values["hardware"],
        "trainings": {name: value for name, value in values["runs"].items() if name not in _SAYS_NOTHING},
        "data": values["data"],
    }
