"""A plain network that is averaged over the group when it predicts."""

from torch import nn

from ctmar.config import Run
from ctmar.training.method import Method, all_parameters
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """Nothing is added to a step; `ctmar.models.predictor` averages what the run predicts, in validation as well."""
    return Method(parameter_groups=all_parameters(network))
