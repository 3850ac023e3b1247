"""Which tensors of which layers a baseline acts on, and how they are projected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import Representation, trivial

Layers = Mapping[str, tuple[Representation, Representation]]


class ProjectedTensor(NamedTuple):
    """A parameter of a layer and the projection onto its equivariant values."""

    layer: nn.Module
    name: str
    project: Callable[[Tensor], Tensor]


def named_layer(module: nn.Module, name: str) -> nn.Module:
    """The submodule of that name.

    Raises:
        ValueError: if there is none.

    Example:
        >>> named_layer(nn.Sequential(nn.Linear(2, 3)), "0")
        Linear(in_features=2, out_features=3, bias=True)
    """
    try:
        return module.get_submodule(name)
    except AttributeError:
        raise ValueError(f"expected the name of a layer of {type(module).__name__}, found {name!r}") from None


def projected_tensors(module: nn.Module, layers: Layers) -> list[ProjectedTensor]:
    """Weights and biases of the named Linear and convolution layers, each with its projection.

    Args:
        module: the network.
        layers: name of each layer and its ``(rho_in, rho_out)``.

    Raises:
        ValueError: if there are no layers, a name is unknown, a layer is of another type or already
            parametrised, or its channels do not fit; the message names the layer.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> rho_in, rho_out = trivial(CyclicGroup(2)), regular(CyclicGroup(2))
        >>> tensors = projected_tensors(nn.Sequential(nn.Linear(1, 2)), {"0": (rho_in, rho_out)})
        >>> [tensor.name for tensor in tensors]
        ['weight', 'bias']
    """
    if not layers:
        raise ValueError("expected at least one layer, found none")
    found: list[ProjectedTensor] = []
    for name, (rho_in, rho_out) in layers.items():
        layer = named_layer(module, name)
        try:
            projector = weight_projector(layer, rho_in, rho_out)
            check_shape(layer.get_parameter("weight"), projector.weight_shape)
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        found.append(ProjectedTensor(layer, "weight", projector))
        if layer.bias is not None:
            column = LinearProjector(trivial(rho_out.group), rho_out)
            found.append(ProjectedTensor(layer, "bias", partial(_project_bias, column)))
    return found


def _project_bias(column: LinearProjector, bias: Tensor) -> Tensor:
    # as `project_bias`, with a projector that is built once and not at every forward pass
    return column(bias.unsqueeze(-1)).squeeze(-1)


def weight_projector(
    layer: nn.Module, rho_in: Representation, rho_out: Representation
) -> LinearProjector | ConvProjector:
    """The projection of a layer's weight.

    Raises:
        ValueError: if the layer is neither Linear nor a convolution, or is parametrised already.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import trivial
        >>> weight_projector(nn.Conv2d(1, 1, 3), trivial(CyclicGroup(4)), trivial(CyclicGroup(4))).weight_shape
        (1, 1, 3, 3)
    """
    if parametrize.is_parametrized(layer):
        raise ValueError("expected a layer with plain parameters, found a parametrised one")
    if isinstance(layer, nn.Linear):
        return LinearProjector(rho_in, rho_out)
    if isinstance(layer, _ConvNd):
        transposed = isinstance(layer, _ConvTransposeNd)
        return ConvProjector(rho_in, rho_out, tuple(layer.kernel_size), transposed, layer.groups)
    raise ValueError(f"expected a Linear or convolution layer, found {type(layer).__name__}")


def check_shape(weight: Tensor, expected: tuple[int, ...]) -> None:
    """Raise ValueError unless a weight has the shape its representations ask for."""
    if tuple(weight.shape) != expected:
        raise ValueError(f"expected a weight of shape {expected} for its representations, found {tuple(weight.shape)}")
