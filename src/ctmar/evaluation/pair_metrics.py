"""Image quality on every test pair, and the images that the report shows."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config.own_metrics import measure_own
from ctmar.errors import InputError
from ctmar.evaluation.columns import PAIR_COLUMNS, metrics_in, own_metric
from ctmar.evaluation.regions import metal_size
from ctmar.evaluation.truth import Truth
from ctmar.store.atomic import atomic_path
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.pairs import Pair, PairFile
from ctmar.store.tables import write_rows

Images = dict[str, NDArray[Any]]
Row = dict[str, Any]
_KEPT_BYTES = 2**28  # of prepared pairs; those beyond are read and prepared again, the numbers are the same
_BYTES_PER_PIXEL = 120  # of a prepared pair: images, regions, and both protocols' scaled images, means and variances


@dataclass(frozen=True, eq=False)
class PreparedPair:
    """A test pair, its place in the file, and what measuring any prediction of it needs."""

    index: int
    pair: Pair
    truth: Truth


class PreparedPairs:
    """The pairs of a file, each read and prepared once for all that is measured on it, as far as memory allows.

    Args:
        path: pair file.
        nmar: read NMAR_CT too, where the file has it.

    Raises:
        InputError: it is no pair file, or holds no pairs.
    """

    def __init__(self, path: Path, nmar: bool = False) -> None:
        self.file = PairFile(path)
        if self.file.n_pairs == 0:
            self.file.close()
            raise InputError(f"{path}: expected at least one pair to test on, found none")
        self._nmar = nmar and self.file.has_nmar
        self._kept: dict[int, PreparedPair] = {}
        self._n_kept = _KEPT_BYTES // (_BYTES_PER_PIXEL * self.file.image_size**2)

    def __enter__(self) -> "PreparedPairs":
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def of_patients(self, patients: Collection[str] | None) -> list[int]:
        """Indices of the pairs of these patients in the order of the file; None: of all.

        Raises:
            InputError: a patient has no pair.
        """
        owner = [self.file.patient[index] for index in self.file.slice_index]
        if patients is None:
            return list(range(self.file.n_pairs))
        missing = sorted(set(patients) - set(owner))
        if missing or not patients:
            raise InputError(
                f"{self.file.path}: expected pairs of every patient to test on, found none of"
                f" {', '.join(missing) or 'any'}"
            )
        return [index for index, patient in enumerate(owner) if patient in patients]

    def __getitem__(self, index: int) -> PreparedPair:
        if index in self._kept:
            return self._kept[index]
        pair = self.file.read_pair(index, nmar=self._nmar)
        prepared = PreparedPair(index, pair, Truth(pair.image, pair.mask))
        if len(self._kept) < self._n_kept:
            self._kept[index] = prepared
        return prepared

    def examples(self, indices: Sequence[int], n_examples: int) -> list[int]:
        """Those of the indices whose images are shown, from small to large metal."""
        return [indices[position] for position in example_pairs(self.file.metal_pixels[list(indices)], n_examples)]


def measure_pairs(
    pairs: PreparedPairs,
    indices: Sequence[int],
    own_metrics: Sequence[str],
    images_of: Callable[[PreparedPair], Images],
    *,
    examples: Sequence[int],
) -> tuple[dict[str, list[Row]], list[tuple[Pair, Images]]]:
    """Apply ``images_of`` to pairs and measure each image it gives.

    Args:
        pairs: the pairs of a file.
        indices: those that are measured.
        own_metrics: import paths of metrics that the study brings of its own.
        images_of: named images (1/cm) of a pair.
        examples: indices of the pairs whose images are kept.

    Returns:
        By name of the image, one row per pair: which pair, and its metrics; and the example pairs with their images, in
        the order of ``examples``.

    Raises:
        InputError: a metric of the study's own fails.
    """
    rows: dict[str, list[Row]] = {}
    kept: dict[int, tuple[Pair, Images]] = {}
    for index in indices:
        prepared = pairs[index]
        images = images_of(prepared)
        for name, image in images.items():
            measured = _pair_names(prepared.pair) | prepared.truth.metrics(image)
            own = {
                own_metric(text): measure_own(text, image, prepared.pair.image, prepared.pair.mask)
                for text in own_metrics
            }
            rows.setdefault(name, []).append(measured | own)
        if index in examples:
            kept[index] = (prepared.pair, images)
    return rows, [kept[index] for index in examples]


def _pair_names(pair: Pair) -> Row:
    """Which pair a row is about."""
    row = {column: getattr(pair, column) for column in PAIR_COLUMNS if column != "metal_size"}
    return row | {"metal_size": metal_size(pair.metal_pixels, pair.mask.size)}


def write_slices(path: Path, rows: list[Row], first_columns: tuple[str, ...] = ()) -> None:
    """Write a per-slice table; a region without pixels is an empty field."""
    filled = [{name: "" if value != value else value for name, value in row.items()} for row in rows]
    write_rows(path, (*first_columns, *PAIR_COLUMNS, *metrics_in(next(iter(rows), {}))), filled)


def example_pairs(metal_pixels: NDArray[np.int64], n_examples: int) -> list[int]:
    """Pairs to show: those at evenly spaced quantiles of metal size, from small to large.

    Examples:
        >>> example_pairs(np.array([30, 10, 20, 40, 50]), 3)
        [1, 0, 4]
    """
    order = np.argsort(metal_pixels, kind="stable")
    return [int(order[position]) for position in evenly_spaced(len(order), n_examples)]


def write_examples(path: Path, pairs: list[Pair], images: Mapping[str, list[NDArray[Any]]]) -> None:
    """Write images (n, h, w) with the names of their pairs, readable without pickle.

    Images of fewer than n pairs are those of the last ones.
    """
    arrays = {name: np.stack(stack) for name, stack in images.items()}
    names = {column: np.array([_pair_names(pair)[column] for pair in pairs]) for column in PAIR_COLUMNS}
    pixel_mm = np.array([pair.pixel_mm for pair in pairs])
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays, **names, pixel_mm=pixel_mm)
