"""Trained runs on test pairs: image quality, speed, and how far each is from equivariant."""

import hashlib
import json
import statistics
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctmar.config import Evaluation
from ctmar.config.own_code import own_code_sha256
from ctmar.errors import InputError
from ctmar.evaluation.detectability import Image, SignalImages
from ctmar.evaluation.pair_metrics import (
    Images,
    PreparedPair,
    PreparedPairs,
    measure_pairs,
    write_examples,
    write_slices,
)
from ctmar.evaluation.turned import TurnedInputs, pair_input, quarter_turned_back
from ctmar.models.device import peak_memory_mb
from ctmar.models.non_equivariance import (
    layer_norms,
    non_equivariance_growth,
    non_equivariance_of_start,
    together,
)
from ctmar.models.predictor import predictor_of
from ctmar.models.scaling import to_per_cm
from ctmar.models.symmetry import study_group
from ctmar.models.trained_network import load_network
from ctmar.store.code_digest import CodeDigests
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.pairs import Pair
from ctmar.store.provenance import sha256_of
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import hold_lock
from ctmar.store.run_records import Measurements, WeightNorms
from equiproj.groups import FiniteGroup


class BrokenImageError(InputError):
    """The network makes an image of a test pair that is not finite, though those of the validation were."""


class Evaluator:
    """Measures runs on the pairs of one file, which are read and prepared once for all of them.

    Args:
        pairs_test: pair file.
        settings: number of example images, pairs and angles for the defect, and metrics of the study's own.
        device: cpu or cuda.
        signals: images with low-contrast signals and without, of `ctmar.simulation.signals`; None: none.

    Raises:
        InputError: a file is missing or unreadable, or holds no pairs.
    """

    def __init__(
        self, pairs_test: Path, settings: Evaluation, device: str = "cpu", signals: Path | None = None
    ) -> None:
        self._pairs = PreparedPairs(pairs_test)
        self._signals = None if signals is None else SignalImages(signals)
        self._settings = settings
        self._device = device
        images = [pairs_test] if signals is None else [pairs_test, signals]
        self._origin = [settings.model_dump_json(), CodeDigests().command("evaluate"), *map(sha256_of, images)]
        self._origin += [json.dumps(own_code_sha256(settings.metrics), sort_keys=True), device]

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, *exception: object) -> None:
        self._pairs.file.close()
        if self._signals is not None:
            self._signals.close()

    def measure(self, folder: RunFolder, patients: Collection[str] | None = None) -> None:
        """Measure one run: every pair, the example images, and the network's speed, memory and equivariance.

        What was measured of the same weights on the same images, by the same settings and code, is left as it is. While
        another process works in the folder, this one waits.

        Args:
            folder: a run as training left it; the table of pairs, examples and measurements are written beside.
            patients: patients whose pairs it is tested on; None: all of the file.

        Raises:
            InputError: a file is missing or unreadable, a patient has no pair, the weights are not of the network that
                `run.json` describes, or there is no such device.
            BrokenImageError: an image is not finite; nothing is written.
        """
        with hold_lock(folder.lock):
            self._measure(folder, patients)

    def _measure(self, folder: RunFolder, patients: Collection[str] | None) -> None:
        description = folder.read_description()
        network = load_network(folder, description, self._device)
        origin = self._origin_of(folder, patients)
        if folder.is_measured(origin):
            return
        device = torch.device(self._device)
        group = study_group(description.group)
        predictor = predictor_of(network, description.run.method, group)
        indices = self._pairs.of_patients(patients)
        turned = TurnedInputs(predictor, group, self._settings.defect_angles_deg)
        to_turn = {indices[position] for position in evenly_spaced(len(indices), self._settings.defect_slices)}
        shown = self._pairs.examples(indices, self._settings.examples)
        seconds: list[float] = []
        turned_back: list[NDArray[np.float32]] = []

        def predict(prepared: PreparedPair) -> Images:
            begin = time.perf_counter()
            inputs = pair_input(prepared.pair).to(device)
            output = _checked(predictor(inputs), inputs, folder)
            prediction = to_per_cm(output)[0]
            seconds.append(time.perf_counter() - begin)
            if prepared.index in to_turn:
                turned.add(inputs, output, prepared.truth)
            if prepared.index == shown[-1]:
                turned_back.append(to_per_cm(quarter_turned_back(predictor, inputs)))
            return {"prediction": prediction}

        def correct(pair: Pair) -> Image:
            inputs = pair_input(pair).to(device)
            return to_per_cm(_checked(predictor(inputs), inputs, folder))[0]

        with torch.inference_mode():
            tables, examples = measure_pairs(self._pairs, indices, self._settings.metrics, predict, examples=shown)
            detectability = None
            if self._signals is not None:
                detectability = self._signals.measure(correct, patients)
        measured = Measurements(
            seconds_per_image=statistics.median(seconds),
            peak_memory_mb=peak_memory_mb(device),
            device=self._device,
            **non_equivariance(network, group, description.start_norms),
            **turned.measures(),
            origin_sha256=origin,
            detectability=detectability,
        )
        write_slices(folder.slices, tables["prediction"])
        predictions = [images["prediction"] for _, images in examples]
        shown_pairs = [pair for pair, _ in examples]
        write_examples(folder.examples, shown_pairs, {"prediction": predictions, "turned_back": turned_back})
        folder.write_measurements(measured)

    def _origin_of(self, folder: RunFolder, patients: Collection[str] | None) -> str:
        tested = json.dumps(None if patients is None else sorted(patients))
        parts = [*self._origin, sha256_of(folder.weights), sha256_of(folder.run), tested]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _checked(output: Tensor, inputs: Tensor, folder: RunFolder) -> Tensor:
    """What the network makes of a pair, which must be finite; broken pairs are another mistake."""
    if not torch.isfinite(inputs).all():
        raise InputError("the test pairs hold NaN or infinity")
    if not torch.isfinite(output).all():
        raise BrokenImageError(f"{folder}: expected finite images of the test pairs, found NaN or infinity in one")
    return output


def evaluate_run(
    folder: RunFolder, pairs_test: Path, settings: Evaluation, device: str = "cpu", signals: Path | None = None
) -> None:
    """Measure one run on all pairs of a file, see `Evaluator`."""
    with Evaluator(pairs_test, settings, device, signals) as evaluator:
        evaluator.measure(folder)


def non_equivariance(network: nn.Module, group: FiniteGroup, start: WeightNorms) -> dict[str, Any]:
    """How far weights are from equivariant, by the names of `Measurements`, see `ctmar.models.non_equivariance`."""
    layers = layer_norms(network, group)
    end = together(layers)
    return {
        "relative_non_equivariance": end.ratio,
        "non_equivariance_growth": non_equivariance_growth(start, end),
        "non_equivariance_of_start": non_equivariance_of_start(start, end),
        "layers": layers,
    }
