"""The defect of the whole network on a sampled element, as a penalty."""

from torch import Tensor, nn

from ctmar.config import Run
from ctmar.training.method import Method, all_parameters
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_generator
from equiproj.baselines import function_mismatch
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """λ_⊥ times the mean over the batch of ‖f(g·x) − g·f(x)‖₂ is added, f the network and g a random element."""

    def penalty(batch: Batch, output: Tensor, step: int) -> Tensor:
        generator = torch_generator(run.seed, "method", step)
        return run.lam_perp * function_mismatch(network, [batch.inputs], group, generator, outputs=output)

    return Method(parameter_groups=all_parameters(network), penalty=penalty, penalty_per_part=True)
