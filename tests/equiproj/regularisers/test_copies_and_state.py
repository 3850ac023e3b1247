"""A penalty beside its network: nothing of it in what the network saves, and copies of both."""

import copy
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from equiproj import ProjectionPenalty, ProximalPenalty
from equiproj.adaptive import InputWeightedPenalty
from equiproj.groups import CyclicGroup
from equiproj.representations import regular

RHO = regular(CyclicGroup(4))
TYPES = {"layers": {"0": (RHO, RHO), "1": (RHO, RHO)}}


def two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))


class WithPenalty(nn.Module):
    """What a module of Lightning looks like: the network and its penalty, kept as attributes."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.network = two_layers()
        self.penalty = ProjectionPenalty(self.network, **options, **TYPES)


OPTIONS = [{}, {"norm": "spectral", "method": "power"}, {"target": 0.2}, {"schedule": lambda step: 1.0}]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "power", "target", "schedule"])
def test_a_checkpoint_of_the_module_is_the_same_with_a_penalty(options: dict[str, Any]) -> None:
    module = WithPenalty(**options)
    weights = nn.Parameter(torch.tensor(1.0))
    ProjectionPenalty(module.network, weight_perpendicular=weights, **TYPES)
    assert set(module.state_dict()) == {"network.0.weight", "network.1.weight"}
    assert [name for name, _ in module.named_parameters()] == ["network.0.weight", "network.1.weight"]
    assert list(module.buffers()) == []
    without = nn.Module()
    without.network = two_layers()
    module.load_state_dict(without.state_dict(), strict=True)
    without.load_state_dict(module.state_dict(), strict=True)
    module.penalty().backward()


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "power", "target", "schedule"])
def test_the_state_is_saved_beside_and_put_back(options: dict[str, Any]) -> None:
    module = WithPenalty(**options)
    module.penalty().backward()
    module.penalty.update()
    buffer = io.BytesIO()
    torch.save(module.penalty.state_dict(), buffer)
    buffer.seek(0)
    other = WithPenalty(**options)
    other.network.load_state_dict(module.network.state_dict())
    other.penalty.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other.penalty(), module.penalty())
    assert other.penalty.n_calls == module.penalty.n_calls == (2 if "schedule" in options else 0)


def test_the_state_of_something_else_is_refused() -> None:
    module = WithPenalty()
    with pytest.raises(ValueError, match=r"expected the state of such a penalty \(n_calls, norms, weight\), found 0"):
        module.penalty.load_state_dict(module.network.state_dict())
    for kind in (ProjectionPenalty, ProximalPenalty):
        given, adapted = kind(module.network, **TYPES), kind(module.network, target=0.5, **TYPES)
        for penalty, other in ((given, adapted), (adapted, given)):
            with pytest.raises(ValueError, match="expected the state of such a penalty"):
                penalty.load_state_dict(other.state_dict())


Penalty = ProjectionPenalty | ProximalPenalty | InputWeightedPenalty


def penalties(network: nn.Module) -> list[Penalty]:
    weighted = InputWeightedPenalty(network, batches=[torch.eye(4)], **TYPES)
    return [ProjectionPenalty(network, **TYPES), ProximalPenalty(network, **TYPES), weighted]


KINDS = pytest.mark.parametrize("kind", [0, 1, 2], ids=["in the loss", "proximal", "weighted by inputs"])


def works(penalty: Penalty, network: nn.Module) -> bool:
    """Whether it is the penalty of this very network."""
    if not isinstance(penalty, ProximalPenalty):
        penalty().backward()
        return all(layer.weight.grad is not None for layer in network)
    before = [layer.weight.clone() for layer in network]
    penalty.step(0.01)
    return not any(torch.equal(layer.weight, old) for layer, old in zip(network, before, strict=True))


def saved_and_loaded(what: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(what, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@dataclass
class Training:
    penalty: Penalty
    network: nn.Module


@KINDS
def test_both_in_one_object_are_copied_as_one_whichever_is_first(kind: int) -> None:
    network = two_layers()
    penalty = penalties(network)[kind]
    for other, of_other in (
        copy.deepcopy((penalty, network)),
        copy.deepcopy((network, penalty))[::-1],
        copy.deepcopy({"penalty": penalty, "network": network}).values(),
        vars(copy.deepcopy(Training(penalty, network))).values(),
        pickle.loads(pickle.dumps((penalty, network))),
        pickle.loads(pickle.dumps((network, penalty)))[::-1],
        pickle.loads(pickle.dumps(pickle.loads(pickle.dumps((penalty, network))))),
        saved_and_loaded((penalty, network)),
    ):
        assert of_other is not network
        assert works(other, of_other)
        assert all(layer.weight.grad is None for layer in network)
    network.penalty = penalty
    for other in (copy.deepcopy(network), saved_and_loaded(network)):
        assert other.penalty is not penalty
        assert works(other.penalty, other)


def test_a_copy_has_the_state_of_its_moment() -> None:
    module = WithPenalty(schedule=lambda step: 1.0)
    module.penalty()
    penalty, _ = copy.deepcopy((module.penalty, module.network))
    module.penalty()
    assert (penalty.n_calls, module.penalty.n_calls) == (1, 2)


@KINDS
def test_a_copy_without_its_network_says_so(kind: int) -> None:
    network = two_layers()
    other = copy.deepcopy(penalties(network)[kind])
    with pytest.raises(RuntimeError, match="expected to be copied in one object with its network, found a copy of it"):
        works(other, network)
    shallow = copy.copy(penalties(network)[kind])
    assert works(shallow, network)


@KINDS
@pytest.mark.parametrize("refers_to_itself", [False, True])
def test_a_penalty_pickled_without_its_network_says_so(kind: int, refers_to_itself: bool) -> None:
    network = two_layers()
    network.others = [network] if refers_to_itself else []
    for other in (saved_and_loaded(penalties(network)[kind]), pickle.loads(pickle.dumps(penalties(network)[kind]))):
        with pytest.raises(
            RuntimeError, match=r"expected to be pickled in one object with its network.*state_dict\(\)"
        ):
            works(other, network)


def test_a_learnt_weight_is_copied_with_its_owner() -> None:
    weight = nn.Parameter(torch.tensor(0.5))
    network = two_layers()
    penalty = ProjectionPenalty(network, weight_perpendicular=weight, **TYPES)
    for other, _, copied in (
        copy.deepcopy((penalty, network, weight)),
        pickle.loads(pickle.dumps((penalty, network, weight))),
    ):
        with torch.no_grad():
            copied.zero_()
        assert other() == 0 < penalty()


@pytest.mark.parametrize("options", [*OPTIONS[:3], {"norm": "nuclear", "weight_equivariant": 0.1}])
def test_a_network_may_be_built_without_numbers(options: dict[str, Any]) -> None:
    """As libraries do that load the weights afterwards."""

    def build() -> tuple[nn.Module, ProjectionPenalty]:
        network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
        return network, ProjectionPenalty(network, "C4", include_bias=True, **options)

    with torch.device("meta"):
        network, penalty = build()
    loaded, expected = build()
    network.load_state_dict(loaded.state_dict(), assign=True)
    torch.testing.assert_close(penalty(), expected())


@pytest.mark.slow
def test_a_pretrained_model_of_transformers_keeps_its_penalty_to_itself(tmp_path: Path) -> None:
    from transformers import PretrainedConfig, PreTrainedModel

    class Network(PreTrainedModel):
        config_class = PretrainedConfig

        def __init__(self, config: PretrainedConfig) -> None:
            super().__init__(config)
            self.network = two_layers()
            self.penalty = ProjectionPenalty(self.network, norm="spectral", method="power", **TYPES)
            self.post_init()

        def _init_weights(self, module: nn.Module) -> None:
            """As torch draws them."""

    network = Network(PretrainedConfig())
    network.save_pretrained(tmp_path)
    loaded, told = Network.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    torch.testing.assert_close(loaded.penalty(), network.penalty())
