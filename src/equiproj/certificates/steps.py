"""One step of a certificate: an operation, the bounds of what goes into it, and the rule for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from equiproj.certificates.bounds import Features, LinearMap, through_linear
from equiproj.certificates.centres import UNIT, Centres
from equiproj.certificates.trace import Constant, Operation, Reference, Trace, typed_weight
from equiproj.groups import FiniteGroup
from equiproj.layers import TypedParameter
from equiproj.representations import Representation


class LayerConstants(NamedTuple):
    """What one layer contributes: bounds of ‖T‖, ‖T − PT‖, ‖g⁻¹Tg − T‖ and ‖b − gb‖, the last two for every g.

    For an activation `lipschitz` is its Lipschitz constant and the others are zero.

    Examples:
        >>> LayerConstants("relu", lipschitz=1.0).commutator
        0.0
    """

    name: str
    lipschitz: float
    perpendicular: float = 0.0
    commutator: float = 0.0
    bias_defect: float = 0.0


@dataclass(frozen=True)
class Declared:
    """The network with the types of its layers.

    Args:
        module: the network.
        parameters: its declared weights.
        group: the group.
        rho_in: type of its input.
        image_shape: pixels of its input, () without any.
    """

    module: nn.Module
    parameters: list[TypedParameter]
    group: FiniteGroup
    rho_in: Representation
    image_shape: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """An operation and all that its rule may ask for.

    Args:
        operation: what is called.
        network: what it is part of.
        traced: the operations of the network.
        known: bounds of the values before it, by name.
        constants: is told what a layer contributes.
        centres: values at the inputs that the certificate starts from.
    """

    operation: Operation
    network: Declared
    traced: Trace
    known: dict[str, Features]
    constants: list[LayerConstants]
    centres: Centres

    @property
    def unit(self) -> float:
        """Unit roundoff of the network, and of the values at the centres beside it."""
        return self.traced.unit + UNIT

    @property
    def n_axes(self) -> int:
        """Axes of the images."""
        return len(self.network.image_shape)

    @property
    def n_inputs(self) -> int:
        """Inputs of the batch."""
        return self.traced.n_inputs

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Pixels of the value."""
        return self.operation.shape[len(self.operation.shape) - self.n_axes :]

    def argument(self, position: int, default: Any = None) -> Any:
        """An argument by its position, or the default of torch."""
        arguments = self.operation.arguments
        return arguments[position] if position < len(arguments) else default

    def features(self, position: int = 0) -> Features:
        """Bounds of an argument that depends on the input.

        Raises:
            ValueError: it does not, or is an image with a circular frame or cut on one axis alone.
        """
        return self.checked(self.unchecked(position), self.argument(position))

    def unchecked(self, position: int = 0) -> Features:
        """The same also of an image with a frame, or cut on one axis, of which not every rule is true.

        Raises:
            ValueError: the argument does not depend on the input.
        """
        reference = self.argument(position)
        if not isinstance(reference, Reference):
            raise self.refusal("no rule for it")
        return self.known[reference.name]

    def checked(self, features: Features, reference: Reference) -> Features:
        """Features of one input each that are a square image as large as their bounds say.

        Raises:
            ValueError: they are not.
        """
        shape = features.image_shape
        if reference.shape[0] != self.n_inputs:
            raise self.refusal("expected each image of the batch by itself")
        if reference.shape[len(reference.shape) - len(shape) :] != shape:
            raise self.refusal("expected a convolution behind circular padding")
        if len(set(shape)) > 1:
            raise self.refusal(f"expected as much cut from every axis of an image, found {shape}")
        return features

    def shape(self, position: int = 0) -> tuple[int, ...]:
        """Shape of an argument that depends on the input."""
        self.unchecked(position)
        shape: tuple[int, ...] = self.argument(position).shape
        return shape

    def constant(self, position: int) -> Tensor | None:
        """An argument that is a number or a constant tensor, in float64; None for another one."""
        value = self.argument(position)
        if isinstance(value, bool | float | int):
            return torch.tensor(value, dtype=torch.float64)
        return value.value.double().cpu() if isinstance(value, Constant) else None

    def weight(self, *, transposed: bool = False) -> tuple[Tensor, Representation]:
        """The weight of a layer, argument 1, in float64, and the type of what comes out; its input has the other type.

        A layer that is declared as a convolution may be used as its adjoint, and the other way about.

        Args:
            transposed: whether the weight is used as that of a transposed convolution.

        Raises:
            ValueError: it depends on the input, is not declared, or the types do not fit.
        """
        argument = self.argument(1)
        if not isinstance(argument, Constant):
            raise self.refusal("expected a weight that does not depend on the input")
        try:
            entry = typed_weight(argument, self.network.module, self.network.parameters)
        except ValueError as error:
            raise self.refusal(str(error)) from None
        rho_in, rho_out = entry.projector.rho_in, entry.projector.rho_out
        if transposed != isinstance(entry.layer, _ConvTransposeNd):
            rho_in, rho_out = rho_out, rho_in
        if self.unchecked().rho != rho_in:
            raise self.refusal(f"expected input of type {rho_in}, found {self.unchecked().rho}")
        return argument.value.double().cpu(), rho_out

    def local(self, position: int) -> Features:
        """Bounds of an argument near given inputs, all of which are numbers; not every rule is true of it, as above.

        Raises:
            ValueError: they are to be bounded for every input.
        """
        features = self.unchecked(position)
        if features.size.rate:
            raise self.refusal("what grows faster than its input has a bound near given ones alone, local_defect_bound")
        return features

    def made_by(self, reference: Any) -> Operation | None:
        """The operation whose value an argument is, if it is one."""
        name = reference.name if isinstance(reference, Reference) else None
        return next((operation for operation in self.traced.operations if operation.name == name), None)

    def units_of_sums(self, n_terms: int) -> float:
        """What rounding may change of sums of products, in whatever order, relative to the sum of absolute values.

        Raises:
            ValueError: so many have no bound.
        """
        units = (n_terms + 2) * self.unit
        if units >= 0.5:
            raise self.refusal(f"sums of {n_terms} numbers have no bound in this precision")
        return units / (1 - units)

    def need_permuted(self) -> None:
        """Make sure that what acts on each entry alone commutes with the group.

        Raises:
            ValueError: the group does more than permute the channels.
        """
        if not self.features().permuted:
            raise self.refusal(f"expected features that the group permutes, found {self.features().rho}")

    def record(self, part: LinearMap) -> Features:
        """Bounds behind a linear layer, whose constants are kept."""
        features, layer = through_linear(part)
        self.constants.append(LayerConstants(self.operation.place, *layer))
        return features

    def refusal(self, problem: str) -> ValueError:
        """The error of a part that is not covered."""
        return self.operation.refusal(problem)


Rule = Callable[[Step], Features]
_RULES: dict[Any, Rule] = {}


def rule(*targets: Any) -> Callable[[Rule], Rule]:
    """Register a rule for operations of `torch.ops.aten`."""

    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(targets, function))
        return function

    return register


def bounds_of(step: Step) -> Features:
    """Bounds behind an operation.

    Raises:
        ValueError: no rule covers it.
    """
    found = _RULES.get(step.operation.target)
    if found is None:
        raise step.refusal("no rule for it")
    return found(step)


def each(values: Any, n_axes: int) -> tuple[Any, ...]:
    """One value for each axis.

    Examples:
        >>> each(2, 3), each([1, 2], 2)
        ((2, 2, 2), (1, 2))
    """
    listed = list(values) if isinstance(values, list | tuple) else [values]
    return tuple(listed * n_axes if len(listed) == 1 else listed)
