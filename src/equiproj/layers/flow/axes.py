"""What the group does on each axis of a tensor that flows through a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from equiproj.layers.flow.slots import Blocks, TypeConflictError

Kind = Literal["free", "channels", "pixels", "points", "open"]


@dataclass(eq=False)
class OpenAxis:
    """An axis of a parameter or constant: what the group does on it shows where it meets an axis of features."""

    role: Axis | None = None


@dataclass(frozen=True)
class Axis:
    """*free*: nothing acts. *channels*: a sum of types. *pixels*: one axis of an image. *points*: flattened images.

    Args:
        kind: one of these, or *open*.
        blocks: types of channels.
        index: which axis of the image a pixel axis is.
        grids: images that lie one after the other on an axis of points; () is a token that nothing moves.
        unknown: the open axis.
    """

    kind: Kind
    blocks: Blocks = ()
    index: int = 0
    grids: tuple[tuple[int, ...], ...] = ()
    unknown: OpenAxis | None = None

    def settled(self) -> Axis:
        """The axis itself, or what an open one has become.

        Examples:
            >>> Axis("open", unknown=OpenAxis(Axis("free"))).settled().kind
            'free'
        """
        axis = self
        while axis.unknown is not None and axis.unknown.role is not None:
            axis = axis.unknown.role
        return axis


FREE = Axis("free")
Axes = tuple[Axis, ...]


@dataclass(eq=False)
class Source:
    """A parameter or constant that meets features.

    Args:
        tensor: its value.
        axes: its axes, open at first.
        owner: the module that holds it, None for a constant.
        attribute: its name there.
        name: its whole name, or where a constant was met.
        multiplies: whether features were multiplied by it.
        kernel: types of the output and input channels, whether it is transposed, and blocks, of a convolution kernel.
    """

    tensor: Tensor
    axes: Axes
    owner: nn.Module | None
    attribute: str
    name: str
    multiplies: bool = False
    kernel: tuple[Blocks, Blocks, bool, int] | None = None


@dataclass(frozen=True)
class Feature:
    """The axes of a tensor, or why they are not known.

    Args:
        axes: one for each axis of the tensor.
        shape: of the tensor.
        reason: why the axes are unknown, empty where they are known.
        source: the parameter or constant that it is a view of.
    """

    axes: Axes
    shape: tuple[int, ...]
    reason: str = ""
    source: Source | None = None

    def channels(self) -> int | None:
        """The axis of channels, None if there is none."""
        found = [position for position, axis in enumerate(self.axes) if axis.settled().kind == "channels"]
        return found[0] if found else None


def points_of(axis: Axis, size: int) -> tuple[tuple[int, ...], ...]:
    """An axis as a row of flattened images and tokens.

    Examples:
        >>> points_of(FREE, 2), points_of(Axis("points", grids=((2, 2),)), 4)
        (((), ()), ((2, 2),))
    """
    return axis.grids if axis.kind == "points" else ((),) * size


def cut_points(grids: Sequence[tuple[int, ...]], start: int, size: int, where: str) -> tuple[tuple[int, ...], ...]:
    """The images and tokens from one point on.

    Raises:
        TypeConflictError: an image is cut.

    Examples:
        >>> cut_points(((), (2, 2)), 1, 4, "x")
        ((2, 2),)
    """
    kept, position = [], 0
    for grid in grids:
        n_points = math.prod(grid)
        if start <= position and position + n_points <= start + size:
            kept.append(grid)
        elif position < start + size and start < position + n_points:
            raise TypeConflictError(f"{where}: picks some of the pixels of an image of {grid}")
        position += n_points
    return tuple(kept)
