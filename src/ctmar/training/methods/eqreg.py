"""EQ-Reg (Bai et al. 2025): features of a turned copy against turned features, layer by layer."""

import torch
from torch import nn

from ctmar.config import Run
from ctmar.models import layer_types
from ctmar.training.method import Method, all_parameters
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_generator
from equiproj.baselines import EQReg
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """The batch is doubled with a copy turned by one g, and λ_⊥ Σ_l ‖g·z_l(x) − ρ_l(g)⁻¹ z_l(g·x)‖₂ is added.

    Where a batch is cut into n parts, the mean over parts, which for independent patches is smaller by √n.
    """
    types = layer_types(network, group)
    eqreg = EQReg(network, group, {name: types[name] for name in _layers_with_features(network, list(types))})

    def doubled(batch: Batch, step: int) -> Batch:
        return Batch(*eqreg.double(*batch.tensors, generator=torch_generator(run.seed, "method", step)))

    return Method(
        parameter_groups=all_parameters(network),
        batch=doubled,
        penalty=lambda batch, output, step: run.lam_perp * eqreg.penalty(),
        penalty_per_part=True,
    )


@torch.no_grad()
def _layers_with_features(network: nn.Module, names: list[str]) -> list[str]:
    """The layers that are called: filters of which a network reads the weights alone have no features to compare."""
    called: set[str] = set()
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: called.add(name)) for name in names
    ]
    was_training = network.training
    network.eval()(torch.zeros(1, 3, 32, 32, device=next(network.parameters()).device))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return [name for name in names if name in called]
