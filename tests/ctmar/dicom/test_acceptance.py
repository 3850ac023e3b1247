"""Which files are refused, each with its reason."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from ctmar.dicom.scan import read_images
from ctmar.store.quarantine import Refused

_DERIVED = ["DERIVED", "PRIMARY", "AXIAL"]
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"


def reason(path: Path, minimum_rows: int = 16) -> str:
    with pytest.raises(Refused) as refusal:
        read_images(path, minimum_rows)
    assert refusal.value.remedy
    return refusal.value.reason


def test_a_plain_slice_is_accepted(write_ct, tmp_path):
    (image,) = read_images(write_ct(tmp_path / "a.dcm"), 16)
    assert (image.rows, image.columns, image.row_mm, image.frame) == (64, 64, 2.0, -1)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "not CT: MR Image Storage"),
        ({"SOPClassUID": "1.2.3.4.5.6"}, "not CT: unknown SOP class"),
        ({"BurnedInAnnotation": "YES"}, "text is burned into the image and may name the patient"),
        ({"Rows": None}, "no image: Rows or Columns is missing"),
        ({"SamplesPerPixel": 3}, "a colour image"),
        ({"RescaleSlope": None}, "RescaleSlope is missing or not a number"),
        ({"RescaleIntercept": None}, "RescaleIntercept is missing or not a number"),
        ({"RescaleSlope": "0"}, "RescaleSlope is not positive"),
        ({"RescaleSlope": "-1"}, "RescaleSlope is not positive"),
        ({"RescaleType": "US"}, "RescaleType is not HU"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "image type LOCALIZER"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "image type SECONDARY"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MPR"]}, "image type MPR"),
        ({"ImageType": ["DERIVED", "PRIMARY", "MIP"]}, "image type MIP"),
        ({"ImageType": ["DERIVED", "PRIMARY", "JANE DOE"]}, "image type is not AXIAL"),
        ({"PixelSpacing": None}, "PixelSpacing is missing or not 2 numbers"),
        ({"PixelSpacing": [0.0, 1.0]}, "PixelSpacing is not positive"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient is missing or not 3 numbers"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient is missing or not 6 numbers"),
        (
            {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
            "ImageOrientationPatient is not two perpendicular unit vectors",
        ),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "not axial: tilted by more than 10°"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "not axial: tilted by more than 10°"),
        ({"NumberOfFrames": 2}, "several frames in a CT object that holds one by definition"),
    ],
)
def test_a_tag_that_forbids_use(write_ct, tmp_path, tags, expected):
    assert reason(write_ct(tmp_path / "a.dcm", **tags)) == expected


def test_image_type_may_be_absent_or_end_early(write_ct, tmp_path):
    for number, image_type in enumerate((None, ["ORIGINAL", "PRIMARY"], ["ORIGINAL ", "PRIMARY", "AXIAL "])):
        assert read_images(write_ct(tmp_path / f"{number}.dcm", ImageType=image_type), 16)


def test_too_few_rows_or_columns(write_ct, tmp_path):
    path = write_ct(tmp_path / "a.dcm", image_hu=np.zeros((64, 40)))
    assert read_images(path, 40)
    assert reason(path, 41) == "only 64 × 40 pixels, 41 are needed"


def test_511_rows_are_enough(write_ct, tmp_path):
    assert read_images(write_ct(tmp_path / "a.dcm", image_hu=np.full((511, 511), -1000.0)), 256)


def test_modality_lookup_table(write_ct, tmp_path):
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.ModalityLUTType = "HU"
    table.LUTData = b"\0" * 8
    path = write_ct(tmp_path / "a.dcm", ModalityLUTSequence=[table], RescaleSlope=None, RescaleIntercept=None)
    assert reason(path) == "a modality look-up table instead of a linear rescale to HU"


def plane(degrees: float) -> list[float]:
    """Orientation of a plane turned about the left–right axis."""
    angle = np.radians(degrees)
    return [1, 0, 0, 0, round(float(np.cos(angle)), 6), round(float(-np.sin(angle)), 6)]


@pytest.mark.parametrize("degrees", [0, 9.5, -9.5])
def test_near_axial_planes_are_accepted(write_ct, tmp_path, degrees):
    path = write_ct(
        tmp_path / "a.dcm", ImageOrientationPatient=plane(degrees), ImageType=["DERIVED", "PRIMARY", "AXIAL"]
    )
    assert read_images(path, 16)


def test_only_original_images_may_be_tilted_like_a_gantry(write_ct, tmp_path):
    assert read_images(write_ct(tmp_path / "a.dcm", ImageOrientationPatient=plane(-22)), 16)
    derived = write_ct(
        tmp_path / "b.dcm", ImageOrientationPatient=plane(-22), ImageType=["DERIVED", "PRIMARY", "AXIAL"]
    )
    assert reason(derived).startswith("not axial")
    assert reason(write_ct(tmp_path / "c.dcm", ImageOrientationPatient=plane(31))).startswith("not axial")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("philips_scout_0.dcm", "image type LOCALIZER"),
        ("philips_dose_0.dcm", "not CT: Secondary Capture Image Storage"),
        ("WG04_CT2_J2KR.dcm", "image type SECONDARY"),
        ("pydicom_eCT_Supplemental.dcm", "image type PERFUSION"),
    ],
)
def test_real_files_that_are_not_axial_ct(shared, name, expected):
    assert reason(shared / "edge_cases" / name) == expected


def test_a_small_real_file(shared):
    assert reason(shared / "edge_cases" / "pydicom_CT_small.dcm", 256) == "only 128 × 128 pixels, 256 are needed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MR_truncated.dcm", "not CT: MR Image Storage"),
        ("no_meta.dcm", "not a DICOM file: no preamble with 'DICM'"),
        ("ExplVR_LitEndNoMeta.dcm", "not a DICOM file: no preamble with 'DICM'"),
        ("meta_missing_tsyntax.dcm", "no transfer syntax in the file meta information"),
        ("badVR.dcm", "not CT: RT Dose Storage"),
        ("image_dfl.dcm", "a deflated data set"),
        ("DICOMDIR", "not CT: Media Storage Directory Storage"),
        ("DICOMDIR-empty.dcm", "not CT: Media Storage Directory Storage"),
    ],
)
def test_malformed_files_of_pydicom(name, expected):
    path = next(PYDICOM.rglob(name))
    assert reason(path) == expected


def test_a_missing_transfer_syntax(write_ct, tmp_path):
    path = write_ct(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    del dataset.file_meta.TransferSyntaxUID
    with path.open("wb") as file:
        pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    assert reason(path) == "no transfer syntax in the file meta information"


def test_a_file_cut_inside_its_header(write_ct, tmp_path):
    path = write_ct(tmp_path / "a.dcm")
    content = path.read_bytes()
    for length in range(0, len(content) - 64 * 64 * 2, 37):
        path.write_bytes(content[:length])
        assert reason(path)


@pytest.mark.parametrize("enhanced", [False, True])
def test_random_bytes_never_crash(write_ct, write_enhanced_ct, phantom, tmp_path, enhanced):
    """A hundred damaged headers: each is accepted or refused, nothing else happens."""
    path = tmp_path / "a.dcm"
    write_enhanced_ct(path, phantom[None], [(1, -1024)]) if enhanced else write_ct(path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        damaged = bytearray(content)
        for place in generator.integers(132, len(content) - 64 * 64 * 2, size=20):
            damaged[place] = generator.integers(256)
        (tmp_path / "b.dcm").write_bytes(damaged)
        try:
            read_images(tmp_path / "b.dcm", 16)
        except Refused:
            refused += 1
    assert refused > 50


def test_a_deflated_data_set_is_refused_before_it_grows(write_ct, tmp_path):
    path = write_ct(tmp_path / "a.dcm", image_hu=np.zeros((1024, 1024)))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    assert path.stat().st_size < 10_000
    assert reason(path) == "a deflated data set"


def test_enhanced_ct_without_a_rescale(write_enhanced_ct, phantom, tmp_path):
    path = write_enhanced_ct(tmp_path / "e.dcm", phantom[None], [(1, -1024)])
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence
    dataset.save_as(path)
    assert reason(path) == "enhanced CT without PixelValueTransformationSequence"


def test_enhanced_ct_of_a_derived_contrast(write_enhanced_ct, phantom, tmp_path):
    kinds = ["DERIVED", "PRIMARY", "VOLUME", "MAXIMUM"]
    path = write_enhanced_ct(tmp_path / "e.dcm", phantom[None], [(1, -1024)], ImageType=kinds)
    assert reason(path) == "derived contrast instead of Hounsfield numbers"


def test_a_refusal_never_quotes_the_header(write_ct, tmp_path):
    secrets = {"ImageType": ["ZEBRA", "ZEBRA", "ZEBRA"], "Manufacturer": "ZEBRA", "RescaleType": "ZEBRA"}
    for tag, value in secrets.items():
        path = write_ct(tmp_path / "a.dcm", **{tag: value})
        if tag == "Manufacturer":
            assert read_images(path, 16)[0].manufacturer == "other"
        else:
            assert "ZEBRA" not in reason(path)


@pytest.mark.parametrize(
    ("tags", "attribute"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "IODINE"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "CT_SOM7 SPI DUAL IODINE"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "SUBTRACTION"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "ELECTRON_DENSITY"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "Z EFFECTIVE", "Z_EFF"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"]}, "ImageType"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "VNC"]}, "ImageType"),
        (
            {"DerivationDescription": "Iodine map", "ImageType": ["DERIVED", "PRIMARY", "AXIAL"]},
            "DerivationDescription",
        ),
        (
            {"SeriesDescription": "Pre/post subtraction", "ImageType": ["DERIVED", "PRIMARY", "AXIAL"]},
            "SeriesDescription",
        ),
        ({"DerivationCodeSequence": "113062"}, "DerivationCodeSequence"),
        ({"RealWorldValueMappingSequence": "mg/cm3"}, "RealWorldValueMappingSequence"),
    ],
)
def test_maps_that_are_no_hounsfield_numbers(write_ct, tmp_path, tags, attribute):
    code = Dataset()
    if attribute == "DerivationCodeSequence":
        code.CodeValue = tags[attribute]
        tags = {attribute: [code]}
    if attribute == "RealWorldValueMappingSequence":
        code.CodeValue, mapping = tags[attribute], Dataset()
        mapping.MeasurementUnitsCodeSequence = [code]
        tags = {attribute: [mapping]}
    path = write_ct(tmp_path / "a.dcm", **tags)
    assert reason(path) == (
        f"a map of a material, a difference or a mask instead of Hounsfield numbers: {attribute} says so"
    )
    assert read_images(path, 16, derived_maps=True)


@pytest.mark.parametrize("rescale_type", ["ED", "EDW", "Z_EFF", "MGML", "PCT", "HU_MOD", "US"])
def test_a_rescale_to_something_else(write_ct, tmp_path, rescale_type):
    path = write_ct(tmp_path / "a.dcm", ImageType=["DERIVED", "PRIMARY", "AXIAL"], RescaleType=rescale_type)
    assert reason(path) == "RescaleType is not HU"
    assert read_images(path, 16, derived_maps=True)


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "CT_SOM5 SPI", "MONO_E70"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "HELIX"], "SeriesDescription": "Abdomen iodine contrast"},
        {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"], "DerivationDescription": "lossy compression"},
    ],
)
def test_images_in_hounsfield_numbers_stay(write_ct, tmp_path, tags):
    assert read_images(write_ct(tmp_path / "a.dcm", **tags), 16)


def test_enhanced_ct_of_a_map(write_enhanced_ct, phantom, tmp_path):
    path = write_enhanced_ct(tmp_path / "e.dcm", phantom[None], [(1, -1024)])
    dataset = pydicom.dcmread(path)
    dataset.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleType = "MGML"
    dataset.save_as(path)
    assert reason(path) == "RescaleType is not HU"


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("PixelSpacing", ["2.125", "2.125"]),
        ("RescaleIntercept", "-1024.25"),
        ("ImagePositionPatient", ["1.125", "2.5", "3.5"]),
    ],
)
def test_a_decimal_comma_is_named(write_ct, tmp_path, keyword, values):
    path = write_ct(tmp_path / "a.dcm", **{keyword: values})
    written = (values if isinstance(values, str) else "\\".join(values)).encode()
    assert written in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(written, written.replace(b".", b",")))
    assert reason(path) == f"{keyword} is written with a decimal comma"


@pytest.mark.parametrize("position", [[0, 0, 1e6], [-5001, 0, 0], [0, 1e300, 0]])
def test_positions_beyond_any_table(write_ct, tmp_path, position):
    path = write_ct(tmp_path / "a.dcm", ImagePositionPatient=position)
    farthest = max(map(abs, position))
    assert reason(path) == f"ImagePositionPatient is {farthest:.4g} mm from the origin"
