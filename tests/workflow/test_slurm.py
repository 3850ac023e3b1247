"""The small study through a Slurm that answers; skipped where there is none."""

import hashlib
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.workflow


@pytest.fixture
def slurm():
    """A controller that is up and has the two partitions that the profile names."""
    if shutil.which("sinfo") is None:
        pytest.skip("Slurm is not installed")
    partitions = subprocess.run(["sinfo", "--noheader", "--format", "%R"], text=True, capture_output=True)
    if {"cpu", "gpu"} - set(partitions.stdout.split()):
        pytest.skip("no Slurm with the partitions cpu and gpu answers")


def test_slurm_gives_the_same_models(slurm, finished_study, snakemake_on_slurm, tmp_path):
    quickly = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    done = snakemake_on_slurm(tmp_path, *quickly)
    assert done.returncode == 0, done.stderr[-6000:]
    assert (tmp_path / "reports" / "small" / "index.html").is_file()
    weights = [
        {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("weights.pt")}
        for folder in (tmp_path, finished_study)
    ]
    assert weights[0]
    assert weights[0] == weights[1]
