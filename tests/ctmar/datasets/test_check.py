"""`ctmar check` says before a study what it would keep, what it would leave out, and what stands in its way."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.ctmar.canaries import CANARY, traces
from typer.testing import CliRunner

from ctmar.cli import app
from ctmar.config import Ingest, Source, Split
from ctmar.datasets.check import check_folder

SMALL = Ingest(image_size=64, pixel_mm=2.0, minimum_rows=32, maximum_slices_per_patient=8)


def checked(folder: Path, settings: Ingest = SMALL, split: Split | None = None):
    source = Source(kind="dicom_dir", folder=folder)
    return check_folder(folder, settings, source, split or Split(), threads=1, progress=lambda *_: None)


@pytest.fixture
def folder(write_ct, tmp_path) -> Path:
    """Three patients: ten slices, five, and three, and what does not belong there."""
    for patient, n_slices in enumerate((10, 5, 3)):
        uid = f"1.2.{patient}"
        for k in range(n_slices):
            path = tmp_path / "My DICOM (2)" / f"{CANARY}-{patient}" / f"{k}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            tags = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "FrameOfReferenceUID": f"{uid}.2"}
            write_ct(path, 100 * patient + k, PatientID=f"{CANARY}{patient}", **tags)
    root = tmp_path / "My DICOM (2)"
    (root / "notes.txt").write_text("no CT")
    (root / "letter.pdf").write_bytes(b"%PDF")
    write_ct(root / "scout.dcm", 900, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    return root


def test_a_folder_that_a_study_can_use(folder):
    found = checked(folder)
    assert found.obstacle is None
    assert found.lines[0].startswith("usable: 3 patients, 3 series, about 16 slices (at most 8 of a patient")
    assert sum("4 of 4 slices tried pass" in line or "3 of 3 slices tried pass" in line for line in found.lines) == 3
    assert "left out: 3 files or slices" in found.lines
    assert any(line.startswith("  2 × not a DICOM file") for line in found.lines)
    assert any(line.startswith("  1 × image type LOCALIZER; what to do: ") for line in found.lines)
    assert "patients by subset: 1 test, 1 train, 1 validation" in found.lines
    assert found.lines[-1].startswith("with 1 test patients differences stay undecided")
    assert traces("\n".join(found.lines).encode()) == []


def test_too_few_patients_are_told_with_what_to_do(folder):
    shutil.rmtree(folder / f"{CANARY}-2")
    obstacle = checked(folder).obstacle
    assert obstacle is not None
    assert "at least 3 patients are needed" in obstacle
    two = Split(fractions={"train": 0.7, "validation": 0.0, "test": 0.3})
    assert checked(folder, split=two).obstacle is None


def test_people_of_one_identifier_are_told_that_they_are_one_patient(write_ct, tmp_path):
    """Who makes data anonymous may give everybody the same identifier."""
    for k in range(3):
        tags = {name: f"1.2.{k}.{n}" for n, name in enumerate(("StudyInstanceUID", "FrameOfReferenceUID"))}
        write_ct(tmp_path / "in" / f"{k}.dcm", k, PatientID="ANONYMOUS", **tags)
    assert "found 1, of which 0 are assigned by name; add patients (what has one PatientID" in str(
        checked(tmp_path / "in").obstacle
    )


def test_slices_that_fail_quality_control(write_ct, phantom, tmp_path):
    metal = np.where(phantom > 700, 3000, phantom)
    for k in range(3):
        write_ct(tmp_path / "in" / f"{k}.dcm", k, image_hu=metal)
    found = checked(tmp_path / "in")
    assert found.obstacle is not None
    assert "no slice passes quality control" in found.obstacle
    assert any("3 × real metal" in line for line in found.lines)


def test_a_folder_without_ct(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    found = checked(tmp_path)
    assert found.obstacle is not None
    assert "none of the files is usable CT" in found.obstacle
    assert found.lines[0].startswith("usable: 0 patients")
    assert "folder not found" in str(checked(tmp_path / "gone").obstacle)


def test_the_command(folder, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"source: {{kind: dicom_dir, folder: '{folder}'}}\n"
        "ingest: {image_size: 64, pixel_mm: 2.0, minimum_rows: 32}\nstudy: {runs: [{method: plain}]}\n"
    )
    done = CliRunner().invoke(app, ["check", str(folder), "--config", str(config)])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "a study can run on this folder")
    done = CliRunner().invoke(app, ["check", str(folder)])  # 64 rows are too few by default
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1].startswith("a study cannot run on this folder yet: ")
