"""A study beside a re-run of it, run by run: origins, weights, and PSNR of every slice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.evaluation.run_results import RunResult, read_run
from ctmar.models.published import read_state
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription

DIVERGED = "diverged"
_COMPARED = {"network", "training", "group", "grid", "provenance", "device", "threads"}
_NAMED_PAIR = slice(2, None)  # of a pair: what is left where patients and slices have other names


@dataclass(frozen=True)
class RunPair:
    """A run and its re-run.

    Attributes:
        name: folder of both.
        origins: what of settings, data, code and software differs: its name and both values.
        weights_equal: whether all weights are the same bits; None where one of them diverged.
        largest_weight: largest difference of a weight.
        psnr_db: difference of PSNR, re-run less run, of every slice [dB].
    """

    name: str
    origins: tuple[tuple[str, str, str], ...]
    weights_equal: bool | None
    largest_weight: float
    psnr_db: NDArray[np.float64]


def compare_runs(first: Path, second: Path, names: Sequence[str]) -> list[RunPair]:
    """Compare runs of one study.

    Args:
        first: folder of all runs.
        second: that of the re-run.
        names: the runs, by their folders below both.

    Raises:
        InputError: a run is missing or malformed, or was measured on other pairs of slice and metal.
    """
    return [_compare(RunFolder(first / name), RunFolder(second / name), name) for name in names]


def _compare(first: RunFolder, second: RunFolder, name: str) -> RunPair:
    one, other = read_run(first), read_run(second)
    if isinstance(one, RunDescription) or isinstance(other, RunDescription):
        said = ["yes" if isinstance(found, RunDescription) else "no" for found in (one, other)]
        origins = () if said[0] == said[1] else ((DIVERGED, said[0], said[1]),)
        return RunPair(name, origins, None, float("nan"), np.array([]))
    equal, largest = _compare_weights(first.weights, second.weights)
    return RunPair(name, tuple(_origins(one, other)), equal, largest, _psnr_difference(one, other, second))


def _psnr_difference(one: RunResult, other: RunResult, folder: RunFolder) -> NDArray[np.float64]:
    same = [pair[_NAMED_PAIR] for pair in one.pairs] == [pair[_NAMED_PAIR] for pair in other.pairs]
    if not same:
        raise InputError(f"{folder.slices}: expected the pairs of slice and metal of the first run, found others")
    return other.metrics["psnr_db"] - one.metrics["psnr_db"]


def _compare_weights(first: Path, second: Path) -> tuple[bool, float]:
    one, other = read_state(first), read_state(second)
    shapes = [{name: (tuple(value.shape), value.dtype) for name, value in state.items()} for state in (one, other)]
    if shapes[0] != shapes[1]:
        raise InputError(f"{second}: expected the weights of the network of {first}, found other shapes")
    differences = [(one[name].double() - other[name].double()).abs().max().item() for name in one if one[name].numel()]
    return all(torch.equal(one[name], other[name]) for name in one), max(differences, default=0.0)


def _origins(one: RunResult, other: RunResult) -> Iterable[tuple[str, str, str]]:
    """What of both origins differs; patients are left out, who may have other names."""
    said = [result.description.model_dump(mode="json", include=_COMPARED) for result in (one, other)]
    return differing(said[0], said[1])


def differing(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """What differs of two nested records: its dotted name and both values, of what one of them lacks “none”.

    Lists of records are compared place by place where they are equally long, and else as a whole.

    Examples:
        >>> list(differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}))
        [('a.c', '2', '3'), ('d', 'none', '4')]
        >>> list(differing({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}))
        [('a.1.b', '2', '3')]
    """
    for name in dict.fromkeys([*one, *other]):
        first, second = one.get(name, "none"), other.get(name, "none")
        if _are_alike(first, second):
            first, second = ({str(k): item for k, item in enumerate(items)} for items in (first, second))
        if isinstance(first, dict) and isinstance(second, dict):
            yield from differing(first, second, f"{prefix}{name}.")
        elif str(first) != str(second):
            yield f"{prefix}{name}", str(first), str(second)


def _are_alike(first: Any, second: Any) -> bool:
    """Whether both are lists of as many records."""
    if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
        return False
    return all(isinstance(item, dict) for item in (*first, *second))


def differing_origins(pairs: Sequence[RunPair]) -> list[tuple[str, str, str, int]]:
    """What differs of the origins of the runs: its name, both values, and in how many runs."""
    counts = Counter(origin for pair in pairs for origin in pair.origins)
    return [(*origin, n) for origin, n in counts.items()]


def psnr_spread(pairs: Sequence[RunPair]) -> tuple[float, float, int]:
    """Largest and median of |difference| over all slices of all runs [dB], and how many there are."""
    values = np.concatenate([np.abs(pair.psnr_db) for pair in pairs]) if pairs else np.array([])
    values = values[np.isfinite(values)]
    return (float(values.max()), float(np.median(values)), len(values)) if len(values) else (0.0, 0.0, 0)
