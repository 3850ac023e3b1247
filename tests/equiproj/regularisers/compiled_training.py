"""Training steps with a penalty, compiled and as they are; run by `test_compiled_and_distributed.py` with a backend."""

import math
import sys
from typing import Any

import torch
from tests.equiproj.regularisers.small_network import FROBENIUS, POWER, attach, build, images
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.nn.utils.parametrizations import weight_norm

N_STEPS = 4
# not only arithmetic: a table, a branch and a function of the standard library
TABLE = (1.0, 0.25, 2.0, 0.5)


def schedule(step: int) -> float:
    return TABLE[step] if step < 2 else TABLE[step] * math.cos(step) ** 2


def check(network: nn.Module, batch: Tensor, case: dict[str, Any], backend: str, *, gives_steps: bool = False) -> None:
    """The compiled loss and its gradients are those of the loss as it is, and all steps share one graph."""
    torch.compiler.reset()
    counters.clear()
    plain, other = (attach(network, case, schedule=schedule) for _ in range(2))

    @torch.compile(fullgraph=True, backend=backend)
    def compiled(step: int | None) -> torch.Tensor:
        return network(batch).square().mean() + other(step)

    for number in range(N_STEPS):
        step = number if gives_steps else None
        results = []
        for loss in (network(batch).square().mean() + plain(step), compiled(step)):
            network.zero_grad()
            loss.backward()
            results.append([loss.detach(), *(p.grad.clone() for p in network.parameters())])
        expected, found = results
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        torch.optim.SGD(network.parameters(), lr=0.1).step()
    # a compiler takes a step of 0 or 1 that it is given for a constant, and then any number
    assert counters["stats"]["unique_graphs"] <= (3 if gives_steps else 1), counters["stats"]


if __name__ == "__main__":
    if sys.argv[1] == "inductor":  # each of its kernels takes a compiler seconds
        check(nn.Linear(3, 4), torch.ones(2, 3), FROBENIUS, "inductor")
    else:
        check(build(weight_norm), images(2), FROBENIUS, sys.argv[1])  # the custom gradient
        check(build(weight_norm), images(2), FROBENIUS, sys.argv[1], gives_steps=True)
        check(build(weight_norm), images(2), POWER, sys.argv[1])  # the state that a graph has to mutate
