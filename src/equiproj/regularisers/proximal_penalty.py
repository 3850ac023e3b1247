"""The Frobenius penalty applied beside the optimiser: one proximal step after each of the optimiser's."""

from typing import Any

import torch
from torch import Tensor, nn

from equiproj.groups import Group
from equiproj.layers import assign, typed_parameters
from equiproj.norms import parse_norm
from equiproj.regularisers.bundles import bundle
from equiproj.regularisers.packs import MatrixStacks, not_rounding, pack
from equiproj.regularisers.penalty import non_negative, one_or_two


class ProximalPenalty:
    """λ_⊥ Σ_l n_l (‖W_l − P(W_l)‖_F / √n_l)^power, minimised by a proximal step of its own and not added to the loss.

    An adaptive optimiser scales the gradient entry by entry; a penalty in the loss therefore moves P(W) too, and takes
    from the steps of the task. Here the optimiser sees the task alone, and `step` then shrinks W − P(W) and leaves P(W)
    as it is, as decoupled weight decay shrinks W. With `power=1` a weight becomes exactly equivariant in finitely many
    steps.

    λ_⊥ counts per unit of learning rate, not of loss, and per entry: n_l is the number of entries of W_l, so that one
    λ_⊥ pins biases and large kernels alike. With `power=1`, without a task and with learning rates η_t, a weight is
    equivariant once λ_⊥ Σ η_t reaches the root mean square of its W − P(W). Adam moves every entry by about η a step,
    so that λ_⊥ above 1 keeps every layer there. A network of drawn weights loses half or more of its scale on that way;
    `equiproj.regularisers.project_initial_` starts it at P(W) without.

    Args:
        module: any module with linear or convolution layers, not sharded.
        group: the group, where `layers` does not give representations.
        weight_perpendicular: λ_⊥ ≥ 0; 0 leaves every bit of the weights as it is.
        power: 1 for the norm, 2 for its square.
        declaration: `layers`, `input_type`, `hidden_type`, `output_type`, `include_bias` as for `typed_parameters`.

    Raises:
        ValueError: a negative weight, a power other than 1 or 2, or layers that do not fit the declaration.

    References:
        docs/derivation.md, equations 6.6 to 6.8; Loshchilov and Hutter, ICLR 2019, for weight decay; Yuan and Lin,
        J. R. Stat. Soc. B 68, 2006, for the factor √n_l of a group.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
        >>> optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
        >>> penalty = ProximalPenalty(network, CyclicGroup(4), weight_perpendicular=2.0, include_bias=True)
        >>> for _ in range(100):
        ...     optimiser.zero_grad()
        ...     network(torch.randn(2, 1, 8, 8)).square().mean().backward()
        ...     optimiser.step()
        ...     penalty.step(1e-2)
        >>> from equiproj import equivariance_report
        >>> max(row.ratio for row in equivariance_report(network, CyclicGroup(4)).rows) < 1e-6
        True
    """

    def __init__(
        self,
        module: nn.Module,
        group: Group | None = None,
        *,
        weight_perpendicular: float = 1.0,
        power: int = 1,
        **declaration: Any,
    ) -> None:
        self.weight_perpendicular = non_negative("weight_perpendicular", weight_perpendicular)
        self.power = one_or_two(power)
        packs = pack(bundle(typed_parameters(module, group, **declaration)))
        self._packs = tuple((weights, MatrixStacks(weights, parse_norm("frobenius"))) for weights in packs)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """W ← P(W) + s (W − P(W)) in place, with the s of equation 6.7; call it after the optimiser's step.

        Args:
            learning_rate: η of the optimiser's step, ≥ 0.

        Raises:
            ValueError: a negative learning rate, a sharded weight, or a parametrisation that cannot hold the value.
        """
        reach = non_negative("learning_rate", learning_rate) * self.weight_perpendicular
        if reach == 0:
            return
        for weights, stacks in self._packs:
            rows = weights.join(weights.read())
            projected = weights.project(rows)
            shrunk = []
            cut = zip(stacks.cut(rows - projected), stacks.cut(rows), stacks.n_entries, strict=True)
            for rest, whole, n_entries in cut:
                rest = rest * not_rounding(rest, whole, dim=(-2, -1))
                shrunk.append(self._kept(rest, reach, n_entries) * rest)
            values = weights.split(projected + stacks.paste(shrunk))
            for parameter, value in zip(weights.parameters, values, strict=True):
                assign(parameter, value)

    def _kept(self, rest: Tensor, reach: float, n_entries: Tensor) -> Tensor | float:
        """The factor s of each matrix of a stack."""
        if self.power == 2:
            return 1 / (1 + 2 * reach)
        norms = torch.linalg.vector_norm(rest, dim=(-2, -1), keepdim=True)
        reaches = reach * n_entries.to(norms).sqrt()
        return torch.where(norms > reaches, 1 - reaches / norms, 0)
