"""The tensors of declared and of inferred types: found in their modules, and checked against their projections."""

import math
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from equiproj.groups import Group
from equiproj.layers.declaration import Declared, named_layer
from equiproj.layers.evaluating import evaluated
from equiproj.layers.flow import Inference
from equiproj.layers.kinds import Part, Role
from equiproj.layers.typed_parameter import TypedParameter
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import Representation

_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def tensors_of_layer(declared: Declared) -> Iterator[TypedParameter]:
    """All tensors of a layer whose types are declared, whatever their role.

    Raises:
        ValueError: by the name of the layer, tensors that do not fit its types or hold other than real numbers.
    """
    name, layer, kind, rho_in, rho_out = declared
    try:
        parts = list(kind.parts(layer, rho_in, rho_out))
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from error
    yield from _parameters_of_layer(name, layer, parts)


def inferred_tensors(module: nn.Module, inference: Inference, roles: Collection[Role]) -> Iterator[TypedParameter]:
    """The tensors whose types a run of the module has shown: all of its layers, and others that have one of the roles.

    Raises:
        ValueError: as `tensors_of_layer`.
    """
    for name, parts in inference.parts.items():
        yield from _parameters_of_layer(name, named_layer(module, name), parts)
    for name, (owner, part) in inference.parameters.items():
        if part.role in roles:
            _check_numbers(f"parameter {name!r}", evaluated(owner, part.attribute))
            yield TypedParameter(name, owner, part.attribute, part.projector, part.role)


def _parameters_of_layer(name: str, layer: nn.Module, parts: Sequence[Part]) -> Iterator[TypedParameter]:
    """All tensors that the layer has, whatever their role."""
    prefix = f"{name}." if name else ""
    try:
        for part in parts:
            path, _, attribute = part.attribute.rpartition(".")
            owner = layer.get_submodule(path)
            if _holds(owner, attribute):
                _check_size(part, evaluated(owner, attribute))
                yield TypedParameter(f"{prefix}{part.attribute}", owner, attribute, part.projector, part.role)
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from error


def declared_tensor(
    module: nn.Module, group: Group | None, name: str, types: tuple[Representation, Representation]
) -> TypedParameter:
    """A tensor of any module by its name, with (rho_out, rho_in), as a matrix or as a kernel.

    Raises:
        ValueError: by its name, there is none, or it does not fit the types, the group, or holds other than real
            numbers.
    """
    path, _, attribute = name.rpartition(".")
    try:
        owner = module.get_submodule(path)
        held = _holds(owner, attribute)
    except (AttributeError, ValueError) as error:
        raise ValueError(f"parameter {name!r}: {error}") from None
    if not held:
        raise ValueError(f"parameter {name!r}: expected the name of a parameter of {type(module).__name__}")
    _check_numbers(f"parameter {name!r}", evaluated(owner, attribute))
    rho_out, rho_in = types
    if not (isinstance(rho_in, Representation) and isinstance(rho_out, Representation)):
        raise ValueError(f"parameter {name!r}: expected two representations, found {rho_out!r} and {rho_in!r}")
    shape = tuple(evaluated(owner, attribute).shape)
    if group is not None and not rho_out.group == rho_in.group == group:
        raise ValueError(f"parameter {name!r}: expected representations of {group}, found {rho_out} and {rho_in}")
    if len(shape) > 2 and shape[:2] == (rho_out.dim, rho_in.dim):
        return TypedParameter(name, owner, attribute, ConvProjector(rho_in, rho_out, shape[2:]))
    if math.prod(shape) != rho_out.dim * rho_in.dim:
        raise ValueError(
            f"parameter {name!r}: expected {rho_out.dim} x {rho_in.dim} entries for {rho_out} and {rho_in}, "
            f"found shape {shape}"
        )
    return TypedParameter(name, owner, attribute, LinearProjector(rho_in, rho_out))


def _holds(owner: nn.Module, attribute: str) -> bool:
    """Whether there is such a tensor; a network without bias, or without running statistics, has none."""
    if attribute in owner._parameters or attribute in owner._buffers:
        return getattr(owner, attribute) is not None
    if parametrize.is_parametrized(owner, attribute):
        return True
    if isinstance(getattr(owner, attribute, None), Tensor):
        raise ValueError(
            f"expected {attribute} to be a parameter or a parametrisation, found what a hook computes; use "
            "torch.nn.utils.parametrizations in place of weight_norm and spectral_norm of torch.nn.utils, and "
            "prune.remove after pruning"
        )
    return False


def _check_size(part: Part, held: Tensor) -> None:
    _check_numbers(part.attribute, held)
    if held.numel() != math.prod(part.projector.weight_shape):
        raise ValueError(
            f"expected {part.attribute} to map {part.projector.rho_in} to {part.projector.rho_out}, found shape "
            f"{tuple(held.shape)}; declare its tensors by parameters="
        )


def _check_numbers(attribute: str, held: Tensor) -> None:
    if is_lazy(held):
        raise ValueError(f"expected {attribute} to have a shape, found a lazy one; run the network once before")
    if held.dtype not in _PRECISIONS or held.numel() == 0:
        found = f"{held.dtype} of shape {tuple(held.shape)}"
        raise ValueError(f"expected {attribute} to hold real floating-point numbers of 16 bits or more, found {found}")
