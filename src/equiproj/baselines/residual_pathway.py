"""Residual pathway priors (Finzi, Benton & Wilson, NeurIPS 2021, arXiv 2112.01388)."""

from __future__ import annotations

from collections.abc import Callable

import torch
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

    The Gaussian priors N(0, σ_A²) and N(0, σ_B²) of the paper are the weight decays 1/σ_A² and 1/σ_B² of :meth:`step`.
    A strong decay of B alone prefers the equivariant pathway and leaves the free one what the symmetry cannot explain.
    The decays are decoupled from the gradient, as in AdamW: an adaptive optimiser would divide a decay in the gradient
    by the gradient's own size. Since both pathways are linear layers, adding their weights is adding their outputs. The
    layer computes the same function right after attaching.

    Args:
        module: the network, changed in place.
        layers: name of each layer and its ``(rho_in, rho_out)``.
        weight_decay_equivariant: decay of every A, at least 0.
        weight_decay_free: decay of every B, at least 0.

    Raises:
        ValueError: if a layer is unknown, of another type or parametrised already, channels do not fit, or a decay is
            negative.

    Reference:
        Finzi, Benton & Wilson, Residual Pathway Priors for Soft Equivariance Constraints, NeurIPS 2021; Loshchilov &
        Hutter, Decoupled Weight Decay Regularization, ICLR 2019.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> group = CyclicGroup(4)
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
        >>> layers = {"0": (trivial(group), regular(group))}
        >>> pathways = ResidualPathway(network, layers, weight_decay_equivariant=0.0, weight_decay_free=10.0)
        >>> optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
        >>> network(torch.ones(1, 1, 5, 5)).square().mean().backward()
        >>> optimiser.step()
        >>> pathways.step(1e-3)
    """

    def __init__(
        self,
        module: nn.Module,
        layers: LayerTypes,
        *,
        weight_decay_equivariant: float = 0.0,
        weight_decay_free: float = 0.0,
    ) -> None:
        if not (weight_decay_equivariant >= 0 and weight_decay_free >= 0):
            raise ValueError(
                f"expected weight decays of at least 0, found {weight_decay_equivariant} and {weight_decay_free}"
            )
        super().__init__(module, layers, _TwoPathways)
        self._decays = {"original0": weight_decay_equivariant, "original1": weight_decay_free}

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """A ← A / (1 + η λ_A), B ← B / (1 + η λ_B): the proximal steps of λ/2 ‖·‖²; call it after the optimiser's step.

        To first order in η it is the factor 1 − η λ of AdamW; it never changes a sign, however large λ is.

        Args:
            learning_rate: η of the optimiser's step.
        """
        for original, decay in self._decays.items():
            if decay > 0:
                for entry in self.parameters:
                    pathway = entry.layer.get_parameter(f"parametrizations.{entry.attribute}.{original}")
                    pathway.div_(1 + learning_rate * decay)
