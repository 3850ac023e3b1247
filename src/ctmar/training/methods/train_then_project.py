"""Plain training, and a projection after its last step."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from equiproj.baselines import TrainThenProject
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """W ← P(W) after the last step."""
    trained = TrainThenProject(network, layer_types(network, group))
    return Method(parameter_groups=all_parameters(network), finish=trained.project)
