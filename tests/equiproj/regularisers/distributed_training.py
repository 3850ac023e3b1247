"""Two processes do what one does, under DDP and FSDP2; run by `test_compiled_and_distributed.py`."""

import copy
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tests.equiproj.regularisers.small_network import CASES, FROBENIUS, GROUP, MIXED, attach, build, images
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from equiproj import ProjectionPenalty, ProximalPenalty, project_
from equiproj.regularisers import project_initial_
from equiproj.representations import regular

BATCH = images(4)
RHO = regular(GROUP)


def shard(network: nn.Module) -> nn.Module:
    """As FSDP2 is meant to be used: blocks, and then the whole, which keeps what it gathered for its forward pass."""
    mesh = init_device_mesh("cpu", (2,))
    for part in list(network.children())[:3]:
        fully_shard(part, mesh=mesh)
    return fully_shard(network, mesh=mesh)


def gathered(network: nn.Module) -> list[Tensor]:
    return [getattr(p, "full_tensor", lambda p=p: p)().detach() for p in network.parameters()]


def assert_same(found: list[Tensor], expected: list[Tensor], what: str) -> None:
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-6, msg=lambda m: f"{what}: {m}")


def train(network: nn.Module, wrapped: nn.Module, batch: Tensor, case: dict[str, Any]) -> list[Tensor]:
    penalty = attach(network, case)
    optimiser = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        (wrapped(batch).square().mean() + penalty()).backward()
        optimiser.step()
    return gathered(network)


def check_penalty(part: Tensor) -> None:
    for case in CASES:
        plain, parallel, sharded = build(), build(), build()
        expected = train(plain, plain, BATCH, case)
        assert_same(train(parallel, DistributedDataParallel(parallel), part, case), expected, f"DDP {case}")
        assert_same(train(sharded, shard(sharded), part, case), expected, f"FSDP {case}")


def check_projection() -> None:
    """Also through parametrisations, and while the network keeps what it gathered for a forward pass."""
    for wrap in (nn.Sequential, weight_norm, spectral_norm):
        for change in (project_, project_initial_):
            what = f"{change.__name__} {wrap.__name__}"
            plain = build(wrap)
            sharded = shard(copy.deepcopy(plain))
            held = [(p, p.to_local().shape) for p in sharded.parameters()]
            for network in (plain, sharded):
                with torch.no_grad():
                    network.eval()(BATCH)
                change(network, GROUP)
            for (old, shape), new in zip(held, sharded.parameters(), strict=True):
                assert old is new, what
                assert new.to_local().shape == shape, what
            assert_same(gathered(sharded), gathered(plain), what)
            with torch.no_grad():
                assert_same([sharded(BATCH)], [plain(BATCH)], f"{what}, its output")


def check_refusal() -> None:
    """What one weight cannot hold is given to none, on no process."""
    network = nn.Sequential(nn.Linear(4, 4), orthogonal(nn.Linear(4, 4)), weight_norm(nn.Linear(4, 4)))
    types = {"layers": dict.fromkeys("012", (RHO, RHO))}
    sharded = shard(network)
    before = gathered(sharded)
    for change in (partial(project_, sharded, **types), partial(ProximalPenalty(sharded, **types).step, 0.1)):
        with pytest.raises(ValueError, match=r"1\.weight: its parametrisation cannot represent the projected value"):
            change()
        assert all(torch.equal(a, b) for a, b in zip(gathered(sharded), before, strict=True))


def check_proximal(part: Tensor) -> None:
    for options in ({"weight_perpendicular": 0.3}, {"target": 0.2}, {"weight_perpendicular": 0.3, "power": 2}):
        for wrap in (nn.Sequential, weight_norm):
            ends = []
            for batch, prepare in ((BATCH, lambda network: network), (part, shard)):
                network = prepare(build(wrap))
                penalty = ProximalPenalty(network, GROUP, include_bias=True, **options)
                first, *others = network.parameters()
                optimiser = torch.optim.SGD([{"params": [first], "lr": 0.2}, {"params": others}], lr=0.1, momentum=0.9)
                for _ in range(4):
                    optimiser.zero_grad()
                    network(batch).square().mean().backward()
                    optimiser.step()
                    with torch.no_grad():
                        network(batch)  # as validation between two steps
                    penalty.step(optimiser)
                ends.append([*gathered(network), torch.tensor(penalty.weight_perpendicular)])
            assert_same(ends[1], ends[0], f"ProximalPenalty {options} {wrap.__name__}")


class WithSpare(nn.Module):
    """A network with a layer that its forward pass does not use."""

    def __init__(self, wrap: Callable[[nn.Module], nn.Module] = nn.Sequential) -> None:
        super().__init__()
        self.body, self.spare = build(wrap), wrap(nn.Linear(8, 8, bias=False))

    def forward(self, batch: Tensor) -> Tensor:
        return self.body(batch)


class WithPenalty(nn.Module):
    """A network whose penalty is a part of its output, where DDP sees what it uses."""

    def __init__(self, network: nn.Module, penalty: ProjectionPenalty) -> None:
        super().__init__()
        self.network, self.penalty = network, penalty

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(batch), self.penalty()


def penalty_of(network: nn.Module, *, spare: bool = True, **options: Any) -> ProjectionPenalty:
    kinds = nn.Conv2d | nn.Linear
    inner = [n for n, layer in network.named_modules() if isinstance(layer, kinds) and layer.weight.shape[:2] == (8, 8)]
    layers = dict.fromkeys(inner if spare else inner[:1], (2 * RHO, 2 * RHO))
    return ProjectionPenalty(network, layers=layers, weight_equivariant=0.1, **MIXED, **options)


def gradients(network: nn.Module) -> list[Tensor]:
    return [torch.zeros(()) if p.grad is None else p.grad for p in network.parameters()]


def check_accumulated(part: Tensor) -> None:
    """Two backward passes, of which the first is not sent: DDP averages over processes what each has added up."""
    plain, parallel = build(), build()
    (plain(BATCH).square().mean() + attach(plain, FROBENIUS)()).backward()
    wrapped, penalty = DistributedDataParallel(parallel), attach(parallel, FROBENIUS)
    for number, image in enumerate(part):
        with wrapped.no_sync() if number == 0 else nullcontext():
            (0.5 * (wrapped(image[None]).square().mean() + penalty())).backward()
    assert_same(gradients(parallel), gradients(plain), "no_sync")


def check_shards_are_given_their_gradient_at_once(part: Tensor) -> None:
    plain, sharded = build(weight_norm), shard(build(weight_norm))
    (plain(BATCH).square().mean() + attach(plain, MIXED)()).backward()
    sharded(part).square().mean().backward()
    attach(sharded, MIXED).backward_()
    found = [p.grad.full_tensor() for p in sharded.parameters()]
    assert_same(found, gradients(plain), "backward_ of shards")


def check_unused(part: Tensor) -> None:
    for spare in (True, False):
        plain = WithSpare()
        (plain(BATCH).square().mean() + penalty_of(plain, spare=spare)()).backward()
        expected = gradients(plain)
        inside = WithSpare()
        together = WithPenalty(inside, penalty_of(inside, spare=spare))
        wrapped = DistributedDataParallel(together, find_unused_parameters=True)
        output, penalty = wrapped(part)
        (output.square().mean() + penalty).backward()
        assert_same(gradients(inside), expected, f"find_unused_parameters, penalty inside, {spare=}")
        beside = WithSpare()
        # a penalty beside it uses every weight that it covers: DDP then has none to look for
        options = {} if spare else {"find_unused_parameters": True}
        wrapped = DistributedDataParallel(beside, **options)
        (wrapped(part).square().mean() + penalty_of(beside, spare=spare)()).backward()
        assert_same(gradients(beside), expected, f"penalty beside, {spare=}")


def check_unused_is_given_at_once(part: Tensor) -> None:
    """DDP need not know of what `backward_` adds, not even where autograd passes it on: a parametrisation, a λ."""
    for wrap in (nn.Sequential, weight_norm):
        plain, beside = WithSpare(wrap), WithSpare(wrap)
        for network in (plain, beside):
            network.level = nn.Parameter(torch.tensor(0.5))
        wrapped = DistributedDataParallel(beside, find_unused_parameters=True)
        one, other = (penalty_of(network, weight_perpendicular=network.level) for network in (plain, beside))
        for step in range(2):  # the second tells that the count of DDP was not disturbed
            plain.zero_grad()
            beside.zero_grad()
            (plain(BATCH).square().mean() + one()).backward()
            wrapped(part).square().mean().backward()
            other.backward_()
            assert all(p.grad is not None for p in (beside.level, *beside.spare.parameters()))
            assert_same(gradients(beside), gradients(plain), f"backward_, {wrap.__name__}, {step=}")


def check_unused_is_refused(part: Tensor) -> None:
    """DDP looks at the output alone: what only a penalty beside it uses counts as unused, and it says so."""
    network = WithSpare()
    wrapped = DistributedDataParallel(network, find_unused_parameters=True)
    loss = wrapped(part).square().mean() + penalty_of(network)()
    with pytest.raises(RuntimeError, match="mark a variable ready only once"):
        loss.backward()


def run(rank: int, rendezvous: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    part = BATCH[2 * rank : 2 * rank + 2]
    check_penalty(part)
    check_projection()
    check_refusal()
    check_proximal(part)
    check_accumulated(part)
    check_unused(part)
    check_unused_is_given_at_once(part)
    check_shards_are_given_their_gradient_at_once(part)
    check_unused_is_refused(part)
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(run, args=(sys.argv[1],), nprocs=2)
