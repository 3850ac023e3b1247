"""One trained run on every test pair: image quality, speed, and how far it is from equivariant."""

import json
import resource
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ctmar.config import Evaluation
from ctmar.evaluation.pair_metrics import Images, measure_pairs, write_examples, write_slices
from ctmar.evaluation.turned import defects_at_angles, pair_input, psnr_of_turned
from ctmar.models import layer_types
from ctmar.models.predictor import predictor_of
from ctmar.models.scaling import to_per_cm
from ctmar.models.trained_network import load_network, read_run_file
from ctmar.store.atomic import atomic_path
from ctmar.store.pairs import Pair, PairFile
from equiproj import equivariance_report, measured_defect
from equiproj.groups import CyclicGroup


def evaluate_run(
    weights: Path,
    run_file: Path,
    pairs_test: Path,
    settings: Evaluation,
    slices_csv: Path,
    model_json: Path,
    examples_npz: Path,
    device: str = "cpu",
) -> None:
    """Measure one trained run.

    Args:
        weights: state dictionary written by training.
        run_file: `run.json` written by training.
        pairs_test: pair file.
        settings: number of example images, and pairs and angles for the defect.
        slices_csv: one row per pair: `PAIR_COLUMNS` and `METRICS` of `ctmar.evaluation.columns`.
        model_json: relative non-equivariance, defect, PSNR on turned inputs, size, speed and memory.
        examples_npz: ``prediction`` (n, h, w) in 1/cm of the example pairs, and which pairs they are.
        device: cpu or cuda.

    Raises:
        InputError: a file is missing or unreadable, the weights are not of the network that `run.json` describes, or
            there is no such device.
    """
    description = read_run_file(run_file)
    network = load_network(weights, description, device)
    predictor = predictor_of(network, description["run"]["method"], description["group_order"])
    seconds: list[float] = []

    def predict(pair: Pair) -> Images:
        begin = time.perf_counter()
        prediction = to_per_cm(predictor(pair_input(pair).to(device)))[0]
        seconds.append(time.perf_counter() - begin)
        return {"prediction": prediction}

    with torch.inference_mode():
        tables, examples = measure_pairs(pairs_test, settings.examples, predict)
        memory_mb = peak_memory_mb(device)
        facts = {
            "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
            "seconds_per_image": statistics.median(seconds),
            "peak_memory_mb": memory_mb,
            "device": device,
            **non_equivariance(network, CyclicGroup(description["group_order"])),
            **defects(predictor, description["group_order"], pairs_test, settings),
        }
    write_slices(slices_csv, tables["prediction"])
    write_examples(
        examples_npz, [pair for pair, _ in examples], {"prediction": [images["prediction"] for _, images in examples]}
    )
    with atomic_path(model_json) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n")


def non_equivariance(network: nn.Module, group: CyclicGroup) -> dict[str, Any]:
    """‖W − PW‖_F / ‖W‖_F of all weights and biases of typed layers together, and of each."""
    report = equivariance_report(network, group, layers=layer_types(network, group), include_bias=True)
    return {
        "relative_non_equivariance": report.total_ratio,
        "layers": [row._asdict() for row in report.rows],
    }


def defects(network: nn.Module, group_order: int, pairs_test: Path, settings: Evaluation) -> dict[str, Any]:
    """What turning the input does, on ``settings.defect_slices`` pairs evenly spaced through the file.

    ``defect_mean`` and ``defect_max``: ‖f(g·x) − g·f(x)‖ / ‖f(x)‖ over quarter turns (over the half turn for C_2);
    `defects_at_angles`; ``psnr_turned_db``: `psnr_of_turned`.
    """
    with PairFile(pairs_test) as file:
        chosen = np.linspace(0, file.n_pairs - 1, min(settings.defect_slices, file.n_pairs)).round().astype(int)
        pairs = [file.read_pair(int(index)) for index in chosen]
    batch = torch.cat([pair_input(pair) for pair in pairs]).to(next(network.parameters()).device)
    measured = measured_defect(network, batch, CyclicGroup(2 if group_order == 2 else 4))
    return {
        "defect_mean": measured.mean,
        "defect_max": measured.maximum,
        "defect_pairs": len(pairs),
        **defects_at_angles(network, batch, settings.defect_angles_deg),
        "psnr_turned_db": psnr_of_turned(network, pairs),
    }


def peak_memory_mb(device: str) -> float:
    """Largest memory so far in 10⁶ bytes: of the whole process on a CPU, of torch's allocator on a GPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
