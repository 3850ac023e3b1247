"""`backward_`: the penalty's gradient in `.grad` at once, as `backward()` of the penalty leaves it."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils._python_dispatch import TorchDispatchMode

from equiproj import ProjectionPenalty
from equiproj.groups import CyclicGroup

GROUP = CyclicGroup(4)


def left_by(network: nn.Module, accumulate: Any) -> list[Tensor | None]:
    """Gradients after those of a task."""
    network.zero_grad()
    network(torch.ones(1, 1, 8, 8, dtype=next(network.parameters()).dtype)).square().mean().backward()
    accumulate()
    return [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("power", [1, 2])
def test_backward_in_place_is_backward(network: nn.Module, norm: str, power: int) -> None:
    """Theorem, to rounding: g + f ∇penalty either way."""
    options = {"norm": norm, "power": power, "weight_perpendicular": 0.7, "weight_equivariant": 0.2}
    penalty = ProjectionPenalty(network, GROUP, **options)
    expected = left_by(network, lambda: (2.0 * penalty()).backward())
    value = penalty()
    found = left_by(network, lambda: torch.testing.assert_close(penalty.backward_(2.0), value.detach()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_in_place_without_a_gradient_before_and_with_the_options(network: nn.Module) -> None:
    penalty = ProjectionPenalty(network, GROUP, power=2, every=2, sample=2, schedule=lambda step: 1.0 + step)
    (penalty(0) + penalty(1) + penalty(2)).backward()
    expected = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    assert [penalty.backward_().requires_grad for _ in range(3)] == [False] * 3
    for parameter, wanted in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted)


def test_frozen_tied_and_parametrised_weights(network: nn.Module) -> None:
    parametrizations.weight_norm(network.body[0])
    network.body[1].weight.requires_grad_(False)
    penalty = ProjectionPenalty(network, GROUP, norm="nuclear", include_bias=True)
    expected = left_by(network, lambda: penalty().backward())
    found = left_by(network, penalty.backward_)
    assert network.body[1].weight.grad is None
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(network: nn.Module, dtype: torch.dtype) -> None:
    network = network.to(dtype)
    penalty = ProjectionPenalty(network, GROUP, power=2)
    penalty().backward()
    expected = [copy.deepcopy(parameter.grad) for parameter in network.parameters()]
    network.zero_grad()
    penalty.backward_()
    for parameter, wanted in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted)


@pytest.mark.parametrize("adapts", [False, True])
def test_sparse_gradients_of_an_embedding_become_whole(adapts: bool) -> None:
    found = []
    for sparse, in_the_loss in ((False, True), (True, False)):
        torch.manual_seed(0)
        layer = nn.Embedding(6, 8, sparse=sparse)
        penalty = ProjectionPenalty(layer, GROUP, output_type="regular", target=0.2 if adapts else None)
        for _ in range(2):
            loss = layer(torch.tensor([1, 4])).square().sum()
            layer.zero_grad()
            (loss + penalty() if in_the_loss else loss).backward()
            if not in_the_loss:
                penalty.backward_()
            penalty.update()
        found.append(layer.weight.grad)
    torch.testing.assert_close(*found)


class LargestTensor(TorchDispatchMode):
    """Remembers how many entries the largest result of an operation has."""

    n_entries = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else [result]:
            if isinstance(each, Tensor):
                self.n_entries = max(self.n_entries, each.untyped_storage().nbytes() // each.element_size())
        return result


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "induced:inf"])
def test_nothing_larger_than_the_largest_weight_is_made(norm: str) -> None:
    """Neither when the penalty is built nor in a step: no copy of the weights, no tables of their size."""
    network = nn.Sequential(nn.Conv2d(4, 256, 3), *(nn.Conv2d(256, 256, 3, padding=1) for _ in range(3)))
    types = {"input_type": "regular", "output_type": "regular"}
    with LargestTensor() as largest:
        penalty = ProjectionPenalty(network, GROUP, norm=norm, **types)
        penalty.backward_()
    assert largest.n_entries == 256 * 256 * 9


def test_a_weight_that_adapts_itself_counts_what_was_added(network: nn.Module) -> None:
    one, other = (ProjectionPenalty(network, GROUP, target=0.1) for _ in range(2))
    left_by(network, lambda: one().backward())
    one.update()
    left_by(network, other.backward_)
    other.update()
    assert one.weight_perpendicular == pytest.approx(other.weight_perpendicular, rel=1e-6)
    assert one.weight_perpendicular > 0
    with pytest.raises(ValueError, match=r"factor 1 with target or balance, found 2\.0"):
        other.backward_(2.0)
