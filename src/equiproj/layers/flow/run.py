"""A network runs once on an example, and every tensor is followed through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from equiproj.layers.evaluating import evaluating
from equiproj.layers.flow import entrywise, products, shaping
from equiproj.layers.flow.axes import FREE, Feature
from equiproj.layers.flow.call import Call, tensors_in
from equiproj.layers.flow.leaves import follow
from equiproj.layers.flow.precision import InFloat64
from equiproj.layers.flow.reshaping import NoRuleError
from equiproj.layers.flow.state import Event, State
from equiproj.layers.kinds import kind_of
from equiproj.layers.sharding import reshard

_RULES = {**entrywise.RULES, **shaping.RULES, **products.RULES}
# What is done to a parameter before it meets features, and leaves each of its axes an axis of it.
_OF_PARAMETERS = {*entrywise.UNARY, *shaping.VIEWS}


def run(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], state: State) -> Any:
    """Call the module in evaluation mode, without gradients, and follow what has features in the state.

    The generators of random numbers are as before afterwards, and so is every submodule's mode.
    """
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(evaluating(module))
        stack.enter_context(torch.no_grad())
        torch.backends.mha.set_fastpath_enabled(False)  # it would read the layers and not call them
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        follower = _Follower(state)
        stack.enter_context(_watched(module, follower))
        stack.enter_context(follower)
        if any(parameter.dtype == torch.float64 for parameter in module.parameters()):
            stack.enter_context(InFloat64())
        stack.callback(reshard, module)
        return module(*args, **kwargs)


class _Follower(TorchFunctionMode):
    """Sees every torch function that is called outside of layers of a known kind."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self.inside = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        known = [] if self.inside else [t for t in tensors_in((args, kwargs)) if self.state.is_known(t)]
        shape = _first_shape(args, kwargs)
        out = func(*args, **kwargs)
        if known:
            self.seen(func, args, kwargs, out)
            self.record(self.state.where(_plain_name(func)), None, _plain_name(func), (args, kwargs, shape), out)
        return out

    def seen(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> None:
        """Follow one call; what no rule describes is unknown."""
        name = _plain_name(func)
        if name == "setitem":
            self.unknown([args[0]], f"{self.state.where(name)} writes into a tensor")
        results = list(tensors_in(out))
        if not results:
            return
        reasons = [
            f.reason for t in tensors_in((args, kwargs)) if (f := self.state.feature(t)) is not None and f.reason
        ]
        where = self.state.where(name)
        rule = _RULES.get(name)
        if not reasons and name not in _OF_PARAMETERS and self.only_parameters(args, kwargs):
            reasons = [f"{where} computes with parameters"]
        if rule is None and not reasons and self.nothing_acts(args, kwargs):
            for tensor in results:  # any function of what the group keeps is kept
                self.state.keep(tensor, Feature((FREE,) * tensor.ndim, tuple(tensor.shape)))
            return
        if reasons or rule is None:
            self.unknown(results, reasons[0] if reasons else f"no rule for {where}")
            return
        call = Call(self.state, name, func, args, kwargs, out, where)
        self.follow(results, where, partial(rule, call))

    def nothing_acts(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether every axis of every argument is free, such as those of token numbers."""
        found = [self.state.feature(tensor) for tensor in tensors_in((args, kwargs))]
        return all(feature is None or all(a.settled().kind == "free" for a in feature.axes) for feature in found)

    def follow(self, results: list[Tensor], where: str, rule: Callable[[], None]) -> None:
        """Apply a rule; results of which it says nothing are unknown, and none of them is what it was before."""
        self.state.told.clear()
        reason = f"not all results of {where} are followed"
        try:
            rule()
        except NoRuleError as error:
            self.state.told.clear()
            reason = f"{where} {error}"
        self.unknown([tensor for tensor in results if id(tensor) not in self.state.told], reason)

    def record(
        self,
        where: str,
        layer: nn.Module | None,
        name: str,
        inputs: tuple[tuple[Any, ...], Mapping[str, Any], tuple[int, ...]],
        out: Any,
    ) -> None:
        """Keep a copy of the first tensor that came out, if anybody wants to know."""
        value = next(tensors_in(out), None)
        if self.state.events is None or value is None or (feature := self.state.feature(value)) is None:
            return
        if feature.source is None:
            self.state.events.append(Event(where, layer, name, *inputs, value.clone(), feature))

    def only_parameters(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether no features are among the arguments."""
        found = [self.state.feature(tensor) for tensor in tensors_in((args, kwargs))]
        return all(feature is None or feature.source is not None for feature in found)

    def unknown(self, tensors: list[Tensor], reason: str) -> None:
        """Remember why it is not known what the group does on some tensors."""
        for tensor in tensors:
            self.state.keep(tensor, Feature((FREE,) * tensor.ndim, tuple(tensor.shape), reason=reason))


def _plain_name(func: Callable[..., Any]) -> str:
    """`add` for `Tensor.__iadd__`, `relu` for `relu_`, and the property for its getter."""
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        for start in ("i", "r"):
            if name.startswith(start) and name[1:] in ("add", "sub", "mul", "truediv", "matmul", "div", "and", "or"):
                name = name[1:]
        return name
    return name.removesuffix("_")


@contextmanager
def _watched(module: nn.Module, follower: _Follower) -> Iterator[None]:
    """Hooks that say in which module a function runs, and follow layers of a known kind as a whole."""
    handles = []
    for name, each in module.named_modules():
        is_leaf = kind_of(each) is not None
        handles.append(each.register_forward_pre_hook(partial(_enter, follower, name, is_leaf), prepend=True))
        handles.append(each.register_forward_hook(partial(_leave, follower, name, is_leaf), with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _enter(follower: _Follower, name: str, is_leaf: bool, module: nn.Module, args: Any) -> None:
    follower.state.modules.append(name)
    follower.inside += is_leaf


def _leave(
    follower: _Follower, name: str, is_leaf: bool, module: nn.Module, args: Any, kwargs: Mapping[str, Any], out: Any
) -> None:
    follower.state.modules.pop()
    follower.inside -= is_leaf
    if not is_leaf or follower.inside:
        return
    follower.inside += 1  # what the rules compute themselves is no part of the network
    results = list(tensors_in(out))
    reasons = [
        f.reason for t in tensors_in((args, kwargs)) if (f := follower.state.feature(t)) is not None and f.reason
    ]
    if reasons:
        follower.unknown(results, reasons[0])
    else:
        rule = partial(follow, follower.state, name, module, (args, kwargs), out)
        follower.follow(results, f"layer {name!r}", rule)
    follower.record(f"layer {name!r}", module, name, (args, kwargs, _first_shape(args, kwargs)), out)
    follower.inside -= 1


def _first_shape(args: Any, kwargs: Mapping[str, Any]) -> tuple[int, ...]:
    return next((tuple(tensor.shape) for tensor in tensors_in((args, kwargs))), ())
