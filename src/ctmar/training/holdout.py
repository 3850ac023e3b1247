"""Validation pairs out of the one file that is trained on: never a slice that training sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctmar.errors import InputError
from ctmar.store.pairs import PairFile

_SHARE = 0.1  # of the pairs, at least


@dataclass(frozen=True)
class HeldOut:
    """Which pairs train and which validate; ``held_out`` names the ``unit`` held out whole, patients or slices."""

    training: list[int]
    validation: list[int]
    unit: str
    held_out: list[str]

    def __str__(self) -> str:
        names = ", ".join(self.held_out[:3]) + (", …" if len(self.held_out) > 3 else "")
        pairs = f"{len(self.validation)} pairs of {len(self.held_out)} held-out {self.unit} ({names})"
        return f"{pairs}, training on the other {len(self.training)} pairs"


def hold_out(path: Path) -> HeldOut:
    """Split the pairs of one file: the last patients, or with one patient the last slices, validate.

    As many as hold a tenth of the pairs. The split depends on the file alone, so that runs of all seeds and methods
    compare. With one patient it is the last slices and not random ones, because neighbours are nearly copies.

    Raises:
        InputError: the file holds pairs of fewer than two slices.
    """
    with PairFile(path) as file:
        slices = file.slice_index.tolist()
        patients, names = [file.patient[k] for k in slices], [file.slice_id[k] for k in slices]
    if len(set(slices)) < 2:
        raise InputError(f"{path}: expected pairs of two slices or more, to hold some out; name a validation file")
    unit, groups = ("patients", patients) if len(set(patients)) > 1 else ("slices", names)
    validating = _last_groups(groups)
    chosen = np.array([group in validating for group in groups])
    training, validation = (np.flatnonzero(which).tolist() for which in (~chosen, chosen))
    return HeldOut(training, validation, unit, [name for name in dict.fromkeys(groups) if name in validating])


def _last_groups(groups: Sequence[str]) -> set[str]:
    """Whole groups from the end that hold a share of ``_SHARE``, but never all groups."""
    chosen: set[str] = set()
    names = list(dict.fromkeys(groups))
    for name in reversed(names[1:]):
        if sum(group in chosen for group in groups) >= _SHARE * len(groups):
            break
        chosen.add(name)
    return chosen
