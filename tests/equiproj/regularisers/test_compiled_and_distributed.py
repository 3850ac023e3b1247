"""The penalty under `torch.compile`, DDP and FSDP2, each in processes of their own.

The annotation checks of the test run stay out of them: they are Python that a compiler cannot look through.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

NETWORK = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from equiproj import ProjectionPenalty
from equiproj.groups import CyclicGroup

CASES = [("frobenius", 2, None), ("mixed:2,1", 1, None), ("spectral", 1, None), ("spectral", 2, "power")]

def build(wrap=nn.Sequential):
    torch.manual_seed(0)
    middle = wrap(nn.Conv2d(8, 8, 3, padding=1))
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), middle, nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))

def attach(network, case, schedule=None):
    norm, power, method = case
    options = dict(norm=norm, power=power, method=method, schedule=schedule)
    return ProjectionPenalty(network, CyclicGroup(4), weight_equivariant=0.1, **options)
"""

COMPILED = """
images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
for case in (CASES[0], CASES[3]):  # the custom gradient; the state that a graph has to mutate
    torch.compiler.reset()
    network = build(weight_norm)
    plain, other = (attach(network, case, lambda step: 0.5 ** step) for _ in range(2))
    compiled = torch.compile(lambda: network(images).square().mean() + other(), fullgraph=True, backend="aot_eager")
    for step in range(2):
        results = []
        for loss in (network(images).square().mean() + plain(), compiled()):
            network.zero_grad()
            loss.backward()
            results.append([loss.detach(), *(p.grad.clone() for p in network.parameters())])
        for expected, found in zip(*results, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6, msg=lambda m: f"{case} {step}: {m}")
        torch.optim.SGD(network.parameters(), lr=0.1).step()
"""

DISTRIBUTED = """
import sys
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

BATCH = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))

def train(network, wrapped, images, case):
    penalty = attach(network, case)
    optimiser = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        (wrapped(images).square().mean() + penalty()).backward()
        optimiser.step()
    return [getattr(p, "full_tensor", lambda p=p: p)().detach() for p in network.parameters()]

def run(rank, rendezvous):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    part = BATCH[2 * rank : 2 * rank + 2]
    for case in CASES:
        plain = build()
        expected = train(plain, plain, BATCH, case)
        parallel = build()
        found = {"ddp": train(parallel, DistributedDataParallel(parallel), part, case)}
        sharded = build()
        mesh = init_device_mesh("cpu", (2,))
        for layer in (sharded[0], sharded[2]):
            fully_shard(layer, mesh=mesh)
        fully_shard(sharded, mesh=mesh)
        found["fsdp"] = train(sharded, sharded, part, case)
        for name, parameters in found.items():
            for value, wanted in zip(parameters, expected, strict=True):
                torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-6, msg=lambda m: f"{name} {case}: {m}")
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(run, args=(sys.argv[1],), nprocs=2)
"""


def assert_script_passes(folder: Path, source: str, *arguments: str) -> None:
    script = folder / "script.py"
    script.write_text(NETWORK + source)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_the_compiled_penalty_is_one_graph_with_the_same_numbers(tmp_path: Path) -> None:
    assert_script_passes(tmp_path, COMPILED)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_ddp_and_fsdp_train_like_one_process(tmp_path: Path) -> None:
    assert_script_passes(tmp_path, DISTRIBUTED, str(tmp_path / "rendezvous"))
