"""The λ_⊥ of a penalty in a loss: given, or adapted once a step to what the step has seen."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from equiproj.regularisers.adapted_weight import adapted_weight
from equiproj.regularisers.checks import non_negative
from equiproj.regularisers.packs import WeightPack


class WeightInUse(nn.Module):
    """λ_⊥, and what its adaption needs of a forward pass: slopes, to tell the task's gradient from the penalty's.

    Args:
        weight: λ_⊥, or None.
        target: as for `AdaptedWeight`.
        balance: as for `AdaptedWeight`.
        power: of the norm in the penalty.
        packs: the weights.

    Raises:
        ValueError: more than one of weight, target and balance, one out of range, or one that adapts the weight for
            layers whose weights are computed from others.
    """

    def __init__(
        self,
        weight: float | None,
        target: float | None,
        balance: float | None,
        power: int,
        packs: Sequence[WeightPack],
    ) -> None:
        super().__init__()
        self.adapted = adapted_weight(weight, target, balance, power)
        self._given = non_negative("weight_perpendicular", 1.0 if weight is None else weight)
        self._packs = tuple(packs)
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}
        self._version = 0  # of the weights that have been seen
        if self.adapted is not None:
            for parameter in (parameter for weights in packs for parameter in weights.parameters):
                if parametrize.is_parametrized(parameter.layer, parameter.attribute):
                    raise ValueError(
                        f"{parameter.name}: expected a plain parameter for target or balance, found a parametrised one"
                    )
            self.adapted.to(packs[0].parameters[0].read_as_held().device)

    @property
    def is_used(self) -> bool:
        """Whether W − PW is penalised at all."""
        return self.adapted is not None or self._given > 0

    def factor(self) -> Tensor | float:
        """λ_⊥ to compute with; does not wait for a device."""
        return self._given if self.adapted is None else self.adapted.value

    def read(self) -> float:
        """λ_⊥ as a number."""
        return float(self.factor())

    def begin(self) -> None:
        """A forward pass begins.

        Raises:
            RuntimeError: the weights have changed since the last one, and `update` has not been called.
        """
        if self.adapted is None or not torch.is_grad_enabled():
            return
        held = (getattr(p.layer, p.attribute) for weights in self._packs for p in weights.parameters)
        version = sum(parameter._version for parameter in held)
        if self._seen and version != self._version:
            raise RuntimeError("penalty: expected update() after backward() in every step, found a step without")
        self._version = version

    def record(self, index: int, slope: Tensor, unit: Tensor, rest: Tensor, rows: Tensor) -> None:
        """Keep what pack `index` adds to the gradient, and ‖∇penalty‖², ‖W − PW‖², ‖W‖² of it.

        Parts of a batch may each add a penalty; their slopes add up in `.grad`, and here.
        """
        if index in self._seen:
            slope = slope + self._seen[index][0]
        self._seen[index] = slope, torch.stack([part.square().sum() for part in (unit, rest, rows)])

    @torch.no_grad()
    def update(self) -> None:
        """Adapt λ_⊥.

        Raises:
            RuntimeError: no forward pass since the last update, or no gradient.
        """
        if self.adapted is None:
            return
        if not self._seen:
            raise RuntimeError("penalty.update(): expected a penalty computed since the last update, found none")
        squares = []
        for index, (slope, seen) in self._seen.items():
            weights = self._packs[index]
            task = weights.join(weights.read_gradients()) - slope
            squares.append(torch.cat([task.square().sum()[None], seen]).to(self.adapted.value))
        task_norm, penalty_norm, rest_norm, norm = torch.stack(squares).sum(0).sqrt()
        self.adapted.update(task_norm, penalty_norm, rest_norm / norm)
        self._seen = {}
