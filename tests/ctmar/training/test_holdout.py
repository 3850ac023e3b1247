"""Held-out validation: whole patients, or whole slices of the only one."""

import pytest

from ctmar.errors import InputError
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairFile, PairRecord, SliceRecord
from ctmar.training.holdout import hold_out


def test_last_patients_are_held_out_whole(write_pair_file, tmp_path):
    path = write_pair_file(tmp_path / "pairs.h5", n_slices=25, n_masks=2)
    found = hold_out(path)
    assert found.unit == "patients"
    assert found.held_out == ["patient-22", "patient-23", "patient-24"]  # 6 of 50 pairs; two would be 4
    assert found.validation == list(range(44, 50))
    assert found.training == list(range(44))
    with PairFile(path) as file:
        seen = {file.slice_id[file.slice_index[k]] for k in found.training}
        held = {file.slice_id[file.slice_index[k]] for k in found.validation}
    assert not seen & held


def one_patient(path, n_slices):
    with PairFile(path) as file:
        pair = file.read_pair(0)
    slices = [SliceRecord(pair.image, pair.image, "p", f"p/1/{k:04d}", 1.0) for k in range(n_slices)]
    pairs = [PairRecord(pair.ma_CT, pair.LI_CT, pair.mask, k, m, pair.metal) for k in range(n_slices) for m in range(2)]
    write_pairs(path.with_name("one.h5"), slices, pairs, "train", {})
    return path.with_name("one.h5")


def test_last_slices_of_the_only_patient(write_pair_file, tmp_path):
    found = hold_out(one_patient(write_pair_file(tmp_path / "pairs.h5"), 12))
    assert found.unit == "slices"
    assert found.held_out == ["p/1/0010", "p/1/0011"]
    assert found.validation == [20, 21, 22, 23]
    assert "4 pairs of 2 held-out slices (p/1/0010, p/1/0011), training on the other 20 pairs" in str(found)


def test_one_slice_cannot_be_divided(write_pair_file, tmp_path):
    with pytest.raises(InputError, match="expected pairs of two slices or more"):
        hold_out(one_patient(write_pair_file(tmp_path / "pairs.h5"), 1))
