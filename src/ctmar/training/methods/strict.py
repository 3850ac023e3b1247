"""Projected weights in every step."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from equiproj.baselines import StrictEquivariance
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """W = P(V), V the trained weights and W those of the layers."""
    strict = StrictEquivariance(network, layer_types(network, group))
    return Method(parameter_groups=all_parameters(network), finish=strict.remove)
