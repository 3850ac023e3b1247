"""A penalty on an optimiser: a training loop that cannot be changed applies it with every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from equiproj.regularisers import ProjectionPenalty, ProximalPenalty
from equiproj.regularisers.accumulation import add_to_gradient

Penalty = ProjectionPenalty | ProximalPenalty


class Attachment:
    """What `attach` returns: the penalty's last value, and the way back.

    Examples:
        >>> layer = torch.nn.Linear(4, 4, bias=False)
        >>> optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
        >>> penalty = ProjectionPenalty(layer, "C4", input_type="regular", output_type="regular")
        >>> attachment = attach(optimiser, penalty)
        >>> attachment.remove()
        >>> attachment.value is None
        True
    """

    def __init__(self, optimiser: Optimizer, penalty: Penalty, max_gradient_norm: float | None = None) -> None:
        self.penalty, self.max_gradient_norm = penalty, max_gradient_norm
        self.value: Tensor | None = None  # of the penalty in the loss, at the last step, without its graph
        self._inside = False
        self._handles = (
            optimiser.register_step_pre_hook(self._before),
            optimiser.register_step_post_hook(self._after),
        )

    def remove(self) -> None:
        """Take the penalty off the optimiser, which then steps as it did before."""
        for handle in self._handles:
            handle.remove()

    def _before(self, optimiser: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._inside:  # an optimiser whose step calls the one that it inherits runs the hooks twice
            return None
        if not isinstance(self.penalty, ProjectionPenalty):
            self._inside = True
            return None
        closure = kwargs.get("closure") if "closure" in kwargs else (args[1] if len(args) > 1 else None)
        if closure is None:
            self.value = self._added(optimiser, self.penalty)
            self._inside = True
            return None
        self._inside = True
        # The gradients of a step with a closure are made, and cleared before that, inside the closure.
        closure = self._with_penalty(optimiser, self.penalty, closure)
        if "closure" in kwargs:
            return args, {**kwargs, "closure": closure}
        return (args[0], closure, *args[2:]), kwargs

    def _after(self, optimiser: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._inside and isinstance(self.penalty, ProximalPenalty) and not _was_skipped(optimiser):
            self.penalty.step(optimiser)
        self._inside = False

    def _added(self, optimiser: Optimizer, penalty: ProjectionPenalty, step: int | None = None) -> Tensor:
        value = add_gradient(optimiser, penalty, step)
        if self.max_gradient_norm is not None:
            parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.max_gradient_norm)
        return value

    def _with_penalty(
        self, optimiser: Optimizer, penalty: ProjectionPenalty, closure: Callable[[], Any]
    ) -> Callable[[], Any]:
        step: int | None = None

        def closure_and_penalty() -> Any:
            nonlocal step
            self._inside = False  # should the closure fail, the next step is a new one
            loss = closure()
            self._inside = True
            if loss is None and not _has_gradients(optimiser):
                return None  # how Lightning skips a step
            self.value = self._added(optimiser, penalty, step)
            step = max(penalty.n_calls - 1, 0)  # a line search calls again, within one step of a schedule
            return loss if loss is None else loss + self.value

        return closure_and_penalty


def attach(optimiser: Any, penalty: object, *, max_gradient_norm: float | None = None) -> Attachment:
    """Apply a penalty with every step of an optimiser, until `.remove()` of what this returns.

    A `ProjectionPenalty` adds its gradient to `.grad` of the optimiser's parameters before each step, as if it had been
    added to the loss, and adapts its λ_⊥ (`update`) where it does; once a step, however many batches are accumulated. A
    `ProximalPenalty` takes its own step after each one, with the learning rates that the optimiser has by then. Any
    torch optimiser, with or without a closure, a `GradScaler` included; under DDP every rank adds the same.

    A loop that clips gradients does so before the step, and thus without the penalty's part: its gradient comes on top
    of the clipped one, however long it is. To clip both together, as if the penalty were in the loss, turn the loop's
    clipping off and give its bound here. Keep the penalty's state with the optimiser's: `penalty.state_dict()`.

    Args:
        optimiser: of the training loop; parameters that it does not hold get no gradient.
        penalty: built on the module that the optimiser trains.
        max_gradient_norm: bound of the Euclidean norm of the gradient of all parameters of the optimiser, task and
            penalty together (`torch.nn.utils.clip_grad_norm_`), above 0; nothing is clipped without it.

    Raises:
        ValueError: not such a penalty or optimiser, one that holds none of the penalty's weights, or a bound that is
            not above 0 or is given with a `ProximalPenalty`, which adds no gradient.

    Examples:
        >>> layer = torch.nn.Linear(4, 4, bias=False)
        >>> optimiser = torch.optim.SGD(layer.parameters(), lr=0.5)
        >>> penalty = ProjectionPenalty(layer, "C4", power=2, input_type="regular", output_type="regular")
        >>> attachment = attach(optimiser, penalty)
        >>> layer(torch.zeros(1, 4)).sum().backward()  # a task without a gradient
        >>> optimiser.step()  # the gradient is 2(W − PW)
        >>> bool(penalty() < 1e-12)
        True
    """
    if not isinstance(penalty, ProjectionPenalty | ProximalPenalty):
        raise ValueError(f"expected a ProjectionPenalty or a ProximalPenalty, found {type(penalty).__name__}")
    if not hasattr(optimiser, "register_step_pre_hook"):
        raise ValueError(f"expected a torch optimiser, found {type(optimiser).__name__}")
    own = {id(tensor) for tensor in penalty.held()}
    if not any(id(parameter) in own for group in optimiser.param_groups for parameter in group["params"]):
        raise ValueError("expected an optimiser that holds weights of the penalty, found one that holds none")
    if max_gradient_norm is not None and not (isinstance(penalty, ProjectionPenalty) and max_gradient_norm > 0):
        raise ValueError(
            f"expected max_gradient_norm above 0 and with a ProjectionPenalty, found {max_gradient_norm} with a "
            f"{type(penalty).__name__}"
        )
    return Attachment(optimiser, penalty, max_gradient_norm)


def add_gradient(optimiser: Optimizer, penalty: ProjectionPenalty, step: int | None = None) -> Tensor:
    """Add the penalty's gradient to that of the task in `.grad`, adapt λ_⊥, and return the value that was added.

    Args:
        optimiser: whose parameters get it.
        penalty: in the loss.
        step: for a schedule, as for the penalty's call.

    Examples:
        >>> layer = torch.nn.Linear(2, 2, bias=False)
        >>> penalty = ProjectionPenalty(layer, "C2", power=2, input_type="regular", output_type="regular")
        >>> value = add_gradient(torch.optim.SGD(layer.parameters(), lr=0.1), penalty)
        >>> bool(torch.isclose(layer.weight.grad.square().sum(), 4 * value))
        True
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.requires_grad]
    _unscale(optimiser, parameters)
    with torch.enable_grad():
        value = penalty(step)
    if value.requires_grad:
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                add_to_gradient(parameter, gradient)
    penalty.update()
    return value.detach()


@torch.no_grad()
def _unscale(optimiser: Optimizer, parameters: list[Tensor]) -> None:
    """Do what a GradScaler leaves to optimisers that unscale gradients themselves, the fused ones."""
    scale = getattr(optimiser, "grad_scale", None)
    if scale is None:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.div_(scale.to(parameter.grad))
    optimiser.grad_scale = None  # type: ignore[attr-defined]


def _has_gradients(optimiser: Optimizer) -> bool:
    return any(p.grad is not None for group in optimiser.param_groups for p in group["params"])


def _was_skipped(optimiser: Optimizer) -> bool:
    """Whether a GradScaler found overflow in a step of an optimiser that skips it by itself."""
    found = getattr(optimiser, "found_inf", None)
    return found is not None and bool(found)
