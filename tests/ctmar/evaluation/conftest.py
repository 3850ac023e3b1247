"""Finished runs whose every number is known."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ctmar.evaluation.columns import METRICS
from ctmar.evaluation.pair_metrics import write_slices

PAIRS = [
    {"patient": patient, "slice_id": f"{patient}/1/{k:04d}", "mask_index": mask, "metal_pixels": 10 + 90 * mask}
    | {"metal": ("titanium", "steel")[k % 2], "metal_size": 5 - mask}
    for patient in ("a", "b")
    for k in range(3)
    for mask in (0, 1)
]
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run whose PSNR is ``psnr`` plus the number of the pair."""

    def make(
        method: str,
        norm: str = "none",
        lam_perp: float = 0.0,
        seed: int = 0,
        psnr: float = 30.0,
        non_equivariance: float = 0.9,
        validation_psnr: float | None = None,
        pairs: list[dict] = PAIRS,
        lam_equi: float = 0.0,
        softness: float = 0.0,
    ) -> Path:
        folder = tmp_path / f"{method}-{norm}-{lam_perp}-{lam_equi}-{softness}-{seed}".replace(":", "-")
        run = {"network": "n", "method": method, "norm": norm, "lam_perp": lam_perp, "lam_equi": lam_equi}
        run |= {"softness": softness, "seed": seed}
        facts = {"seconds_per_step_median": 0.1, "peak_memory_mb": 100.0, "n_parameters": 7, "seconds_total": 1.0}
        model = {"relative_non_equivariance": non_equivariance, "defect_mean": non_equivariance / 10, "defect_max": 1.0}
        model |= {"defect_at_angles": {"15": 0.05}, "defect_floor_at_angles": {"15": 0.01}, "peak_memory_mb": 300.0}
        model |= {"psnr_turned_db": {"0": 30.0, "90": 29.0, "180": 28.0, "270": 27.0}, "seconds_per_image": 0.02}
        epoch = dict.fromkeys(("step", "loss", "task_loss", "penalty", "learning_rate", "validation_loss"), 0.0)
        epoch |= {"epoch": 1, "validation_psnr": psnr if validation_psnr is None else validation_psnr}
        metrics = dict.fromkeys(METRICS, 50.0) | {"ssim": 0.9, "rmse_bone_hu": float("nan")}
        folder.mkdir(exist_ok=True)
        rows = [pair | metrics | {"psnr_db": psnr + k} for k, pair in enumerate(pairs)]
        write_slices(folder / "slices.csv", rows)
        (folder / "run.json").write_text(json.dumps({"run": run, **facts}))
        (folder / "model.json").write_text(json.dumps(model))
        (folder / "metrics.jsonl").write_text(json.dumps(epoch) + "\n")
        return folder

    return make
