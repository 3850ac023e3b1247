"""Orientation by the affine, and untrusted files."""

import gzip
import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from ctmar.dicom import pixels as dicom
from ctmar.dicom.scan import read_images
from ctmar.store.quarantine import Refused
from ctmar.volumes.displayed import open_volume, patient_identity


@pytest.fixture
def displayed(phantom):
    """Three slices in displayed orientation; slice k carries its number in a corner."""
    volume = np.stack([phantom] * 3)
    volume[:, 0, 0] = [100, 200, 300]
    return volume.astype(np.int16)


def save(path: Path, displayed: np.ndarray, codes: str = "LPS", **header) -> Path:
    """Store a displayed volume (slice, row, column) with voxel axes that run along ``codes``."""
    lps = displayed.transpose(2, 1, 0)
    affine_lps = np.diag([-2.0, -3.0, 5.0, 1.0])  # nibabel's world is RAS
    affine_lps[:3, 3] = [60, 50, -20]
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("LPS"), nibabel.orientations.axcodes2ornt(codes)
    )
    image = nibabel.Nifti1Image(lps, affine_lps).as_reoriented(turn)
    assert "".join(nibabel.aff2axcodes(image.affine)) == codes
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


def read(path: Path) -> np.ndarray:
    volume = open_volume(path, 16, "nifti")
    (part,) = volume.parts(range(volume.n_slices))
    return np.stack([displayed.image for displayed in part.read()])


def reason(path: Path) -> str:
    with pytest.raises(Refused) as refusal:
        read(path)
    assert refusal.value.remedy
    return refusal.value.reason


ALL_CODES = [
    "".join(codes) for order in itertools.permutations(["LR", "PA", "SI"]) for codes in itertools.product(*order)
]


@pytest.mark.parametrize("codes", ALL_CODES)
def test_every_orientation_is_displayed_alike(tmp_path, displayed, codes):
    path = save(tmp_path / "ct.nii.gz", displayed, codes)
    np.testing.assert_array_equal(read(path), displayed)
    volume = open_volume(path, 16, "nifti")
    assert (volume.rows, volume.columns, volume.n_slices) == (64, 64, 3)
    assert (volume.row_mm, volume.column_mm, volume.spacing_mm) == pytest.approx((3, 2, 5))
    assert volume.first_mm == pytest.approx(-20)


def liver_is_left_and_spine_below(image_hu: np.ndarray, pixel_mm: float) -> bool:
    """Whether the solid soft tissue wider than 40 mm lies mostly to the left, and bone behind the middle."""
    smooth = ndimage.uniform_filter(image_hu, round(6 / pixel_mm))
    size = round(40 / pixel_mm)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    solid = ndimage.binary_opening((smooth > 0) & (smooth < 150), y**2 + x**2 < (size / 2) ** 2)
    half = image_hu.shape[1] // 2
    body = np.nonzero((image_hu > -200).mean(axis=1) > 0.2)[0]
    bone = np.nonzero((image_hu[:, half - half // 4 : half + half // 4] > 250).sum(axis=1))[0]
    return solid[:, :half].sum() > 1.5 * solid[:, half:].sum() and np.median(bone) > np.median(body)


@pytest.mark.slow
@pytest.mark.parametrize(("patient", "codes", "index"), [("aorta-ct", "LPS", 35), ("torso-ct", "RAS", 105)])
def test_public_volumes_of_two_orientations_are_displayed_alike(packages, patient, codes, index):
    path = packages / patient / "example_ct.nii.gz"
    assert "".join(nibabel.aff2axcodes(nibabel.load(path).affine)) == codes
    volume = open_volume(path, 64, "nifti")
    (image_hu,) = (displayed.image for displayed in volume.parts([index])[0].read())
    assert liver_is_left_and_spine_below(image_hu, volume.row_mm)
    assert not liver_is_left_and_spine_below(image_hu[:, ::-1], volume.row_mm)
    assert not liver_is_left_and_spine_below(image_hu[::-1], volume.row_mm)


@pytest.mark.parametrize("number", [0, 10, 19])
def test_the_public_dicom_series_is_displayed_like_the_volumes(packages, number):
    (image,) = read_images(packages / "abdomen-petct" / f"{number:03d}.dcm", 256)
    image_hu, row_mm, _ = dicom.read_display(image)
    assert liver_is_left_and_spine_below(image_hu, row_mm)


def test_chosen_slices_only(tmp_path, displayed):
    (part,) = open_volume(save(tmp_path / "ct.nii", displayed), 16, "nifti").parts([0, 2])
    assert [displayed.image[0, 0] for displayed in part.read()] == [100, 300]


def test_slope_and_intercept_of_the_header(tmp_path, displayed):
    image = nibabel.Nifti1Image(((displayed.transpose(2, 1, 0) + 1024) / 2).astype(np.int16), np.diag([-2, -2, 5, 1]))
    image.header.set_slope_inter(2, -1024)
    nibabel.save(image, tmp_path / "ct.nii.gz")
    np.testing.assert_allclose(read(tmp_path / "ct.nii.gz"), displayed, atol=1)


def test_four_dimensions(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((20, 20, 3, 2)), np.eye(4)), tmp_path / "ct.nii")
    assert reason(tmp_path / "ct.nii") == "4 dimensions, 3 are needed"


def test_no_orientation(tmp_path, displayed):
    path = save(tmp_path / "ct.nii", displayed)
    image = nibabel.load(path)
    header = image.header.copy()
    header["qform_code"] = header["sform_code"] = 0
    with path.open("r+b") as file:
        header.write_to(file)
    assert reason(path) == "no orientation: qform and sform codes are 0"


def test_oblique(tmp_path, displayed):
    angle = np.radians(15)
    affine = np.diag([-2.0, -2.0, 5.0, 1.0])
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    nibabel.save(nibabel.Nifti1Image(displayed.transpose(2, 1, 0), turn @ affine), tmp_path / "ct.nii")
    assert reason(tmp_path / "ct.nii") == "not axial: tilted by more than 10°"


def test_a_segmentation_is_no_ct(tmp_path, displayed):
    path = save(tmp_path / "seg.nii.gz", (displayed > 0).astype(np.uint8))
    assert reason(path) == "implausible Hounsfield numbers: no air below -500 HU"


def test_not_a_number_anywhere(tmp_path, displayed):
    volume = displayed.astype(np.float32)
    volume[1, 5, 5] = np.nan
    assert reason(save(tmp_path / "ct.nii.gz", volume)).startswith("implausible Hounsfield numbers")


def test_too_few_rows(tmp_path, displayed):
    path = save(tmp_path / "ct.nii.gz", displayed[:, :40])
    with pytest.raises(Refused, match="only 40 × 64 pixels, 41 are needed"):
        open_volume(path, 41, "nifti")


@pytest.mark.parametrize("content", [b"", b"not NIfTI", b"\x1f\x8b broken gzip"])
def test_what_is_no_nifti(tmp_path, content):
    (tmp_path / "ct.nii.gz").write_bytes(content)
    assert reason(tmp_path / "ct.nii.gz") == "not a NIfTI file"


def test_a_truncated_file(tmp_path, displayed):
    path = save(tmp_path / "ct.nii.gz", displayed)
    path.write_bytes(path.read_bytes()[:-200])
    assert reason(path).startswith("voxels cannot be read")


def test_a_header_that_asks_for_terabytes_is_refused_before_reading(tmp_path, displayed):
    path = save(tmp_path / "ct.nii", displayed)
    header = nibabel.load(path).header.copy()
    header["dim"][1:4] = 32767
    with path.open("r+b") as file:
        header.write_to(file)
    assert "voxels is more than" in reason(path)


def test_the_subject_of_a_file():
    paths = {"sub-07_ct.nii.gz": "sub-07", "a/sub-07/ct.nii": "sub-07", "case1/ct.nii.gz": "case1", "x.y.nii": "x.y"}
    assert {name: patient_identity(Path(name)) for name in paths} == paths


@pytest.mark.parametrize("padding", [-1025, -2000, -2048, -3024, -32768])
def test_padding_becomes_air_as_it_does_in_dicom(tmp_path, displayed, padding):
    displayed[:, :4] = padding
    found = read(save(tmp_path / "ct.nii.gz", displayed))
    assert (found[:, :4] == -1000).all()
    np.testing.assert_array_equal(found[:, 4:], displayed[:, 4:])


def test_a_sheared_volume_tells_its_tilt(tmp_path, displayed):
    affine = np.diag([-2.0, -3.0, 5.0, 1.0])
    affine[1, 2] = 5 * np.tan(np.radians(8))  # as converters leave a tilted gantry
    nibabel.save(nibabel.Nifti1Image(displayed.transpose(2, 1, 0), affine), tmp_path / "ct.nii")
    assert open_volume(tmp_path / "ct.nii", 16, "nifti").geometry().tilt_degrees == pytest.approx(8)


@pytest.mark.parametrize("n_slices", [1, 3])
def test_a_single_slice_tells_its_tilt_to_the_axis_of_the_patient(tmp_path, displayed, n_slices):
    """Of several slices the table's way is known: a stack that is tilted as a whole has no tilt."""
    angle = np.radians(8)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    image = nibabel.Nifti1Image(displayed[:n_slices].transpose(2, 1, 0), turn @ np.diag([-2.0, -3.0, 5.0, 1.0]))
    nibabel.save(image, tmp_path / "ct.nii")
    found = open_volume(tmp_path / "ct.nii", 16, "nifti").geometry().tilt_degrees
    assert found == pytest.approx(8 if n_slices == 1 else 0, abs=1e-4)


def test_a_garbled_stream_fails_its_checksum(tmp_path, displayed):
    path = save(tmp_path / "ct.nii.gz", displayed)
    content = gzip.decompress(path.read_bytes())
    stored = bytearray(gzip.compress(content, compresslevel=0))  # blocks as they are: no code to trip over
    stored[-1000:-900] = bytes(100)
    path.write_bytes(stored)
    assert reason(path) == "voxels cannot be read (BadGzipFile)"


def test_a_stream_that_goes_on_and_on(tmp_path, displayed):
    path = save(tmp_path / "ct.nii.gz", displayed)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content + bytes(1000)))
    np.testing.assert_array_equal(read(path), displayed)
    path.write_bytes(gzip.compress(content + bytes(2**25)))
    assert reason(path) == "more voxels than the header says"
