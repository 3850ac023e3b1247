"""A penalty on an optimiser trains as the loop that adds it by hand does."""

import copy

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


def by_hand(module, optimiser, penalty, n_steps=4):
    for _ in range(n_steps):
        optimiser.zero_grad()
        (loss_of(module) + penalty()).backward()
        penalty.update()
        optimiser.step()


def attached(module, optimiser, penalty, n_steps=4):
    attachment = attach(optimiser, penalty)
    for _ in range(n_steps):
        optimiser.zero_grad()
        loss_of(module).backward()
        optimiser.step()
    return attachment


def assert_same_weights(one, other, **tolerance):
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


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
    trained = []
    for train in (by_hand, attached):
        module = network()
        penalty = ProjectionPenalty(module, "C4", **TYPES, **PENALTIES[kind])
        train(module, OPTIMISERS[name](module.parameters()), penalty)
        trained.append((module, penalty.weight_perpendicular))
    assert_same_weights(trained[0][0], trained[1][0], atol=1e-6, rtol=1e-5)
    assert trained[0][1] == pytest.approx(trained[1][1])


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


@pytest.mark.parametrize("kind", ["given", "scheduled", "balance"])
@pytest.mark.parametrize("positional", [True, False])
def test_a_closure_adds_the_penalty_to_its_loss(kind, positional):
    trained = []
    for by_hook in (False, True):
        module = network()
        penalty = ProjectionPenalty(module, "C4", **TYPES, **PENALTIES[kind])
        optimiser = OPTIMISERS["SGD"](module.parameters())
        if by_hook:
            attach(optimiser, penalty)

        def closure(module=module, penalty=penalty, optimiser=optimiser, by_hook=by_hook):
            optimiser.zero_grad()
            loss = loss_of(module) if by_hook else loss_of(module) + penalty()
            loss.backward()
            if not by_hook:
                penalty.update()
            return loss

        losses = [optimiser.step(closure) if positional else optimiser.step(closure=closure) for _ in range(3)]
        trained.append((module, losses))
    assert_same_weights(trained[0][0], trained[1][0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(trained[0][1], trained[1][1])


def test_lbfgs_minimises_loss_and_penalty_together():
    trained = []
    for by_hook in (False, True):
        module = network()
        penalty = ProjectionPenalty(module, "C4", **TYPES, power=2, weight_perpendicular=0.1)
        optimiser = torch.optim.LBFGS(module.parameters(), max_iter=6, line_search_fn="strong_wolfe")
        if by_hook:
            attach(optimiser, penalty)

        def closure(module=module, penalty=penalty, optimiser=optimiser, by_hook=by_hook):
            optimiser.zero_grad()
            loss = loss_of(module) if by_hook else loss_of(module) + penalty()
            loss.backward()
            return loss

        optimiser.step(closure)
        trained.append(module)
    assert_same_weights(*trained, atol=1e-4, rtol=1e-3)


def test_a_weight_for_each_parameter_and_a_learnable_one():
    trained = []
    for by_hook in (False, True):
        module = network()
        learnable = nn.Parameter(torch.tensor(0.2))
        penalty = ProjectionPenalty(
            module, "C4", **TYPES, weight_perpendicular={"0.weight": learnable, "2.weight": 0.5}, power=2
        )
        optimiser = OPTIMISERS["SGD"]([{"params": module.parameters()}, {"params": [learnable], "lr": 0.001}])
        (attached if by_hook else by_hand)(module, optimiser, penalty)
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
    trained = []
    for by_hook in (False, True):
        module = network()
        penalty = ProjectionPenalty(module, "C4", **TYPES, **PENALTIES[kind])
        optimiser = OPTIMISERS["SGD"](module.parameters())
        if by_hook:
            parallel = nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True)
            attach(optimiser, penalty)
            for _ in range(4):
                optimiser.zero_grad()
                loss_of(parallel).backward()
                optimiser.step()
        else:
            by_hand(module, optimiser, penalty)
        trained.append(module)
    assert_same_weights(*trained, atol=1e-6, rtol=1e-5)


def test_fsdp2(one_process):
    trained = []
    for by_hook in (False, True):
        module = network()
        if by_hook:
            mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
            torch.distributed.fsdp.fully_shard(module, mesh=mesh)
        penalty = ProjectionPenalty(module, "C4", **TYPES, **PENALTIES["given"])
        (attached if by_hook else by_hand)(module, OPTIMISERS["SGD"](module.parameters()), penalty)
        trained.append(module)
    for a, b in zip(trained[0].parameters(), trained[1].parameters(), strict=True):
        torch.testing.assert_close(a.detach(), b.full_tensor().detach(), atol=1e-6, rtol=1e-5)


def test_a_closure_that_fails_leaves_the_next_step_its_penalty():
    module = network()
    optimiser = OPTIMISERS["SGD"](module.parameters())
    attachment = attach(optimiser, ProjectionPenalty(module, "C4", **TYPES))
    with pytest.raises(ZeroDivisionError):
        optimiser.step(lambda: 1 / 0)
    assert attachment.value is None
    optimiser.step()
    assert attachment.value is not None


def test_a_line_search_is_one_step_of_a_schedule():
    steps = []
    module = network()
    schedule = lambda step: steps.append(step) or 0.1  # noqa: E731
    penalty = ProjectionPenalty(module, "C4", **TYPES, schedule=schedule)
    optimiser = torch.optim.LBFGS(module.parameters(), max_iter=4)
    attach(optimiser, penalty)

    def closure():
        optimiser.zero_grad()
        loss = loss_of(module)
        loss.backward()
        return loss

    for _ in range(2):
        optimiser.step(closure)
    assert set(steps) == {0, 1}
    assert len(steps) > 2
    assert steps == sorted(steps)


def test_accumulated_batches_have_one_penalty():
    trained = []
    for by_hook in (False, True):
        module = network()
        penalty = ProjectionPenalty(module, "C4", **TYPES)
        optimiser = OPTIMISERS["SGD"](module.parameters())
        attachment = attach(optimiser, penalty) if by_hook else None
        for half in (slice(0, 8), slice(8, 16)):
            ((module(FEATURES[half]) - TARGETS[half]).square().mean() / 2).backward()
        if attachment is None:
            penalty().backward()
        optimiser.step()
        trained.append(module)
    assert_same_weights(*trained, atol=1e-7, rtol=1e-5)
    assert float(attachment.value) == pytest.approx(float(ProjectionPenalty(network(), "C4", **TYPES)().detach()))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", ["given", "balance"])
def test_scaled_gradients(fused, kind):
    trained = []
    for by_hook in (False, True):
        module = network()
        penalty = ProjectionPenalty(module, "C4", **TYPES, **PENALTIES[kind])
        optimiser = torch.optim.Adam(module.parameters(), lr=0.05, fused=fused)
        if not by_hook:
            by_hand(module, optimiser, penalty)
        else:
            scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
            attach(optimiser, penalty)
            for _ in range(4):
                optimiser.zero_grad()
                scaler.scale(loss_of(module)).backward()
                scaler.step(optimiser)
                scaler.update()
        trained.append(module)
    assert_same_weights(*trained, atol=1e-5, rtol=1e-4)


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
        attached(module, kind(module.parameters(), lr=0.1), ProjectionPenalty(module, "C4", **TYPES))
        attached(module, kind(module.parameters(), lr=0.1), ProximalPenalty(module, "C4", **TYPES))
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
