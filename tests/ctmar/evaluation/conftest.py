"""Finished runs whose every number is known."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ctmar.evaluation.slices import METRICS, PAIR_COLUMNS
from ctmar.store.tables import write_rows

PAIRS = [(patient, f"{patient}/1/{k:04d}", mask, 10) for patient in ("a", "b") for k in range(3) for mask in (0, 1)]
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
        pairs: list[tuple] = PAIRS,
    ) -> Path:
        folder = tmp_path / f"{method}-{norm}-{lam_perp}-{seed}".replace(":", "-")
        run = {"network": "n", "method": method, "norm": norm, "lam_perp": lam_perp, "lam_equi": 0.0, "seed": seed}
        facts = {"seconds_per_step_median": 0.1, "peak_memory_mb": 100.0, "n_parameters": 7, "seconds_total": 1.0}
        model = {"relative_non_equivariance": non_equivariance, "defect_mean": non_equivariance / 10, "defect_max": 1.0}
        epoch = dict.fromkeys(("step", "loss", "task_loss", "penalty", "learning_rate", "validation_loss"), 0.0)
        epoch |= {"epoch": 1, "validation_psnr": psnr if validation_psnr is None else validation_psnr}
        rows = [
            dict(zip(PAIR_COLUMNS, pair, strict=True)) | {"psnr_db": psnr + k, "ssim": 0.9, "rmse_hu": 50.0}
            for k, pair in enumerate(pairs)
        ]
        write_rows(folder / "slices.csv", (*PAIR_COLUMNS, *METRICS), rows)
        (folder / "run.json").write_text(json.dumps({"run": run, **facts}))
        (folder / "model.json").write_text(json.dumps(model))
        (folder / "metrics.jsonl").write_text(json.dumps(epoch) + "\n")
        return folder

    return make
