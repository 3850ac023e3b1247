"""Records of a run for tests that do not train: complete, and different in what a test is about."""

import time
from pathlib import Path
from typing import Any

from ctmar.config import Network, Run, Training
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import (
    Detectability,
    Epoch,
    Grid,
    Measurements,
    Provenance,
    RunDescription,
    RunOrigin,
    WeightNorms,
)

SOFTWARE = {"equiproj": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.3.0"}
PROVENANCE = Provenance(
    code_sha256="ab" * 32,
    own_code_sha256={},
    pairs_train_sha256="cd" * 32,
    pairs_validation_sha256="ef" * 32,
    initial_weights_sha256=None,
    software=SOFTWARE,
    processor="AVX2",
)


DETECTABILITY = Detectability(
    auc=0.75, auc_standard_error=0.03, bias_hu=8.0, contrast_share=0.7, n_signals=60, n_images=20
)


def description(**changes: Any) -> RunDescription:
    values = {
        "run": Run(network="n", method="plain"),
        "network": Network(),
        "training": Training(),
        "grid": Grid(image_size=32, pixel_mm=1.0, preset="benchmark"),
        "provenance": PROVENANCE,
        "kept_epoch": 1,
        "n_parameters": 7,
        "seconds_total": 1.0,
        "seconds_per_step_median": 0.1,
        "peak_memory_mb": 100.0,
        "device": "cpu",
        "threads": 1,
        "start_norms": WeightNorms(norm=2.0, norm_perpendicular=1.0),
        "layers": [],
    }
    return RunDescription(**values | changes)


def measurements(**changes: Any) -> Measurements:
    values = {
        "seconds_per_image": 0.02,
        "peak_memory_mb": 300.0,
        "device": "cpu",
        "relative_non_equivariance": 0.9,
        "non_equivariance_growth": 0.2,
        "non_equivariance_of_start": 1.8,
        "layers": [],
        "defect_mean": 0.09,
        "defect_max": 1.0,
        "defect_of_correction_mean": 0.9,
        "defect_of_correction_max": 10.0,
        "defect_pairs": 1,
        "defect_at_angles": {"15": 0.05},
        "defect_floor_at_angles": {"15": 0.01},
        "origin_sha256": "0" * 64,
        "detectability": {
            "prediction": DETECTABILITY,
            "Input": DETECTABILITY.model_copy(update={"auc": 0.6, "bias_hu": 40.0, "contrast_share": 0.9}),
            "LI": DETECTABILITY.model_copy(update={"auc": 0.7, "bias_hu": 15.0}),
        },
        "psnr_turned_db": {"0": 30.0, "90": 29.0, "180": 28.0, "270": 27.0},
    }
    return Measurements(**values | changes)


def epoch(**changes: Any) -> Epoch:
    values = dict.fromkeys(set(Epoch.model_fields) - {"epoch", "step", "system"}, 0.0)
    return Epoch(**{"epoch": 1, "step": 0, "system": {}} | values | changes)


def begin_run(results: Path, run: Run, epochs: list[Epoch], seconds_ago: float = 3.0, **changes: Any) -> RunFolder:
    """The folder of a run whose training began so long ago and has had these epochs."""
    folder = RunFolder.of(results / "runs", run)
    folder.path.mkdir(parents=True, exist_ok=True)
    said = description(run=run, **changes)
    origin = RunOrigin(**{name: getattr(said, name) for name in RunOrigin.model_fields})
    folder.begin(origin, time.time() - seconds_ago)
    folder.write_epochs(epochs)
    return folder


def finish_run(results: Path, run: Run, epochs: list[Epoch], seconds_ago: float = 3.0, **changes: Any) -> RunFolder:
    """The folder of a run that was trained and measured; files that no record owns hold a word."""
    changes = {"kept_epoch": len(epochs)} | changes
    folder = begin_run(results, run, epochs, seconds_ago, **changes)
    folder.write_measurements(measurements())
    folder.write_description(description(run=run, **changes))
    for path in folder.results:
        if not path.exists():
            path.write_text("content")
    return folder
