"""What a network computes at given inputs in float64, and what follows for others (equation 7.5)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from equiproj.certificates.bounds import EXCESS, Affine, Features
from equiproj.certificates.trace import Constant, Operation, Reference, Trace
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation
from equiproj.representations.action import act

UNIT = torch.finfo(torch.float64).eps / 2


def turned(inputs: Tensor, group: FiniteGroup, rho: Representation) -> Tensor:
    """The inputs turned by every element, one element after the other, in float64; at least two.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> turned(torch.tensor([[1.0, 2.0]]), CyclicGroup(2), regular(CyclicGroup(2))).tolist()
        [[1.0, 2.0], [2.0, 1.0]]
    """
    exact = inputs.detach().double().cpu()
    exact = exact.repeat(2, *[1] * (exact.ndim - 1)) if len(group.elements) * len(exact) == 1 else exact
    return torch.cat([act(exact, g, group, rho) for g in group.elements])


class Centres:
    """Values of the operations at the given inputs, each kept until it has been used for the last time.

    Args:
        traced: the operations.
        inputs: what `turned` gave, or inputs that the group leaves as they are.
        group: the group.
        still: whether it leaves them as they are.
    """

    def __init__(self, traced: Trace, inputs: Tensor, group: FiniteGroup, *, still: bool = False) -> None:
        self._values: dict[str, Any] = {traced.input_name: inputs}
        self._uses = Counter(name for operation in traced.operations for name in _references(operation.arguments))
        self._group, self._n_inputs, self._still = group, len(inputs), still

    def value(self, reference: Reference) -> Tensor:
        """The value of an operation."""
        value: Tensor = self._values[reference.name]
        return value

    def compute(self, operation: Operation) -> None:
        """Execute an operation."""
        arguments = [self._concrete(argument) for argument in operation.arguments]
        self._values[operation.name] = operation.target(*arguments, **operation.options)
        for name in _references(operation.arguments):
            self._uses[name] -= 1
            if not self._uses[name]:
                del self._values[name]

    def tighten(self, operation: Operation, features: Features) -> Features:
        """Bounds behind an operation, no larger than what its value and the deviation from it allow (equation 7.5)."""
        value = self._values[operation.name]
        value = value[0] if isinstance(value, tuple | list) else value
        shape = (features.rho.dim, *features.image_shape)
        if len(set(features.image_shape)) > 1 or value.numel() != features.rho.dim * features.n_pixels * self._n_inputs:
            return features  # cut on one axis, which a group may not turn; or a circular frame is in the value alone
        norm, measured = self._norm_and_defect(value.reshape(-1, *shape), features.rho)
        size = features.size.least(Affine(0.0, norm) + features.deviation)
        defect = features.defect.least(Affine(0.0, measured) + 2 * features.deviation)
        return replace(features, size=size, defect=defect)

    def _norm_and_defect(self, images: Tensor, rho: Representation) -> tuple[float, float]:
        elements = self._group.elements  # the first one is the identity
        by_element = [images] * len(elements) if self._still else images.chunk(len(elements))
        differences = (
            (answer - act(by_element[0], g, self._group, rho)).flatten(1).norm(dim=1).max()
            for g, answer in zip(elements, by_element, strict=True)
        )
        return EXCESS * float(images.flatten(1).norm(dim=1).max()), EXCESS * float(max(differences))

    def _concrete(self, argument: Any) -> Any:
        if isinstance(argument, Reference):
            return self._values[argument.name]
        if isinstance(argument, Constant):
            return in_float64(argument.value)
        if isinstance(argument, list | tuple):
            return [self._concrete(part) for part in argument]
        return argument


def in_float64(value: Tensor) -> Tensor:
    """A constant of a network, in float64 if it is one of real numbers."""
    return (value.double() if value.is_floating_point() else value).cpu()


def _references(arguments: Any) -> Iterator[str]:
    if isinstance(arguments, Reference):
        yield arguments.name
    elif isinstance(arguments, list | tuple):
        for part in arguments:
            yield from _references(part)
