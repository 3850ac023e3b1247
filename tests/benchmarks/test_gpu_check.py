"""The GPU check itself: all parts on the CPU with nothing but its bundle, and what becomes of parts that fail."""

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.gpu_check import bundle, report
from benchmarks.gpu_check.parts import PARTS, Part, part_named
from benchmarks.gpu_check.rows import Recorder, Target, read_rows
from benchmarks.gpu_check.running import Options, run_part
from benchmarks.gpu_check.seeds import ManySeeds
from packaging.requirements import Requirement

from ctmar.config import Network, Run, Training
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.training.patches import PatchSampler
from ctmar.training.state import start
from ctmar.training.step import training_step

ON_THE_MACHINE = ("torch", "numpy", "h5py", "scipy", "numba", "pandas", "rich", "typer")
SIZE = 128
# an import hook that knows only the packages of a machine with a GPU, and those of the bundle
HIDING = """
import importlib.machinery, json, pathlib, sys
HIDDEN = set(json.loads(pathlib.Path(__file__).with_name("hidden.json").read_text()))

class Hide(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else super().find_spec(name, path, target)

sys.meta_path = [Hide if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
"""


def with_what_they_need(names: set[str]) -> set[str]:
    """Distributions and all that they require without extras."""
    known: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in known:
            continue
        known.add(name)
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        parsed = [Requirement(text) for text in required]
        waiting += [each.name for each in parsed if not each.marker or each.marker.evaluate({"extra": ""})]
    return known


def hidden_packages() -> set[str]:
    """Top-level modules that are installed here and that a machine with a GPU need not have."""
    there = (
        with_what_they_need(set(ON_THE_MACHINE)) | set(bundle.PURE) | set(bundle.COMPILED) | {"equiproj", "setuptools"}
    )
    owners = metadata.packages_distributions()
    return {
        module
        for module, names in owners.items()
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in names} & there
    }


@pytest.fixture(scope="module")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of discs at 128² and the tables of the tube; the wheels are those that are installed."""
    folder = tmp_path_factory.mktemp("bundle")
    y, x = np.mgrid[:SIZE, :SIZE]
    slices, pairs = [], []
    for k in range(3):
        image = np.where((x - 64) ** 2 + (y - 60) ** 2 < (40 + k) ** 2, 0.2, 0.0).astype(np.float32)
        slices.append(SliceRecord(image, image, f"patient-{k}", f"patient-{k}/1/0000", 2.0))
        streaks = (0.02 * np.cos(y / 3)).astype(np.float32)
        mask = ((y - 60) ** 2 + (x - 60) ** 2 < 36).astype(np.uint8)
        pairs.append(PairRecord(image + 2 * streaks, image + streaks, mask, k, 0, "titanium"))
    write_pairs(folder / "pairs.h5", slices, pairs, "train", {"seed": 0})
    (folder / "beam.json").write_text(json.dumps(bundle.beam_tables()))
    return folder


@pytest.mark.slow
def test_every_part_comes_to_its_end_without_any_other_package(small_bundle: Path, tmp_path: Path):
    hidden = hidden_packages()
    named = {"pydicom", "nibabel", "highdicom", "mlflow", "altair", "spekpy", "xraydb", "pyarrow", "skimage", "yaml"}
    assert named <= hidden
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    (tmp_path / "hidden.json").write_text(json.dumps(sorted(hidden)))
    variables = {name: value for name, value in os.environ.items() if name != "EQUIPROJ_GPU_TESTS_ON"}
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--device", "cpu", "--quick"]
    command += ["--bundle", str(small_bundle), "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [*command, *(f"--limit={part.key}=400" for part in PARTS)],  # the test machine may be busy
        cwd=bundle.ROOT,
        env=variables | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    facts = json.loads((tmp_path / "out" / "result.json").read_text())
    assert {key: part["outcome"] for key, part in facts["parts"].items()} == {part.key: "done" for part in PARTS}
    rows = [row for part in facts["parts"].values() for row in part["rows"]]
    assert all(row["met"] is None for row in rows), "a CPU is not judged"
    assert all(np.isfinite(row["value"]) for row in rows if row["value"] is not None)
    told = {row["name"] for row in rows}
    assert {"plain step", "dncnn: 2 processes together / one alone", "strict: gain"} <= told
    assert "Not yet run on a GPU" in report.page(facts)


def options(bundle_folder: Path, output: Path) -> Options:
    return Options("cpu", quick=True, trace=False, bundle=bundle_folder, output=output)


def test_a_part_that_fails_or_takes_too_long_is_a_line(tmp_path: Path):
    variables = os.environ | {"PYTHONPATH": f"{bundle.ROOT / 'src'}{os.pathsep}{bundle.ROOT}"}
    broken = run_part(part_named("e"), 100, options(tmp_path / "no bundle", tmp_path), variables)
    assert broken["outcome"] == "failed with code 1"
    assert "pairs.h5" in broken["log"]
    late = run_part(part_named("e"), 0.2, options(tmp_path, tmp_path), variables)
    assert late["outcome"] == "ended at its limit of 0.2 s, or killed"
    assert late["seconds"] < 60  # the part with what it needs takes minutes


def test_rows_written_before_a_crash_stay(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    record = Recorder(path, judge=True)
    record("cost", [0.5, 1.0, 1.5], "%", Target("≤", 1.0, "1 %"))
    record.attempt("speed", lambda: 1 / 0)
    with path.open("a") as file:
        file.write('{"name": "half a li')
    first, second = read_rows(path)
    assert (first["value"], first["low"], first["high"], first["n"], first["met"]) == (1.0, 0.75, 1.25, 3, True)
    assert second["value"] is None
    assert second["note"] == "failed: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(("sign", "value", "met"), [("≤", 0.02, False), ("≤", 0.01, True), ("≥", 0.02, True)])
def test_a_target_is_judged_as_it_is_written(sign: str, value: float, met: bool):
    assert Target(sign, 0.01, "1 %").is_met(value) is met


def test_the_limits_of_all_parts_fit_in_eight_minutes():
    assert sum(part.limit_s for part in PARTS) <= 8 * 60
    assert [part.key for part in PARTS] == sorted(part.key for part in PARTS)
    assert all(isinstance(part, Part) for part in PARTS)


def test_the_page_of_the_documentation_is_that_of_the_kept_result():
    facts = json.loads(report.KEPT.read_text(encoding="utf-8"))
    assert report.PAGE.read_text(encoding="utf-8") == report.page(facts), "run: make gpu-docs"
    assert (facts["device"] == "cuda") == ("Not yet run on a GPU" not in report.page(facts))


def test_a_missed_target_is_shown_as_missed():
    row = {"name": "a|b", "value": 0.5, "low": 0.4, "high": 0.6, "n": 3, "unit": "", "target": "≤ 1 %", "met": False}
    (*_, line, empty) = report.table([row | {"note": ""}])
    assert line == "| a\\|b | 0.5 | 0.4 to 0.6 | 3 |  | ≤ 1 % **missed** |"
    assert empty == ""


@pytest.mark.parametrize("loss", ["masked_mse", "stages"])
def test_many_seeds_in_one_network_are_the_separate_trainings(small_bundle: Path, loss: str):
    small = {"n_stages": 1, "n_blocks": 1, "n_maps": 4, "n_extra_channels": 3, "n_atoms": 4, "normalisation": "field"}
    network = Network(architecture="acdnet", settings=small) if loss == "stages" else Network(settings={"depth": 3})
    training = Training(epochs=1, batch_size=2, patch_size=16, loss=loss, schedule="constant", warmup_steps=0)
    runs = [Run(network="n", method="plain", seed=seed) for seed in (0, 1)]
    alone, together = ([start(run, network, training, "C4") for run in runs] for _ in range(2))
    samplers = [PatchSampler(small_bundle / "pairs.h5", 2, 16, run.seed) for run in runs]
    many = ManySeeds([state.network for state in together], training)
    for step in range(3):
        batches = [sampler.batch(step) for sampler in samplers]
        expected = [training_step(state, batch, step)[0] for state, batch in zip(alone, batches, strict=True)]
        assert many.step(batches) == pytest.approx(expected, rel=1e-3)
    for seed, state in enumerate(alone):
        expected_weights = torch.cat([parameter.detach().flatten() for parameter in state.network.parameters()])
        names = [name for name, _ in state.network.named_parameters()]
        weights = torch.cat([many.parameters[name][seed].detach().flatten() for name in names])
        # not entry by entry: Adam turns the rounding of a vanishing gradient into a whole step
        distance = torch.linalg.vector_norm(weights - expected_weights)
        assert distance <= 1e-2 * torch.linalg.vector_norm(expected_weights)


def test_the_network_of_the_check_is_that_of_the_workstation():
    from benchmarks.gpu_check.settings import ACDNET, acdnet

    from ctmar.config import load_config

    workstation = load_config(bundle.ROOT / "config" / "workstation.yaml").study.networks["acdnet"]
    assert acdnet(quick=False) == workstation
    assert workstation.settings == ACDNET
