"""The λ_⊥ of a penalty in a loss: given, or adapted once a step to what the step has seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from equiproj.regularisers.adapted_weight import adapted_weight
from equiproj.regularisers.layer_weights import LayerWeight, LayerWeights, PenaltyWeight
from equiproj.regularisers.packs import WeightPack
from equiproj.regularisers.part_norms import PartInUse


class WeightInUse:
    """λ_⊥, and what its adaption needs of a forward pass: slopes, to tell the task's gradient from the penalty's.

    Args:
        weight: λ_⊥ as for `LayerWeights`, or None.
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
        weight: PenaltyWeight | None,
        target: float | None,
        balance: float | None,
        power: int,
        packs: Sequence[WeightPack],
    ) -> None:
        self.adapted = adapted_weight(weight, target, balance, power)
        self._given = LayerWeights("weight_perpendicular", 1.0 if weight is None else weight, packs)
        self._packs = tuple(packs)
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}
        self._version = 0  # of the weights that have been seen
        if self.adapted is not None:
            for parameter in (parameter for weights in packs for parameter in weights.parameters):
                if parametrize.is_parametrized(parameter.layer, parameter.attribute):
                    raise ValueError(
                        f"{parameter.name}: expected a plain parameter for target or balance, found a parametrised one"
                    )

    def is_used(self, index: int) -> bool:
        """Whether W − PW of pack `index` is penalised at all."""
        return self.adapted is not None or not self._given.is_zero(index)

    def of(self, index: int, rows: Tensor) -> LayerWeight:
        """λ_⊥ of pack `index`, whose weights are `rows`, to compute with; an adapted one does not wait for a device."""
        if self.adapted is None:
            return self._given.of(index, rows)
        if self.adapted.value.device != rows.device:
            self.adapted.to(rows.device)
        return self.adapted.value.clone()  # `update` writes into it

    def read(self) -> float | dict[str, float]:
        """λ_⊥ as a number, or one for each parameter by its name."""
        return self._given.read() if self.adapted is None else float(self.adapted.value)

    def state_dict(self) -> dict[str, Tensor]:
        """What adapting has come to: nothing where λ_⊥ is given."""
        return {} if self.adapted is None else dict(self.adapted.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        if self.adapted is not None:
            self.adapted.load_state_dict(state)

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

    def record(self, index: int, slope: Tensor, perpendicular: PartInUse, rows: Tensor) -> None:
        """Keep what pack `index` adds to the gradient, and ‖∇penalty‖², ‖W − PW‖², ‖W‖² of it.

        Parts of a batch may each add a penalty; their slopes add up in `.grad`, and here.
        """
        if index in self._seen:
            slope = slope + self._seen[index][0]
        sizes = [part.square().sum() for part in (perpendicular.slope, perpendicular.part, rows)]
        self._seen[index] = slope, torch.stack(sizes)

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
