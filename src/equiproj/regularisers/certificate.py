"""A bound of a network's defect from its weights, every constant stated (docs/derivation.md, section 7)."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from equiproj.groups import FiniteGroup, Group
from equiproj.layers import Layer, TypedParameter, typed_parameters
from equiproj.norms import matrix_norm, operator_norm_bound
from equiproj.projections import ConvProjector, Projector
from equiproj.regularisers.bundles import rows_out
from equiproj.representations import Representation

# Suprema of the derivative, rounded up; every function maps 0 to 0 and acts on each entry alone.
ACTIVATION_CONSTANTS: dict[type[nn.Module], float | Callable[[Any], float]] = {
    nn.Identity: 1.0,
    nn.Dropout: 1.0,
    nn.Dropout2d: 1.0,
    nn.ReLU: 1.0,
    nn.ReLU6: 1.0,
    nn.Tanh: 1.0,
    nn.Softsign: 1.0,
    nn.ELU: lambda layer: max(1.0, layer.alpha),
    nn.LeakyReLU: lambda layer: max(1.0, abs(layer.negative_slope)),
    nn.GELU: 1.1290,
    nn.SiLU: 1.0999,
}
_FUNCTION_CONSTANTS: dict[Any, float] = {torch.relu: 1.0, nn.functional.relu: 1.0, torch.tanh: 1.0}
_ADDITIONS = (operator.add, operator.sub, operator.iadd, operator.isub, torch.add, torch.sub)


class LayerConstants(NamedTuple):
    """What one layer contributes: bounds of ‖T‖ and ‖T − PT‖ (1 and 0 for activations with their constant), ‖b − gb‖.

    For an activation `lipschitz` is its Lipschitz constant and the other two are zero.

    Examples:
        >>> LayerConstants("relu", lipschitz=1.0, perpendicular=0.0, bias_defect=0.0).lipschitz
        1.0
    """

    name: str
    lipschitz: float
    perpendicular: float
    bias_defect: float


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
        lines = [f"{'layer':{width}}  {'lipschitz':>10}  {'‖T−PT‖':>10}  {'‖b−gb‖':>10}"]
        for name, *constants in self.layers:
            lines.append(f"{name:{width}}  " + "  ".join(f"{constant:10.4g}" for constant in constants))
        return "\n".join([*lines, f"‖f(gx) − g f(x)‖ ≤ {self.slope:.4g} ‖x‖ + {self.offset:.4g}"])


class _Bounds(NamedTuple):
    """Of features h(x): ‖h(x)‖ ≤ gain ‖x‖ + shift, ‖h(gx) − g h(x)‖ ≤ slope ‖x‖ + offset; their type and image size."""

    rho: Representation
    image_shape: tuple[int, ...]
    gain: float
    shift: float
    slope: float
    offset: float


@torch.no_grad()
def certified_defect_bound(
    module: nn.Module, group: Group, *, image_shape: tuple[int, ...] = (), **declaration: Any
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
        ValueError: a part of the network no rule covers, by name, or layers that do not fit the declaration.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.regularisers import project_
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        >>> bound = certified_defect_bound(project_(network, CyclicGroup(4)), CyclicGroup(4), image_shape=(8, 8))
        >>> bound.at(1.0) < 1e-5
        True
    """
    if not isinstance(group, FiniteGroup):
        raise ValueError(f"expected a finite group, found {group}")
    if len(set(image_shape)) > 1:
        raise ValueError(f"expected a square image, found image_shape {tuple(image_shape)}")
    parameters = typed_parameters(module, group, include_bias=True, **declaration)
    return _Interpreter(module, group, parameters, tuple(image_shape)).run()


class _Interpreter:
    """Walks through the traced network and keeps the bounds of every node."""

    def __init__(
        self, module: nn.Module, group: FiniteGroup, parameters: list[TypedParameter], image_shape: tuple[int, ...]
    ) -> None:
        self.group, self.image_shape = group, image_shape
        self.parameters = {(id(entry.layer), entry.attribute): entry for entry in parameters}
        self.input_rho = parameters[0].projector.rho_in
        self.constants: list[LayerConstants] = []
        # A bare layer would be traced into its functional; seen as a sequence of one it stays a layer.
        root = module if list(module.children()) else nn.Sequential(module)
        try:
            self.traced = fx.symbolic_trace(root)
        except (fx.proxy.TraceError, TypeError) as error:
            name = type(module).__name__
            raise ValueError(f"expected a network that torch.fx can trace, found {name}: {error}") from None

    def run(self) -> DefectBound:
        """Bounds of the output node."""
        known: dict[fx.Node, _Bounds] = {}
        for node in self.traced.graph.nodes:
            if node.op == "output":
                if not isinstance(node.args[0], fx.Node):
                    raise ValueError("expected a network with one output tensor, found several")
                final = known[node.args[0]]
                return DefectBound(final.slope, final.offset, tuple(self.constants))
            known[node] = self._bounds(node, known)
        raise ValueError("expected a network with an output, found none")

    def _bounds(self, node: fx.Node, known: dict[fx.Node, _Bounds]) -> _Bounds:
        if node.op == "placeholder":
            if known:
                raise ValueError(f"expected a network with one input, found another, {node.name!r}")
            return _Bounds(self.input_rho, self.image_shape, gain=1.0, shift=0.0, slope=0.0, offset=0.0)
        inputs = [known[argument] for argument in node.args if isinstance(argument, fx.Node)]
        plain = len(inputs) == len(node.args) and not node.kwargs
        if node.op == "call_module":
            return self._through_module(str(node.target), self.traced.get_submodule(str(node.target)), inputs[0])
        if node.op == "call_function" and node.target in _ADDITIONS and plain and len(inputs) == 2:
            return _sum(node.name, *inputs)
        if node.op == "call_function" and node.target in _FUNCTION_CONSTANTS and inputs:
            return self._through_activation(node.name, _FUNCTION_CONSTANTS[node.target], inputs[0])
        raise ValueError(
            f"no rule for {node.op} {node.target!r} (node {node.name!r}): expected layers, activations, sums"
        )

    def _through_module(self, name: str, layer: nn.Module, inputs: _Bounds) -> _Bounds:
        if isinstance(layer, Layer) and (id(layer), "weight") in self.parameters:
            return self._through_layer(layer, self.parameters[id(layer), "weight"], inputs)
        constant = ACTIVATION_CONSTANTS.get(type(layer))
        if constant is None or getattr(layer, "approximate", "none") != "none":
            raise ValueError(
                f"no rule for {type(layer).__name__} ({name!r}): expected a declared layer or an activation"
            )
        return self._through_activation(name, constant(layer) if callable(constant) else constant, inputs)

    def _through_activation(self, name: str, constant: float, inputs: _Bounds) -> _Bounds:
        if any(inputs.rho.permutation(g) is None for g in self.group.generators):
            raise ValueError(f"activation {name!r}: expected features that the group permutes, found {inputs.rho}")
        self.constants.append(LayerConstants(name, constant, 0.0, 0.0))
        return _Bounds(inputs.rho, inputs.image_shape, *(constant * bound for bound in inputs[2:]))

    def _through_layer(self, layer: Layer, weight: TypedParameter, inputs: _Bounds) -> _Bounds:
        projector = weight.projector
        name = weight.name.removesuffix("weight").rstrip(".") or type(layer).__name__
        if inputs.rho != projector.rho_in:
            raise ValueError(f"layer {name!r}: expected input of type {projector.rho_in}, found {inputs.rho}")
        image_shape = _output_shape(name, layer, inputs.image_shape)
        value = weight.read().double()
        whole, perpendicular = (_norm_bound(part, projector) for part in (value, value - projector(value)))
        bias_size, bias_defect = self._bias(layer, math.prod(image_shape))
        self.constants.append(LayerConstants(name, whole, perpendicular, bias_defect))
        return _Bounds(
            projector.rho_out,
            image_shape,
            gain=whole * inputs.gain,
            shift=whole * inputs.shift + bias_size,
            slope=whole * inputs.slope + 2 * perpendicular * inputs.gain,
            offset=whole * inputs.offset + 2 * perpendicular * inputs.shift + bias_defect,
        )

    def _bias(self, layer: Layer, n_pixels: int) -> tuple[float, float]:
        """‖b‖ and the largest ‖b − g b‖, of the constant image of b."""
        if layer.bias is None:
            return 0.0, 0.0
        parameter = self.parameters[id(layer), "bias"]
        bias, rho = parameter.read()[:, 0].double(), parameter.projector.rho_out
        moved = [torch.linalg.vector_norm(bias - rho(g).to(bias) @ bias) for g in self.group.elements]
        return math.sqrt(n_pixels) * float(bias.norm()), math.sqrt(n_pixels) * float(torch.stack(moved).max())


def _norm_bound(weight: Tensor, projector: Projector) -> float:
    if not isinstance(projector, ConvProjector):
        return float(matrix_norm(weight, "spectral"))
    # Blocks act on channels of their own: the norm of the layer is the largest of theirs.
    blocks = rows_out(weight[None], projector)[0].unflatten(0, (projector.n_blocks, -1))
    return float(operator_norm_bound(blocks, len(projector.kernel_shape)).max())


def _output_shape(name: str, layer: Layer, image_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Size of the output; raises where an equivariant kernel would not make an equivariant layer."""
    if isinstance(layer, nn.Linear):
        if image_shape:
            raise ValueError(f"layer {name!r}: no rule for a linear layer on images")
        return ()
    if not image_shape:
        raise ValueError(f"layer {name!r}: expected image_shape= for a convolution, found none")
    if layer.transposed or set(layer.stride) != {1} or len(set(layer.kernel_size)) > 1 or len(set(layer.dilation)) > 1:
        raise ValueError(f"layer {name!r}: expected a convolution of stride 1 with one kernel size, found {layer}")
    reach = layer.dilation[0] * (layer.kernel_size[0] - 1)
    padding = {"valid": (0,), "same": (reach / 2,)}[layer.padding] if isinstance(layer.padding, str) else layer.padding
    side = padding[0]
    circular = layer.padding_mode == "circular" and 2 * side == reach
    if len(set(padding)) > 1 or side != int(side) or not (circular or layer.padding_mode == "zeros"):
        raise ValueError(f"layer {name!r}: expected equal symmetric padding, zeros or circular to the input's size")
    return tuple(int(size + 2 * side - reach) for size in image_shape)


def _sum(name: str, first: _Bounds, second: _Bounds) -> _Bounds:
    if first[:2] != second[:2]:
        raise ValueError(f"sum {name!r}: expected terms of one type and size, found {first[:2]} and {second[:2]}")
    return _Bounds(*first[:2], *(a + b for a, b in zip(first[2:], second[2:], strict=True)))
