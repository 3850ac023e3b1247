"""Whether a low-contrast signal near the metal can be found: by an observer, in images simulated with it and without.

What the observer looks at is the error of an image against the artefact-free image *without* signals, in a square
region around each of them: anatomy is known, and what hides the signal is artefact and noise alone. In a phantom, for
which IEC 60601-2-44 Annex GG is written, the background is as well known.
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctmar.evaluation.observer import area_under_curve, decisions, laguerre_gauss, standard_error
from ctmar.evaluation.pair_metrics import PreparedPair, PreparedPairs
from ctmar.store.pairs import Pair
from ctmar.store.run_records import Detectability
from ctmar.units import WATER_PER_CM

_HALF_SIDE = 2.5  # of a region, in radii of the signal
_CHANNEL_WIDTH = 3.0  # a of the channels, in radii of the signal
_N_CHANNELS = 4
_HU_PER_CM = 1000 / WATER_PER_CM
Image = NDArray[np.float32]


class _Places(NamedTuple):
    """Centres of the signals of an image, the share of each pixel that a signal covers, and their contrast."""

    centres: NDArray[np.int64]
    coverage: NDArray[np.float64]
    contrast_hu: float


class _Seen(NamedTuple):
    """What an image shows around each signal: channel outputs with it and without, error without it, contrast left."""

    present: NDArray[np.float64]
    absent: NDArray[np.float64]
    error_hu: NDArray[np.float64]
    contrast: NDArray[np.float64]


class SignalImages:
    """The images of a file of `ctmar.simulation.signals`, with and without signals.

    Args:
        path: pair file, in which every two entries are one image without and with signals.

    Raises:
        InputError: it is no pair file, or holds no pairs.
    """

    def __init__(self, path: Path) -> None:
        self._pairs = PreparedPairs(path)
        self._places: dict[int, _Places] = {}
        self._references: dict[tuple[int, ...], dict[str, Detectability]] = {}
        self._radius = max(_radius(self._places_of(first)) for first in range(0, self._pairs.file.n_pairs, 2))

    def close(self) -> None:
        """Close the file."""
        self._pairs.file.close()

    def measure(
        self, predict: Callable[[Pair], Image], patients: Collection[str] | None = None
    ) -> dict[str, Detectability] | None:
        """Detectability in the images of a run, beside that in ``Input``, which is FBP, and ``LI``.

        Args:
            predict: image (1/cm) that a run makes of a pair.
            patients: patients whose images are taken, those of them that have any; None: all.

        Returns:
            By name of the image, ``prediction`` that of the run; None where no patient has an image with signals.
        """
        known = set(self._pairs.file.patient)
        own = None if patients is None else known & set(patients)
        if own is not None and not own:
            return None
        firsts = tuple(self._pairs.of_patients(own)[::2])
        if firsts not in self._references:
            self._references[firsts] = {
                "Input": self._measure(firsts, lambda pair: pair.ma_CT),
                "LI": self._measure(firsts, lambda pair: pair.LI_CT),
            }
        return {"prediction": self._measure(firsts, predict), **self._references[firsts]}

    def _measure(self, firsts: tuple[int, ...], predict: Callable[[Pair], Image]) -> Detectability:
        seen = [self._look(first, predict) for first in firsts]
        images = np.repeat(np.arange(len(seen)), [len(one.error_hu) for one in seen])
        present, absent, error_hu, contrast = (np.concatenate(parts) for parts in zip(*seen, strict=True))
        auc = error = float("nan")
        if len(seen) > 1:  # the observer is taught by other images
            found = decisions(present, absent, images)
            auc, error = area_under_curve(*found), standard_error(*found, images)
        return Detectability(
            auc=auc,
            auc_standard_error=error,
            bias_hu=float(error_hu.mean()),
            contrast_share=float(contrast.mean()),
            n_signals=len(images),
            n_images=len(seen),
        )

    def _look(self, first: int, predict: Callable[[Pair], Image]) -> _Seen:
        """The outputs of the channels around every signal of an image, and the errors of its CT numbers."""
        without, with_signals = self._pairs[first], self._pairs[first + 1]
        places = self._places_of(first)
        errors = [_error_hu(predict(one.pair), without) for one in (with_signals, without)]
        side = 2 * round(_HALF_SIDE * self._radius) + 1
        channels = laguerre_gauss(side, _CHANNEL_WIDTH * self._radius, _N_CHANNELS)
        present, absent = (_regions(error, places.centres, side) @ channels for error in errors)
        covered = _regions(places.coverage, places.centres, side)
        true = places.contrast_hu * (covered**2).sum(axis=1)
        shown, hidden = ((_regions(error, places.centres, side) * covered).sum(axis=1) for error in errors)
        return _Seen(present, absent, hidden / covered.sum(axis=1), (shown - hidden) / true)

    def _places_of(self, first: int) -> _Places:
        if first not in self._places:
            raised = self._pairs[first + 1].pair.image.astype(np.float64) - self._pairs[first].pair.image
            labels, n_labels = ndimage.label(raised > 0, np.ones((3, 3)))
            centres = ndimage.center_of_mass(raised, labels, range(1, n_labels + 1))
            contrast = float(raised.max())
            places = _Places(np.rint(centres).astype(np.int64), raised / contrast, _HU_PER_CM * contrast)
            self._places[first] = places
        return self._places[first]


def _radius(places: _Places) -> float:
    """Of the signals of an image [pixels], from the area that they cover."""
    return float(np.sqrt(places.coverage.sum() / len(places.centres) / np.pi))


def _error_hu(prediction: Image, truth: PreparedPair) -> NDArray[np.float64]:
    """Error against the artefact-free image [HU]; 0 where metal is, which nobody looks at."""
    error: NDArray[np.float64] = _HU_PER_CM * (prediction.astype(np.float64) - truth.pair.image) * truth.truth.outside
    return error


def _regions(image: NDArray[np.float64], centres: NDArray[np.int64], side: int) -> NDArray[np.float64]:
    """Square regions around centres, shape (n, side²)."""
    half = side // 2
    return np.stack([image[y - half : y + half + 1, x - half : x + half + 1].ravel() for y, x in centres])
