"""One reading of padding, for slices that are ingested and for images that are corrected."""

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement

from ctmar.dicom.derived import Derivation, write_derived
from ctmar.dicom.padding import Range, fold
from ctmar.dicom.pixels import read_display
from ctmar.dicom.scan import read_images
from ctmar.store.quarantine import Refused

PADDING, LIMIT = 0x00280120, 0x00280121


@pytest.fixture
def ring(phantom) -> np.ndarray:
    """Outside the field of view of a reconstruction."""
    y, x = np.mgrid[:64, :64] - 31.5
    return x**2 + y**2 > 31**2


def write_padded(write_ct, path, raw, tags, **header):
    """A slice of the given samples; the padding tags keep the representation they are given with."""
    bits = header.pop("BitsStored", 16)
    write_ct(
        path,
        PixelRepresentation=int(raw.dtype.kind == "i"),
        BitsStored=bits,
        HighBit=bits - 1,
        PixelData=raw.tobytes(),
        **header,
    )
    dataset = pydicom.dcmread(path)
    for tag, (representation, value) in tags.items():
        dataset[tag] = DataElement(tag, representation, value)
    dataset.save_as(path)
    return path


# stored type, bits, value of the ring in the file, tags
CASES = {
    "unsigned pixels, signed tag": ("<u2", 16, 63536, {PADDING: ("SS", -2000)}),
    "unsigned pixels, unsigned tag": ("<u2", 16, 63536, {PADDING: ("US", 63536)}),
    "signed pixels, unsigned tag": ("<i2", 16, -2000, {PADDING: ("US", 63536)}),
    "12 bits, padding of 16, unsigned tag": ("<u2", 12, 63536, {PADDING: ("US", 63536)}),
    "12 bits, padding of 16, signed tag": ("<u2", 12, 63536, {PADDING: ("SS", -2000)}),
    "12 bits, padding cut to them": ("<u2", 12, 2096, {PADDING: ("US", 63536)}),
    "12 signed bits without the sign": ("<u2", 12, 63536 & 0xFFF, {PADDING: ("SS", -2000)}),
    "a signed range": ("<u2", 16, 63000, {PADDING: ("SS", -3000), LIMIT: ("SS", -2000)}),
    "a range given backwards": ("<i2", 16, -2500, {PADDING: ("SS", -2000), LIMIT: ("SS", -3000)}),
    "a range over zero": ("<u2", 16, 65535, {PADDING: ("SS", -2000), LIMIT: ("SS", 0)}),
    "-3024": ("<i2", 16, -3024, {PADDING: ("SS", -3024)}),
    "the lowest value": ("<i2", 16, -32768, {PADDING: ("US", 32768)}),
    "the largest value of 12 bits": ("<u2", 12, 4095, {PADDING: ("US", 4095)}),
}


@pytest.mark.parametrize("name", CASES)
def test_padding_is_air_whatever_sign_and_width_the_tag_has(write_ct, phantom, ring, tmp_path, name):
    kind, bits, value, tags = CASES[name]
    raw = np.where(ring, value, phantom + 1024).astype(kind)
    (image,) = read_images(write_padded(write_ct, tmp_path / "a.dcm", raw, tags, BitsStored=bits), 16)
    np.testing.assert_array_equal(read_display(image)[0], np.where(ring, -1000, phantom))


@pytest.mark.parametrize("name", CASES)
def test_a_corrected_image_keeps_padding_and_every_pixel_that_did_not_change(write_ct, phantom, ring, tmp_path, name):
    kind, bits, value, tags = CASES[name]
    raw = np.where(ring, value, phantom + 1024).astype(kind)
    (image,) = read_images(write_padded(write_ct, tmp_path / "a.dcm", raw, tags, BitsStored=bits), 16)
    change = np.where(ring, 40.0, 0.0)
    change[30:34, 30:34] = 7
    derivation = Derivation("p-1", 1, "recipe", "MAR", "1.0", b"salt", keep_identity=False)
    assert write_derived(image, change, tmp_path / "b.dcm", 1, "how", derivation) == 0
    derived = pydicom.dcmread(tmp_path / "b.dcm")
    found = np.frombuffer(derived.PixelData, kind).reshape(64, 64)
    np.testing.assert_array_equal(found, raw + np.where(ring, 0, change).astype(kind))
    # and it is read as the source is
    derived.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    derived.save_as(tmp_path / "b.dcm")
    (again,) = read_images(tmp_path / "b.dcm", 16)
    np.testing.assert_array_equal(read_display(again)[0], np.where(ring, -1000, phantom + np.where(ring, 0, change)))


def test_padding_that_tissue_can_have_erases_no_tissue(write_ct, phantom, ring, tmp_path):
    """A tag of 0 beside signed Hounsfield numbers: the water of the phantom is 0, too."""
    raw = np.where(ring, 0, phantom).astype("<i2")
    path = write_padded(write_ct, tmp_path / "a.dcm", raw, {PADDING: ("SS", 0)}, RescaleIntercept=0)
    (image,) = read_images(path, 16)
    np.testing.assert_array_equal(read_display(image)[0], np.where(ring, -1000, phantom))


def test_saturated_metal_is_not_padding(write_ct, phantom, ring, tmp_path):
    phantom[30:33, 30:33] = 3071
    raw = np.where(ring, 4095, phantom + 1024).astype("<u2")
    path = write_padded(write_ct, tmp_path / "a.dcm", raw, {PADDING: ("US", 4095)}, BitsStored=12)
    (image,) = read_images(path, 16)
    assert (read_display(image)[0] == 3071).sum() == 9


def test_a_ring_without_a_tag_is_refused_and_not_taken_for_metal(write_ct, phantom, ring, tmp_path):
    raw = np.where(ring, 63536, phantom + 1024).astype("<u2")
    (image,) = read_images(write_padded(write_ct, tmp_path / "a.dcm", raw, {}), 16)
    with pytest.raises(Refused, match="values above 32767 HU: padding without its tag"):
        read_display(image)


def test_what_unused_bits_hold_is_no_hounsfield_number(write_ct, phantom, tmp_path):
    """An overlay in bit 12 of a pixel, as older scanners store it."""
    raw = (phantom + 1024).astype("<u2")
    raw[20:30, 20:30] |= 0x1000
    (image,) = read_images(write_padded(write_ct, tmp_path / "a.dcm", raw, {}, BitsStored=12), 16)
    np.testing.assert_array_equal(read_display(image)[0], phantom)


@pytest.mark.parametrize("n_bits", [8, 12, 16])
def test_folding_is_two_complement(n_bits):
    for value in (-2000, -1, 0, 1, 2047, 4095, 63536, 65535):
        lowest = value & ((1 << n_bits) - 1)
        assert fold(value, n_bits, signed=False) == lowest
        assert fold(value, n_bits, signed=True) & ((1 << n_bits) - 1) == lowest
        assert -(1 << n_bits - 1) <= fold(value, n_bits, signed=True) < 1 << n_bits - 1


def test_a_range_may_lead_over_the_end_of_unsigned_numbers():
    values = np.array([0, 1, 5, 63535, 63536, 65535])
    assert Range(63536, 1).holds(values).tolist() == [True, True, False, False, True, True]
    assert Range(1, 5).holds(values).tolist() == [False, True, True, False, False, False]
