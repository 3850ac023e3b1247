"""The task loss alone."""

from torch import nn

from ctmar.config import Run
from ctmar.training.method import Method, all_parameters
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """Nothing is added."""
    return Method(parameter_groups=all_parameters(network))
