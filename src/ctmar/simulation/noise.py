"""Random numbers that depend on what they are for, not on when or where they are drawn."""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, pdtr, pdtrik

from ctmar.simulation.projector import compiled

_FEW = 30.0  # from here on the expansion is right to a thirtieth of a photon


def random_stream(seed: int, *labels: str | int) -> np.random.Generator:
    """Return a counter-based generator (Philox) keyed by ``seed`` and ``labels``.

    Slices and masks drawn by any number of jobs in any order get the same numbers.

    Examples:
        >>> a, b = random_stream(0, "p1/1/0001", 3), random_stream(0, "p1/1/0001", 3)
        >>> bool(a.random() == b.random())
        True
    """
    text = "/".join(str(label) for label in (seed, *labels))
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def photon_counts(mean: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Draw Poisson counts as quantiles of one normal number z for each ray.

    n = λ + √λ z + (z² − 1)/6 + (z − z³)/(72 √λ), rounded (Cornish and Fisher, Rev. Inst. Int. Stat. 5 (1938) 307), and
    the exact quantile where λ < 30. A sampler that rejects would shift the noise of all later rays when the last digit
    of one λ differs, as it does between a CPU and a GPU; here that changes one ray by one photon at most.

    Args:
        mean: λ of each ray, any shape, not negative.
        random: source of z.

    Returns:
        Counts, same shape.
    """
    normal = random.standard_normal(mean.shape)
    counts = np.empty(mean.shape)
    _expand(mean.ravel(), normal.ravel(), counts.ravel())
    few = mean < _FEW
    if few.any():
        counts[few] = _quantile(ndtr(normal[few]), mean[few])
    return counts


def _quantile(share: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least count whose distribution function reaches ``share``; scipy inverts it up to rounding."""
    above = np.ceil(pdtrik(share, np.maximum(mean, np.finfo(float).tiny)))
    below = np.maximum(above - 1, 0)
    return np.where(pdtr(below, mean) >= share, below, above)


@compiled
def _expand(mean, normal, counts):  # type: ignore[no-untyped-def]
    for ray in range(mean.size):
        z, root = normal[ray], math.sqrt(max(mean[ray], _FEW))
        counts[ray] = math.floor(mean[ray] + root * z + (z * z - 1) / 6 + (z - z * z * z) / (72 * root) + 0.5)
