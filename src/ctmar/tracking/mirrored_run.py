"""What MLflow is told about a finished run: read from the run's result files, free of patients, users and hosts."""

import hashlib
import math
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.transform import downscale_local_mean

from ctmar.config import Run, Study
from ctmar.errors import InputError
from ctmar.evaluation.columns import MEASURES_OF_A_RUN
from ctmar.evaluation.crossed_table import patient_means
from ctmar.evaluation.run_results import check_numbers
from ctmar.store.provenance import sha256_of
from ctmar.store.run_folder import Epoch, RunDescription, RunFolder
from ctmar.store.tables import read_rows
from ctmar.units import attenuation_to_hu

TEST_METRICS = ("psnr_db", "ssim", "psnr_official_db", "ssim_official", "rmse_hu", "mae_hu")
_COST_METRICS = ("seconds_total", "seconds_per_step_median", "peak_memory_mb")
REFERENCES = ("image", "ma_CT", "LI_CT")
_LARGEST_TILE = 256  # pixels; keeps the images of a run at some hundred kB


class MirroredEpoch(NamedTuple):
    """Where training stood after an epoch; ``seconds`` count from its start."""

    step: int
    seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class MirroredRun:
    """One finished run; times are in milliseconds since 1970."""

    examples: Path
    key: str
    name: str
    start_ms: int
    end_ms: int
    parameters: dict[str, str]
    tags: dict[str, str]
    epochs: list[MirroredEpoch]
    results: dict[str, float]


def read_run(folder: RunFolder) -> MirroredRun:
    """Read the result files of a run.

    Raises:
        InputError: a file is missing or is not what `ctmar train` and `ctmar evaluate` write.
    """
    description, epochs, measured = folder.read_description(), folder.read_epochs(), folder.read_measurements()
    means = mean_metrics(folder.slices)
    if not folder.examples.is_file():
        raise InputError(f"{folder.examples}: result file not found; train and evaluate the run first")
    # training ends with run.json; the file itself holds no time, so that equal runs are equal files
    end = folder.run.stat().st_mtime
    results = means | {name: float(getattr(measured, name)) for name in MEASURES_OF_A_RUN}
    results |= {name: float(getattr(description, name)) for name in _COST_METRICS}
    # what has no value (a share of a start of 0) MLflow would show as a number; a tag says what is left out
    finite = {name: value for name, value in results.items() if math.isfinite(value)}
    left_out = {"not_finite": ", ".join(name for name in results if name not in finite) or "none"}
    return MirroredRun(
        examples=folder.examples.resolve(),
        key=_run_key(folder),
        name=run_name(description.run),
        start_ms=int(1000 * (end - description.seconds_total)),
        end_ms=int(1000 * end),
        parameters=parameters(description),
        tags=flatten({"provenance": description.provenance.model_dump()}) | left_out,
        epochs=_mirrored_epochs(epochs),
        results=finite,
    )


def _run_key(folder: RunFolder) -> str:
    """Digest of a run's results: equal for the same results, another one as soon as a result differs."""
    files = (folder.run, folder.metrics, folder.slices, folder.model)
    return hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest()


def run_name(run: Run) -> str:
    """A short name for lists.

    Examples:
        >>> run_name(Run(network="dncnn", method="projection", norm="frobenius", lam_perp=0.1, seed=2))
        'dncnn/projection,norm=frobenius,lam_perp=0.1 seed 2'
    """
    return f"{run.slug} seed {run.seed}"


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as text by dotted name.

    Examples:
        >>> flatten({"training": {"epochs": 8, "betas": [0.9, 0.999]}})
        {'training.epochs': '8', 'training.betas': '[0.9, 0.999]'}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": str(value)}
    return flat


def parameters(description: RunDescription) -> dict[str, str]:
    """The settings of a run; those of the run itself by their plain names."""
    values = description.model_dump(mode="json")
    facts = {name: values[name] for name in ("group", "n_parameters", "device", "threads")}
    sections = flatten(values["network"], "network.") | flatten(values["training"], "training.")
    return flatten(values["run"]) | flatten(facts) | sections


def study_parameters(study: Study) -> dict[str, str]:
    """A study in few words; all of it is too long for parameters."""
    runs = study.expand()
    compared = {name: " ".join(sorted({str(getattr(run, name)) for run in runs})) for name in Run.model_fields}
    return compared | flatten({"group": study.group, "n_runs": len(runs)})


def _mirrored_epochs(epochs: list[Epoch]) -> list[MirroredEpoch]:
    """The metrics of every epoch, and when it was."""
    ends = accumulate(epoch.seconds for epoch in epochs)
    return [
        MirroredEpoch(
            epoch.step,
            end,
            {
                name: float(value)
                for name, value in epoch
                if name not in ("epoch", "step", "system") and math.isfinite(value)
            },
        )
        for epoch, end in zip(epochs, ends, strict=True)
    ]


def mean_metrics(slices_csv: Path) -> dict[str, float]:
    """Means over test patients, each counted once as in the report; patients and slices stay behind.

    Raises:
        InputError: the table is missing or malformed, or has no rows.
    """
    rows = read_rows(slices_csv, ("patient", *TEST_METRICS))
    if not rows:
        raise InputError(f"{slices_csv}: expected a row for each test pair, found none")
    check_numbers(slices_csv, rows, TEST_METRICS)
    patients = np.array([row["patient"] for row in rows])
    values = np.array([[float(row[name]) for row in rows] for name in TEST_METRICS])
    means = patient_means(values, patients).mean(axis=0)
    return {f"test_{name}": float(mean) for name, mean in zip(TEST_METRICS, means, strict=True)}


def example_images(examples: Path, references: Path, window_hu: tuple[float, float]) -> list[NDArray[np.uint8]]:
    """For each example pair ground truth, input, LI and prediction side by side, without any name of a patient.

    Where ``references`` does not hold the pair, the prediction stands alone.
    """
    known = dict(_read_stacks(references, REFERENCES)) if references.is_file() else {}
    return [
        np.concatenate([tile(image, window_hu) for image in (*known.get(pair, ()), *prediction)], axis=1)
        for pair, prediction in _read_stacks(examples, ("prediction",))
    ]


def _read_stacks(path: Path, names: tuple[str, ...]) -> list[tuple[tuple[str, int], list[NDArray[np.float32]]]]:
    """For each pair of an examples file which pair it is, and its images of the given names [1/cm]."""
    with np.load(path, allow_pickle=False) as file:
        pairs = zip(file["slice_id"].tolist(), file["mask_index"].tolist(), strict=True)
        stacks = [file[name] for name in names]
        return [(pair, [stack[index] for stack in stacks]) for index, pair in enumerate(pairs)]


def tile(image: NDArray[np.float32], window_hu: tuple[float, float]) -> NDArray[np.uint8]:
    """A small 8-bit picture of an image (1/cm) in a CT window."""
    low, high = window_hu
    factor = -(-max(image.shape) // _LARGEST_TILE)
    shown = attenuation_to_hu(downscale_local_mean(image, (factor, factor)))
    return np.round(255 * np.clip((shown - low) / (high - low), 0, 1)).astype(np.uint8)
