"""The pairs that a run sees of a file: of its patients, and of so many slices."""

import pytest

from ctmar.errors import InputError
from ctmar.store.pairs import PairFile
from ctmar.training.portion import portion


def owners(path, pairs):
    with PairFile(path) as file:
        return [(file.patient[int(file.slice_index[k])], file.slice_id[int(file.slice_index[k])]) for k in pairs]


def test_everything_is_the_file_in_its_order(pair_files):
    with PairFile(pair_files[0]) as file:
        assert portion(pair_files[0]) == list(range(file.n_pairs))


def test_a_patients_pairs_are_all_his_and_nobody_elses(pair_files):
    path = pair_files[0]
    everybody = {patient for patient, _ in owners(path, portion(path))}
    parts = {patient: portion(path, [patient]) for patient in everybody}
    assert all({owner for owner, _ in owners(path, pairs)} == {patient} for patient, pairs in parts.items())
    assert sorted(pair for pairs in parts.values() for pair in pairs) == portion(path)


def test_one_slice_of_each_patient_has_all_its_masks(pair_files):
    path = pair_files[0]
    chosen = portion(path, n_slices=1)
    slices = set(owners(path, chosen))
    assert len(slices) == len({patient for patient, _ in slices}) == len({p for p, _ in owners(path, portion(path))})
    assert chosen == [k for k, owner in enumerate(owners(path, portion(path))) if owner in slices]


def test_a_patient_without_pairs_is_named(pair_files):
    with pytest.raises(InputError, match="patient 'nobody'"):
        portion(pair_files[0], ["nobody"])
