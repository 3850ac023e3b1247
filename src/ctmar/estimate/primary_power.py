"""What the primary comparisons of a study will be able to decide, before it is started."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctmar.config import Config, PrimaryComparison, Run
from ctmar.datasets.idc import read_manifest
from ctmar.datasets.split import deal_folds, fold_of_seed
from ctmar.evaluation.columns import VARIANCE_COLUMNS
from ctmar.evaluation.intervals import Variances
from ctmar.evaluation.power import POWER, Design, decided_distance, expected_half_width
from ctmar.evaluation.run_results import check_numbers
from ctmar.store.tables import read_rows

# Standard deviations of strict − plain in an audit of the first default study [dB]; that of a fold is an assumption
AUDIT_DB = {"patient": 0.10, "seed": 0.29, "fold": 0.15, "pair": 0.17}


@dataclass(frozen=True)
class Power:
    """A primary comparison with the half-width it will have and the difference it will decide [dB].

    Both are NaN where it has one patient or one seed.
    """

    comparison: PrimaryComparison
    n_patients: int
    n_seeds: int
    n_folds: int
    half_width_db: float
    decided_db: float

    def __str__(self) -> str:
        folds = f" in {self.n_folds} folds" if self.n_folds > 1 else ""
        design = f"{self.n_seeds} seeds{folds}, {self.n_patients} patients tested"
        if math.isnan(self.half_width_db):
            return f"{self.comparison}: {design}: no interval, that takes at least two seeds and two patients"
        return (
            f"{self.comparison}: {design}: half-width {self.half_width_db:.2f} dB, decides a difference of"
            f" {self.decided_db:.2f} dB with {POWER:.0%} power"
        )


def patients_of_study(config: Config, n_patients: int | None) -> list[str]:
    """The patients that a configuration names; made-up names where ``n_patients`` says how many; else none."""
    if n_patients is not None:
        return [f"{k:04d}" for k in range(n_patients)]
    if config.source.kind == "idc" and config.source.manifest is not None:
        return list(dict.fromkeys(entry.patient for entry in read_manifest(config.source.manifest)))
    named = [name for fold in config.split.named_folds for name in (*fold.train, *fold.validation)]
    return list(dict.fromkeys([*(config.source.patients or ()), *config.split.assignment, *named]))


def primary_power(config: Config, patients: list[str], known: Mapping[str, Variances]) -> list[Power]:
    """Half-width and decided difference of every primary comparison, at the level that is left for each.

    Args:
        config: the study.
        patients: all patients, train and validation included, as if they had equally many slices.
        known: variances by the text of the comparison; those of the audit stand for the others.

    Raises:
        InputError: the patients do not fill the subsets.
    """
    comparisons = config.judgement.primary
    alpha = (1 - config.judgement.confidence) / max(1, len(comparisons))
    folds = deal_folds(dict.fromkeys(patients, 1), config.split)
    found = []
    for one in comparisons:
        seeds = common_seeds(config, one)
        of_seeds = [fold_of_seed(folds, seed) for seed in seeds]
        n_folds = len({tuple(fold["train"]) for fold in of_seeds})
        n_patients = len({patient for fold in of_seeds for patient in fold["test"]})
        share = sum(len(fold["test"]) for fold in of_seeds) / max(1, n_patients * len(seeds))
        variances = known.get(str(one)) or assumed(config, n_folds, len(seeds), share)
        design = Design(n_patients, len(seeds))
        usable = min(n_patients, len(seeds)) > 1
        half = expected_half_width(variances, design, alpha) if usable else math.nan
        decided = decided_distance(variances, design, alpha) if usable else math.nan
        found.append(Power(one, n_patients, len(seeds), n_folds, half, decided))
    return found


def common_seeds(config: Config, comparison: PrimaryComparison) -> list[int]:
    """The seeds that both sides of a comparison have, each at its setting with the most seeds."""
    runs = config.study.expand()
    condition = comparison.condition(dict.fromkeys(run.condition for run in runs))
    sides = ((comparison.method, comparison.norm), (comparison.against, comparison.against_norm))
    first, second = ({run.seed for run in _largest(runs, condition, *side)} for side in sides)
    return sorted(first & second)


def _largest(runs: list[Run], condition: tuple[float, int], method: str, norm: str | None) -> list[Run]:
    settings: dict[Run, list[Run]] = {}
    for run in runs:
        if (run.method, run.condition) == (method, condition) and norm in (None, run.norm):
            settings.setdefault(run.setting, []).append(run)
    return max(settings.values(), key=len, default=[])


def assumed(config: Config, n_folds: int, n_seeds: int, share: float) -> Variances:
    """The audit's variances for a design of which a ``share`` of patients and seeds is measured."""
    patient, seed, fold, pair = (AUDIT_DB[name] ** 2 for name in ("patient", "seed", "fold", "pair"))
    rest = pair / max(1, config.simulation.masks_per_slice["test"]) / max(share, 1e-9)
    apart = n_folds < n_seeds and n_folds > 1  # else the fold is part of the seed, or the same for all
    own = seed + fold * (n_folds == n_seeds and bool(config.split.folds))
    return Variances(patient, own, rest, 2, 2, fold if apart else 0.0, n_folds if apart else 0)


def read_variances(path: Path) -> dict[str, Variances]:
    """Variances of the primary comparisons of a finished study, by the text of the comparison.

    Raises:
        InputError: the table is malformed.
    """
    rows = read_rows(path, VARIANCE_COLUMNS)
    check_numbers(path, rows, VARIANCE_COLUMNS[1:])
    return {
        row["comparison"]: Variances(
            patient=float(row["sd_patient_db"]) ** 2,
            seed=float(row["sd_seed_db"]) ** 2,
            rest=float(row["sd_rest_db"]) ** 2,
            n_patients=2,  # of a new design what counts is what it has
            n_seeds=2,
            fold=float(row["sd_fold_db"]) ** 2,
            n_folds=int(float(row["n_folds"])),
        )
        for row in rows
        if row["sd_seed_db"]
    }


def power_text(config: Config, patients: list[str], summary: Path) -> str:
    """The primary comparisons in words, and whose variances these are."""
    if not config.judgement.primary:
        return "power: the configuration names no primary comparison"
    if not patients:
        return "power: how many patients there will be is not known before ingestion: say it with --patients"
    known = read_variances(summary) if summary.is_file() else {}
    sources = f"variances of the finished study, {summary}"
    if not known:
        named = ", ".join(f"{value:g} of a {name}" for name, value in AUDIT_DB.items())
        sources = f"no finished study here ({summary}): standard deviations as in an audit of another, {named} [dB]"
    lines = [str(one) for one in primary_power(config, patients, known)]
    return "\n".join([f"power of the primary comparisons; {sources}", *(f"  {line}" for line in lines)])
