"""The sum over the weights of a pack: λ_⊥ ‖W − PW‖^power + λ_G ‖PW‖^power, λ outside of what is attached to weights."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from equiproj.regularisers.accumulation import accumulate, pass_on
from equiproj.regularisers.checks import is_transformed
from equiproj.regularisers.layer_weights import LayerWeight, LayerWeights
from equiproj.regularisers.packs import WeightPack
from equiproj.regularisers.part_norms import PartInUse, PartNorms, Side
from equiproj.regularisers.slope import attach_slopes, quadratic_slopes
from equiproj.regularisers.weight_in_use import WeightInUse


class PackSums:
    """What a penalty adds for each of its packs.

    Args:
        packs: the weights.
        parts: norms of them.
        perpendicular: λ_⊥.
        equivariant: λ_G.
    """

    def __init__(
        self, packs: Sequence[WeightPack], parts: PartNorms, perpendicular: WeightInUse, equivariant: LayerWeights
    ) -> None:
        self._packs, self._parts, self._weight, self._equivariant = packs, parts, perpendicular, equivariant

    def of(self, index: int) -> Tensor:
        """The penalty of pack `index`, with its history; where λ_⊥ adapts itself, its gradient is kept for that.

        Raises:
            RuntimeError: λ_⊥ adapts itself inside a transform of `torch.func`.
        """
        weights = self._packs[index]
        values = weights.read()
        # Autocast would lower the products inside to half precision.
        with torch.autocast(values[0].device.type, enabled=False):
            with torch.no_grad():
                rows = weights.join(values).detach()  # without tangents of forward differentiation, too
            factors = self._factors(index, rows)
            records = self._weight.adapted is not None and torch.is_grad_enabled()
            if records and is_transformed(rows):
                raise RuntimeError(
                    "penalty: target and balance read gradients out of .grad, where transforms of torch.func leave "
                    "none; expected weight_perpendicular"
                )
            with torch.no_grad():
                parts = self._parts_in_use(index, rows, factors)
                if records:
                    self._weight.record(index, self._slope(index, factors, parts), parts[0], rows)
            again = quadratic_slopes(weights, list(factors)) if self._parts.is_quadratic else None
            units = attach_slopes(
                [each.value for each in parts], [each.slope for each in parts], weights, values, again
            )
            terms = [factor * unit for factor, unit in zip(factors.values(), units, strict=True)]
            terms = [term.sum() if term.ndim > 0 else term for term in terms]
            return sum(terms[1:], start=terms[0])

    def accumulate(self, index: int, factor: float) -> Tensor:
        """The penalty of pack `index`, without history; its gradient, times `factor`, is added to those of the weights.

        A λ that is a tensor has its gradient added, too.
        """
        weights = self._packs[index]
        with torch.no_grad():
            values = weights.read()
        with torch.autocast(values[0].device.type, enabled=False):
            factors = self._factors(index, values[0])
            with torch.no_grad():
                rows = weights.as_rows(values)
                parts = self._parts_in_use(index, rows, factors)
                if self._weight.adapted is not None:
                    self._weight.record(index, self._slope(index, factors, parts), parts[0], rows)
                for own, each in zip(factors.values(), parts, strict=True):
                    if isinstance(own, Tensor):
                        accumulate((weights.spread(own) if own.ndim > 0 else own) * each.slope, weights, factor)
                    else:
                        accumulate(each.slope, weights, own * factor)
            value = torch.stack([(own * each.value).sum() for own, each in zip(factors.values(), parts, strict=True)])
            total = value.sum()
            if total.requires_grad:
                pass_on(total, torch.full_like(total, factor))
        return total.detach()

    def _factors(self, index: int, rows: Tensor) -> dict[Side, LayerWeight]:
        """λ of the parts of a pack that are penalised, as `LayerWeights.of`; there is always one."""
        is_equivariant_used = not self._equivariant.is_zero(index)
        factors: dict[Side, LayerWeight] = {}
        if self._weight.is_used(index) or not is_equivariant_used:
            factors["perpendicular"] = self._weight.of(index, rows)
        if is_equivariant_used:
            factors["equivariant"] = self._equivariant.of(index, rows)
        return factors

    def _parts_in_use(self, index: int, rows: Tensor, factors: Mapping[Side, LayerWeight]) -> list[PartInUse]:
        """‖part‖^power of a pack, of all weights or of each as λ is, with its gradient in the rows (6.3 and 6.4)."""
        projected, found = self._packs[index].project(rows), []
        for side, factor in factors.items():
            part = projected
            if side == "perpendicular":  # in the place of PW, where that is not needed
                part = rows - projected if "equivariant" in factors else projected.neg_().add_(rows)
            each = isinstance(factor, Tensor) and factor.ndim > 0
            found.append(PartInUse(part, *self._parts.value_and_slope(index, side, part, rows, each=each)))
        return found

    def _slope(self, index: int, factors: Mapping[Side, LayerWeight], parts: Sequence[PartInUse]) -> Tensor:
        """The gradient of the penalty in the rows of a pack, λ included."""
        spread = self._packs[index].spread
        weighted = [
            (spread(factor) if isinstance(factor, Tensor) and factor.ndim > 0 else factor) * each.slope
            for factor, each in zip(factors.values(), parts, strict=True)
        ]
        return sum(weighted[1:], start=weighted[0])
