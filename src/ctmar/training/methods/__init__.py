"""The methods, each a module of the name that the configuration calls it by, with one function ``attach``.

    def attach(network: nn.Module, run: Run, group: FiniteGroup) -> Method

What is known about a method beside what it does stands in `ctmar.config.methods`.

Every method acts on the layers that the network declares (`ctmar.models.layer_types`): weights and biases of its
convolutions. What is not declared stays free, normalisation above all: with statistics and scales of each channel
(`normalisation="batch"`) the layers of a strict network are exactly equivariant and the network is only nearly so; with
those of each field (`"field"`) the network is too. Methods that compute with weights (strict, residual pathway, …) are
parametrisations of torch; they need plain parameters, so kernels that a network builds itself are not declared. A
projection after training leaves the running statistics of normalisation as they are.
"""

import importlib
from typing import cast

from torch import nn

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.training.method import Method
from equiproj.groups import FiniteGroup
from equiproj.regularisers import project_initial_


def attach_method(network: nn.Module, run: Run, group: FiniteGroup, *, project_first: bool = False) -> Method:
    """Attach the method of ``run`` to ``network`` for a group of `ctmar.models.symmetry`.

    Args:
        network: of `ctmar.models.build_network`.
        run: method and weights.
        group: of the study.
        project_first: replace the weights by their projection, at their scale: the start that methods have in common.

    Raises:
        InputError: the group does not fit the network.
    """
    try:
        types = layer_types(network, group)
        if project_first:
            project_initial_(network, layers=types)
        module = importlib.import_module(f"ctmar.training.methods.{run.method}")
        return cast(Method, module.attach(network, run, group))
    except ValueError as error:
        raise InputError(f"method '{run.method}' of network '{run.network}' with {group}: {error}") from None
