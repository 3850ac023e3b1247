"""A constraint that is relaxed during training and comes back at its end."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from equiproj.baselines import AnnealedRelaxation
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """W = P(V) + s (V − P(V)) with s rising from 0 to 1 at half time and back to 0, V the trained weights."""
    relaxed = AnnealedRelaxation(network, layer_types(network, group))

    def finish() -> None:
        relaxed.step(1.0)  # the last step began before the end of the schedule
        relaxed.remove()

    return Method(parameter_groups=all_parameters(network), begin_step=relaxed.step, finish=finish)
