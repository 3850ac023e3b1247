"""`ctmar train` as a rule of somebody else's workflow: what a job has finished is not lost with the job."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord

pytestmark = pytest.mark.workflow
WORK = (
    "ctmar train pairs.h5 pairs.h5 --output run --network 'architecture: dncnn, settings: {fields: 1, depth: 2}'"
    " --settings 'epochs: 2, steps_per_epoch: 3, batch_size: 1, patch_size: 8' 2> attempt.log"
    " && sha256sum run/weights.pt > sum && test -e lives"
)
RESULTS = ("weights.pt", "metrics.jsonl", "layers.jsonl", "kernels.npz", "run.json")
# the scheduler's time limit or a lost node, in the second after the work; the engine then deletes the outputs
SNAKEFILE = f"""
rule train:
    input: "pairs.h5"
    output: {", ".join(f'"run/{name}"' for name in RESULTS)}
    shell: "{WORK.replace("{", "{{").replace("}", "}}")}"
"""


def write_tiny_pairs(path: Path) -> None:
    image, mask = np.linspace(0, 0.4, 256, dtype=np.float32).reshape(16, 16), np.eye(16, dtype=np.uint8)
    slices = [SliceRecord(image, image, "patient", "patient/1/0", 1.0)]
    write_pairs(path, slices, [PairRecord(image * 1.1, image * 1.05, mask, 0, 0, "titanium")], "train", {})


def test_outputs_deleted_with_the_job_are_written_again_without_a_step(tmp_path: Path):
    results = [tmp_path / "run" / name for name in RESULTS]
    write_tiny_pairs(tmp_path / "pairs.h5")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def attempt() -> int:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-incomplete"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True).returncode

    assert attempt() != 0
    first = (tmp_path / "sum").read_text()
    assert "0/6" in (tmp_path / "attempt.log").read_text()
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    assert not [path for path in results if path.exists()]
    (tmp_path / "lives").touch()
    assert attempt() == 0
    assert "/6 " not in (tmp_path / "attempt.log").read_text()  # no step was taken
    assert (tmp_path / "sum").read_text() == first
    done = subprocess.run(["ctmar", "clean", "run"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("removed 1 files")
    assert all(path.is_file() for path in results)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
