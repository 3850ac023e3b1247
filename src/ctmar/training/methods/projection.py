"""The projection penalty of the paper, in the loss."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from ctmar.training.penalty_norm import penalty_norm
from ctmar.training.penalty_weight import penalty_weight
from equiproj import ProjectionPenalty
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """λ_⊥ Σ_l ‖W_l − P(W_l)‖^power + λ_G Σ_l ‖P(W_l)‖^power is added, P the projection; λ_⊥ is given or adapted."""
    penalty = ProjectionPenalty(
        network,
        group,
        norm=penalty_norm(run.norm),
        **penalty_weight(run),
        weight_equivariant=run.lam_equi,
        power=run.power,
        layers=layer_types(network, group),
        include_bias=True,  # a network is equivariant only if its biases are
    )
    return Method(
        parameter_groups=all_parameters(network),
        penalty=lambda batch, output, step: penalty(),
        state=penalty.state_dict,
        load_state=penalty.load_state_dict,
        end_step=lambda learning_rate: penalty.update(),  # the gradients are still there
    )
