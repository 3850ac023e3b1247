"""Which patient is in which subset: a patient is never in two."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ctmar.config import SUBSETS, Split, Subset
from ctmar.errors import InputError
from ctmar.store.tables import read_rows, write_rows

COLUMNS = ("patient", "subset", "n_slices")


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
    unknown = sorted(set(settings.assignment) - set(n_slices_by_patient))
    if unknown:
        known = ", ".join(sorted(n_slices_by_patient))
        raise InputError(f"split.assignment: patient '{unknown[0]}' not found; patients with slices: {known or 'none'}")
    subsets: dict[str, Subset] = dict(settings.assignment)
    free = _order_of_dealing(n_slices_by_patient, settings)
    wanted = [subset for subset in SUBSETS if settings.fractions[subset] > 0]
    empty = [subset for subset in wanted if subset not in subsets.values()]
    if len(free) < len(empty):
        raise InputError(
            f"split: too few patients: {', '.join(empty)} would be empty; at least {len(wanted)} patients are needed "
            f"(one per subset), found {len(n_slices_by_patient)}, of which {len(subsets)} are assigned by name; "
            "add patients, or set the fraction of a subset to 0"
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


def write_split(path: Path | str, split: Mapping[str, Subset], n_slices_by_patient: Mapping[str, int]) -> None:
    """Write the split as CSV with the columns patient, subset, n_slices."""
    rows = [
        {"patient": patient, "subset": subset, "n_slices": n_slices_by_patient[patient]}
        for patient, subset in split.items()
    ]
    write_rows(path, COLUMNS, rows)


def read_split(path: Path | str) -> dict[str, Subset]:
    """Read the subset of each patient.

    Raises:
        InputError: the file is missing or malformed, a subset is unknown, or a patient stands in two rows.
    """
    split: dict[str, Subset] = {}
    for row in read_rows(path, COLUMNS):
        patient, subset = row["patient"], row["subset"]
        if subset not in SUBSETS:
            raise InputError(f"{path}: expected one of {', '.join(SUBSETS)} for patient '{patient}', found '{subset}'")
        if patient in split:
            raise InputError(f"{path}: patient '{patient}' stands in two rows; a patient is in one subset only")
        split[patient] = subset
    return split
