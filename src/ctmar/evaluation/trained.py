"""One trained run on every test pair: image quality, speed, and how far it is from equivariant."""

import json
import pickle
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctmar.config import Evaluation, Network, Run
from ctmar.errors import InputError
from ctmar.evaluation.slices import METRICS, PAIR_COLUMNS, Images, measure_pairs, write_examples
from ctmar.models import build_network, layer_types
from ctmar.models.scaling import network_input, to_per_cm
from ctmar.store.atomic import atomic_path
from ctmar.store.pairs import Pair, PairFile
from ctmar.store.tables import write_rows
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
) -> None:
    """Measure one trained run.

    Args:
        weights: state dictionary written by training.
        run_file: `run.json` written by training.
        pairs_test: pair file.
        settings: number of example images and of pairs for the defect.
        slices_csv: one row per pair: patient, slice_id, mask_index, metal_pixels, psnr_db, ssim, rmse_hu.
        model_json: relative non-equivariance, defect, size and speed.
        examples_npz: ``prediction`` (n, h, w) in 1/cm of the example pairs, and which pairs they are.

    Raises:
        InputError: a file is missing or unreadable, or the weights are not of the network that `run.json` describes.
    """
    description = read_run_file(run_file)
    network = load_network(weights, description)
    seconds: list[float] = []

    def predict(pair: Pair) -> Images:
        begin = time.perf_counter()
        prediction = to_per_cm(network(pair_input(pair)))[0]
        seconds.append(time.perf_counter() - begin)
        return {"prediction": prediction}

    with torch.inference_mode():
        tables, examples = measure_pairs(pairs_test, settings.examples, predict)
    write_rows(slices_csv, (*PAIR_COLUMNS, *METRICS), tables["prediction"])
    write_examples(
        examples_npz, [pair for pair, _ in examples], {"prediction": [images["prediction"] for _, images in examples]}
    )
    group = CyclicGroup(description["group_order"])
    facts = {
        "n_parameters": description["n_parameters"],
        "seconds_per_image": statistics.median(seconds),
        **non_equivariance(network, group),
        **defect(network, group, pairs_test, settings.defect_slices),
    }
    with atomic_path(model_json) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n")


def read_run_file(path: Path) -> dict[str, Any]:
    """The description of a run.

    Raises:
        InputError: the file is missing or is not a description of a run.
    """
    try:
        description = json.loads(path.read_text())
        Run(**description["run"])
        return description
    except OSError:
        raise InputError(f"{path}: run description not found; train the run first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a run description of `ctmar train` ({type(error).__name__})") from None


def load_network(weights: Path, description: dict[str, Any]) -> nn.Module:
    """The trained network of a run, ready to predict.

    Raises:
        InputError: the weights are missing, unreadable, or of another network.
    """
    network = Network(**description["network"])
    module = build_network(network.architecture, **{"group_order": description["group_order"], **network.settings})
    try:
        module.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise InputError(f"{weights}: weights not found; train the run first") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{weights}: expected weights of network {network.architecture} ({reason})") from None
    return module.eval()


def non_equivariance(network: nn.Module, group: CyclicGroup) -> dict[str, Any]:
    """‖W − PW‖_F / ‖W‖_F of all weights and biases of typed layers together, and of each."""
    report = equivariance_report(network, group, layers=layer_types(network, group), include_bias=True)
    return {
        "relative_non_equivariance": report.total_ratio,
        "layers": [row._asdict() for row in report.rows],
    }


def defect(network: nn.Module, group: CyclicGroup, pairs_test: Path, n_pairs: int) -> dict[str, float]:
    """‖f(g·x) − g·f(x)‖ / ‖f(x)‖ over ``n_pairs`` pairs evenly spaced through the file: mean and maximum over g."""
    with PairFile(pairs_test) as file:
        chosen = np.linspace(0, file.n_pairs - 1, min(n_pairs, file.n_pairs)).round().astype(int)
        batch = torch.cat([pair_input(file.read_pair(int(index))) for index in chosen])
    measured = measured_defect(network, batch, group)
    return {"defect_mean": measured.mean, "defect_max": measured.maximum, "defect_pairs": len(chosen)}


def pair_input(pair: Pair) -> Tensor:
    """What a network sees of one pair, shape (1, 3, h, w)."""
    return network_input(pair.ma_CT[None], pair.LI_CT[None], pair.mask[None])
