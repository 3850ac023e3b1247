"""The methods, each a module of the name that the configuration calls it by, with one function ``attach``.

    def attach(network: nn.Module, run: Run, group: FiniteGroup, power: Literal[1, 2]) -> Method

What is known about a method beside what it does stands in `ctmar.config.methods`.

Every method acts on the layers that the network declares (`ctmar.models.layer_types`): weights and biases of its
convolutions. What is not declared stays free, normalisation above all: with statistics and scales of each channel
(`normalisation="batch"`) the layers of a strict network are exactly equivariant and the network is only nearly so; with
those of each field (`"field"`) the network is too. Methods that compute with weights (strict, residual pathway, …) are
parametrisations of torch; they need plain parameters, so kernels that a network builds itself are not declared. A
projection after training leaves the running statistics of normalisation as they are.
"""

import importlib
from typing import Literal, cast

from torch import nn

from ctmar.config import Run
from ctmar.config.methods import METHODS
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.training.method import Method
from equiproj.groups import FiniteGroup
from equiproj.regularisers import project_initial_


def attach_method(network: nn.Module, run: Run, group: FiniteGroup, power: Literal[1, 2]) -> Method:
    """Attach the method of ``run`` to ``network`` for a group of `ctmar.models.symmetry`.

    Raises:
        InputError: the group does not fit the network.
    """
    try:
        types = layer_types(network, group)
        if METHODS[run.method].starts_equivariant:
            project_initial_(network, layers=types)  # P(W) alone would have lost the scale of what was drawn
        module = importlib.import_module(f"ctmar.training.methods.{run.method}")
        return cast(Method, module.attach(network, run, group, power))
    except ValueError as error:
        raise InputError(f"method '{run.method}' of network '{run.network}' with {group}: {error}") from None
