"""λ_⊥ that finds itself: by dual ascent to a wanted non-equivariance, or in balance with the task's gradient."""

import math

import torch
from torch import Tensor, nn

# Largest change of log λ in one step of the ascent.
_ASCENT = 0.05
# Steps ahead for which the change of log ρ is extrapolated: λ stops rising while ρ is on its way.
_STEPS_AHEAD = 20
# Bounds of λ in the ascent, as multiples of the λ at which the gradients of task and penalty are equally long.
_SMALLEST, _LARGEST = 1e-3, 100.0
# A ρ below counts as this: of rounding there is no logarithm.
_SMALLEST_RATIO = 1e-6
# Decay per step of the running means of gradient norms.
_DECAY = 0.9


class AdaptedWeight(nn.Module):
    """λ_⊥, adapted once a step (docs/derivation.md, equations 6.9 to 6.11).

    *Target* t: dual ascent on log λ until ρ = ‖W − P(W)‖_F / ‖W‖_F over all weights is t,
    λ ← λ exp(0.05 min(1, max(−1, log(ρ₊ / t)))), with ρ₊ = ρ (ρ / ρ₋)^20 as it would be 20 steps ahead, from the λ at
    which the gradients of task and penalty are equally long, and within 1/1000 and 100 times of that. *Balance* r:
    λ = r · mean ‖∇task‖ / mean ‖∇penalty‖, running means with decay 0.9. λ is 0 until both gradients have been seen,
    and outside autograd always.

    Args:
        target: t, above 0 and below 1, or None.
        balance: r > 0, or None; exactly one of the two is given.
        power: of the norm in the penalty.

    Raises:
        ValueError: a target or a balance out of range, or both.

    Examples:
        >>> adapted = AdaptedWeight(target=None, balance=0.5, power=1)
        >>> adapted.update(task=torch.tensor(3.0), penalty=torch.tensor(2.0), ratio=torch.tensor(0.1))
        >>> adapted.value.item()
        0.75
    """

    value: Tensor
    task: Tensor
    penalty: Tensor
    ratio: Tensor

    def __init__(self, *, target: float | None, balance: float | None, power: int) -> None:
        super().__init__()
        if target is not None and balance is not None:
            raise ValueError(f"expected a target or a balance, found target {target} and balance {balance}")
        if target is not None and not 0 < target < 1:
            raise ValueError(f"expected target above 0 and below 1, found {target}")
        if balance is not None and not 0 < balance < math.inf:
            raise ValueError(f"expected balance to be a finite number above 0, found {balance}")
        self.target, self.balance, self.power = target, balance, power
        for name in ("value", "task", "penalty", "ratio"):
            self.register_buffer(name, torch.zeros((), device="cpu"))

    @torch.no_grad()
    def update(self, task: Tensor, penalty: Tensor, ratio: Tensor) -> None:
        """Adapt λ after a step; one with gradients that are not finite (float16 has such) is left out.

        Args:
            task: ‖∇task‖ over all weights.
            penalty: ‖∇penalty‖ at λ = 1.
            ratio: ρ.
        """
        if self.target is not None:
            # Below the target a squared norm's gradient vanishes with W − PW: count it as long as at the target.
            longer = torch.where(ratio > 0, self.target / ratio, 1).clamp_min(1)
            penalty = penalty * longer ** (self.power - 1)
        ratio = ratio.clamp_min(_SMALLEST_RATIO)
        task_mean, penalty_mean = self.task.lerp(task, 1 - _DECAY), self.penalty.lerp(penalty, 1 - _DECAY)
        equal = torch.where(penalty_mean > 0, task_mean / penalty_mean, 0)
        if self.target is None:
            value = float(self.balance or 0) * equal
        else:
            before = torch.where(self.ratio > 0, self.ratio, ratio)
            ahead = (ratio / self.target).log() + _STEPS_AHEAD * (ratio / before).log()
            value = torch.where(self.value > 0, self.value * (_ASCENT * ahead.clamp(-1, 1)).exp(), equal)
            value = value.clamp(_SMALLEST * equal, _LARGEST * equal)
        finite = task.isfinite() & penalty.isfinite()
        for buffer, new in zip(self.buffers(), (value, task_mean, penalty_mean, ratio), strict=True):
            buffer.copy_(torch.where(finite, new, buffer))


def adapted_weight(
    weight: object | None, target: float | None, balance: float | None, power: int
) -> AdaptedWeight | None:
    """What adapts λ_⊥, None where it is given.

    Raises:
        ValueError: more than one of the three, or a target or balance out of range.

    Examples:
        >>> adapted_weight(2.0, None, None, 1) is None
        True
        >>> adapted_weight(2.0, 0.1, None, 1)
        Traceback (most recent call last):
        ...
        ValueError: expected one of weight_perpendicular, target and balance, found 2.0, 0.1 and None
    """
    if sum(value is not None for value in (weight, target, balance)) > 1:
        raise ValueError(
            f"expected one of weight_perpendicular, target and balance, found {weight}, {target} and {balance}"
        )
    return None if target is None and balance is None else AdaptedWeight(target=target, balance=balance, power=power)
