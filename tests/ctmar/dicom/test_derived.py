"""Derived images: what changes, what stays, and what never gets through."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from ctmar.dicom.derived import Derivation, derived_uid, write_derived
from ctmar.dicom.headers import Image
from ctmar.dicom.pixels import to_display
from ctmar.dicom.scan import read_images
from ctmar.store.quarantine import Refused

HIDDEN = Derivation("p-00000001", 1, "recipe", "MAR", "1.0", b"salt", keep_identity=False)
KEPT = Derivation("p-00000001", 1, "recipe", "MAR", "1.0", b"salt", keep_identity=True)
CANARY = "ZEBRAFINCH"
# Type 1 attributes of the modules that PS3.3 table A.3-1 makes mandatory for CT Image Storage
TYPE_1 = [
    "StudyInstanceUID", "Modality", "SeriesInstanceUID", "FrameOfReferenceUID", "PixelSpacing",
    "ImageOrientationPatient", "ImagePositionPatient", "SamplesPerPixel", "PhotometricInterpretation", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "ImageType",
    "RescaleIntercept", "RescaleSlope", "SOPClassUID", "SOPInstanceUID",
]  # fmt: skip
TYPE_2 = [
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber", "SeriesNumber", "PositionReferenceIndicator",
    "Manufacturer", "InstanceNumber", "SliceThickness", "KVP", "AcquisitionNumber", "PatientPosition",
]  # fmt: skip


def derive(
    source: Path, out: Path, change: np.ndarray | None = None, derivation: Derivation = HIDDEN, frame: int = 0
) -> tuple[pydicom.Dataset, int]:
    image = read_images(source, 16)[frame]
    n_clipped = write_derived(image, change, out, 1, "how", derivation)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a value that is not valid
        dataset = pydicom.dcmread(out)
        _ = str(dataset)
    return dataset, n_clipped


def stored(path: Path) -> np.ndarray:
    return pixel_array(pydicom.dcmread(path))


@pytest.mark.parametrize("derivation", [HIDDEN, KEPT])
def test_every_mandatory_attribute_is_there(write_ct, tmp_path, derivation):
    dataset, _ = derive(write_ct(tmp_path / "a.dcm"), tmp_path / "b.dcm", derivation=derivation)
    for keyword in TYPE_1:
        assert keyword in dataset, keyword
        assert dataset[keyword].value not in (None, "", []), keyword
    for keyword in TYPE_2:
        assert keyword in dataset, keyword
    assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert dataset.SOPClassUID == CTImageStorage
    assert dataset.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
    assert all(UID(dataset[name].value).is_valid for name in ("SOPInstanceUID", "SeriesInstanceUID"))


def test_without_a_change_pixels_and_geometry_stay(write_ct, tmp_path):
    source = write_ct(
        tmp_path / "a.dcm", PixelSpacing=["0.7421875", "0.7421875"], ImagePositionPatient=["-1.5", "2", "3"]
    )
    dataset, n_clipped = derive(source, tmp_path / "b.dcm")
    before = pydicom.dcmread(source)
    assert n_clipped == 0
    assert "DerivationCodeSequence" not in dataset
    assert dataset.PixelData == before.PixelData
    for keyword in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleType"):
        assert dataset[keyword].value == before[keyword].value
    assert str(dataset.PixelSpacing[0]) == "0.7421875"


def test_real_images_come_back_bit_for_bit(shared, tmp_path):
    """Padding of −2000, an intercept of 0, JPEG 2000, and a sign that contradicts the header."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    sources = [*sorted((shared / "nysbu_patients").glob("*.dcm")), shared / "totalseg_abdomen_j2k" / "000.dcm"]
    for source in [*sources, folder / "J2K_pixelrep_mismatch.dcm"]:
        dataset, n_clipped = derive(source, tmp_path / "b.dcm")
        assert n_clipped == 0
        np.testing.assert_array_equal(pixel_array(dataset), stored(source), err_msg=source.name)
        (before,) = read_images(source, 16)
        assert (before.rows, before.columns) == (dataset.Rows, dataset.Columns)


def test_a_change_lands_on_the_pixel_that_displays_it(write_ct, phantom, tmp_path):
    """The same patient stored in the eight ways an axial plane can be turned or flipped."""
    change = np.zeros((64, 64), np.float32)
    change[20, 40] = 50
    for row_axis in (0, 1):
        for flip_x in (1, -1):
            for flip_y in (1, -1):
                turned = phantom[::flip_y, ::flip_x]
                x, y = [flip_x, 0, 0], [0, flip_y, 0]
                turned, orientation = (turned, x + y) if row_axis == 0 else (turned.T, y + x)
                source = write_ct(tmp_path / "a.dcm", image_hu=turned, ImageOrientationPatient=orientation)
                dataset, _ = derive(source, tmp_path / "b.dcm", change)
                (image,) = read_images(source, 16)
                shown = to_display((pixel_array(dataset) - 1024.0).astype(np.float32), image)[0]
                np.testing.assert_array_equal(shown - phantom, change, err_msg=str(orientation))


@pytest.mark.parametrize(("slope", "steps"), [("1", 10), ("0.5", 20), ("2", 5), ("4", 2)])
def test_a_change_is_counted_in_steps_of_the_slope(write_ct, tmp_path, slope, steps):
    source = write_ct(tmp_path / "a.dcm", RescaleSlope=slope)
    dataset, _ = derive(source, tmp_path / "b.dcm", np.full((64, 64), 10.0))
    assert set((pixel_array(dataset) - stored(source)).ravel()) == {steps}
    assert dataset.RescaleSlope == float(slope)


def test_the_stored_range_is_never_left(write_ct, phantom, tmp_path):
    raw = np.clip(phantom + 1024, 0, 4095).astype("<u2")
    tags = {"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11, "PixelData": raw.tobytes()}
    change = np.zeros((64, 64))
    change[0, :3], change[32, :4] = -500, 30000
    dataset, n_clipped = derive(write_ct(tmp_path / "a.dcm", **tags), tmp_path / "b.dcm", change)
    after = pixel_array(dataset)
    assert n_clipped == 4  # below air nothing is lost
    assert (after[0, :3] == 0).all()
    assert (after[32, :4] == 4095).all()
    assert (dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation) == (12, 11, 0)


def test_clipping_above_air_is_counted(write_ct, phantom, tmp_path):
    raw = np.clip(phantom + 500, 0, 4095).astype("<u2")
    tags = {"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11, "PixelData": raw.tobytes()}
    source = write_ct(tmp_path / "a.dcm", **tags, RescaleIntercept="-500")
    dataset, n_clipped = derive(source, tmp_path / "b.dcm", np.where(phantom == 0, -700, 0))
    assert n_clipped == (phantom == 0).sum()
    assert (pixel_array(dataset)[phantom == 0] == 0).all()


def test_padding_stays_and_nothing_becomes_padding(write_ct, phantom, tmp_path):
    phantom[:8] = -2024 + 24  # stored −976
    source = write_ct(tmp_path / "a.dcm", image_hu=phantom, PixelPaddingValue=-976)
    change = np.full((64, 64), 30.0)
    change[32, 32] = -2000 - phantom[32, 32]  # would store −976
    dataset, _ = derive(source, tmp_path / "b.dcm", change)
    after = pixel_array(dataset)
    assert (after[:8] == -976).all()
    assert after[32, 32] == -975
    assert (after == -976).sum() == 8 * 64
    assert dataset.PixelPaddingValue == -976
    assert dataset["PixelPaddingValue"].VR == "SS"


def test_padding_beyond_the_bits_that_the_header_counts(write_ct, phantom, tmp_path):
    phantom[:8] = -4024
    source = write_ct(tmp_path / "a.dcm", image_hu=phantom, BitsStored=12, HighBit=11, PixelPaddingValue=-3000)
    dataset, n_clipped = derive(source, tmp_path / "b.dcm", np.zeros((64, 64)))
    assert n_clipped == 0
    np.testing.assert_array_equal(pixel_array(dataset), stored(source))


def test_identifiers_depend_on_source_salt_and_recipe_alone(write_ct, tmp_path):
    source = write_ct(tmp_path / "a.dcm")
    first, _ = derive(source, tmp_path / "b.dcm")
    again, _ = derive(source, tmp_path / "c.dcm")
    assert (tmp_path / "b.dcm").read_bytes() == (tmp_path / "c.dcm").read_bytes()
    assert first.SOPInstanceUID == again.SOPInstanceUID
    names = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
    salted, _ = derive(source, tmp_path / "d.dcm", derivation=Derivation(*["p", 1, "recipe", "", "", b"x", False]))
    assert not any(first[name].value == salted[name].value for name in names)
    other, _ = derive(source, tmp_path / "d.dcm", derivation=Derivation(*["p", 1, "other", "", "", b"salt", False]))
    assert [first[name].value == other[name].value for name in names] == [False, False, True, True]
    second = write_ct(tmp_path / "e.dcm", 1)
    neighbour, _ = derive(second, tmp_path / "d.dcm")
    assert [first[name].value == neighbour[name].value for name in names] == [False, True, True, True]


def test_a_frozen_identifier():
    assert derived_uid("study", "1.2.3", b"salt") == "2.25.240362352855652202138447844832581232352"


def test_identity_is_kept_when_asked(write_ct, tmp_path):
    source = write_ct(
        tmp_path / "a.dcm",
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
        StudyDate="20200102",
        SeriesNumber=4,
        StudyDescription="Abdomen",
    )
    dataset, _ = derive(source, tmp_path / "b.dcm", np.full((64, 64), 5.0), KEPT)
    before = pydicom.dcmread(source)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "StudyDescription"):
        assert str(dataset[keyword].value) == str(before[keyword].value)
    assert dataset.FrameOfReferenceUID == before.FrameOfReferenceUID
    assert dataset.SeriesInstanceUID != before.SeriesInstanceUID
    assert dataset.SeriesNumber == 1004
    (reference,) = dataset.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert "PatientIdentityRemoved" not in dataset


def test_by_default_the_patient_is_a_pseudonym(write_ct, tmp_path):
    dataset, _ = derive(write_ct(tmp_path / "a.dcm", PatientName="Citizen^Jan"), tmp_path / "b.dcm")
    assert (dataset.PatientName, dataset.PatientID) == ("p-00000001", "p-00000001")
    assert dataset.PatientIdentityRemoved == "YES"
    assert "SourceImageSequence" not in dataset
    assert dataset.ContributingEquipmentSequence[0].SoftwareVersions == "1.0"


def test_only_true_numbers_get_through(write_ct, tmp_path):
    source = write_ct(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, representation in (
            ("KVP", "LO"),
            ("Exposure", "LO"),
            ("SliceThickness", "LO"),
            ("TableSpeed", "LO"),
        ):
            tag = pydicom.datadict.tag_for_keyword(keyword)
            dataset[tag] = pydicom.DataElement(tag, representation, CANARY if keyword != "SliceThickness" else "2.5")
        dataset.PatientPosition = CANARY
        dataset.save_as(source)
        image = read_images(source, 16)[0]
    write_derived(image, None, tmp_path / "b.dcm", 1, "how", HIDDEN)
    after = pydicom.dcmread(tmp_path / "b.dcm")
    assert CANARY.encode() not in (tmp_path / "b.dcm").read_bytes()
    assert after.KVP is None
    assert after.SliceThickness == 2.5
    assert after["SliceThickness"].VR == "DS"


def test_decimals_that_are_too_long_are_shortened(write_ct, tmp_path):
    with pydicom.config.disable_value_validation():
        source = write_ct(tmp_path / "a.dcm", ImagePositionPatient=["-123.45678901234567890", "0", "1"])
        image = read_images(source, 16)[0]
    write_derived(image, None, tmp_path / "b.dcm", 1, "how", HIDDEN)
    dataset = pydicom.dcmread(tmp_path / "b.dcm")
    assert dataset.ImagePositionPatient[0] == pytest.approx(-123.45678901234568, rel=1e-12)
    assert len(str(dataset.ImagePositionPatient[0])) <= 16


def test_frames_of_enhanced_ct_become_images(write_enhanced_ct, phantom, tmp_path):
    source = write_enhanced_ct(tmp_path / "e.dcm", np.stack([phantom] * 2), [(1, -1024), (2, -1000)])
    change = np.full((64, 64), 10.0)
    found = [derive(source, tmp_path / f"{frame}.dcm", change, KEPT, frame)[0] for frame in (0, 1)]
    assert [float(dataset.RescaleSlope) for dataset in found] == [1, 2]
    assert [float(dataset.ImagePositionPatient[2]) for dataset in found] == [0, 5]
    assert [dataset.SourceImageSequence[0].ReferencedFrameNumber for dataset in found] == [1, 2]
    assert found[0].SOPInstanceUID != found[1].SOPInstanceUID
    for dataset in found:
        image_hu = pixel_array(dataset) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        np.testing.assert_allclose(image_hu, phantom + 10, atol=1)
        assert dataset.SliceThickness == 5


def test_pixels_that_are_not_16_bits_are_refused(write_ct, tmp_path):
    raw = np.zeros((64, 64), np.uint8)
    tags = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "PixelData": raw.tobytes()}
    (image,) = read_images(write_ct(tmp_path / "a.dcm", **tags), 16)
    with pytest.raises(Refused, match="16 bits"):
        write_derived(image, None, tmp_path / "b.dcm", 1, "how", HIDDEN)
    assert not (tmp_path / "b.dcm").exists()


def test_a_source_that_vanished_or_broke_is_refused(write_ct, tmp_path):
    source = write_ct(tmp_path / "a.dcm")
    image: Image = read_images(source, 16)[0]
    source.write_bytes(source.read_bytes()[:-100])
    with pytest.raises(Refused, match="cannot be written as a derived image"):
        write_derived(image, None, tmp_path / "b.dcm", 1, "how", HIDDEN)
    assert list(tmp_path.iterdir()) == [source]
