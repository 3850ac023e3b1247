"""A channelised Hotelling observer: how well a signal that is known can be told from its absence, as a number.

The observer sees small regions with and without a signal through a few channels, weighs the channels so that the two
classes are as far apart as their scatter allows, and decides by the weighted sum. The area under its ROC curve (AUC) is
the share of pairs of regions, one with and one without the signal, in which the region with the signal has the larger
sum: 0.5 is guessing, 1 is certainty. IEC 60601-2-44 Annex GG takes this observer for metal artefact reduction.
"""

import math

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1e-6  # of the mean variance of a channel: keeps weights finite where regions are fewer than channels
Values = NDArray[np.float64]


def laguerre_gauss(side: int, width: float, n_channels: int) -> Values:
    r"""Laguerre-Gauss channels, for signals that look the same in every direction.

    .. math::
        u_j(r) ∝ \exp(-π r^2 / a^2) \, L_j(2π r^2 / a^2), \quad j = 0, …, n - 1

    sampled on the pixels and scaled to norm 1.

    Args:
        side: pixels of a region, odd.
        width: a, in pixels.
        n_channels: number of channels.

    Returns:
        Shape (side², n_channels).

    References:
        Gallas and Barrett, Validating the use of channels to estimate the ideal linear observer, J. Opt. Soc. Am. A 20
        (2003) 1725.

    Examples:
        >>> channels = laguerre_gauss(31, width=10.0, n_channels=3)
        >>> np.allclose(channels.T @ channels, np.eye(3), atol=1e-3)
        True
    """
    offsets = np.arange(side) - side // 2
    x = 2 * np.pi * (offsets[:, None] ** 2 + offsets**2).ravel() / width**2
    polynomials = [np.polynomial.laguerre.lagval(x, np.eye(n_channels)[j]) for j in range(n_channels)]
    channels = np.exp(-x / 2)[:, None] * np.stack(polynomials, axis=1)
    scaled: Values = channels / np.linalg.norm(channels, axis=0)
    return scaled


def template(present: Values, absent: Values) -> tuple[Values, float]:
    """Weights of the channels, K⁻¹ (m₁ − m₀), and the sum in the middle between the two classes.

    K is the covariance within the classes, pooled; m₁ and m₀ are their means.

    Args:
        present: channel outputs of regions with the signal, shape (n, n_channels).
        absent: of regions without, shape (m, n_channels).
    """
    means = present.mean(axis=0), absent.mean(axis=0)
    within = np.concatenate([present - means[0], absent - means[1]])
    covariance = within.T @ within / max(1, len(within) - 2)
    covariance += _RIDGE * (np.trace(covariance) / len(covariance) or 1.0) * np.eye(len(covariance))
    weights: Values = np.linalg.solve(covariance, means[0] - means[1])
    return weights, float(weights @ (means[0] + means[1]) / 2)


def decisions(present: Values, absent: Values, images: NDArray[np.int64]) -> tuple[Values, Values]:
    """What the observer decides of each region, taught by the regions of all other images.

    Args:
        present: channel outputs of regions with the signal, shape (n, n_channels).
        absent: of the same regions without, shape (n, n_channels).
        images: which image each region lies in, shape (n); at least two different ones.

    Returns:
        For the two classes, shape (n): above 0 speaks for the signal.
    """
    found = np.empty((2, len(images)))
    for image in np.unique(images):
        own = images == image
        weights, middle = template(present[~own], absent[~own])
        for values, regions in zip(found, (present, absent), strict=True):
            values[own] = regions[own] @ weights - middle
    return found[0], found[1]


def area_under_curve(present: Values, absent: Values) -> float:
    """Share of pairs in which the decision with the signal is the larger one; ties count one half.

    Examples:
        >>> area_under_curve(np.array([1.0, 3.0]), np.array([0.0, 1.0]))
        0.875
    """
    return float(_wins(present, absent).mean())


def standard_error(present: Values, absent: Values, images: NDArray[np.int64]) -> float:
    """Standard error of the AUC, for regions that are alike where they lie in one image.

    Args:
        present: decisions with the signal, shape (n).
        absent: decisions without, of the same regions, shape (n).
        images: which image each region lies in, shape (n).

    Returns:
        NaN where all lie in one image.

    References:
        Obuchowski, Nonparametric analysis of clustered ROC curve data, Biometrics 53 (1997) 567.
    """
    wins = _wins(present, absent)
    _, image, sizes = np.unique(images, return_inverse=True, return_counts=True)
    n_images = len(sizes)
    if n_images < 2:
        return math.nan
    # each image has as many regions with the signal as without, so that its share of both sums has one weight
    excess = (wins.mean(axis=1) - wins.mean()) + (wins.mean(axis=0) - wins.mean())
    sums = np.bincount(image, weights=excess)
    return float(np.sqrt(n_images / (n_images - 1) * np.sum(sums**2)) / len(images))


def _wins(present: Values, absent: Values) -> Values:
    ahead = present[:, None] - absent
    wins: Values = (ahead > 0) + 0.5 * (ahead == 0)
    return wins
