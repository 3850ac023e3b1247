"""Weights blended with their projection."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from equiproj.baselines import Softness
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """W = P(V) + s (V − P(V)), V the trained weights, W those of the layers and s the softness."""
    soft = Softness(network, layer_types(network, group), run.softness)
    return Method(parameter_groups=all_parameters(network), finish=soft.remove)
