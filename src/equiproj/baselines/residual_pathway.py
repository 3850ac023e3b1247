"""Residual pathway priors (Finzi, Benton & Wilson, NeurIPS 2021, arXiv 2112.01388)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from equiproj.baselines.parametrised import Parametrised
from equiproj.layers import LayerTypes


class _TwoPathways(nn.Module):
    """The parametrisation (A, B) ↦ P(A) + B; a weight W starts as A = P(W), B = W − P(W).

    Examples:
        >>> import torch
        >>> pathways = _TwoPathways(lambda weight: weight.mean().expand_as(weight))
        >>> [part.tolist() for part in pathways.right_inverse(torch.tensor([1.0, 3.0]))]
        [[2.0, 2.0], [-1.0, 1.0]]
        >>> pathways(torch.tensor([1.0, 3.0]), torch.tensor([5.0, 0.0])).tolist()
        [7.0, 2.0]
    """

    def __init__(self, project: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.project = project

    def forward(self, equivariant: Tensor, free: Tensor) -> Tensor:
        """Add the two pathways."""
        return self.project(equivariant) + free

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Split a weight so that the layer starts as it was."""
        projected = self.project(weight)
        return projected, weight - projected


class ResidualPathway(Parametrised):
    """Residual pathway priors: W = P(A) + B, an equivariant and a free pathway with priors of their own.

    The Gaussian priors N(0, σ_A²) and N(0, σ_B²) of the paper are the weight decays 1/σ_A² and 1/σ_B² of
    :meth:`parameter_groups`. A strong decay of B alone prefers the equivariant pathway and leaves the free one what the
    symmetry cannot explain. Since both pathways are linear layers, adding their weights is adding their outputs. The
    layer computes the same function right after attaching.

    Args:
        module: the network, changed in place.
        layers: name of each layer and its ``(rho_in, rho_out)``.

    Raises:
        ValueError: if a layer is unknown, of another type or parametrised already, or channels do not fit.

    Reference:
        Finzi, Benton & Wilson, Residual Pathway Priors for Soft Equivariance Constraints, NeurIPS 2021.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> group = CyclicGroup(4)
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
        >>> pathway = ResidualPathway(network, {"0": (trivial(group), regular(group))})
        >>> groups = pathway.parameter_groups(weight_decay_equivariant=1e-6, weight_decay_free=1e-2)
        >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
        [(2, 1e-06), (2, 0.01), (2, 0.0)]
        >>> optimiser = torch.optim.Adam(groups, lr=1e-3)
    """

    def __init__(self, module: nn.Module, layers: LayerTypes) -> None:
        super().__init__(module, layers, _TwoPathways)

    def parameter_groups(self, weight_decay_equivariant: float, weight_decay_free: float) -> list[dict[str, Any]]:
        """Parameters for a torch optimiser: equivariant pathways, free pathways, and the rest without decay.

        Args:
            weight_decay_equivariant: decay of every A, at least 0.
            weight_decay_free: decay of every B, at least 0.

        Raises:
            ValueError: if a decay is negative.
        """
        if not (weight_decay_equivariant >= 0 and weight_decay_free >= 0):
            raise ValueError(
                f"expected weight decays of at least 0, found {weight_decay_equivariant} and {weight_decay_free}"
            )
        equivariant, free = (
            [entry.layer.get_parameter(f"parametrizations.{entry.attribute}.{original}") for entry in self.parameters]
            for original in ("original0", "original1")
        )
        split = {id(parameter) for parameter in equivariant + free}
        rest = [parameter for parameter in self.module.parameters() if id(parameter) not in split]
        return [
            {"params": equivariant, "weight_decay": weight_decay_equivariant},
            {"params": free, "weight_decay": weight_decay_free},
            {"params": rest, "weight_decay": 0.0},
        ]
