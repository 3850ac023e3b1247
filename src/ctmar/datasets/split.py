"""Which patient is in which subset: within a fold a patient is never in two."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ctmar.config import SUBSETS, Split, Subset
from ctmar.errors import InputError
from ctmar.store.tables import read_rows, write_rows

COLUMNS = ("fold", "patient", "subset", "n_slices")
Deal = dict[str, Subset]  # subset by patient


def split_patients(n_slices_by_patient: Mapping[str, int], settings: Split) -> dict[str, Subset]:
    """Deal whole patients so that the shares of slices come near the wanted fractions and no subset is empty.

    Patients named in ``settings.assignment`` go where they are told. The others are dealt, those with most slices
    first and patients of equally many in random order, each to an empty subset if there is one, else to the subset
    that lacks most slices.

    Args:
        n_slices_by_patient: slices of each patient, at least one.
        settings: seed, wanted fractions of slices, assignment by name.

    Returns:
        Subset by patient, in the order of the names.

    Raises:
        InputError: too few patients for the subsets that shall not be empty, or an assigned patient is unknown.

    Examples:
        >>> split_patients({"a": 10, "b": 3, "c": 2}, Split(seed=1))
        {'a': 'train', 'b': 'validation', 'c': 'test'}
    """
    _check_known(settings.assignment, n_slices_by_patient, "split.assignment")
    subsets: dict[str, Subset] = dict(settings.assignment)
    free = _order_of_dealing(n_slices_by_patient, settings)
    wanted = [subset for subset in SUBSETS if settings.fractions[subset] > 0]
    empty = [subset for subset in wanted if subset not in subsets.values()]
    if len(free) < len(empty):
        raise InputError(
            f"split: too few patients: {', '.join(empty)} would be empty; at least {len(wanted)} patients are needed "
            f"(one per subset), found {len(n_slices_by_patient)}, of which {len(subsets)} are assigned by name; "
            "add patients (what has one PatientID, study or frame of reference is of one patient), or set the "
            "fraction of a subset to 0"
        )
    n_total = sum(n_slices_by_patient.values())
    lacking = {subset: settings.fractions[subset] * n_total for subset in wanted}
    for patient, subset in subsets.items():
        lacking[subset] = lacking.get(subset, 0) - n_slices_by_patient[patient]
    for patient in free:
        subset = max(empty or wanted, key=lambda name: lacking[name])
        subsets[patient] = subset
        lacking[subset] -= n_slices_by_patient[patient]
        empty = [name for name in empty if name != subset]
    return dict(sorted(subsets.items()))


def _order_of_dealing(n_slices_by_patient: Mapping[str, int], settings: Split) -> list[str]:
    names = sorted(set(n_slices_by_patient) - set(settings.assignment))
    shuffled = np.random.default_rng(settings.seed).permutation(len(names))
    return sorted((names[i] for i in shuffled), key=lambda name: -n_slices_by_patient[name])


def deal_folds(n_slices_by_patient: Mapping[str, int], settings: Split) -> list[Deal]:
    """The subset of every patient in each fold: the folds of the settings, named or dealt, or one `split_patients`.

    Raises:
        InputError: a patient of a fold is unknown, a fold tests nobody, or see `split_patients`.
    """
    if not settings.folds:
        return [split_patients(n_slices_by_patient, settings)]
    if isinstance(settings.folds, int):
        return _dealt_folds(n_slices_by_patient, settings, settings.folds)
    folds: list[Deal] = []
    for number, fold in enumerate(settings.named_folds):
        where = f"split.folds, fold {number}"
        _check_known([*fold.train, *fold.validation], n_slices_by_patient, where)
        named: Deal = {**dict.fromkeys(fold.train, "train"), **dict.fromkeys(fold.validation, "validation")}
        if len(named) == len(n_slices_by_patient):
            raise InputError(f"{where}: expected a patient to test, found all in train and validation")
        folds.append({patient: named.get(patient, "test") for patient in sorted(n_slices_by_patient)})
    return folds


def _dealt_folds(n_slices_by_patient: Mapping[str, int], settings: Split, n_folds: int) -> list[Deal]:
    """Patients in groups of about as many slices; fold k tests group k, validates on the next, trains on the rest."""
    if len(n_slices_by_patient) < n_folds:
        raise InputError(
            f"split.folds: expected a patient at least for each of {n_folds} folds, found {len(n_slices_by_patient)}"
        )
    slices_of_group = [0] * n_folds
    group_of: dict[str, int] = {}
    for patient in _order_of_dealing(n_slices_by_patient, settings):
        group_of[patient] = slices_of_group.index(min(slices_of_group))
        slices_of_group[group_of[patient]] += n_slices_by_patient[patient]
    roles: dict[int, Subset] = {0: "test", 1: "validation"}
    return [
        {patient: roles.get((group_of[patient] - fold) % n_folds, "train") for patient in sorted(group_of)}
        for fold in range(n_folds)
    ]


def _check_known(patients: Iterable[str], known: Iterable[str], where: str) -> None:
    unknown = sorted(set(patients) - set(known))
    if unknown:
        found = ", ".join(sorted(known))
        raise InputError(f"{where}: patient '{unknown[0]}' not found; patients with slices: {found or 'none'}")


def write_split(path: Path | str, folds: Sequence[Deal], n_slices_by_patient: Mapping[str, int]) -> None:
    """Write the split as CSV with the columns fold, patient, subset, n_slices."""
    rows = [
        {"fold": number, "patient": patient, "subset": subset, "n_slices": n_slices_by_patient[patient]}
        for number, fold in enumerate(folds)
        for patient, subset in fold.items()
    ]
    write_rows(path, COLUMNS, rows)


def read_split(path: Path | str) -> list[Deal]:
    """Read the subset of each patient in each fold.

    Raises:
        InputError: the file is missing or malformed, or a patient stands in two rows of a fold.
    """
    folds: list[Deal] = []
    for row in read_rows(path, COLUMNS[:3]):
        fold, patient, subset = row["fold"], row["patient"], row["subset"]
        if subset not in SUBSETS:
            raise InputError(f"{path}: expected one of {', '.join(SUBSETS)} for patient '{patient}', found '{subset}'")
        if fold == str(len(folds)):
            folds.append({})
        elif fold != str(len(folds) - 1):
            raise InputError(f"{path}: expected folds 0, 1, … one after the other, found '{fold}'")
        if patient in folds[-1]:
            raise InputError(f"{path}: patient '{patient}' stands in two rows; a patient is in one subset only")
        folds[-1][patient] = subset
    return folds


def fold_of_seed(folds: Sequence[Deal], seed: int) -> dict[Subset, list[str]]:
    """Patients by subset in the fold of the runs of a seed."""
    fold = folds[seed % len(folds)]
    return {subset: [patient for patient, own in fold.items() if own == subset] for subset in SUBSETS}


def patients_of(folds: Iterable[Deal], subset: Subset) -> set[str]:
    """Patients that are in a subset, in any of the folds."""
    return {patient for fold in folds for patient, own in fold.items() if own == subset}
