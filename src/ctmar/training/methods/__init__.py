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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from torch import nn

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.models.non_equivariance import layer_norms, together
from ctmar.store.run_records import WeightNorms
from ctmar.training.method import Method
from equiproj.groups import FiniteGroup
from equiproj.regularisers import project_initial_


def common_start(network: nn.Module, run: Run, group: FiniteGroup, *, project: bool) -> WeightNorms:
    """Bring the weights to the start that methods have in common, and measure it.

    Args:
        network: of `ctmar.models.build_network`, before a method is attached.
        run: named in messages.
        group: of the study.
        project: replace the weights by their projection, at their scale.

    Raises:
        InputError: the group does not fit the network.
    """
    with _group_fits(run, group):
        if project:
            project_initial_(network, layers=layer_types(network, group))
        return together(layer_norms(network, group))


def attach_method(network: nn.Module, run: Run, group: FiniteGroup) -> Method:
    """Attach the method of ``run`` to ``network`` for a group of `ctmar.models.symmetry`.

    Args:
        network: of `ctmar.models.build_network`.
        run: method and weights.
        group: of the study.

    Raises:
        InputError: the group does not fit the network.
    """
    with _group_fits(run, group):
        module = importlib.import_module(f"ctmar.training.methods.{run.method}")
        return cast(Method, module.attach(network, run, group))


@contextmanager
def _group_fits(run: Run, group: FiniteGroup) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(f"method '{run.method}' of network '{run.network}' with {group}: {error}") from None
