"""Bounds of a network's defect from its weights, every constant stated (docs/derivation.md, section 7)."""

import math
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor, nn

from equiproj.certificates.bounds import Affine, Features
from equiproj.certificates.centres import UNIT, Centres, turned
from equiproj.certificates.steps import LayerConstants
from equiproj.certificates.trace import trace
from equiproj.certificates.walk import declared, walk
from equiproj.groups import Group
from equiproj.layers import Declaration


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
        return f"{_table(self.layers)}\n‖f(gx) − g f(x)‖ ≤ {self.slope:.4g} ‖x‖ + {self.offset:.4g}"


@dataclass(frozen=True)
class LocalDefectBound:
    """‖f(gx) − g f(x)‖ ≤ value for every g and every x within `radius` of a given input, in Euclidean norms.

    Examples:
        >>> print(str(LocalDefectBound(value=0.5, radius=0.1, layers=())).splitlines()[-1])
        ‖f(gx) − g f(x)‖ ≤ 0.5 within 0.1 of the given inputs
    """

    value: float
    radius: float
    layers: tuple[LayerConstants, ...]

    def __str__(self) -> str:
        claim = f"‖f(gx) − g f(x)‖ ≤ {self.value:.4g} within {self.radius:.4g} of the given inputs"
        return f"{_table(self.layers)}\n{claim}"


@torch.no_grad()
def certified_defect_bound(
    module: nn.Module, group: Group | str, *, image_shape: tuple[int, ...] = (), **declaration: Unpack[Declaration]
) -> DefectBound:
    """Bound of sup over g of ‖f(gx) − g f(x)‖ that holds for every x, from the weights alone; evaluation mode.

    Through a layer T x + b the defect D and the size S of the features grow as
    D ← ‖T‖ D + max_g ‖g⁻¹Tg − T‖ S + max_g ‖b − g b‖, S ← ‖T‖ S + ‖b‖, through an activation both by its Lipschitz
    constant, through a sum they add. D is never more than 2 S. ‖T‖ is the largest singular value of a matrix, and for
    convolutions the bound of `operator_norm_bound` for zero and circular padding (equations 7.1 to 7.4). Products of
    features grow faster than ‖x‖ and are refused: `local_defect_bound` has a bound near given inputs.

    Args:
        module: layers, pointwise activations and sums of equal types, traceable by `torch.export`. Layers are linear,
            or convolutions whose windows lie symmetrically, with equal padding (zeros, or circular of the input's
            size).
        group: finite group that permutes channels (activations do not commute with others).
        image_shape: pixels of the input, a square or cube; () for networks of linear layers.
        declaration: `layers`, `input_type`, `hidden_type`, `output_type` as for `typed_parameters`; the input has the
            type of the first layer where `layers` are given without `input_type`.

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
    network = declared(module, group, image_shape, declaration)
    traced = trace(module, (network.rho_in.dim, *network.image_shape))
    one, nothing = Affine(1.0, 0.0), Affine(0.0, 0.0)
    start = Features(network.rho_in, network.image_shape, size=one, defect=nothing, deviation=one)
    zeros = torch.zeros(traced.n_inputs, network.rho_in.dim, *network.image_shape, dtype=torch.float64)
    output, constants = walk(network, traced, start, Centres(traced, zeros, network.group, still=True))
    return DefectBound(output.defect.rate, output.defect.rest, constants)


@torch.no_grad()
def local_defect_bound(
    module: nn.Module, group: Group | str, inputs: Tensor, radius: float, **declaration: Unpack[Declaration]
) -> LocalDefectBound:
    """Bound of sup over g of ‖f(gx) − g f(x)‖ that holds for every x within `radius` of one of the inputs.

    Beside D and S of `certified_defect_bound`, it follows how far features can be from those at the given inputs, d,
    and runs the network there, on every turned input too, in float64. So S ≤ ‖h(x₀)‖ + d and
    D ≤ max_g ‖h(g x₀) − g h(x₀)‖ + 2 d behind every operation (equations 7.5 and 7.6), wherever this is less. Products
    of features have a bound here, such as filters that a network makes from its input. ``inputs`` of zeros give
    the ball ‖x‖ ≤ radius.

    Args:
        module: as for `certified_defect_bound`.
        group: likewise.
        inputs: the inputs x₀, (n, channels, *pixels) or (n, channels); the bound is that of the worst of them.
        radius: Euclidean distance from them.
        declaration: as for `certified_defect_bound`.

    Raises:
        ValueError: as for `certified_defect_bound`, a radius below 0, or inputs that the network does not take.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        >>> image = torch.rand(1, 1, 8, 8)
        >>> far = certified_defect_bound(network, CyclicGroup(4), image_shape=(8, 8)).at(image.norm().item())
        >>> local_defect_bound(network, CyclicGroup(4), image, radius=0.01).value < far
        True
    """
    if not 0 <= radius < math.inf:
        raise ValueError(f"expected a finite radius of at least 0, found {radius}")
    network = declared(module, group, tuple(inputs.shape[2:]), declaration, n_channels=inputs.shape[1])
    rho = network.rho_in
    at_centres = turned(inputs, network.group, rho)
    norm = float(at_centres.flatten(1).norm(dim=1).max())
    distance = Affine(0.0, radius + (rho.dim + 2) * UNIT * norm)  # float64 turns what is not permuted
    size = Affine(0.0, norm) + distance
    start = Features(rho, network.image_shape, size=size, defect=Affine(0.0, 0.0), deviation=distance)
    traced = trace(module, tuple(at_centres.shape[1:]), len(at_centres))
    output, constants = walk(network, traced, start, Centres(traced, at_centres, network.group))
    return LocalDefectBound(output.defect.rest, radius, constants)


def _table(layers: tuple[LayerConstants, ...]) -> str:
    width = max([len("layer"), *(len(layer.name) for layer in layers)])
    lines = [f"{'layer':{width}}  {'lipschitz':>10}  {'‖T−PT‖':>10}  {'‖g⁻¹Tg−T‖':>10}  {'‖b−gb‖':>10}"]
    for name, *constants in layers:
        lines.append(f"{name:{width}}  " + "  ".join(f"{constant:10.4g}" for constant in constants))
    return "\n".join(lines)
