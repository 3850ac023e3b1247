"""A free pathway beside an equivariant one in every layer (Finzi et al. 2021)."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from equiproj.baselines import ResidualPathway
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """W = P(A) + B, decoupled weight decay λ_G of every A and λ_⊥ of every B."""
    pathways = ResidualPathway(
        network, layer_types(network, group), weight_decay_equivariant=run.lam_equi, weight_decay_free=run.lam_perp
    )
    return Method(parameter_groups=all_parameters(network), end_step=pathways.step, finish=pathways.remove)
