"""The Frobenius penalty as a proximal step beside the optimiser (docs/derivation.md, 6.7)."""

from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from ctmar.training.penalty_weight import penalty_weight
from equiproj import ProximalPenalty
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """After every step of the optimiser comes the proximal step of the Frobenius penalty; λ_⊥ is given or adapted."""
    penalty = ProximalPenalty(
        network,
        group,
        **penalty_weight(run),
        power=run.power,
        layers=layer_types(network, group),
        include_bias=True,  # as for `projection`
    )
    return Method(
        parameter_groups=all_parameters(network),
        end_step=penalty.step,
        state=penalty.state_dict,
        load_state=penalty.load_state_dict,
    )
