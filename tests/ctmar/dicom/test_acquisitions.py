"""Several acquisitions under one series: one whole group is kept, the others are told why not."""

import numpy as np
import pytest

from ctmar.dicom.scan import read_images
from ctmar.dicom.series import group_series


def group(paths):
    return group_series([image for path in paths for image in read_images(path, 16)])


def two(write_ct, folder, first, second, numbers=(range(4), range(4))):
    """Two stacks of one series; ``first`` and ``second`` give the tags of the image of a number."""
    paths = []
    for stack, (tags, own) in enumerate(zip((first, second), numbers, strict=True)):
        for number in own:
            instance = f"1.2.{number % 2 if stack else 1 - number % 2}.{stack}.{number}"  # sorts in alternation
            paths.append(write_ct(folder / f"{stack}{number}.dcm", number, SOPInstanceUID=instance, **tags(number)))
    return paths


def kept(series):
    """Which stack each kept image is of, by its instance identifier."""
    return {image.instance.split(".")[3] for image in series.images}


CASES = {
    "acquisition number": (lambda n: {"AcquisitionNumber": 1}, lambda n: {"AcquisitionNumber": 2}, "AcquisitionNumber"),
    "temporal position": (
        lambda n: {"TemporalPositionIdentifier": 1},
        lambda n: {"TemporalPositionIdentifier": 2},
        "TemporalPositionIdentifier",
    ),
    "tube voltage": (lambda n: {"KVP": "80"}, lambda n: {"KVP": "140"}, "KVP"),
    "cardiac phase": (
        lambda n: {"NominalPercentageOfCardiacPhase": 30.0},
        lambda n: {"NominalPercentageOfCardiacPhase": 70.0},
        "NominalPercentageOfCardiacPhase",
    ),
    "time of acquisition": (
        lambda n: {"AcquisitionTime": f"10000{n}.5"},
        lambda n: {"AcquisitionTime": f"10010{n}.5"},
        "AcquisitionTime",
    ),
    "content time": (
        lambda n: {"ContentTime": f"10000{n}", "AcquisitionTime": "1"},
        lambda n: {"ContentTime": f"11000{n}", "AcquisitionTime": "1"},
        "ContentTime",
    ),
    "exposure, modulated": (lambda n: {"Exposure": 200 + n}, lambda n: {"Exposure": 50 + n}, "Exposure"),
    "each image its own number": (
        lambda n: {"AcquisitionNumber": n + 1},
        lambda n: {"AcquisitionNumber": n + 101},
        "AcquisitionNumber",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_whole_acquisition_is_kept(write_ct, tmp_path, name):
    first, second, keyword = CASES[name]
    (series,) = group(two(write_ct, tmp_path, first, second))
    assert kept(series) == {"0"}
    assert (len(series.images), series.n_missing, series.duplicates) == (4, 0, ())
    reasons = {refusal.reason for _, refusal in series.left_out}
    assert len(series.left_out) == 4
    assert all(reason.startswith(f"another acquisition in the same series: {keyword} tells") for reason in reasons)
    assert "(4 + 4 images), the first of the largest is kept" in reasons.pop() or name.startswith("each")


# groups of one image have one size; of modulated exposures the rest of the longer stack cannot be told from the other
@pytest.mark.parametrize("name", sorted({*CASES} - {"each image its own number", "exposure, modulated"}))
def test_the_larger_acquisition_is_kept(write_ct, tmp_path, name):
    first, second, _ = CASES[name]
    (series,) = group(two(write_ct, tmp_path, first, second, (range(3), range(6))))
    assert kept(series) == {"1"}
    assert len(series.images) == 6
    assert "(6 + 3 images), the largest is kept" in series.left_out[0][1].reason


def test_two_interleaved_acquisitions_without_a_common_position(write_ct, tmp_path):
    first, second, _ = CASES["acquisition number"]
    (series,) = group(two(write_ct, tmp_path, first, second, (range(0, 12, 2), range(1, 9, 2))))
    assert [image.position_mm for image in series.images] == [0, 10, 20, 30, 40, 50]
    assert series.n_missing == 0


def test_blocks_of_a_long_scan_belong_together(write_ct, tmp_path):
    """Step and shoot: four slices each, one block after the other, and one slice scanned twice where blocks meet."""
    paths = [write_ct(tmp_path / f"{n}.dcm", n, AcquisitionNumber=n // 4 + 1) for n in range(12)]
    paths.append(write_ct(tmp_path / "again.dcm", 3, AcquisitionNumber=2, SOPInstanceUID="1.2.9"))
    (series,) = group(paths)
    assert (len(series.images), len(series.duplicates), series.other_acquisitions) == (12, 1, ())


def test_modulated_exposure_and_running_time_split_nothing(write_ct, tmp_path):
    tags = [
        {"Exposure": 100 + n % 3, "AcquisitionTime": f"1000{n:02d}", "ContentTime": f"1100{n:02d}"} for n in range(9)
    ]
    (series,) = group([write_ct(tmp_path / f"{n}.dcm", n, **tags[n]) for n in range(9)])
    assert (len(series.images), series.left_out) == (9, [])


def test_every_position_scanned_again_before_the_next(write_ct, tmp_path):
    """Cine: three times here, three times there."""
    paths = [
        write_ct(tmp_path / f"{n}{k}.dcm", n, SOPInstanceUID=f"1.2.{9 - k}.{n}", AcquisitionTime=f"10{n:02d}{k:02d}")
        for n in range(5)
        for k in range(3)
    ]
    (series,) = group(paths)
    assert [image.instance for image in series.images] == [f"1.2.9.{n}" for n in range(5)]
    assert series.left_out[0][1].reason == (
        "another image at the same position: AcquisitionTime differs, the first of each position is kept"
    )


def test_images_that_all_lie_at_one_position_are_no_duplicates(write_ct, tmp_path):
    place = {"ImagePositionPatient": [-63, -63, 0]}
    (series,) = group(
        [
            write_ct(tmp_path / f"{n}.dcm", n, InstanceNumber=n + 1, AcquisitionTime=f"10000{n}", **place)
            for n in range(4)
        ]
    )
    assert (len(series.images), series.duplicates) == (1, ())
    reasons = {refusal.reason for _, refusal in series.left_out}
    assert reasons == {"all 4 images of the series lie at one position: lost, or scanned again; one is kept"}


def test_another_thickness_is_another_stack_without_missing_slices(write_ct, tmp_path):
    thin = [write_ct(tmp_path / f"a{n}.dcm", n, SliceThickness="1", ImagePositionPatient=[0, 0, n]) for n in range(10)]
    thick = [
        write_ct(tmp_path / f"b{n}.dcm", 20 + n, SliceThickness="5.0", ImagePositionPatient=[0, 0, 12 + 5 * n])
        for n in range(5)
    ]
    found = group([*thin, *thick])
    assert [(len(series.images), series.spacing_mm, series.n_missing) for series in found] == [(10, 1, 0), (5, 5, 0)]


def test_enhanced_ct_in_four_dimensions(write_enhanced_ct, phantom, tmp_path):
    import pydicom

    path = write_enhanced_ct(tmp_path / "e.dcm", np.stack([phantom] * 6), [(1, -1024)] * 6)
    dataset = pydicom.dcmread(path)
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups.PlanePositionSequence[0].ImagePositionPatient = [-63, -63, 5 * (number // 2)]
        groups.FrameContentSequence[0].TemporalPositionIndex = 1 + number % 2
    dataset.save_as(path)
    (series,) = group([path])
    assert [image.frame for image in series.images] == [0, 2, 4]
    assert [image.frame for image, _ in series.left_out] == [1, 3, 5]
    assert "TemporalPositionIdentifier tells 2 apart (3 + 3 images)" in series.left_out[0][1].reason


def test_a_decubitus_and_a_negative_spacing_of_enhanced_ct(write_enhanced_ct, phantom, tmp_path):
    """Head first, lying on the right side; SpacingBetweenSlices −5, frames from head to foot: positions tell."""
    import pydicom

    from ctmar.dicom.pixels import read_display

    frames = np.stack([phantom + number for number in range(3)])
    stored = frames.transpose(0, 2, 1)  # rows of the file run from right to left, columns from front to back
    path = write_enhanced_ct(tmp_path / "e.dcm", stored, [(1, -1030)] * 3, PatientPosition="HFDR")
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 1, 0, 0]
    shared.PixelMeasuresSequence[0].SpacingBetweenSlices = -5
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups.PlanePositionSequence[0].ImagePositionPatient = [-63, -63, -5 * number]
    dataset.save_as(path)
    (series,) = group([path])
    assert [image.position_mm for image in series.images] == [-10, -5, 0]
    assert (series.spacing_mm, series.n_missing) == (5, 0)
    for number, image in enumerate(series.images):
        np.testing.assert_array_equal(read_display(image)[0], frames[2 - number])


def test_three_tilted_slices_in_any_order(write_ct, tmp_path):
    angle = np.radians(15)
    plane = [1, 0, 0, 0, round(float(np.cos(angle)), 6), round(float(np.sin(angle)), 6)]
    paths = [
        write_ct(tmp_path / f"{k}.dcm", n, ImageOrientationPatient=plane, ImagePositionPatient=[-63, -63, 6.0 * n])
        for k, n in enumerate((2, 0, 1))
    ]
    (series,) = group(paths)
    assert [image.position[2] for image in series.images] == [0, 6, 12]
    assert series.tilt_degrees == pytest.approx(15, abs=1e-3)
    assert series.spacing_mm == pytest.approx(6 * np.cos(angle), abs=1e-4)


def test_a_frame_counts_where_the_top_level_contradicts_it(write_enhanced_ct, phantom, tmp_path):
    from ctmar.dicom.pixels import read_display

    contradiction = {"RescaleSlope": 7, "RescaleIntercept": 99, "PixelSpacing": [0.3, 0.3], "RescaleType": "US"}
    path = write_enhanced_ct(tmp_path / "e.dcm", np.stack([phantom] * 2), [(1, -1024), (2, -1000)], **contradiction)
    for image in read_images(path, 16):
        image_hu, row_mm, column_mm = read_display(image)
        np.testing.assert_allclose(image_hu, phantom, atol=1)
        assert (row_mm, column_mm) == (2, 2)
