"""Every row of the pitfall table that concerns pixels."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_rescale, pixel_array

from ctmar.dicom.headers import Image, is_lossy, read_header
from ctmar.dicom.pixels import read_display, to_display
from ctmar.dicom.scan import read_images
from ctmar.store.quarantine import Refused


def read(path: Path, minimum_rows: int = 16) -> np.ndarray:
    (image,) = read_images(path, minimum_rows)
    return read_display(image)[0]


def decode(path: Path) -> np.ndarray:
    """Decode without the question whether the image is of use: some samples call themselves SECONDARY."""
    rows, columns = (int(pydicom.dcmread(path, stop_before_pixels=True)[tag].value) for tag in ("Rows", "Columns"))
    axial = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    image = Image(path, -1, "", "", "", rows, columns, 1.0, 1.0, (0.0, 0.0, 0.0), axial, False, "")
    return read_display(image)[0]


def test_what_was_written_is_read(write_ct, phantom, tmp_path):
    np.testing.assert_array_equal(read(write_ct(tmp_path / "a.dcm")), phantom)


def test_slope_and_intercept_are_applied(write_ct, phantom, tmp_path):
    path = write_ct(tmp_path / "a.dcm", image_hu=phantom, RescaleSlope="0.5", RescaleIntercept="-512")
    np.testing.assert_allclose(read(path), 0.5 * (phantom + 1024) - 512)


def test_toshiba_with_intercept_zero(shared):
    """Signed samples that are Hounsfield numbers already, next to a GE file with −1024 and padding −2000."""
    for name in ("000.dcm", "005.dcm"):
        image_hu = read(shared / "nysbu_patients" / name)
        assert image_hu.min() >= -1024
        body = image_hu[image_hu > -500]
        assert -150 < np.median(body) < 100


def test_padding_becomes_air(shared):
    path = shared / "nysbu_patients" / "000.dcm"
    dataset = pydicom.dcmread(path)
    raw = pixel_array(dataset)
    padding = raw == dataset.PixelPaddingValue
    assert dataset.PixelPaddingValue == -2000
    assert padding.sum() > 10000
    image_hu = read(path)
    assert (image_hu[padding] == -1000).all()
    body = raw > 800
    np.testing.assert_array_equal(image_hu[body], apply_rescale(raw, dataset)[body])


def test_a_range_of_padding_becomes_air(write_ct, phantom, tmp_path):
    phantom[:8] = 3000
    phantom[8:12] = 3001
    phantom[12:14] = 2999
    path = write_ct(tmp_path / "a.dcm", image_hu=phantom, PixelPaddingValue=4024, PixelPaddingRangeLimit=4025)
    image_hu = read(path)
    assert (image_hu[:12] == -1000).all()
    assert (image_hu[12:14] == 2999).all()


def test_below_the_range_of_hounsfield_numbers_is_air(write_ct, phantom, tmp_path):
    phantom[:4] = -3024
    assert (read(write_ct(tmp_path / "a.dcm", image_hu=phantom))[:4] == -1000).all()


@pytest.mark.parametrize("scanner", ["CT1", "CT2"])
def test_lossless_syntaxes_give_the_same_samples(shared, scanner):
    """JPEG 2000, JPEG-LS, JPEG lossless and RLE of one image."""
    folder = shared / "edge_cases"
    first, *others = (decode(folder / f"WG04_{scanner}_{codec}.dcm") for codec in ("J2KR", "JLSL", "JPLL", "RLE"))
    assert first.std() > 100
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize(("codec", "largest"), [("J2KI", 300), ("JLSN", 20)])
@pytest.mark.parametrize("scanner", ["CT1", "CT2"])
def test_lossy_syntaxes_are_flagged_and_near(shared, scanner, codec, largest):
    folder = shared / "edge_cases"
    lossy, lossless = folder / f"WG04_{scanner}_{codec}.dcm", folder / f"WG04_{scanner}_J2KR.dcm"
    assert is_lossy(read_header(lossy))
    assert not is_lossy(read_header(lossless))
    difference = np.abs(decode(lossy) - decode(lossless))
    assert 0 < difference[100:400, 100:400].max() <= largest
    assert difference[100:400, 100:400].mean() < 30


def test_sign_of_jpeg_2000_that_contradicts_the_header():
    """It is corrected by pydicom; without the correction the air around the head would be far above −1000 HU."""
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "J2K_pixelrep_mismatch.dcm"
    image_hu = read(path)
    assert image_hu[:20, :20].max() < -900
    assert 0 < np.median(image_hu[image_hu > -500]) < 80


def test_tilted_and_flipped_planes_are_displayed_alike(write_ct, phantom, tmp_path):
    """The same patient stored in the eight ways an axial plane can be turned or flipped."""
    for row_axis in (0, 1):
        for flip_x in (1, -1):
            for flip_y in (1, -1):
                stored = phantom[::flip_y, ::flip_x]
                x, y = [flip_x, 0, 0], [0, flip_y, 0]
                stored, orientation = (stored, x + y) if row_axis == 0 else (stored.T, y + x)
                path = write_ct(tmp_path / "a.dcm", image_hu=stored, ImageOrientationPatient=orientation)
                np.testing.assert_array_equal(read(path), phantom, err_msg=str(orientation))


def test_spacing_is_rows_then_columns_and_turns_with_the_image(write_ct, phantom, tmp_path):
    (image,) = read_images(write_ct(tmp_path / "a.dcm", PixelSpacing=[1.5, 0.5]), 16)
    assert read_display(image)[1:] == (1.5, 0.5)
    turned = write_ct(tmp_path / "b.dcm", PixelSpacing=[1.5, 0.5], ImageOrientationPatient=[0, 1, 0, 1, 0, 0])
    (image,) = read_images(turned, 16)
    assert read_display(image)[1:] == (0.5, 1.5)


def test_a_flipped_real_slice_has_the_spine_below(shared):
    """Chest and abdomen: bone lies behind the centre of the body, in every real series."""
    for path in (shared / "totalseg_abdomen_j2k" / "000.dcm", shared / "nysbu_patients" / "000.dcm"):
        image_hu = read(path)
        rows_of_body = np.nonzero((image_hu > -200).mean(axis=1) > 0.2)[0]
        columns = slice(image_hu.shape[1] // 3, 2 * image_hu.shape[1] // 3)
        rows_of_bone = np.nonzero((image_hu[:, columns] > 250).sum(axis=1))[0]
        assert np.median(rows_of_bone) > np.median(rows_of_body)


def test_truncated_pixel_data_is_refused(write_ct, tmp_path):
    path = write_ct(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(Refused, match="pixel data cannot be decoded"):
        read(path)


def test_missing_pixel_data_is_refused(write_ct, tmp_path):
    with pytest.raises(Refused, match="pixel data cannot be decoded"):
        read(write_ct(tmp_path / "a.dcm", PixelData=None))


def test_enhanced_ct_uses_the_rescale_of_each_frame(write_enhanced_ct, phantom, tmp_path):
    frames = np.stack([phantom, phantom + 0.0, phantom[:, ::-1]])
    path = write_enhanced_ct(tmp_path / "e.dcm", frames, [(1, -1024), (2, -1024), (1, 0)])
    images = read_images(path, 16)
    assert [image.position_mm for image in images] == [0, 5, 10]
    for image, frame in zip(images, frames, strict=True):
        np.testing.assert_allclose(read_display(image)[0], frame, atol=1)
    # highdicom's own volume is the oracle; pydicom's apply_rescale would return stored values
    volume = highdicom.imread(path).get_volume(apply_modality_transform=True)
    oracle = volume.array if volume.array.shape[0] == 3 else np.moveaxis(volume.array, 2, 0)
    np.testing.assert_allclose(np.sort(oracle.ravel()), np.sort(frames.ravel()), atol=1)


def test_display_of_an_image_copies(write_ct, phantom, tmp_path):
    (image,) = read_images(write_ct(tmp_path / "a.dcm"), 16)
    assert to_display(phantom.astype(np.float32), image)[0].flags["C_CONTIGUOUS"]
