"""The public CT of pinned packages: nine patients, none of them twice."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from ctmar.config import load_config
from ctmar.datasets.ingest import ingest
from ctmar.store.slices import read_slices
from ctmar.store.tables import read_rows

CONFIG = Path(__file__).resolve().parents[3] / "config" / "config.yaml"


@pytest.fixture(scope="module")
def ingested(packages, tmp_path_factory) -> Path:
    """Slices and tables of all packages, with the settings of the default study."""
    folder = tmp_path_factory.mktemp("ingested")
    outputs = (folder / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv"))
    ingest(packages, *outputs, settings=load_config(CONFIG).ingest)
    return folder


def test_nine_patients_and_their_usable_slices(ingested):
    rows = read_rows(ingested / "catalogue.csv", ["patient", "kind", "n_slices_found", "n_slices_kept"])
    assert {row["patient"]: (row["kind"], row["n_slices_found"], row["n_slices_kept"]) for row in rows} == {
        "aorta-ct": ("nifti", "191", "6"),
        "torso-ct": ("nifti", "112", "18"),
        "abdomen-petct": ("dicom", "20", "20"),
        "head-693": ("dicom", "1", "1"),
        "abdomen-pancreas": ("dicom", "1", "1"),
        "chest-lidc": ("nifti", "133", "10"),
        "chest-slicer": ("nrrd", "34", "19"),
        "torso-plan": ("dicom", "1", "1"),
        "head-tilted": ("dicom", "1", "1"),
    }
    tilts = {row["patient"]: row["tilt_degrees"] for row in rows}
    assert {patient for patient, tilt in tilts.items() if tilt != "0.0"} == {"head-tilted"}
    assert tilts["head-tilted"] == "22.0"


def best_match(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Highest correlation of a slice with one of other slices, over all shifts."""
    spectra = np.fft.rfft2([image - image.mean() for image in others])
    norms = [np.linalg.norm(image - image.mean()) for image in others]
    return max(
        float((np.fft.irfft2(np.fft.rfft2(image - image.mean()).conj() * spectra).max((1, 2)) / norms).max())
        / float(np.linalg.norm(image - image.mean()))
        for image in some
    )


def test_no_patient_is_there_twice(ingested):
    """Copies of one patient match at 1.00 (as example_ct_sm and example_ct do), patients up to 0.93."""
    slices: dict[str, list[np.ndarray]] = {}
    for record in read_slices(ingested / "slices.h5"):
        slices.setdefault(record.patient, []).append(record.image)
    for one, other in itertools.combinations(slices, 2):
        match = best_match(slices[one], slices[other])
        assert match < 0.96, (one, other, match)
    noise = np.random.default_rng(0).normal(0, 0.003, slices["chest-slicer"][5].shape)  # 15 HU
    copy = np.roll(slices["chest-slicer"][5], (7, -4), (0, 1)) + noise
    assert best_match([copy], slices["chest-slicer"]) > 0.99
