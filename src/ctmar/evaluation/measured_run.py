"""One trained run on every test pair: image quality, speed, and how far it is from equivariant."""

import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ctmar.config import Evaluation
from ctmar.evaluation.pair_metrics import Images, measure_pairs, write_examples, write_slices
from ctmar.evaluation.turned import defects_at_angles, pair_input, psnr_of_turned
from ctmar.models import layer_types
from ctmar.models.device import peak_memory_mb
from ctmar.models.predictor import predictor_of
from ctmar.models.scaling import to_per_cm
from ctmar.models.symmetry import study_group
from ctmar.models.trained_network import load_network
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.pairs import Pair, PairFile
from ctmar.store.run_folder import LayerNorms, Measurements, RunFolder
from equiproj import equivariance_report, measured_defect
from equiproj.groups import CyclicGroup, FiniteGroup


def evaluate_run(folder: RunFolder, pairs_test: Path, settings: Evaluation, device: str = "cpu") -> None:
    """Measure one trained run: every pair, the example images, and the network's speed, memory and equivariance.

    Args:
        folder: a run as training left it; the table of pairs, examples and measurements are written beside.
        pairs_test: pair file.
        settings: number of example images, pairs and angles for the defect, and metrics of the study's own.
        device: cpu or cuda.

    Raises:
        InputError: a file is missing or unreadable, the weights are not of the network that `run.json` describes, or
            there is no such device.
    """
    description = folder.read_description()
    network = load_network(folder, description, device)
    group = study_group(description.group)
    predictor = predictor_of(network, description.run.method, group)
    seconds: list[float] = []

    def predict(pair: Pair) -> Images:
        begin = time.perf_counter()
        prediction = to_per_cm(predictor(pair_input(pair).to(device)))[0]
        seconds.append(time.perf_counter() - begin)
        return {"prediction": prediction}

    with torch.inference_mode():
        tables, examples = measure_pairs(pairs_test, settings.examples, predict, own_metrics=settings.metrics)
        memory_mb = peak_memory_mb(torch.device(device))
        measured = Measurements(
            seconds_per_image=statistics.median(seconds),
            peak_memory_mb=memory_mb,
            device=device,
            **non_equivariance(network, group),
            **defects(predictor, group, pairs_test, settings),
        )
    write_slices(folder.slices, tables["prediction"])
    predictions = [images["prediction"] for _, images in examples]
    write_examples(folder.examples, [pair for pair, _ in examples], {"prediction": predictions})
    folder.write_measurements(measured)


def non_equivariance(network: nn.Module, group: FiniteGroup) -> dict[str, Any]:
    """‖W − PW‖_F / ‖W‖_F of all weights and biases of typed layers together, and of each."""
    report = equivariance_report(network, group, layers=layer_types(network, group), include_bias=True)
    return {
        "relative_non_equivariance": report.total_ratio,
        "layers": [LayerNorms(**row._asdict()) for row in report.rows],
    }


def defects(network: nn.Module, group: FiniteGroup, pairs_test: Path, settings: Evaluation) -> dict[str, Any]:
    """What turning the input does, on ``settings.defect_slices`` pairs evenly spaced through the file.

    ``defect_mean`` and ``defect_max``: ‖f(g·x) − g·f(x)‖ / ‖f(x)‖ over the group (over quarter turns where
    it has but one element);
    `defects_at_angles`; ``psnr_turned_db``: `psnr_of_turned`.
    """
    with PairFile(pairs_test) as file:
        pairs = [file.read_pair(index) for index in evenly_spaced(file.n_pairs, settings.defect_slices)]
    batch = torch.cat([pair_input(pair) for pair in pairs]).to(next(network.parameters()).device)
    measured = measured_defect(network, batch, group if group.order > 1 else CyclicGroup(4))
    return {
        "defect_mean": measured.mean,
        "defect_max": measured.maximum,
        "defect_pairs": len(pairs),
        **defects_at_angles(network, batch, settings.defect_angles_deg),
        "psnr_turned_db": psnr_of_turned(network, pairs),
    }
