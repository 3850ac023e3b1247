"""A free pathway beside an equivariant one in every layer (Finzi et al. 2021)."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method
from equiproj.baselines import ResidualPathway
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """W = P(A) + B, weight decay λ_G of every A and λ_⊥ of every B."""
    pathways = ResidualPathway(network, layer_types(network, group))
    return Method(
        parameter_groups=lambda: pathways.parameter_groups(run.lam_equi, run.lam_perp), finish=pathways.remove
    )
