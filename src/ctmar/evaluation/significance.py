"""Paired tests of one model against another, and their correction for many comparisons."""

import itertools

import numpy as np
from numpy.typing import NDArray

LARGEST_ENUMERATION = 12  # clusters up to which every pattern of signs is tried


def sign_flip_p_value(
    differences: NDArray[np.float64], clusters: NDArray[np.str_], n_samples: int, seed: int
) -> tuple[float, float]:
    r"""Two-sided sign-flip permutation test of a mean paired difference, clusters flipped whole.

    If two methods were equal in law, the differences of a cluster could as well have the other sign. The p-value is
    the share of sign patterns :math:`ε ∈ \{−1, 1\}^C` with :math:`|\sum_c ε_c S_c| ≥ |\sum_c S_c|`, S_c the sum of the
    differences of cluster c: exact for up to 12 clusters, from random patterns (the observed one counted) for more.
    Seeds are averaged first: the test is about the networks as trained.

    With C clusters no p-value is below 2^(1−C): three patients cannot give less than 0.25, whatever the difference.

    Args:
        differences: one value per seed and pair, shape (n_seeds, n_pairs).
        clusters: patient (or slice) of each pair, shape (n_pairs).
        n_samples: number of random patterns.
        seed: seed of the patterns.

    Returns:
        The p-value, and the smallest that these clusters can give.

    References:
        Winkler et al., Permutation inference for the general linear model, NeuroImage 2014 (whole-block exchange).

    Examples:
        >>> sign_flip_p_value(np.ones((1, 6)), np.array(["a", "a", "b", "b", "c", "c"]), 100, 0)
        (0.25, 0.25)
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    sums = np.bincount(cluster, weights=differences.mean(axis=0))
    n_clusters = len(sums)
    exact = n_clusters <= LARGEST_ENUMERATION
    if exact:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n_clusters)))
    else:
        signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(n_samples, n_clusters))
        signs = np.vstack([np.ones(n_clusters), signs])
    observed = abs(sums.sum())
    # patterns that tie with the observed one must not be lost to rounding
    extreme = np.abs(signs @ sums) >= observed - 1e-12 * np.abs(sums).sum()
    return float(extreme.mean()), max(2.0 ** (1 - n_clusters), 1 / len(signs) if not exact else 0.0)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down correction, which bounds the chance of any false rejection; NaN stays and does not count.

    ``p̃₍ᵢ₎ = max_{j ≤ i} min(1, (m − j + 1) p₍ⱼ₎)`` over the m sorted p-values.

    References:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.

    Examples:
        >>> holm(np.array([0.01, 0.04, 0.03, np.nan])).tolist()
        [0.03, 0.06, 0.06, nan]
    """
    corrected = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps * p_values[order]))
    return corrected
