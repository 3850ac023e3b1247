"""Adam without torch's compiler is torch's Adam."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from ctmar.training.adam import Adam


def _network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
    return layers.to(memory_format=torch.channels_last)


def _train(network: nn.Module, optimiser: torch.optim.Optimizer, steps: range) -> list[Tensor]:
    for step in steps:
        images = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(step))
        optimiser.param_groups[0]["lr"] = 0.01 / (step + 1)
        optimiser.zero_grad()
        network(images).square().mean().backward()
        optimiser.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


@pytest.mark.parametrize("fused", [False, True])
def test_is_that_of_torch_bit_for_bit(fused):
    ours, theirs = _network(), _network()
    settings = {"lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0.1, "fused": fused}
    trained = _train(ours, Adam(ours.parameters(), **settings), range(5))
    expected = _train(theirs, torch.optim.Adam(theirs.parameters(), **settings), range(5))
    assert all(torch.equal(own, other) for own, other in zip(trained, expected, strict=True))


@pytest.mark.parametrize(("first", "second"), [(Adam, torch.optim.Adam), (torch.optim.Adam, Adam)])
def test_the_state_of_one_continues_in_the_other(first, second):
    whole = _network()
    expected = _train(whole, Adam(whole.parameters(), fused=True), range(6))
    network = _network()
    begun = first(network.parameters(), fused=True)
    _train(network, begun, range(3))
    continued = second(network.parameters(), fused=True)
    continued.load_state_dict(begun.state_dict())
    trained = _train(network, continued, range(3, 6))
    assert all(torch.equal(own, other) for own, other in zip(trained, expected, strict=True))


def test_a_training_run_does_not_import_the_compiler():
    script = """
import sys
from ctmar.config import Network, Run, Training
from ctmar.estimate.training_cost import synthetic_batch
from ctmar.training.checkpoint import resume, snapshot
from ctmar.training.state import start
from ctmar.training.step import training_step
for method in ("plain", "strict", "augmentation", "proximal"):
    run, network = Run(network="n", method=method), Network(settings={"fields": 1, "depth": 2})
    state = start(run, network, Training(epochs=1), "C4")
    training_step(state, synthetic_batch(2, 8), 0)
    resume(state, snapshot(state, "run"))
print(*sorted({"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, text=True, capture_output=True)
    assert done.stdout.split() == []
