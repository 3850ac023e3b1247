"""Every patch turned by a random element of the group."""

from torch import nn

from ctmar.config import Run
from ctmar.training.method import Method, all_parameters
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_generator
from equiproj.baselines import random_group_transform
from equiproj.groups import FiniteGroup


def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """Every patch is turned by an element of its own."""

    def turned(batch: Batch, step: int) -> Batch:
        generator = torch_generator(run.seed, "method", step)
        return Batch(*random_group_transform(*batch.tensors, group=group, generator=generator))

    return Method(parameter_groups=all_parameters(network), batch=turned)
