"""Finished runs whose every number is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ctmar.run_folders import description, epoch, measurements

from ctmar.config import Run
from ctmar.evaluation.columns import METRICS
from ctmar.evaluation.pair_metrics import write_slices
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import Divergence

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
    """Write a run whose PSNR is ``psnr`` plus the number of the pair; ``fold``: the patients it was trained on."""

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
        n_parameters: int = 1_600_000,
        own: dict[str, float] | None = None,
        fold: list[str] | None = None,
        **others: Any,
    ) -> Path:
        settings = {"norm": norm, "lam_perp": lam_perp, "lam_equi": lam_equi, "softness": softness, "seed": seed}
        run = Run(network="n", method=method, **settings, **others)
        folder = tmp_path / f"{run.slug.replace('/', '-')}-{seed}"
        measured = measurements(
            relative_non_equivariance=non_equivariance,
            non_equivariance_growth=-3 * non_equivariance,
            non_equivariance_of_start=float("nan"),
            defect_mean=non_equivariance / 10,
            defect_of_correction_mean=2 * non_equivariance,
        )
        patients = None if fold is None else {"train": fold, "validation": [], "test": []}
        metrics = dict.fromkeys(METRICS, 50.0) | {"ssim": 0.9, "rmse_bone_hu": float("nan")}
        folder.mkdir(exist_ok=True)
        rows = [pair | metrics | {"psnr_db": psnr + k} | (own or {}) for k, pair in enumerate(pairs)]
        write_slices(folder / "slices.csv", rows)
        files = RunFolder(folder)
        files.write_description(description(run=run, n_parameters=n_parameters, patients=patients))
        files.write_measurements(measured)
        files.write_epochs([epoch(validation_psnr=psnr if validation_psnr is None else validation_psnr)])
        return folder

    return make


@pytest.fixture
def make_diverged(tmp_path: Path) -> MakeRun:
    """Write a run that diverged in its second epoch, with the settings of a `Run`."""

    def make(**settings: Any) -> Path:
        run = Run(**{"network": "n"} | settings)
        files = RunFolder(tmp_path / f"{run.slug.replace('/', '-')}-{run.seed}")
        files.path.mkdir(exist_ok=True)
        where = Divergence(step=7, where="output", layer="layers.1", loss=float("nan"))
        files.write_epochs([epoch()])
        files.diagnosis.write_text("{}")
        files.write_description(description(run=run, diverged=where, kept_epoch=None, seconds_total=12.5))
        return files.path

    return make
