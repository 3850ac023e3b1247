"""DICOM with a canary in every identifier, through the whole workflow: no trace in anything written.

The checkout and the folders have names that a shell would take apart, and every free text of the configuration tries to
run a command: what identifies and what attacks goes the same way.
"""

import re
from pathlib import Path

import pytest
import yaml
from tests.ctmar.canaries import CANARY, plant, traces
from tests.workflow.conftest import Snakemake

from ctmar.bundles.patient_names import pseudonyms_in

pytestmark = pytest.mark.workflow

DICOM = "My DICOM (2) $(touch RAN)"
ATTACKS = [
    "$(touch RAN)",
    "`touch RAN`",
    "'; touch RAN; '",
    '"; touch RAN; "',
    "{input} {wildcards.x} {{}}",
    "-rf",
    "../..",
    "Jörg\nzwei",
]
HOSTILE = " ".join(ATTACKS)
STUDY = {
    "source": {"kind": "dicom_dir", "folder": f"own study/{DICOM}", "licence": HOSTILE, "citation": f"={HOSTILE}"},
    "ingest": {"image_size": 64, "pixel_mm": 6.0, "minimum_rows": 96},
    "simulation": {"masks_per_slice": {"train": 1, "validation": 1, "test": 1}},
    "training": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 2, "patch_size": 32},
    "study": {
        "networks": {"dncnn": {"architecture": "dncnn", "settings": {"fields": 1, "depth": 2}}},
        "seeds": [0],
        "runs": [{"method": "plain"}],
    },
    "evaluation": {"defect_slices": 1, "examples": 1},
    "timing": {"repeats": 6, "networks": {}},
    "tracking": {"experiment": HOSTILE.replace("\n", " ")},
    "report": {"title": f"<script>alert(1)</script> {HOSTILE}"},
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


def test_no_identifier_reaches_results_logs_tracking_or_report(finished_study, hostile_checkout, tmp_path):
    slices = sorted((finished_study / "resources" / "packages" / "abdomen-petct").rglob("*.dcm"))[:9]
    assert len(slices) == 9
    folder = tmp_path / "own study"
    planted_patients(slices, folder / DICOM)
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(STUDY))
    snakemake = Snakemake(study, checkout=hostile_checkout)
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert traces((done.stdout + done.stderr).encode()) == []
    written = [path for path in folder.rglob("*") if path.is_file() and folder / DICOM not in path.parents]
    assert {"mlflow.db", "index.html", "slices.h5", "ingest.log"} <= {path.name for path in written}
    for path in written:
        assert traces(path.read_bytes()) == [], path
        assert traces(str(path.relative_to(folder)).encode()) == []
    assert not [path for path in tmp_path.rglob("RAN") if path.name == "RAN"]
    page = (folder / "reports" / "study" / "index.html").read_text()
    assert "<script>alert(1)" not in page
    bundle_without_patients(snakemake, folder)


def bundle_without_patients(snakemake: Snakemake, folder: Path) -> None:
    """The bundle of the study: no identifier, pseudonym, image or path, and it reproduces itself."""
    done = snakemake.ctmar(folder, "bundle", "results/study", "--output", "my bundle")
    assert done.returncode == 0, done.stderr
    files = {path.relative_to(folder / "my bundle").as_posix(): path for path in (folder / "my bundle").rglob("*")}
    contents = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    assert len([name for name in contents if name.endswith("weights.pt")]) == 1
    for name, content in contents.items():
        assert traces(content) == [], name
        assert DICOM.encode() not in content, name
        assert str(folder).encode() not in content, name
        if not name.startswith("code/"):
            assert not pseudonyms_in(content), name
            images = (".h5", "examples.npz", "thumbnails.npz")
            assert not name.endswith((*images, ".html", "catalogue.csv", "quarantine.csv", "dataset_card.md"))
    done = snakemake.ctmar(folder, "reproduce", "my bundle", "--against", "results/study")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weights of 1 of 1 runs equal, bit for bit" in done.stdout


def test_a_dry_run_of_every_rule_with_hostile_texts(hostile_checkout, tmp_path):
    """Every shell line that a configuration's text reaches holds it as one word."""
    (tmp_path / DICOM).mkdir()
    names = {"salt": "salt $(touch RAN)", "masks": "masks;touch RAN", "weights": "w'x.pt"}
    for name in names.values():
        (tmp_path / name).write_text("x")
    study = {
        **STUDY,
        "source": {**STUDY["source"], "folder": DICOM},
        "ingest": {**STUDY["ingest"], "salt_file": names["salt"]},
        "simulation": {**STUDY["simulation"], "masks": "folder", "mask_folder": names["masks"]},
        "study": {**STUDY["study"], "networks": {"dncnn": {"architecture": "dncnn", "weights": names["weights"]}}},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    done = Snakemake(tmp_path / "study.yaml", checkout=hostile_checkout)(
        tmp_path, "--dry-run", "--printshellcmds", "--workflow-profile", "none"
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    commands = re.findall(r"Shell command: (.*?)(?=\n\n|\n\[|\Z)", done.stdout, re.DOTALL)
    assert len(commands) >= 10
    for word in ("$(touch RAN)", "`touch RAN`", "{input} {wildcards.x} {{}}"):
        assert any(word in command for command in commands)
    for command in commands:
        # outside single quotes nothing is left that a shell would run
        bare = re.sub(r"'[^']*'", "", command.replace("""'"'"'""", ""))
        assert "touch" not in bare, command
        assert "$(" not in bare, command
    assert not list(tmp_path.rglob("RAN"))
