"""Order, gaps, duplicates, mixed series and tilt."""

import random

import numpy as np
import pytest

from ctmar.dicom.headers import patient_identity, read_header
from ctmar.dicom.scan import read_images
from ctmar.dicom.series import group_series


def group(paths):
    return group_series([image for path in paths for image in read_images(path, 16)])


@pytest.fixture
def real_series(shared):
    return sorted((shared / "totalseg_abdomen_j2k").glob("*.dcm"))


def positions(series):
    return [image.position_mm for image in series.images]


def test_a_shuffled_series_is_ordered_by_position(real_series):
    shuffled = list(real_series)
    random.Random(0).shuffle(shuffled)
    (series,) = group(shuffled)
    assert positions(series) == [-804.5 + 2 * k for k in range(20)]
    assert (series.spacing_mm, series.n_missing, series.duplicates) == (2.0, 0, ())
    assert series == group(real_series)[0]


def test_missing_slices_are_counted(real_series):
    del real_series[4:6], real_series[10]
    (series,) = group(real_series)
    assert (len(series.images), series.spacing_mm, series.n_missing) == (17, 2.0, 3)


def test_a_duplicate_is_set_aside_whatever_its_name(real_series, modify, tmp_path):
    for name in ("a.dcm", "z.dcm"):
        copy = modify(real_series[5], tmp_path / name, SOPInstanceUID="1.2.3", InstanceNumber=99)
        (series,) = group([copy, *real_series])
        assert len(series.images) == 20
        assert [image.instance for image in series.duplicates] == ["1.2.3"]
        assert series.n_missing == 0


def test_lossless_is_kept_before_lossy(write_ct, tmp_path):
    lossy = write_ct(tmp_path / "a.dcm", SOPInstanceUID="1.2.1", LossyImageCompression="01")
    lossless = write_ct(tmp_path / "b.dcm", SOPInstanceUID="1.2.2")
    (series,) = group([lossy, lossless])
    assert [image.instance for image in series.images] == ["1.2.2"]


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientID": "two"},
        {"StudyInstanceUID": "1.2.9"},
        {"SeriesInstanceUID": "1.2.9"},
        {"FrameOfReferenceUID": "1.2.9"},
        {"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]},
        {"PixelSpacing": [2.0, 2.1]},
        {"ConvolutionKernel": "B30f"},
        {"ConvolutionKernel": ["B30f", "3"]},
    ],
)
def test_a_mixed_folder_is_taken_apart(write_ct, tmp_path, tags):
    paths = [write_ct(tmp_path / f"{k}.dcm", number=k) for k in range(3)]
    paths += [write_ct(tmp_path / f"other{k}.dcm", number=k, **tags) for k in range(4)]
    assert sorted(len(series.images) for series in group(paths)) == [3, 4]


def test_another_shape_is_another_series(write_ct, tmp_path):
    paths = [write_ct(tmp_path / "a.dcm", 0), write_ct(tmp_path / "b.dcm", 1, image_hu=np.zeros((64, 65)))]
    assert len(group(paths)) == 2


def test_noise_in_the_last_digits_does_not_split_a_series(write_ct, tmp_path):
    paths = [
        write_ct(tmp_path / "a.dcm", 0, ImageOrientationPatient=["1.0", "-0.00000001", "0", "0", "1", "0"]),
        write_ct(tmp_path / "b.dcm", 1, PixelSpacing=["2.000001", "2.0"]),
    ]
    assert len(group(paths)) == 1


def test_a_multi_valued_kernel(real_series):
    assert all("Br38f\\3" in image.series for image in group(real_series)[0].images)


def test_mixed_real_patients(shared):
    """Ten slices of six patients at two dates each."""
    all_series = group(sorted((shared / "nysbu_patients").glob("*.dcm")))
    assert len(all_series) == 12
    assert len({series.patient for series in all_series}) == 6


def test_gantry_tilt_is_the_angle_of_stack_and_normal(shared):
    (series,) = group(sorted((shared / "edge_cases").glob("philips_tilt_*.dcm")))
    assert series.tilt_degrees == pytest.approx(18.5, abs=0.1)
    # 22.5 mm and 2.5 mm along the table: eight slices are missing
    assert series.n_missing == 8
    assert series.spacing_mm == pytest.approx(2.5 * np.cos(np.radians(18.5)), abs=0.01)


@pytest.mark.parametrize("degrees", [0, 22])
def test_the_tilt_of_a_single_slice_is_that_to_the_axis_of_the_patient(write_ct, tmp_path, degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    path = write_ct(tmp_path / "a.dcm", ImageOrientationPatient=[1, 0, 0, 0, cosine, -sine])
    assert group([path])[0].tilt_degrees == pytest.approx(degrees, abs=1e-4)


def test_a_tilt_tag_alone_is_not_believed(write_ct, tmp_path):
    paths = [write_ct(tmp_path / f"{k}.dcm", k, GantryDetectorTilt="20") for k in range(3)]
    assert group(paths)[0].tilt_degrees == 0


def test_positions_grow_towards_the_head_in_every_orientation(write_ct, tmp_path):
    paths = [write_ct(tmp_path / f"{k}.dcm", k, ImageOrientationPatient=[1, 0, 0, 0, -1, 0]) for k in range(3)]
    assert positions(group(paths)[0]) == [0, 5, 10]


def test_a_single_slice_has_no_spacing(write_ct, tmp_path):
    (series,) = group([write_ct(tmp_path / "a.dcm")])
    assert np.isnan(series.spacing_mm)
    assert (series.tilt_degrees, series.n_missing) == (0, 0)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, "id one"),
        ({"PatientID": None, "PatientName": "Doe^Jan", "PatientBirthDate": "19700101"}, "name Doe^Jan 19700101"),
        ({"PatientID": " "}, "1.2.3.1"),
        ({"PatientID": None, "StudyInstanceUID": None}, "1.2.3.3"),
    ],
)
def test_what_tells_patients_apart(write_ct, tmp_path, tags, expected):
    path = write_ct(tmp_path / "a.dcm", **tags)
    assert patient_identity(read_header(path), path) == expected


def test_without_any_identity_the_folder_counts(write_ct, tmp_path):
    blank = {"PatientID": None, "StudyInstanceUID": None, "FrameOfReferenceUID": None}
    paths = [write_ct(tmp_path / name / "a.dcm", **blank) for name in ("x", "y")]
    assert len({patient_identity(read_header(path), path) for path in paths}) == 2
