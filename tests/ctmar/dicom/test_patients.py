"""Identities that a study or a frame of reference connects are one patient."""

import pytest

from ctmar.dicom.patients import merge_patients
from ctmar.dicom.scan import read_images


@pytest.fixture
def merged(write_ct, tmp_path):
    """Identities after merging, and the number of conflicts, of images with the given tags."""

    def merge(*all_tags):
        images = []
        for number, tags in enumerate(all_tags):
            images += read_images(write_ct(tmp_path / f"{number}.dcm", number, **tags), 16)
        found, n_conflicts = merge_patients(images)
        assert all(image.series.startswith(image.patient) for image in found)
        return [image.patient for image in found], n_conflicts

    return merge


def uids(study, frame):
    return {"StudyInstanceUID": study, "FrameOfReferenceUID": frame}


def test_an_identifier_that_is_missing_in_half_of_a_study(merged):
    assert merged({}, {"PatientID": None}, {"PatientID": ""}, {}) == (["id one"] * 4, 0)


@pytest.mark.parametrize("link", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_either_identifier_connects(merged, link):
    other = dict.fromkeys({"StudyInstanceUID", "FrameOfReferenceUID"} - {link}, "1.9")
    assert merged({}, {"PatientID": None, **other})[0] == ["id one"] * 2


def test_chains_connect(merged):
    """A study shares a frame of reference with a second one, that shares it with a third."""
    found, n_conflicts = merged(
        {"PatientID": "a", **uids("1.1", "2.1")},
        {"PatientID": None, "PatientName": "Doe^Jan", **uids("1.2", "2.1")},
        {"PatientID": None, **uids("1.2", "2.2")},
        {"PatientID": None, **uids(None, "2.2")},
        {"PatientID": "b", **uids("1.5", "2.5")},
    )
    assert (found, n_conflicts) == (["id a"] * 4 + ["id b"], 0)


def test_one_patient_of_two_studies_stays_one(merged):
    assert merged({**uids("1.1", "2.1")}, {**uids("1.2", "2.2")}) == (["id one"] * 2, 0)


def test_a_conflict_is_counted_and_kept_together(merged):
    assert merged({"PatientID": "b"}, {"PatientID": "a"}) == (["id a"] * 2, 1)
    name = {"PatientID": None}
    assert merged({"PatientName": "B", **name}, {"PatientName": "A", **name}) == (["name A "] * 2, 1)


def test_strangers_stay_apart(merged):
    assert merged({**uids("1.1", "2.1")}, {"PatientID": "two", **uids("1.2", "2.2")}) == (["id one", "id two"], 0)
    assert len(set(merged({"PatientID": "1", **uids(None, None)}, {"PatientID": "2", **uids(None, None)})[0])) == 2
