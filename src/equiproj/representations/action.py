"""How a group element moves a batch of features: channels by a representation, pixels by the grid."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from equiproj.groups import FiniteGroup, Group
from equiproj.groups.group import Element
from equiproj.representations import Representation

# Rounding of cos and sin in a quarter turn is 1e-16; the smallest other turn of a finite group misses by far more.
_WHOLE_PIXEL_TOLERANCE = 1e-9


def act(
    features: Tensor,
    element: Element,
    group: Group,
    rho: Representation | None = None,
) -> Tensor:
    """Transform a batch by one group element, (g·x)(p) = ρ(g) x(g⁻¹p).

    Args:
        features: ``(batch, channels, *pixels)``; without pixel axes only the channels move.
        element: the group element g.
        group: the group of ``element``; with pixel axes each element has to map pixels onto pixels.
        rho: representation on the channels; None where channels stay as they are.

    Raises:
        ValueError: if the channels do not fit ``rho`` or the group moves pixels between pixels.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> image = torch.arange(6.0).reshape(1, 1, 2, 3)
        >>> torch.equal(act(image, 1, CyclicGroup(4)), torch.rot90(image, dims=(-2, -1)))
        True
    """
    if rho is not None:
        features = move_channels(features, element, rho)
    n_axes = features.ndim - 2
    return move_pixels(features, element, group, n_axes) if n_axes > 0 else features


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy to a device without waiting for it: from pinned memory, in the order of the device's work.

    Examples:
        >>> send(torch.ones(2), torch.device("cpu")).tolist()
        [1.0, 1.0]
    """
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def move_channels(
    features: Shaped[Tensor, "batch channels *pixels"], element: Element, rho: Representation
) -> Shaped[Tensor, "batch channels *pixels"]:
    """Apply ρ(g) along the channel axis.

    Raises:
        ValueError: if the number of channels is not ``rho.dim``.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> move_channels(torch.tensor([[1.0, 2.0, 3.0]]), 1, regular(CyclicGroup(3))).tolist()
        [[3.0, 1.0, 2.0]]
    """
    if features.ndim < 2 or features.shape[1] != rho.dim:
        raise ValueError(f"expected {rho.dim} channels for {rho}, found shape {tuple(features.shape)}")
    return apply_channel_move(features, channel_move(element, rho, features.device))


def channel_move(element: Element, rho: Representation, device: torch.device) -> Tensor:
    """ρ(g) as a tensor: the channel from which each one is filled where ρ permutes them, the matrix otherwise.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> channel_move(1, regular(CyclicGroup(3)), torch.device("cpu")).tolist()
        [2, 0, 1]
    """
    position = rho.group.index(element) if isinstance(rho.group, FiniteGroup) else None
    sources = None if position is None else _source_channels(rho, position, device)
    return rho(element).to(device) if sources is None else sources


def apply_channel_move(features: Tensor, move: Tensor) -> Tensor:
    """Apply what :func:`channel_move` gave.

    Raises:
        ValueError: if the number of channels is another one.

    Examples:
        >>> apply_channel_move(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 3.0], [1.0, 0.0]])).tolist()
        [[6.0, 1.0]]
    """
    if features.ndim < 2 or features.shape[1] != len(move):
        raise ValueError(f"expected {len(move)} channels, found shape {tuple(features.shape)}")
    if move.ndim == 2:
        return torch.einsum("oi,bi...->bo...", move.to(features.dtype), features)
    return features[:, move]


@lru_cache(maxsize=4096)
def _source_channels(rho: Representation, position: int, device: torch.device) -> Tensor | None:
    """Channel from which each channel is filled, or None where ρ does more than permute them.

    Kept per device, so that a training step on an accelerator does not wait for a copy in every layer.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> _source_channels(regular(CyclicGroup(3)), 1, torch.device("cpu")).tolist()
        [2, 0, 1]
    """
    destination = rho.permutation(rho.group.elements[position])  # type: ignore[attr-defined]  # finite groups only
    return None if destination is None else torch.from_numpy(np.argsort(destination)).to(device)


def move_pixels(features: Tensor, element: Element, group: Group, n_axes: int) -> Tensor:
    """Move the last ``n_axes`` axes by flips and swaps of axes, as ``torch.rot90`` does for quarter turns.

    Args:
        features: any leading axes, then pixels.
        element: the group element.
        group: its group, acting on space.
        n_axes: number of pixel axes, 1 to 3.

    Raises:
        ValueError: if the element is not made of flips and swaps of axes.

    Examples:
        >>> from equiproj.groups import DihedralGroup
        >>> move_pixels(torch.tensor([[1, 2], [3, 4]]), 4, DihedralGroup(4), 2).tolist()
        [[2, 1], [4, 3]]
    """
    return apply_pixel_move(features, *pixel_move(element, group, n_axes))


def pixel_move(element: Element, group: Group, n_axes: int) -> tuple[list[int], list[int]]:
    """Order of the pixel axes after a group element, and which of them it flips then, counted from the first one.

    Raises:
        ValueError: if the element is not made of flips and swaps of axes.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> pixel_move(1, CyclicGroup(4), 2)
        ([1, 0], [0])
    """
    order, flipped = _pixel_move(element, group, n_axes)
    return list(order), list(flipped)


@lru_cache(maxsize=4096)  # an augmented batch asks for every element in every step
def _pixel_move(element: Element, group: Group, n_axes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    coordinates = np.eye(n_axes)[::-1].copy()  # x is the last axis, z the first
    if n_axes >= 2:
        coordinates[1] *= -1  # y grows upwards, rows downwards
    on_axes = coordinates.T @ group.spatial_matrix(element, n_axes) @ coordinates
    signs = np.rint(on_axes)
    if np.abs(on_axes - signs).max() > _WHOLE_PIXEL_TOLERANCE:
        raise ValueError(
            f"expected a group that moves pixels onto pixels, found {group}, whose element {element!r} does not"
        )
    return tuple(np.abs(signs).argmax(axis=1).tolist()), tuple(np.flatnonzero(signs.sum(axis=1) < 0).tolist())


def apply_pixel_move(features: Tensor, order: list[int], flipped: list[int]) -> Tensor:
    """Apply what :func:`pixel_move` gave to the last axes; always a copy.

    Examples:
        >>> image = torch.arange(6.0).reshape(2, 3)
        >>> torch.equal(apply_pixel_move(image, [1, 0], [0]), torch.rot90(image))
        True
    """
    first = features.ndim - len(order)
    axes = [*range(first), *(first + axis for axis in order)]
    return features.permute(axes).flip([first + axis for axis in flipped])
