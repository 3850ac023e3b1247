"""Through a network operation by operation, from the types of its layers to the bounds of its output."""

from torch import nn

from equiproj.certificates import bilinear, entries, linear, pixels
from equiproj.certificates.bounds import Features
from equiproj.certificates.centres import Centres
from equiproj.certificates.steps import Declared, LayerConstants, Step, bounds_of
from equiproj.certificates.trace import Trace
from equiproj.groups import FiniteGroup, Group, given_group
from equiproj.layers import Declaration, TypedParameter, typed_parameters
from equiproj.layers.declaration import filling
from equiproj.projections import ConvProjector
from equiproj.representations import Representation

_RULES = (bilinear, entries, linear, pixels)  # each registers its own when it is imported


def declared(
    module: nn.Module,
    group: Group | str,
    image_shape: tuple[int, ...],
    declaration: Declaration,
    n_channels: int | None = None,
) -> Declared:
    """The network with its types; `n_channels` are those of the input, where they are known.

    Raises:
        ValueError: the declaration, the group or the image do not fit.
    """
    group = given_group(group)
    if not isinstance(group, FiniteGroup):
        raise ValueError(f"expected a finite group, found {group}")
    if len(set(image_shape)) > 1:
        raise ValueError(f"expected a square image, found image_shape {tuple(image_shape)}")
    parameters = typed_parameters(module, group, include_bias=True, **declaration)
    sampled = [e for e in parameters if isinstance(e.projector, ConvProjector) and e.projector.is_sampled]
    if sampled:
        raise ValueError(
            f"{sampled[0].name}: expected a kernel whose pixels {group} moves onto each other, found one that is "
            "sampled; nothing bounds how far it errs on any image"
        )
    first = next(entry for entry in parameters if entry.role == "map" and entry.attribute == "weight")
    if isinstance(first.projector, ConvProjector) != bool(image_shape):
        raise ValueError(
            f"{first.name}: expected image_shape= for convolutions and none for linear layers,"
            f" found {tuple(image_shape)}"
        )
    rho = _input_type(first, group, declaration, n_channels)
    return Declared(module, parameters, group, rho, tuple(image_shape))


def walk(
    network: Declared, traced: Trace, start: Features, centres: Centres
) -> tuple[Features, tuple[LayerConstants, ...]]:
    """Bounds of the output, and the constants of every layer.

    Raises:
        ValueError: a part of the network no rule covers, by name.
    """
    constants: list[LayerConstants] = []
    known = {traced.input_name: start}
    for operation in traced.operations:
        features = bounds_of(Step(operation, network, traced, known, constants, centres))
        centres.compute(operation)
        known[operation.name] = centres.tighten(operation, features).within_size()
    output = known[traced.output_name]
    found = traced.output_shape[len(traced.output_shape) - len(output.image_shape) :]
    if found != output.image_shape or len(set(found)) > 1:
        raise ValueError(
            f"expected a square image without a circular frame as output, found shape {traced.output_shape}"
        )
    return output, tuple(constants)


def _input_type(
    first: TypedParameter, group: FiniteGroup, declaration: Declaration, n_channels: int | None
) -> Representation:
    if n_channels is not None and "input_type" in declaration:
        return filling(n_channels, declaration["input_type"], group)
    rho = first.projector.rho_in
    if n_channels not in (None, rho.dim):
        raise ValueError(f"{first.name} takes {rho.dim} channels, found inputs with {n_channels}; give input_type=")
    return rho
