"""A tensor of a layer with its projection, read afresh at every use."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from equiproj.layers.evaluating import evaluated
from equiproj.layers.kinds import Role
from equiproj.layers.sharding import gathered
from equiproj.projections import Projector


@dataclass(frozen=True)
class TypedParameter:
    """A tensor of a layer, read afresh at every use, with the projection onto its equivariant part.

    A bias is the matrix (c_out, 1) of a linear map from the constant 1, on which the group acts trivially.

    Attributes:
        name: of the tensor, below the whole module.
        layer: the module that holds it.
        attribute: its name there.
        projector: the projection of a matrix or kernel.
        role: `map`, `bias`, `scale` or `statistic` (:class:`~equiproj.layers.kinds.Part`).

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> [parameter.name for parameter in typed_parameters(network, CyclicGroup(4))]
        ['0.weight', '2.weight']
    """

    name: str
    layer: nn.Module
    attribute: str
    projector: Projector
    role: Role = "map"

    def read(self) -> Tensor:
        """The current value as a matrix or kernel, whole, with its autograd history."""
        return self.read_as_held().reshape(self.projector.weight_shape)

    def read_as_held(self) -> Tensor:
        """The current value in the shape that the layer holds, (c_out,) for a bias; a parametrisation is evaluated.

        It is evaluated in evaluation mode: the power iteration of a spectral norm is the forward pass's to advance.

        Raises:
            ValueError: it is on the meta device, and has no values yet.
        """
        value = self.peek()
        if value.is_meta:
            raise ValueError(f"parameter {self.name!r}: expected values, found none yet: it is on the meta device")
        return value

    def peek(self) -> Tensor:
        """The same on the meta device too, where there are shape and precision alone."""
        value: Tensor = gathered(evaluated(self.layer, self.attribute))
        return value

    def held(self) -> list[Tensor]:
        """The tensors that training changes: the weight itself, or those from which a parametrisation computes it."""
        if parametrize.is_parametrized(self.layer, self.attribute):
            return list(self.layer.get_submodule(f"parametrizations.{self.attribute}").parameters(recurse=False))
        return [getattr(self.layer, self.attribute)]

    def read_gradient(self) -> Tensor:
        """What backward passes left in `.grad` of a plain parameter, whole, as the layer holds it; zero if frozen.

        Raises:
            RuntimeError: the parameter is trained and has no gradient.
        """
        held = getattr(self.layer, self.attribute)
        if not held.requires_grad:
            return torch.zeros_like(self.read_as_held())
        if held.grad is None:
            raise RuntimeError(f"{self.name}: expected a gradient, found none; call backward() before")
        return gathered(held.grad)

    @property
    def project(self) -> Callable[[Tensor], Tensor]:
        """P on a value of the shape that the layer holds, (c_out,) for a bias; without a reference to the layer."""
        return partial(_project_as_held, self.projector)


def _project_as_held(projector: Projector, value: Tensor) -> Tensor:
    return projector(value.reshape(projector.weight_shape)).reshape(value.shape)
