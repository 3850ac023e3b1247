"""A penalty that computes a part, or in some steps alone: unbiased, reproducible, and refused where it cannot be."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty
from equiproj.groups import CyclicGroup
from equiproj.regularisers.shares import Shares

GROUP = CyclicGroup(4)


def gradients(network: nn.Module, value: Tensor) -> list[Tensor]:
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    found = torch.autograd.grad(value, weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]


@pytest.mark.parametrize(("every", "sample"), [(1, 1), (3, 1), (1, 2), (1, 5), (2, 3)])
@pytest.mark.parametrize("norm", ["frobenius", "spectral"])
def test_the_expectation_is_the_whole_penalty(network: nn.Module, norm: str, every: int, sample: int) -> None:
    """Theorem: each part with its probability 1 / n, each step with its 1 / k, times what it counts."""
    network = network.double()
    options = {"norm": norm, "weight_perpendicular": 0.7, "weight_equivariant": 0.2}
    whole = ProjectionPenalty(network, GROUP, **options)()
    wanted = gradients(network, whole)
    penalty = ProjectionPenalty(network, GROUP, every=every, sample=sample, seed=3, **options)
    values = [penalty(step) for step in range(every * sample)]
    assert sum(value.item() != 0 for value in values) == sample
    assert {value.dtype for value in values} == {torch.float64}
    torch.testing.assert_close(torch.stack(values).mean(), whole)
    means = [torch.stack(each).mean(0) for each in zip(*(gradients(network, v) for v in values), strict=True)]
    for found, expected in zip(means, wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_every_place_in_the_order_is_each_parts_with_equal_probability() -> None:
    shares = Shares(every=1, n_parts=3, seed=0)
    n_orders = 3000
    places = Counter((step % 3, shares.at(step)[0]) for step in range(3 * n_orders))
    # five standard deviations of a binomial with p = 1/3
    assert all(abs(count - n_orders / 3) < 5 * (n_orders * 2 / 9) ** 0.5 for count in places.values())
    assert len(places) == 9
    assert [Shares(1, 3, 1).at(step) for step in range(30)] != [shares.at(step) for step in range(30)]


def test_the_parts_share_out_the_weights(network: nn.Module) -> None:
    penalty = ProjectionPenalty(network, GROUP, power=2, sample=5)
    touched = [[bool(g.any()) for g in gradients(network, penalty())] for _ in range(5)]
    assert [sum(step) for step in touched] == [1] * 5
    assert all(map(any, zip(*touched, strict=True)))


def test_steps_are_counted_and_saved(network: nn.Module) -> None:
    def build() -> ProjectionPenalty:
        return ProjectionPenalty(network, GROUP, every=2, sample=5, seed=1)

    one, other = build(), build()
    values = [one().item() for _ in range(20)]
    assert values[1::2] == [0.0] * 10
    assert [other(step).item() for step in range(20)] == values
    for _ in range(7):
        other()
    resumed = build()
    resumed.load_state_dict(other.state_dict())
    assert [resumed().item() for _ in range(13)] == values[7:]


def test_a_step_that_is_left_out_can_be_added_and_differentiated(network: nn.Module) -> None:
    penalty, images = ProjectionPenalty(network, GROUP, every=2), torch.randn(1, 1, 8, 8)
    penalty(1).backward()
    alone = gradients(network, network(images).square().mean())
    together = gradients(network, network(images).square().mean() + penalty(1))
    assert penalty(1).item() == 0
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every to be a whole number of at least 1, found 0"),
        ({"sample": 0}, "sample to be a whole number of at least 1"),
        ({"seed": -1}, "seed to be a whole number of at least 0"),
        ({"sample": 6}, "sample of at most 5, the number of weights, found 6"),
        ({"every": 2, "target": 0.1}, "every or sample above 1, or a weight that adapts itself"),
        ({"sample": 2, "balance": 0.1}, "every or sample above 1, or a weight that adapts itself"),
    ],
)
def test_refused(network: nn.Module, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProjectionPenalty(network, GROUP, **options)
