"""Layers of one signature, stacked and projected in one batched operation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equiproj.layers import TypedParameter
from equiproj.norms import CustomNorm, Norm, matrix_norm, operator_norm
from equiproj.norms.names import ExactOrGram
from equiproj.projections import ConvProjector, Projector


@dataclass(frozen=True)
class Bundle:
    """Parameters that share their shape and representations, and therefore one projector."""

    projector: Projector
    parameters: tuple[TypedParameter, ...]

    def stack(self) -> Tensor:
        """Current values (n, *weight_shape), in float32 or wider, with their autograd history."""
        return widened(torch.stack([parameter.read() for parameter in self.parameters]))


def widened(weights: Tensor) -> Tensor:
    """In float32 or wider: W − PW is a small difference of large numbers, half precision would leave little of it.

    Examples:
        >>> widened(torch.ones(1, dtype=torch.bfloat16)).dtype, widened(torch.ones(1, dtype=torch.float64)).dtype
        (torch.float32, torch.float64)
    """
    return weights.to(torch.promote_types(weights.dtype, torch.float32))


def bundle(parameters: Sequence[TypedParameter]) -> list[Bundle]:
    """Group parameters by projector, device and precision, in order of first appearance.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1))
        >>> [len(entry.parameters) for entry in bundle(typed_parameters(network, CyclicGroup(4)))]
        [1, 2, 1]
    """
    found: dict[object, list[TypedParameter]] = {}
    for parameter in parameters:
        with torch.no_grad():
            value = parameter.peek()
        found.setdefault((parameter.projector, value.device, value.dtype), []).append(parameter)
    return [Bundle(same[0].projector, tuple(same)) for same in found.values()]


def as_matrices(stacked: Tensor, projector: Projector) -> Tensor:
    """Weights (n, *weight_shape) as matrices (n, c_out, c_in·k·…): one row per output channel.

    A layer with `groups` keeps its stored shape, (c_out, c_in/groups·k·…).

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import trivial
        >>> image = trivial(CyclicGroup(4))
        >>> as_matrices(torch.zeros(5, 3, 4, 2, 2), ConvProjector(3 * image, 4 * image, (2, 2), transposed=True)).shape
        torch.Size([5, 4, 12])
    """
    return rows_out(stacked, projector).flatten(2)


def stack_norms(
    stacked: Tensor,
    projector: Projector,
    norm: Norm | CustomNorm,
    method: ExactOrGram = "exact",
    image_shape: tuple[int, ...] | None = None,
) -> Tensor:
    """Norm of each weight of a stack: of its matrix, or with `image_shape` of the circular convolution operator.

    Raises:
        ValueError: an operator norm is asked for, but the layer has groups or its kernel does not fit the image.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.norms import parse_norm
        >>> from equiproj.representations import trivial
        >>> image = trivial(CyclicGroup(4))
        >>> projector = ConvProjector(image, image, (1, 1))
        >>> stack_norms(torch.full((1, 1, 1, 1, 1), 2.0), projector, parse_norm("frobenius"), image_shape=(5, 5))
        tensor([10.])
    """
    if image_shape is None or not isinstance(projector, ConvProjector):
        return matrix_norm(as_matrices(stacked, projector), norm, method)
    if projector.n_blocks > 1:
        raise ValueError(f"expected a convolution with groups=1 for its operator norm, found {projector.n_blocks}")
    # One kernel at a time: the frequency blocks of all layers together would not fit in memory.
    return torch.stack([operator_norm(kernel, norm, image_shape, method) for kernel in rows_out(stacked, projector)])


def rows_out(stacked: Tensor, projector: Projector) -> Tensor:
    """Weights (n, *weight_shape) as (n, c_out, c_in/groups, *k); transposed ones are stored (c_in, c_out/groups, *k).

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import trivial
        >>> image = trivial(CyclicGroup(4))
        >>> rows_out(torch.zeros(5, 3, 4, 2, 2), ConvProjector(3 * image, 4 * image, (2, 2), transposed=True)).shape
        torch.Size([5, 4, 3, 2, 2])
    """
    if not projector.transposed:
        return stacked
    return stacked.unflatten(1, (projector.n_blocks, -1)).transpose(2, 3).flatten(1, 2)
