"""A bundle beside what is made again: its summary from its own runs, and re-runs on this or another machine."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctmar.bundles.bundle_contents import PROVENANCE
from ctmar.bundles.bundle_writer import CHECKSUMS
from ctmar.bundles.opened_bundle import opened_bundle
from ctmar.bundles.study_provenance import StudyProvenance, read_study_provenance
from ctmar.config import Config, Judgement, validate_section
from ctmar.errors import InputError
from ctmar.evaluation.collect import collect
from ctmar.evaluation.kernels import compare_kernels, kernels_of_study, turned_verdicts
from ctmar.evaluation.rerun import RunPair, compare_runs
from ctmar.store.run_folder import RunFolder

BUNDLE = "bundle"


@dataclass(frozen=True)
class Rerun:
    """A re-run beside the bundle: its name, its runs beside those of the bundle."""

    name: str
    runs: list[RunPair]


@dataclass(frozen=True)
class Reproduction:
    """What comparing gave.

    Attributes:
        record: where the bundle came from.
        n_files: files whose checksums agree.
        remade: the tables of the summary that were made again, and whether each is the same byte for byte.
        remade_comparison: the two summaries compared, where a table is not the same.
        reruns: every re-run.
        comparison: figures and verdicts of bundle and re-runs (`compare_kernels`), where there are any.
        by_times_alone: claims whose verdict turned, and does not with the step times of the bundle.
    """

    record: StudyProvenance
    n_files: int
    remade: dict[str, bool]
    remade_comparison: dict[str, Any] | None
    reruns: list[Rerun]
    comparison: dict[str, Any] | None
    by_times_alone: frozenset[str]


def reproduce(bundle: Path, against: Sequence[Path] = ()) -> Reproduction:
    """Check a bundle, make its summary again from its runs, and compare re-runs with it; nothing of it runs.

    Args:
        bundle: folder or archive of `ctmar bundle`.
        against: results of re-runs, ``results/NAME``, or other bundles of the study.

    Raises:
        InputError: a bundle is damaged or hostile, see `opened_bundle`, or a re-run is one of another study.
    """
    with ExitStack() as opened:
        folder = opened.enter_context(opened_bundle(bundle))
        record = read_study_provenance(folder / PROVENANCE)
        config = validate_section(Config, record.configuration.published, f"{bundle}: {PROVENANCE}")
        results, names = folder / "results", run_names(config)
        again = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="equiproj-summary-")))
        summarise(results, names, results / "cost.csv", config.judgement, again)
        remade = {path.name: path.read_bytes() == (again / path.name).read_bytes() for path in _tables(results)}
        others = {str(path): opened.enter_context(_results_of(path)) for path in against}
        reruns = [Rerun(name, compare_runs(results / "runs", other / "runs", names)) for name, other in others.items()]
        comparison = _comparison(results, others) if others else None
        return Reproduction(
            record=record,
            n_files=sum(1 for line in (folder / CHECKSUMS).open() if line),
            remade=remade,
            remade_comparison=None if all(remade.values()) else _summaries(results / "summary", again),
            reruns=reruns,
            comparison=comparison,
            by_times_alone=_by_times_alone(comparison, results, others, names, config.judgement),
        )


def run_names(config: Config) -> list[str]:
    """Folders of the runs below ``runs``, in the order of the configuration."""
    return [str(RunFolder.of(Path(), run)) for run in config.study.expand()]


def summarise(results: Path, names: Sequence[str], cost: Path, judgement: Judgement, output: Path) -> None:
    """Make the summary of a study from its runs."""
    folders = [results / "runs" / name for name in names]
    collect(folders, results / "references" / "slices.csv", cost, judgement, output)


def _tables(results: Path) -> Iterator[Path]:
    for path in sorted((results / "summary").iterdir()):
        if path.suffix in (".csv", ".json"):
            yield path


@contextmanager
def _results_of(path: Path) -> Iterator[Path]:
    """The results of a study on this machine, or those in another bundle."""
    if path.suffix == ".zip" or (path / CHECKSUMS).is_file():
        with opened_bundle(path) as folder:
            yield folder / "results"
    elif (path / "summary").is_dir():
        yield path
    else:
        raise InputError(f"{path}: expected the results of a study (results/NAME) or a bundle, found none")


def _summaries(own: Path, other: Path) -> dict[str, Any]:
    return compare_kernels({BUNDLE: own, "made again": other})


def _comparison(results: Path, others: Mapping[str, Path]) -> dict[str, Any]:
    """Figures and verdicts side by side, as ``kernels.json`` holds them and the report shows them."""
    folders = {BUNDLE: results, **others}
    found = compare_kernels({name: folder / "summary" for name, folder in folders.items()})
    return found | {"processors": [kernels_of_study(folder) for folder in folders.values()]}


def _by_times_alone(
    comparison: dict[str, Any] | None,
    results: Path,
    others: Mapping[str, Path],
    names: Sequence[str],
    judgement: Judgement,
) -> frozenset[str]:
    """Claims that turned because steps took another time: with the bundle's times the verdict is the same."""
    if comparison is None or not turned_verdicts(comparison):
        return frozenset()
    with tempfile.TemporaryDirectory(prefix="equiproj-times-") as folder:
        again = {}
        for number, (name, other) in enumerate(others.items()):
            again[name] = Path(folder) / str(number)
            summarise(other, names, results / "cost.csv", judgement, again[name])
        same_times = compare_kernels({BUNDLE: results / "summary", **again})
    return frozenset(turned_verdicts(comparison)) - frozenset(turned_verdicts(same_times))
