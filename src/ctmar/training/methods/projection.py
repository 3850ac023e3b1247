"""The projection penalty of the paper, in the loss."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from ctmar.training.penalty_norm import penalty_norm
from equiproj import ProjectionPenalty
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """λ_⊥ Σ_l ‖W_l − P(W_l)‖^power + λ_G Σ_l ‖P(W_l)‖^power is added, P the projection."""
    penalty = ProjectionPenalty(
        network,
        group,
        norm=penalty_norm(run.norm),
        weight_perpendicular=run.lam_perp,
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
    )
