"""Which pairs of a file a run sees: of its own patients, and of as many slices as its setting says."""

from collections.abc import Collection
from itertools import compress
from pathlib import Path

from ctmar.errors import InputError
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.pairs import PairFile


def portion(path: Path, patients: Collection[str] | None = None, n_slices: int = 0) -> list[int]:
    """Pairs of the wanted patients, in the order of the file.

    Args:
        path: pair file.
        patients: whose pairs; None: everybody's.
        n_slices: evenly spaced slices of each patient, with all their masks; 0: all slices.

    Raises:
        InputError: a patient has no pair there.
    """
    with PairFile(path) as file:
        owners = [file.patient[k] for k in file.slice_index.tolist()]
        missing = sorted(set(patients or ()) - set(owners))
        if missing:
            raise InputError(f"{path}: expected pairs of patient '{missing[0]}', found those of {sorted(set(owners))}")
        chosen: set[int] = set()
        for patient in dict.fromkeys(owners) if patients is None else patients:
            own = list(dict.fromkeys(compress(file.slice_index.tolist(), (owner == patient for owner in owners))))
            chosen.update(own[int(k)] for k in (evenly_spaced(len(own), n_slices) if n_slices else range(len(own))))
        return [pair for pair, k in enumerate(file.slice_index.tolist()) if k in chosen]
