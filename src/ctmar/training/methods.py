"""What each method adds to the plain training step: the one place that turns a `Run` into code.

Every method acts on the layers that the network declares (`ctmar.models.layer_types`): weights and biases of its
convolutions. What is not declared stays free, normalisation above all: with statistics and scales of each channel
(`normalisation="batch"`) the layers of a strict network are exactly equivariant and the network is only nearly so; with
those of each field (`"field"`) the network is too. Methods that compute with weights (strict, residual pathway, …) are
parametrisations of torch; they need plain parameters, so kernels that a network builds itself are not declared. A
projection after training leaves the running statistics of normalisation as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_generator
from equiproj import ProjectionPenalty, ProximalPenalty
from equiproj.baselines import (
    AnnealedRelaxation,
    EQReg,
    ResidualPathway,
    Softness,
    StrictEquivariance,
    TrainThenProject,
    function_mismatch,
    project_initial_,
    random_group_transform,
)
from equiproj.baselines.augmentation import check_image_batches
from equiproj.groups import CyclicGroup


def _same_batch(batch: Batch, step: int) -> Batch:
    return batch


def _no_penalty(batch: Batch, output: Tensor, step: int) -> Tensor:
    return torch.zeros((), device=output.device)


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method attached to a network.

    Args:
        parameter_groups: what the optimiser trains, in torch's form; called once, after attaching.
        batch: what the step sees instead of the drawn batch (turned, doubled), given the number of the step.
        penalty: scalar that is added to the task loss, given what `batch` returned, the network's output for it and the
            number of the step; called after the forward pass, under the same autocast.
        penalty_per_part: the penalty is one of features, taken over samples, not of weights. Where a batch is cut into
            parts, the drawn batch is cut first, `batch` and `penalty` are called for every part, and the penalty's
            gradient is averaged over parts like that of the task loss. Otherwise `batch` is called once, before the
            cut, and `penalty` once a step.
        begin_step: called before every step with the share of all steps that is over, in [0, 1).
        end_step: called after every step of the optimiser with its learning rate.
        finish: called once after the last step: from then on the network's state dictionary is a plain one, which a
            network of `build_network` loads, and the network is what the method promises.
        state: what has to survive a restart beyond the state dictionary of the network.
        load_state: puts it back.
    """

    parameter_groups: Callable[[], list[dict[str, Any]]]
    batch: Callable[[Batch, int], Batch] = _same_batch
    penalty: Callable[[Batch, Tensor, int], Tensor] = _no_penalty
    penalty_per_part: bool = False
    begin_step: Callable[[float], object] = _nothing
    end_step: Callable[[float], object] = _nothing
    finish: Callable[[], object] = _nothing
    state: Callable[[], dict[str, Any]] = dict
    load_state: Callable[[dict[str, Any]], object] = _nothing


def attach_method(network: nn.Module, run: Run, group_order: int, power: Literal[1, 2]) -> Method:
    """Attach the method of ``run`` to ``network`` for the rotation group C_n, n = ``group_order``.

    With f the network, g a random element, P the projection, V trained weights and W those of the layers:

    * ``plain``: nothing is added.
    * ``augmentation``: every patch is turned by an element of its own.
    * ``eqreg``: the batch is doubled with a copy turned by one g, λ_⊥ Σ_l ‖g·z_l(x) − ρ_l(g)⁻¹ z_l(g·x)‖₂ is added;
      where a batch is cut into n parts, the mean over parts, which for independent patches is smaller by √n.
    * ``function_level``: λ_⊥ times the mean over the batch of ‖f(g·x) − g·f(x)‖₂ is added.
    * ``projection``: λ_⊥ Σ_l ‖W_l − P(W_l)‖^power + λ_G Σ_l ‖P(W_l)‖^power is added.
    * ``proximal``: W starts as for ``strict``, and after every step comes the proximal step of
      λ_⊥ Σ_l ‖W_l − P(W_l)‖_F^power (docs/derivation.md, 6.7).
    * ``residual_pathway``: W = P(A) + B, weight decay λ_G of every A and λ_⊥ of every B.
    * ``strict``: W = P(V); V starts as the projection of the drawn weights, at their scale.
    * ``train_then_project``: plain, and W ← P(W) after the last step.
    * ``softness``: W = P(V) + s (V − P(V)).
    * ``annealed``: the same with s rising from 0 to 1 at half time and back to 0; V starts as for ``strict``.

    Raises:
        InputError: the group does not fit the network, or turns pixels between pixels.
    """
    group = CyclicGroup(group_order)
    try:
        # what turns images would find out in its first step, and the table of layers after the last one
        check_image_batches((torch.empty(1, 1, 2, 2, device="meta"),), group)
        layer_types(network, group)
        match run.method:
            case "plain":
                return Method(parameter_groups=_all_parameters(network))
            case "augmentation":
                return _augmentation(network, run, group)
            case "eqreg":
                return _eqreg(network, run, group)
            case "function_level":
                return _function_level(network, run, group)
            case "projection":
                return _projection(network, run, group, power)
            case "proximal":
                return _proximal(network, run, group, power)
            case "residual_pathway":
                return _residual_pathway(network, run, group)
            case "strict":
                project_initial_(network, layer_types(network, group))
                strict = StrictEquivariance(network, layer_types(network, group))
                return Method(parameter_groups=_all_parameters(network), finish=strict.remove)
            case "train_then_project":
                trained = TrainThenProject(network, layer_types(network, group))
                return Method(parameter_groups=_all_parameters(network), finish=trained.project)
            case "softness":
                soft = Softness(network, layer_types(network, group), run.softness)
                return Method(parameter_groups=_all_parameters(network), finish=soft.remove)
            case "annealed":
                return _annealed(network, group)
    except ValueError as error:
        raise InputError(f"method '{run.method}' of network '{run.network}' with {group}: {error}") from None


def _all_parameters(network: nn.Module) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [{"params": list(network.parameters())}]


def _augmentation(network: nn.Module, run: Run, group: CyclicGroup) -> Method:
    def turned(batch: Batch, step: int) -> Batch:
        generator = torch_generator(run.seed, "method", step)
        return Batch(*random_group_transform(*batch.tensors, group=group, generator=generator))

    return Method(parameter_groups=_all_parameters(network), batch=turned)


def _eqreg(network: nn.Module, run: Run, group: CyclicGroup) -> Method:
    types = layer_types(network, group)
    eqreg = EQReg(network, group, {name: types[name] for name in _layers_with_features(network, list(types))})

    def doubled(batch: Batch, step: int) -> Batch:
        return Batch(*eqreg.double(*batch.tensors, generator=torch_generator(run.seed, "method", step)))

    return Method(
        parameter_groups=_all_parameters(network),
        batch=doubled,
        penalty=lambda batch, output, step: run.lam_perp * eqreg.penalty(),
        penalty_per_part=True,
    )


@torch.no_grad()
def _layers_with_features(network: nn.Module, names: list[str]) -> list[str]:
    """The layers that are called: filters of which a network reads the weights alone have no features to compare."""
    called: set[str] = set()
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: called.add(name)) for name in names
    ]
    was_training = network.training
    network.eval()(torch.zeros(1, 3, 32, 32, device=next(network.parameters()).device))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return [name for name in names if name in called]


def _function_level(network: nn.Module, run: Run, group: CyclicGroup) -> Method:
    def penalty(batch: Batch, output: Tensor, step: int) -> Tensor:
        generator = torch_generator(run.seed, "method", step)
        return run.lam_perp * function_mismatch(network, [batch.inputs], group, generator, outputs=output)

    return Method(parameter_groups=_all_parameters(network), penalty=penalty, penalty_per_part=True)


def _projection(network: nn.Module, run: Run, group: CyclicGroup, power: Literal[1, 2]) -> Method:
    penalty = ProjectionPenalty(
        network,
        group,
        norm=run.norm,
        weight_perpendicular=run.lam_perp,
        weight_equivariant=run.lam_equi,
        power=power,
        layers=layer_types(network, group),
        include_bias=True,  # a network is equivariant only if its biases are
    )
    return Method(
        parameter_groups=_all_parameters(network),
        penalty=lambda batch, output, step: penalty(),
        state=penalty.state_dict,
        load_state=penalty.load_state_dict,
    )


def _proximal(network: nn.Module, run: Run, group: CyclicGroup, power: Literal[1, 2]) -> Method:
    types = layer_types(network, group)
    project_initial_(network, types)  # what is shrunk to P(W) later would have lost its scale on the way
    penalty = ProximalPenalty(
        network,
        group,
        weight_perpendicular=run.lam_perp,
        power=power,
        layers=types,
        include_bias=True,  # as for `projection`
    )
    return Method(parameter_groups=_all_parameters(network), end_step=penalty.step)


def _residual_pathway(network: nn.Module, run: Run, group: CyclicGroup) -> Method:
    pathways = ResidualPathway(network, layer_types(network, group))
    return Method(
        parameter_groups=lambda: pathways.parameter_groups(run.lam_equi, run.lam_perp), finish=pathways.remove
    )


def _annealed(network: nn.Module, group: CyclicGroup) -> Method:
    project_initial_(network, layer_types(network, group))
    relaxed = AnnealedRelaxation(network, layer_types(network, group))

    def finish() -> None:
        relaxed.step(1.0)  # the last step began before the end of the schedule
        relaxed.remove()

    return Method(parameter_groups=_all_parameters(network), begin_step=relaxed.step, finish=finish)
