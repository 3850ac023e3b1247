"""Norms of PW or W − PW over all layers of a pack, with their gradient in the weights (equation 6.3)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from equiproj.norms import CustomNorm, Norm, power_iteration, start_block
from equiproj.norms.matrix import norm_and_subgradient
from equiproj.norms.names import ExactOrGram, NormMethod
from equiproj.regularisers.bundles import stack_norms
from equiproj.regularisers.checks import is_transformed
from equiproj.regularisers.packs import MatrixStacks, WeightPack, not_rounding

Side = Literal["perpendicular", "equivariant"]


class PartInUse(NamedTuple):
    """PW or W − PW of all weights of a pack, ‖·‖^power of it, of all or of each, and the gradient in the weights.

    Examples:
        >>> PartInUse(torch.ones(1, 2), torch.tensor(2.0), 2 * torch.ones(1, 2)).value
        tensor(2.)
    """

    part: Tensor
    value: Tensor
    slope: Tensor


class PartNorms(nn.Module):
    """Σ_l ‖part of W_l‖^power and its gradient, outside autograd; holds the state of power iterations.

    Args:
        packs: the weights.
        norm: of the matrices.
        power: 1 or 2.
        method: `exact`, `gram` or `power`, as for `ProjectionPenalty`.
        image_shape: pixels, where convolutions are measured as operators.
    """

    def __init__(
        self,
        packs: Sequence[WeightPack],
        norm: Norm | CustomNorm,
        power: int,
        method: NormMethod,
        image_shape: tuple[int, ...] | None,
    ) -> None:
        super().__init__()
        self.norm, self.power, self.method, self.image_shape = norm, power, method, image_shape
        self._packs = tuple((weights, MatrixStacks(weights, norm)) for weights in packs)
        self._orders: dict[int, Tensor] = {}
        self.is_quadratic = norm.schatten_order == power == 2 and image_shape is None
        if method == "power":
            self._register_blocks()

    def value_and_slope(
        self, index: int, side: Side, part: Tensor, rows: Tensor, *, each: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Of pack `index`, whose weights are `rows`, and of which `part` is PW or W − PW as `side` says.

        Args:
            index: of the pack.
            side: which part.
            part: PW or W − PW.
            rows: W.
            each: leave the value of each weight by itself, a vector in the order of the pack's parameters.
        """
        weights, stacks = self._packs[index]
        if self.image_shape is not None:
            values, slope = self._of_operators(weights, part, rows)
            value = torch.stack(values) if each else sum(values, start=rows.new_zeros(()))
        elif self.is_quadratic:
            value = weights.sums(part.square()) if each else part.square().sum()
            return value, 2 * part
        else:
            values, slope = self._of_matrices(stacks, f"left_{side}_{index}", part, rows)
            value = self._in_order(index, values) if each else sum((v.sum() for v in values), start=rows.new_zeros(()))
        projected = weights.project(slope)
        return value, slope.sub_(projected) if side == "perpendicular" else projected

    def _of_matrices(self, stacks: MatrixStacks, block: str, part: Tensor, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        values, slopes = [], []
        for number, (matrices, whole) in enumerate(zip(stacks.cut(part), stacks.cut(rows), strict=True)):
            kept = not_rounding(matrices, whole, dim=(-2, -1))
            norms, subgradient = self._norms(matrices * kept, f"{block}_{number}")
            values.append(norms if self.power == 1 else norms.square())
            # in place: large weights have no room to spare in a cache
            slopes.append(subgradient.mul_(kept if self.power == 1 else kept.mul_(2 * norms[..., None, None])))
        return values, stacks.paste(slopes)

    def _in_order(self, index: int, values: Sequence[Tensor]) -> Tensor:
        """What stacks have of their matrices, as a vector in the order of the pack's parameters."""
        if index not in self._orders:
            weights, stacks = self._packs[index]
            numbers = torch.arange(1, 1 + len(weights.parameters), dtype=torch.float64, device="cpu")
            rows = weights.spread(numbers).expand(weights.n_rows, weights.n_entries)
            # padding is zero
            self._orders[index] = torch.cat([stack.amax((-2, -1)).flatten() for stack in stacks.cut(rows)]).argsort()
        flat = torch.cat([value.flatten() for value in values])
        self._orders[index] = self._orders[index].to(flat.device)
        return flat.index_select(0, self._orders[index])

    def _norms(self, matrices: Tensor, block: str) -> tuple[Tensor, Tensor]:
        if self.method != "power":
            return norm_and_subgradient(matrices, self.norm, self.method)
        order, left = cast(float, self.norm.schatten_order), getattr(self, block)
        # The state follows the weights when those have been moved to another device or precision; a network that was
        # built without numbers has none to follow.
        left = start_block(matrices, order) if left.is_meta and not matrices.is_meta else left.to(matrices)
        iterate = power_iteration(matrices, left, order)
        if not is_transformed(iterate.left):
            setattr(self, block, iterate.left)
        return iterate.value, iterate.subgradient

    def _of_operators(self, weights: WeightPack, part: Tensor, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """Norms of convolution operators, one kernel at a time: the frequency blocks of all would not fit in memory."""
        values, slopes, method = [], [], cast(ExactOrGram, self.method)  # `power` is for kernels
        for parameter, kernel, whole in zip(weights.parameters, weights.split(part), weights.split(rows), strict=True):
            kept = not_rounding(kernel, whole, dim=tuple(range(whole.ndim)))
            projector = parameter.projector
            leaf = (kernel * kept).view(1, *projector.weight_shape).requires_grad_()
            with torch.enable_grad():
                norm = stack_norms(leaf, projector, self.norm, method, self.image_shape)[0] ** self.power
            (slope,) = torch.autograd.grad(norm, leaf)
            values.append(norm.detach())
            slopes.append(slope.view_as(kept) * kept)
        return values, weights.join(slopes)

    @torch.no_grad()
    def _register_blocks(self) -> None:
        """Start every power iteration at the exact singular vectors."""
        for index, (weights, stacks) in enumerate(self._packs):
            rows = weights.join([parameter.peek() for parameter in weights.parameters])
            projected = weights.project(rows)
            for side, part in (("perpendicular", rows - projected), ("equivariant", projected)):
                for number, matrices in enumerate(stacks.cut(part)):
                    block = start_block(matrices, cast(float, self.norm.schatten_order))
                    self.register_buffer(f"left_{side}_{index}_{number}", block)
