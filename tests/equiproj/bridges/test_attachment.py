"""A penalty on an optimiser trains as the loop that adds it by hand does."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from equiproj import ProjectionPenalty, ProximalPenalty
from equiproj.bridges import attach

FEATURES = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
TYPES = {"input_type": "regular", "output_type": "regular"}
OPTIMISERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=0.05, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "Muon": lambda p: torch.optim.Muon(list(p)[::2], lr=0.01),
}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8))


def loss_of(module):
    return (module(FEATURES) - TARGETS).square().mean()


def train(module, optimiser, penalty, by_hand, n_steps=4):
    for _ in range(n_steps):
        optimiser.zero_grad()
        (loss_of(module) + penalty() if by_hand else loss_of(module)).backward()
        if by_hand:
            penalty.update()
        optimiser.step()


def assert_same_weights(one, other, **tolerance):
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def assert_as_by_hand(run=train, optimiser="SGD", atol=1e-6, rtol=1e-5, max_gradient_norm=None, **options):
    """Run a training with the penalty added by hand, and with it attached; returns what each run did."""
    make = OPTIMISERS[optimiser] if isinstance(optimiser, str) else optimiser
    trained, returned = [], []
    for by_hand in (True, False):
        module = network()
        penalty = ProjectionPenalty(module, "C4", **TYPES, **options)
        own = make(module.parameters())
        if not by_hand:
            attach(own, penalty, max_gradient_norm=max_gradient_norm)
        returned.append(run(module, own, penalty, by_hand))
        trained.append((module, penalty.weight_perpendicular))
    (one, given), (other, adapted) = trained
    assert_same_weights(one, other, atol=atol, rtol=rtol)
    assert given == pytest.approx(adapted, rel=1e-4)
    return returned


PENALTIES = {
    "given": {"weight_perpendicular": 0.3},
    "squared": {"weight_perpendicular": 0.3, "power": 2, "include_bias": True},
    "scheduled": {"weight_perpendicular": 0.3, "schedule": lambda step: 0.5**step},
    "every second step": {"every": 2},
    "one of two parts": {"sample": 2},
    "target": {"target": 0.3},
    "balance": {"balance": 0.5, "power": 2},
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("kind", PENALTIES)
def test_any_optimiser_trains_as_by_hand(name, kind):
    assert_as_by_hand(optimiser=name, **PENALTIES[kind])


@pytest.mark.parametrize("kind", ["given", "target"])
def test_gradients_are_clipped_with_the_penaltys_part(kind):
    lengths = []

    def clipped(module, optimiser, penalty, by_hand):
        for _ in range(4):
            optimiser.zero_grad()
            (loss_of(module) + penalty() if by_hand else loss_of(module)).backward()
            if by_hand:
                penalty.update()
                lengths.append(float(nn.utils.clip_grad_norm_(module.parameters(), 0.2)))
            optimiser.step()

    assert_as_by_hand(clipped, max_gradient_norm=0.2, **PENALTIES[kind])
    assert min(lengths) > 0.2


@pytest.mark.parametrize("kind", [{"weight_perpendicular": 2.0}, {"target": 0.3}])
def test_a_proximal_step_follows_each_step(kind):
    trained = []
    for by_hook in (False, True):
        module = network()
        penalty = ProximalPenalty(module, "C4", **TYPES, **kind)
        optimiser = OPTIMISERS["Adam"](module.parameters())
        if by_hook:
            attach(optimiser, penalty)
        for _ in range(4):
            optimiser.zero_grad()
            loss_of(module).backward()
            optimiser.step()
            if not by_hook:
                penalty.step(optimiser)
        trained.append(module)
    assert_same_weights(*trained, atol=0, rtol=0)


def test_what_is_attached_can_be_removed():
    module, plain = network(), network()
    penalty = ProjectionPenalty(module, "C4", **TYPES)
    optimiser, other = (OPTIMISERS["SGD"](m.parameters()) for m in (module, plain))
    attachments = [attach(optimiser, penalty), attach(optimiser, ProximalPenalty(module, "C4", **TYPES))]
    for attachment in attachments:
        attachment.remove()
    for m, o in ((module, optimiser), (plain, other)):
        loss_of(m).backward()
        o.step()
    assert_same_weights(module, plain, atol=0, rtol=0)


def closure_of(module, optimiser, penalty, by_hand):
    def closure():
        optimiser.zero_grad()
        loss = loss_of(module) + penalty() if by_hand else loss_of(module)
        loss.backward()
        if by_hand:
            penalty.update()
        return loss

    return closure


@pytest.mark.parametrize("kind", ["given", "scheduled", "balance"])
@pytest.mark.parametrize("positional", [True, False])
def test_a_closure_adds_the_penalty_to_its_loss(kind, positional):
    def run(module, optimiser, *how):
        closure = closure_of(module, optimiser, *how)
        return [optimiser.step(closure) if positional else optimiser.step(closure=closure) for _ in range(3)]

    torch.testing.assert_close(*assert_as_by_hand(run, **PENALTIES[kind]))


def test_lbfgs_minimises_loss_and_penalty_together():
    def run(module, optimiser, *how):
        optimiser.step(closure_of(module, optimiser, *how))

    def lbfgs(parameters):
        return torch.optim.LBFGS(parameters, max_iter=6, line_search_fn="strong_wolfe")

    assert_as_by_hand(run, lbfgs, atol=1e-4, rtol=1e-3, power=2, weight_perpendicular=0.1)


def test_a_weight_for_each_parameter_and_a_learnable_one():
    trained = []
    for by_hand in (True, False):
        module = network()
        learnable = nn.Parameter(torch.tensor(0.2))
        penalty = ProjectionPenalty(
            module, "C4", **TYPES, weight_perpendicular={"0.weight": learnable, "2.weight": 0.5}, power=2
        )
        optimiser = OPTIMISERS["SGD"]([{"params": module.parameters()}, {"params": [learnable], "lr": 0.001}])
        if not by_hand:
            attach(optimiser, penalty)
        train(module, optimiser, penalty, by_hand)
        trained.append((module, learnable))
    assert_same_weights(trained[0][0], trained[1][0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(trained[0][1], trained[1][1])
    assert float(trained[0][1].detach()) < 0.2


@pytest.fixture
def one_process(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ["given", "balance"])
def test_ddp(one_process, kind):
    def run(module, optimiser, penalty, by_hand):
        wrapped = module if by_hand else nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True)
        train(wrapped, optimiser, penalty, by_hand)

    assert_as_by_hand(run, **PENALTIES[kind])


def test_fsdp2(one_process):
    trained = []
    for by_hand in (True, False):
        module = network()
        if not by_hand:
            mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
            torch.distributed.fsdp.fully_shard(module, mesh=mesh)
        penalty = ProjectionPenalty(module, "C4", **TYPES, **PENALTIES["given"])
        optimiser = OPTIMISERS["SGD"](module.parameters())
        if not by_hand:
            attach(optimiser, penalty, max_gradient_norm=1e6)
        train(module, optimiser, penalty, by_hand)
        trained.append(module)
    for a, b in zip(trained[0].parameters(), trained[1].parameters(), strict=True):
        torch.testing.assert_close(a.detach(), b.full_tensor().detach(), atol=1e-6, rtol=1e-5)


def test_a_closure_that_fails_leaves_the_next_step_its_penalty():
    module = network()
    optimiser = OPTIMISERS["SGD"](module.parameters())
    penalty = ProjectionPenalty(module, "C4", **TYPES)
    attachment, expected = attach(optimiser, penalty), float(penalty().detach())
    with pytest.raises(ZeroDivisionError):
        optimiser.step(lambda: 1 / 0)
    assert attachment.value is None
    optimiser.step()
    assert float(attachment.value) == pytest.approx(expected)


def test_a_line_search_is_one_step_of_a_schedule():
    steps = []
    module = network()
    schedule = lambda step: steps.append(step) or 0.1  # noqa: E731
    penalty = ProjectionPenalty(module, "C4", **TYPES, schedule=schedule)
    optimiser = torch.optim.LBFGS(module.parameters(), max_iter=4)
    attach(optimiser, penalty)

    for _ in range(2):
        optimiser.step(closure_of(module, optimiser, penalty, by_hand=False))
    assert set(steps) == {0, 1}
    assert len(steps) > 2
    assert steps == sorted(steps)


def test_accumulated_batches_have_one_penalty():
    def run(module, optimiser, penalty, by_hand):
        for half in (slice(0, 8), slice(8, 16)):
            ((module(FEATURES[half]) - TARGETS[half]).square().mean() / 2).backward()
        if by_hand:
            penalty().backward()
        optimiser.step()

    assert_as_by_hand(run, atol=1e-7)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", ["given", "balance", "clipped"])
def test_scaled_gradients(fused, kind):
    bound = 0.2 if kind == "clipped" else None

    def run(module, optimiser, penalty, by_hand):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=not by_hand)
        for _ in range(4):
            optimiser.zero_grad()
            scaler.scale(loss_of(module) + penalty() if by_hand else loss_of(module)).backward()
            if by_hand:
                penalty.update()
                nn.utils.clip_grad_norm_(module.parameters(), bound or torch.inf)
            scaler.step(optimiser)
            scaler.update()

    adam = partial(torch.optim.Adam, lr=0.05, fused=fused)
    options = PENALTIES["given" if bound else kind]
    assert_as_by_hand(run, adam, atol=1e-5, rtol=1e-4, max_gradient_norm=bound, **options)


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_overflow_skips_leaves_the_weights(fused):
    module = network()
    before = copy.deepcopy(module)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.05, fused=fused)
    attach(optimiser, ProximalPenalty(module, "C4", **TYPES))
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(loss_of(module) * float("inf")).backward()
    scaler.step(optimiser)
    assert_same_weights(module, before, atol=0, rtol=0)


def test_parameters_of_another_optimiser_get_no_gradient():
    module = network()
    penalty = ProjectionPenalty(module, "C4", **TYPES)
    optimiser = torch.optim.SGD(module[0].parameters(), lr=0.1)
    attach(optimiser, penalty)
    optimiser.step()
    assert module[0].weight.grad is not None
    assert module[2].weight.grad is None
    elsewhere = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    for kind in (penalty, ProximalPenalty(module, "C4", **TYPES)):
        with pytest.raises(ValueError, match="found one that holds none"):
            attach(elsewhere, kind)


class Inherited(torch.optim.SGD):
    """Calls the step that it inherits: torch then runs the hooks of both."""

    def step(self, closure=None):
        return super().step(closure)


def test_an_inherited_step_has_one_penalty():
    torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)  # now the inherited step runs hooks too
    trained = []
    for kind in (torch.optim.SGD, Inherited):
        module = network()
        for build in (ProjectionPenalty, ProximalPenalty):
            optimiser, penalty = kind(module.parameters(), lr=0.1), build(module, "C4", **TYPES)
            attach(optimiser, penalty)
            train(module, optimiser, penalty, by_hand=False)
        trained.append(module)
    assert_same_weights(*trained, atol=0, rtol=0)


def test_sparse_gradients_of_an_embedding():
    trained = []
    for sparse in (False, True):
        torch.manual_seed(0)
        module = nn.Embedding(6, 8, sparse=sparse)
        penalty = ProjectionPenalty(module, "C4", output_type="regular", power=2)
        optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
        attach(optimiser, penalty)
        module(torch.tensor([1, 4])).square().sum().backward()
        optimiser.step()
        trained.append(module)
    assert_same_weights(*trained)


def test_a_deep_copy_of_the_optimiser_is_its_own():
    module = network()
    optimiser = OPTIMISERS["SGD"](module.parameters())
    attach(optimiser, ProjectionPenalty(module, "C4", **TYPES))
    assert not copy.deepcopy(optimiser)._optimizer_step_pre_hooks


def test_other_things_are_refused():
    module = network()
    with pytest.raises(ValueError, match="expected a ProjectionPenalty or a ProximalPenalty, found Sequential"):
        attach(OPTIMISERS["SGD"](module.parameters()), module)
    with pytest.raises(ValueError, match="expected a torch optimiser, found str"):
        attach("Adam", ProjectionPenalty(module, "C4", **TYPES))
    for build, bound in ((ProjectionPenalty, 0.0), (ProjectionPenalty, torch.nan), (ProximalPenalty, 1.0)):
        with pytest.raises(ValueError, match="expected max_gradient_norm above 0 and with a ProjectionPenalty, found"):
            attach(OPTIMISERS["SGD"](module.parameters()), build(module, "C4", **TYPES), max_gradient_norm=bound)
