import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctmar.config import Split
from ctmar.datasets.split import deal_folds, fold_of_seed, patients_of, read_split, split_patients, write_split
from ctmar.errors import InputError

patients = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), st.integers(1, 500), min_size=3, max_size=40)


@given(patients, st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_every_patient_is_in_exactly_one_subset_and_none_is_empty(n_slices, seed):
    split = split_patients(n_slices, Split(seed=seed))
    assert set(split) == set(n_slices)
    assert set(split.values()) == {"train", "validation", "test"}


@given(patients, st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_input_does_not_matter(n_slices, seed):
    turned = dict(reversed(n_slices.items()))
    assert split_patients(n_slices, Split(seed=seed)) == split_patients(turned, Split(seed=seed))


def test_shares_of_slices_come_near_the_fractions():
    n_slices = {f"p{i:03d}": 20 + i % 30 for i in range(100)}
    split = split_patients(n_slices, Split(fractions={"train": 0.7, "validation": 0.1, "test": 0.2}))
    total = sum(n_slices.values())
    for subset, fraction in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        share = sum(n for name, n in n_slices.items() if split[name] == subset) / total
        assert share == pytest.approx(fraction, abs=0.02)


def test_the_seed_deals_equal_patients_differently():
    n_slices = {f"p{i}": 10 for i in range(20)}
    assert split_patients(n_slices, Split(seed=0)) != split_patients(n_slices, Split(seed=1))


def test_assigned_patients_go_where_they_are_told():
    n_slices = {"a": 100, "b": 1, "c": 1, "d": 1}
    split = split_patients(n_slices, Split(assignment={"a": "test", "b": "train", "c": "validation"}))
    assert (split["a"], split["b"], split["c"]) == ("test", "train", "validation")


def test_a_subset_without_a_share_stays_empty():
    split = split_patients({"a": 1, "b": 1}, Split(fractions={"train": 0.5, "validation": 0, "test": 0.5}))
    assert set(split.values()) == {"train", "test"}


def test_too_few_patients_names_how_many_are_needed():
    with pytest.raises(InputError, match=r"at least 3 patients are needed .* found 2") as error:
        split_patients({"a": 5, "b": 5}, Split())
    assert "\n" not in str(error.value)


def test_assignments_that_leave_a_subset_empty():
    with pytest.raises(InputError, match="too few patients: test would be empty"):
        split_patients({"a": 5, "b": 5, "c": 5}, Split(assignment={"a": "train", "b": "train", "c": "validation"}))


def test_an_unknown_patient_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"split\.assignment: patient 'z' not found; patients with slices: a, b, c"):
        split_patients({"a": 1, "b": 1, "c": 1}, Split(assignment={"z": "train"}))


def test_a_split_survives_its_file(tmp_path):
    split = split_patients({"a": 3, "b": 2, "c": 1}, Split())
    write_split(tmp_path / "split.csv", [split], {"a": 3, "b": 2, "c": 1})
    assert read_split(tmp_path / "split.csv") == [split]
    assert (tmp_path / "split.csv").read_text().splitlines()[0] == "fold,patient,subset,n_slices"


def test_a_patient_in_two_subsets_is_refused(tmp_path):
    (tmp_path / "split.csv").write_text("fold,patient,subset,n_slices\n0,a,train,1\n0,a,test,1\n")
    with pytest.raises(InputError, match="patient 'a' stands in two rows"):
        read_split(tmp_path / "split.csv")


def test_an_unknown_subset_is_refused(tmp_path):
    (tmp_path / "split.csv").write_text("fold,patient,subset,n_slices\n0,a,training,1\n")
    with pytest.raises(InputError, match="found 'training'"):
        read_split(tmp_path / "split.csv")


FOLDS = Split(
    folds=[
        {"train": ["a", "b"], "validation": ["c"]},
        {"train": ["b", "c"], "validation": ["a"]},
        {"train": ["c", "a"], "validation": ["b"]},
    ]
)
N_SLICES = {"d": 1, "a": 5, "b": 4, "c": 3, "e": 1}


def test_folds_come_back_from_the_file_as_they_were_dealt(tmp_path):
    folds = deal_folds(N_SLICES, FOLDS)
    assert folds[1] == {"a": "validation", "b": "train", "c": "train", "d": "test", "e": "test"}
    write_split(tmp_path / "split.csv", folds, N_SLICES)
    assert read_split(tmp_path / "split.csv") == folds


def test_the_patients_of_a_seed_are_those_of_its_fold():
    folds = deal_folds(N_SLICES, FOLDS)
    assert fold_of_seed(folds, 4) == {"train": ["b", "c"], "validation": ["a"], "test": ["d", "e"]}
    assert fold_of_seed(folds, 4) == fold_of_seed(folds, 1) != fold_of_seed(folds, 0)


def test_nobody_is_tested_by_a_fold_that_trains_on_him():
    for fold in deal_folds(N_SLICES, FOLDS):
        parts = [patients_of([fold], subset) for subset in ("train", "validation", "test")]
        assert set.union(*parts) == set(N_SLICES)
        assert sum(map(len, parts)) == len(N_SLICES)


def test_without_folds_there_is_one_deal():
    assert deal_folds(N_SLICES, Split()) == [split_patients(N_SLICES, Split())]


def test_an_unknown_patient_of_a_fold_is_named():
    with pytest.raises(InputError, match=r"split\.folds, fold 0: patient 'z' not found"):
        deal_folds(N_SLICES, Split(folds=[{"train": ["z"], "validation": ["a"]}]))


def test_a_fold_that_tests_nobody_is_refused():
    with pytest.raises(InputError, match="fold 0: expected a patient to test"):
        deal_folds({"a": 1, "b": 1}, Split(folds=[{"train": ["a"], "validation": ["b"]}]))


@pytest.mark.parametrize(
    "values",
    [
        {"folds": [{"train": ["a"], "validation": ["a"]}]},
        {"folds": [{"train": ["a"], "validation": ["b"]}], "assignment": {"a": "train"}},
    ],
)
def test_a_contradiction_in_the_folds_is_refused(values):
    with pytest.raises(ValueError, match=r"twice|found both"):
        Split(**values)


@pytest.mark.parametrize("n_folds", [3, 5])
def test_dealt_folds_test_every_patient_once_and_never_train_on_him(n_folds):
    n_slices = {f"p{k}": 1 + k for k in range(11)}
    folds = deal_folds(n_slices, Split(folds=n_folds))
    assert len(folds) == n_folds
    for patient in n_slices:
        assert sorted(fold[patient] for fold in folds) == sorted(["test", "validation", *["train"] * (n_folds - 2)])
    sizes = [sum(n_slices[p] for p in patients_of([fold], "test")) for fold in folds]
    assert max(sizes) - min(sizes) <= max(n_slices.values())
    assert sum(sizes) == sum(n_slices.values())


def test_more_folds_than_patients_are_refused():
    with pytest.raises(InputError, match="a patient at least for each of 5 folds, found 4"):
        deal_folds(dict.fromkeys("abcd", 1), Split(folds=5))
