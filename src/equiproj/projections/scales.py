"""The projection of one factor per channel, as normalisations have, onto those that commute with the group."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from equiproj.projections.orbits import OrbitAverage
from equiproj.projections.self_adjoint import self_adjoint
from equiproj.representations import Representation

_NOT_ZERO = 1e-9  # entries of an orthogonal matrix below are rounding


@dataclass(frozen=True)
class ScaleProjector:
    """Orthogonal projection of factors γ, one per channel, onto those with diag(γ) ρ(g) = ρ(g) diag(γ) for every g.

    Entry by entry that says γ_i = γ_j wherever ρ(g)_ij ≠ 0: γ is constant on every set of channels that the group
    mixes, and the projection is the mean over each. Where the group permutes channels the sets are its orbits.

    Args:
        rho: representation on the channels.

    Attributes:
        weight_shape: (channels, 1), as for a bias.
        flat_map: the projection of (..., channels), outside autograd.

    Examples:
        >>> import torch
        >>> from equiproj.groups import SO2, CyclicGroup
        >>> from equiproj.representations import irreps, regular, direct_sum
        >>> ScaleProjector(2 * regular(CyclicGroup(2)))(torch.tensor([[1.0], [3.0], [5.0], [5.0]])).flatten().tolist()
        [2.0, 2.0, 5.0, 5.0]
        >>> ScaleProjector(direct_sum(irreps(SO2(), 1)))(torch.tensor([[1.0], [3.0], [5.0]])).flatten().tolist()
        [1.0, 4.0, 4.0]
    """

    rho: Representation
    weight_shape: tuple[int, int] = field(init=False, repr=False, compare=False)
    flat_map: OrbitAverage = field(init=False, repr=False, compare=False)
    transposed = False
    n_blocks = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight_shape", (self.rho.dim, 1))
        object.__setattr__(self, "flat_map", OrbitAverage(mixed_channels(self.rho), np.array([], dtype=np.int64)))

    @property
    def rho_in(self) -> Representation:
        """What the factors multiply."""
        return self.rho

    @property
    def rho_out(self) -> Representation:
        """The same."""
        return self.rho

    def __call__(self, factors: Tensor) -> Tensor:
        """Project (..., channels, 1).

        Raises:
            ValueError: the number of channels is another.
        """
        if tuple(factors.shape[-2:]) != self.weight_shape:
            raise ValueError(f"expected {self.rho.dim} factors for {self.rho}, found shape {tuple(factors.shape)}")
        return self_adjoint(factors.flatten(-2), self.flat_map).reshape(factors.shape)


def mixed_channels(rho: Representation) -> np.ndarray:
    """The smallest channel that the group mixes with each one, itself where it is left alone.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import irrep, trivial
        >>> mixed_channels(trivial(CyclicGroup(4)) + irrep(CyclicGroup(4), 1)).tolist()
        [0, 1, 1]
    """
    labels, n_channels = [], 0
    for count, summand in rho.terms:
        linked = sum(np.abs(summand.matrix(g)) > _NOT_ZERO for g in rho.group.generators) > 0
        linked = linked | linked.T | np.eye(summand.dim, dtype=bool)
        one = np.arange(summand.dim)
        while not np.array_equal(spread := np.where(linked, one, summand.dim).min(axis=1), one):
            one = spread
        labels.append((n_channels + summand.dim * np.arange(count)[:, None] + one).ravel())
        n_channels += count * summand.dim
    return np.concatenate(labels)
