"""A bound of a network's defect from its weights, every constant stated (docs/derivation.md, section 7)."""

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import nn

from equiproj.certificates import entries, linear, pixels
from equiproj.certificates.bounds import Affine, Features
from equiproj.certificates.steps import Declared, LayerConstants, Step, bounds_of
from equiproj.certificates.trace import trace
from equiproj.groups import FiniteGroup, Group, parse_group
from equiproj.layers import Declaration, typed_parameters
from equiproj.projections import ConvProjector

_RULES = (entries, linear, pixels)  # each registers its own when it is imported


@dataclass(frozen=True)
class DefectBound:
    """‖f(gx) − g f(x)‖ ≤ slope ‖x‖ + offset for every input x and every g of the group, in Euclidean norms.

    Examples:
        >>> DefectBound(slope=2.0, offset=0.5, layers=()).at(input_norm=3.0)
        6.5
    """

    slope: float
    offset: float
    layers: tuple[LayerConstants, ...]

    def at(self, input_norm: float) -> float:
        """The bound for inputs of Euclidean norm `input_norm`."""
        return self.slope * input_norm + self.offset

    def __str__(self) -> str:
        width = max(len("layer"), *(len(layer.name) for layer in self.layers))
        lines = [f"{'layer':{width}}  {'lipschitz':>10}  {'‖T−PT‖':>10}  {'‖g⁻¹Tg−T‖':>10}  {'‖b−gb‖':>10}"]
        for name, *constants in self.layers:
            lines.append(f"{name:{width}}  " + "  ".join(f"{constant:10.4g}" for constant in constants))
        return "\n".join([*lines, f"‖f(gx) − g f(x)‖ ≤ {self.slope:.4g} ‖x‖ + {self.offset:.4g}"])


@torch.no_grad()
def certified_defect_bound(
    module: nn.Module, group: Group | str, *, image_shape: tuple[int, ...] = (), **declaration: Unpack[Declaration]
) -> DefectBound:
    """Bound of sup over g of ‖f(gx) − g f(x)‖ that holds for every x, from the weights alone; evaluation mode.

    Through a layer T x + b the defect D and the size S of the features grow as
    D ← ‖T‖ D + 2 ‖T − PT‖ S + max_g ‖b − g b‖, S ← ‖T‖ S + ‖b‖, through an activation both by its Lipschitz constant,
    through a sum they add. ‖T‖ is the largest singular value of a matrix, and for convolutions the bound of
    `operator_norm_bound` for zero and circular padding (equations 7.1 to 7.4).

    Args:
        module: layers, pointwise activations and sums of equal types, traceable by `torch.fx`. Layers are linear, or
            convolutions of stride 1 with equal symmetric padding (zeros, or circular of the input's size).
        group: finite group that permutes channels (activations do not commute with others).
        image_shape: pixels of the input, a square or cube; () for networks of linear layers.
        declaration: `layers`, `input_type`, `hidden_type`, `output_type` as for `typed_parameters`.

    Raises:
        ValueError: a part of the network no rule covers, by name, layers that do not fit the declaration, or a group
            that turns pixels between pixels.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.regularisers import project_
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        >>> bound = certified_defect_bound(project_(network, CyclicGroup(4)), CyclicGroup(4), image_shape=(8, 8))
        >>> bound.at(1.0) < 1e-3
        True
    """
    group = parse_group(group) if isinstance(group, str) else group
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
    rho_in = first.projector.rho_in
    if isinstance(first.projector, ConvProjector) != bool(image_shape):
        raise ValueError(
            f"{first.name}: expected image_shape= for convolutions and none for linear layers,"
            f" found {tuple(image_shape)}"
        )
    traced = trace(module, (rho_in.dim, *image_shape))
    network = Declared(module, parameters, len(image_shape), traced.unit)
    constants: list[LayerConstants] = []
    known = {traced.input_name: Features(rho_in, tuple(image_shape), size=Affine(1.0, 0.0), defect=Affine(0.0, 0.0))}
    for operation in traced.operations:
        known[operation.name] = bounds_of(Step(operation, network, known, constants))
    _check_output(known[traced.output_name], traced.output_shape)
    defect = known[traced.output_name].defect
    return DefectBound(defect.rate, defect.rest, tuple(constants))


def _check_output(output: Features, shape: tuple[int, ...]) -> None:
    found = shape[len(shape) - len(output.image_shape) :]
    if found != output.image_shape or len(set(found)) > 1:
        raise ValueError(f"expected a square image without a circular frame as output, found shape {shape}")
