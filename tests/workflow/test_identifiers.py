"""DICOM with a canary in every identifier, through the whole workflow: no trace in anything written."""

from pathlib import Path

import pytest
import yaml
from tests.ctmar.canaries import CANARY, plant, traces

pytestmark = pytest.mark.workflow

STUDY = {
    "source": {"kind": "dicom_dir", "folder": "study/dicom"},
    "ingest": {"image_size": 64, "pixel_mm": 6.0, "minimum_rows": 96},
    "simulation": {"masks_per_slice": {"train": 1, "validation": 1, "test": 1}},
    "training": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 2, "patch_size": 32},
    "study": {
        "networks": {"dncnn": {"architecture": "dncnn", "settings": {"fields": 1, "depth": 2}}},
        "seeds": [0],
        "runs": [{"method": "plain"}],
    },
    "evaluation": {"defect_slices": 1, "examples": 1},
    "judgement": {"bootstrap_samples": 100},
    "timing": {"repeats": 3},
}


def planted_patients(slices: list[Path], folder: Path) -> None:
    """Three patients of some slices each, made of one real series."""
    for number, source in enumerate(slices):
        patient = number % 3
        target = folder / f"{CANARY}^{patient}" / "19770707" / f"{CANARY}_{number}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        uid = f"1.2.77.777.7777.{patient}"
        uids = {"SeriesInstanceUID": uid, "StudyInstanceUID": f"{uid}.77", "FrameOfReferenceUID": f"{uid}.777"}
        plant(target, PatientID=f"{CANARY}{patient}", SOPInstanceUID=f"{uid}.{number}", **uids)
        assert traces(target.read_bytes())


def test_no_identifier_reaches_results_logs_tracking_or_report(finished_study, snakemake_on, tmp_path):
    slices = sorted((finished_study / "resources" / "packages" / "abdomen-petct").rglob("*.dcm"))[:9]
    assert len(slices) == 9
    folder = tmp_path / "study"
    planted_patients(slices, folder / "dicom")
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(STUDY))
    done = snakemake_on(study)(folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert traces((done.stdout + done.stderr).encode()) == []
    written = [path for path in folder.rglob("*") if path.is_file() and folder / "dicom" not in path.parents]
    assert {"mlflow.db", "index.html", "slices.h5", "ingest.log"} <= {path.name for path in written}
    for path in written:
        assert traces(path.read_bytes()) == [], path
        assert traces(str(path.relative_to(folder)).encode()) == []
