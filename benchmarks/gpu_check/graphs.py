"""Graph breaks of every network and every method, counted on the CPU.

    python -m benchmarks.gpu_check.graphs [NETWORK ...]     # one line of JSON for each network and method

What `training.compile` compiles is the forward pass as a step calls it, parametrisations and hooks of the method
included; penalties of weights run beside it and are counted as ``penalty of …``. Networks are small: the graph of a
stage is that of all stages.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from benchmarks.gpu_check.settings import GROUP, representative
from torch import Tensor, nn

from ctmar.config import Network, Training
from ctmar.config.methods import METHODS
from ctmar.training.patches import Batch
from ctmar.training.state import TrainingState, start

UNROLLED = {"n_stages": 1, "n_blocks": 1, "n_extra_channels": 3, "normalisation": "field"}
NETWORKS: dict[str, dict[str, Any]] = {
    "dncnn": {"fields": 1, "depth": 3},
    "unet": {"fields": 1, "levels": 2},
    "acdnet": UNROLLED | {"n_maps": 4, "n_atoms": 4},
    "dicdnet": UNROLLED | {"n_maps": 4},
    "oscnet": UNROLLED | {"n_maps": 2, "n_rotations": 4},
    "oscnetplus": UNROLLED | {"n_maps": 2, "n_rotations": 4},
}
_KNOWN: dict[tuple[Any, ...], dict[str, Any]] = {}
NORMS = ("frobenius", "spectral", "nuclear", "entrywise:1", "entrywise:inf", "induced:1", "mixed:2,1")
# strict's projections with a line of arithmetic: the first networks show that line, `strict` the projections of all
LIKE_STRICT = ("residual_pathway", "annealed", "softness")
N_WITH_ALL_METHODS = 2
WITH_STAGES = ("acdnet", "dicdnet", "oscnet", "oscnetplus")


def methods_with(number: int) -> list[str]:
    """The methods that are tried with the network of that number."""
    return [method for method in METHODS if number < N_WITH_ALL_METHODS or method not in LIKE_STRICT]


def breaks_of(network: str, method: str, norm: str = "none") -> dict[str, Any]:
    """How often the compiled forward pass of a step would fall back to Python, and why."""
    torch._dynamo.reset()
    loss = "stages" if network in WITH_STAGES else "masked_mse"
    chosen = Training(epochs=1, loss=loss)  # type: ignore[arg-type]
    settings = Network(architecture=network, settings=NETWORKS[network])
    state = start(representative(method, norm), settings, chosen, GROUP)
    drawn = Batch(torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16), torch.ones(2, 1, 16, 16))
    batch = state.method.batch(drawn, 0)
    found = {"network": network, "method": method} | of_forward_pass(state, batch.inputs)
    if METHODS[method].reads_norm:
        torch._dynamo.reset()
        found |= {"norm": norm, "penalty": counted(lambda: state.method.penalty(batch, batch.target, 0))}
    return found


def of_forward_pass(state: TrainingState, inputs: Tensor) -> dict[str, Any]:
    """Graphs and breaks of a forward pass; those of one with the same modules, hooks and shapes are known."""
    modules = state.network.named_modules()
    # by name: a parametrised module has a class of its own
    key = (inputs.shape, *((name, type(module).__qualname__, *map(len, _hooks(module))) for name, module in modules))
    if key not in _KNOWN:
        _KNOWN[key] = counted(lambda: state.forward(inputs))
    return _KNOWN[key]


def _hooks(module: nn.Module) -> tuple[Any, Any]:
    return module._forward_hooks, module._forward_pre_hooks


def counted(work: Any) -> dict[str, Any]:
    """Graphs and breaks of a call."""
    explained = torch._dynamo.explain(work)()
    reasons = [" ".join(str(reason.reason).split())[:200] for reason in explained.break_reasons]
    return {"graphs": explained.graph_count, "breaks": explained.graph_break_count, "reasons": reasons}


def all_breaks(networks: list[str]) -> Iterator[dict[str, Any]]:
    """Every method of every network, but for `LIKE_STRICT`; of the norms, all with the first network."""
    for number, network in enumerate(networks):
        for method in methods_with(number):
            facts = METHODS[method]
            norms = (NORMS if number == 0 else NORMS[:1]) if facts.reads_norm else ("none",)
            for norm in norms:
                yield breaks_of(network, method, norm)


if __name__ == "__main__":
    for line in all_breaks(sys.argv[1:] or list(NETWORKS)):
        print(json.dumps(line), flush=True)
