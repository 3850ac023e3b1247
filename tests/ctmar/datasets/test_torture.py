"""All test files of pydicom and pydicom-data in one folder: none crashes, each is kept or left out for its true reason.

The true reason is found here by plain pydicom, which reads every header whole.
"""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from ctmar.config import Ingest
from ctmar.datasets.ingest import Summary, ingest
from ctmar.store.pseudonyms import pseudonym, read_salt
from ctmar.store.tables import read_rows

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
DUPLICATE = "duplicate: another image of the series lies at the same position"
# large CT images: one slice each of two heads and an abdomen, of one head in four compressions; and what is wrong else
LARGE_CT = {
    "693_J2KR.dcm": "kept",
    "693_J2KI.dcm": DUPLICATE,
    "693_UNCR.dcm": DUPLICATE,
    "693_UNCI.dcm": DUPLICATE,
    "explicit_VR-UN.dcm": "kept",
    "J2K_pixelrep_mismatch.dcm": "kept",
    "bad_sequence.dcm": "truncated: body along more than 0.5 of the image border",
    "eCT_Supplemental.dcm": "image type PERFUSION",
}


def true_reason(path: Path) -> str:
    """How the reason must begin, or ``kept``."""
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return "not a DICOM file: no preamble with 'DICM'"
    dataset = pydicom.dcmread(path, force=True)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        return "no transfer syntax"
    if syntax.is_deflated:
        return "a deflated data set"
    sop_class = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or ""
    if sop_class not in (CT, ENHANCED_CT):
        return f"not CT: {UID(sop_class).name or 'no SOP class'}"
    if "Rows" not in dataset:
        return "no image: Rows or Columns is missing"
    if min(dataset.Rows, dataset.Columns) < 256:
        return f"only {dataset.Rows} × {dataset.Columns} pixels"
    return LARGE_CT[path.name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("torture") / "in"
    shutil.copytree(Path(pydicom.__file__).parent / "data", folder / "pydicom")
    found = importlib.util.find_spec("data_store")
    if found is not None and found.origin is not None:
        shutil.copytree(Path(found.origin).parent / "data", folder / "pydicom-data")
    return folder


@pytest.fixture(scope="module")
def result(folder) -> tuple[Summary, dict[str, str]]:
    """The summary, and the reason by file; files that were kept are missing."""
    outputs = [folder.parent / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv", "thumbnails.npz")]
    summary = ingest(folder, *outputs, settings=Ingest(image_size=128), threads=2)
    rows = read_rows(outputs[1], ["file", "reason", "remedy"])
    assert all(row["remedy"] for row in rows)
    return summary, {row["file"]: row["reason"] for row in rows}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # pydicom warns of nearly each of these files
def test_every_file_is_kept_or_left_out_for_its_true_reason(folder, result):
    summary, reasons = result
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert summary.n_files == len(paths) == summary.n_slices + summary.n_quarantined
    assert len(reasons) == summary.n_quarantined
    kept = 0
    for path in paths:
        found = reasons.get(pseudonym("f", path.relative_to(folder).as_posix(), read_salt(None)), "kept")
        expected = true_reason(path)
        # of the head in four compressions any lossless one may be kept
        assert found.startswith(expected) or path.name.startswith("693_"), (path.name, found, expected)
        kept += found == "kept"
    assert kept == summary.n_slices


def test_of_a_slice_in_several_compressions_one_is_kept(folder, result):
    _, reasons = result
    found = [
        reasons.get(pseudonym("f", path.relative_to(folder).as_posix(), read_salt(None)), "kept")
        for path in folder.rglob("693_*.dcm")
    ]
    if not found:
        pytest.skip("pydicom-data is not installed: pip install 'equiproj[test]'")
    assert sorted(found) == sorted(["kept", *[DUPLICATE] * (len(found) - 1)])


def test_the_catalogue_and_the_thumbnails_are_of_what_was_kept(folder, result):
    summary, _ = result
    rows = read_rows(folder.parent / "catalogue.csv", ["n_slices_kept", "minimum_hu"])
    assert sum(int(row["n_slices_kept"]) for row in rows) == summary.n_slices
    with np.load(folder.parent / "thumbnails.npz", allow_pickle=False) as file:
        assert len(file["image"]) == summary.n_slices
        assert all(image.max() > 200 for image in file["image"])


def test_a_modality_table_is_refused_also_where_the_object_says_ct(folder, tmp_path):
    """pydicom-data's mlut_18 is a secondary capture; as CT it is refused for its table."""
    from ctmar.dicom.scan import read_images
    from ctmar.store.quarantine import Refused

    paths = list(folder.rglob("mlut_18.dcm"))
    if not paths:
        pytest.skip("pydicom-data is not installed: pip install 'equiproj[test]'")
    dataset = pydicom.dcmread(paths[0])
    assert true_reason(paths[0]) == "not CT: Secondary Capture Image Storage"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CT
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(Refused, match="a modality look-up table instead of a linear rescale"):
        read_images(tmp_path / "a.dcm", 16)
