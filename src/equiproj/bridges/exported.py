"""Networks of escnn and e3nn as networks of torch layers, with the types of those that hold weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import nn

from equiproj.bridges.e3nn_types import from_e3nn
from equiproj.bridges.escnn_types import from_escnn
from equiproj.groups import Group
from equiproj.layers import LayerTypes


class ExportedNetwork(NamedTuple):
    """A network of torch layers, and what `layers=` of `ProjectionPenalty`, `equivariance_report`, `project_` takes.

    Examples:
        >>> from equiproj import equivariance_report
        >>> from e3nn.o3 import Linear
        >>> exported = export_e3nn(Linear("4x0e + 2x1o", "2x0e + 3x1o"))
        >>> round(equivariance_report(exported.module, layers=exported.layers).total_ratio, 5)
        0.0
    """

    module: nn.Module
    layers: LayerTypes


def export_escnn(network: Any) -> ExportedNetwork:
    """What `network.export()` of an escnn network gives, and the types of its convolutions and linear layers.

    The exported layers hold the expanded kernels. They start equivariant, as escnn's kernels are (docs/bridges.md says
    where the two libraries' kernels are the same space and where not), and can leave that space under a penalty. As
    `export` does, this sets the network to evaluation mode.

    Args:
        network: an `escnn.nn.EquivariantModule` that has `export`, such as a `SequentialModule` or an `R2Conv`.

    Raises:
        ValueError: it has no `export`, or field types that `from_escnn` refuses, by the name of the layer.

    Examples:
        >>> import escnn.nn, escnn.gspaces  # doctest: +SKIP
        >>> space = escnn.gspaces.rot2dOnR2(4)  # doctest: +SKIP
        >>> image = escnn.nn.FieldType(space, [space.trivial_repr])  # doctest: +SKIP
        >>> export_escnn(escnn.nn.R2Conv(image, image, 3)).layers  # doctest: +SKIP
        {'': (trivial of CyclicGroup(4), trivial of CyclicGroup(4))}
    """
    if not hasattr(network, "export"):
        raise ValueError(f"expected an escnn network with export(), found {type(network).__name__}")
    # What expands its parameters becomes a torch layer that holds them.
    own = {name: layer for name, layer in network.named_modules() if hasattr(layer, "expand_parameters")}
    types = {}
    for name, layer in own.items():
        try:
            types[name] = (from_escnn(layer.in_type), from_escnn(layer.out_type))
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from error
    exported = network.export()
    for name, layer in own.items():
        if hasattr(layer, "padding_mode"):  # escnn 1.0.11 leaves it out
            exported.get_submodule(name).padding_mode = layer.padding_mode
    return ExportedNetwork(exported, types)


def export_e3nn(network: nn.Module, group: Group | None = None) -> ExportedNetwork:
    """A copy of a network whose `e3nn.o3.Linear` layers are dense `torch.nn.Linear` ones, and their types.

    Args:
        network: any module; what else it holds stays as it is.
        group: O3 (the default), or SO3: then the types allow maps between irreps of different parity too.

    Raises:
        ValueError: no such layer, or one whose weights are not its own or have further axes, by name.

    Examples:
        >>> from e3nn.o3 import Linear
        >>> exported = export_e3nn(nn.Sequential(Linear("2x1o", "1o"), nn.Tanh()))
        >>> exported.module[0], exported.layers["0"][1].dim
        (Linear(in_features=6, out_features=3, bias=False), 3)
    """
    found = {name: layer for name, layer in network.named_modules() if _is_e3nn_linear(layer)}
    if not found:
        raise ValueError(f"expected an e3nn.o3.Linear in {type(network).__name__}, found none")
    copied = deepcopy(network)
    types = {}
    for name, layer in found.items():
        try:
            dense = _dense(layer)
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from error
        types[name] = (from_e3nn(layer.irreps_in, group), from_e3nn(layer.irreps_out, group))
        if not name:
            return ExportedNetwork(dense, types)
        copied.set_submodule(name, dense)
    return ExportedNetwork(copied, types)


def _is_e3nn_linear(layer: nn.Module) -> bool:
    return all(hasattr(layer, name) for name in ("irreps_in", "irreps_out", "weight_numel", "bias_numel"))


@torch.no_grad()
def _dense(layer: Any) -> nn.Linear:
    """The matrix and the bias of an `e3nn.o3.Linear`, read off what it does to the unit vectors and to zero."""
    if not layer.internal_weights or layer.weight.ndim != 1:
        raise ValueError("expected an e3nn.o3.Linear with weights of its own and without f_in, f_out")
    n_in, n_out = layer.irreps_in.dim, layer.irreps_out.dim
    unit = torch.eye(n_in, dtype=layer.weight.dtype, device=layer.weight.device)
    offset = layer(torch.zeros_like(unit[:1]))
    dense = nn.Linear(n_in, n_out, bias=layer.bias_numel > 0, dtype=unit.dtype, device=unit.device)
    dense.weight.copy_((layer(unit) - offset).T)
    if dense.bias is not None:
        dense.bias.copy_(offset[0])
    return dense
