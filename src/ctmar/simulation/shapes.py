"""Outlines of implants, fillings and wires, made of strokes with round ends.

A mask is one to three parts; each part is a few strokes around an anchor. Angles are in radian, lengths relative
until the strokes are scaled to an area. The kinds follow the ten test masks of SynDeepLesion.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_OVERSAMPLING = 4


@dataclass(frozen=True, eq=False)
class Stroke:
    """A line with round ends through ``points`` (n, 2), as (row, column) from the anchor; one point makes a disc."""

    points: NDArray[np.float64]
    half_width: float

    def scaled(self, factor: float, least_half_width: float) -> "Stroke":
        """Scale lengths and width; the width stays drawable."""
        return Stroke(self.points * factor, max(self.half_width * factor, least_half_width))

    @property
    def area(self) -> float:
        """Area of a stroke that does not cross itself [square pixels]."""
        length = float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())
        return 2 * self.half_width * length + math.pi * self.half_width**2


@dataclass(frozen=True, eq=False)
class ImplantPart:
    """Strokes that keep together, at ``offset`` (row, column; pixels of the 416 × 416 grid) from the mask's anchor.

    Without an offset the part gets an anchor of its own.
    """

    strokes: tuple[Stroke, ...]
    offset: tuple[float, float] | None = None


def disc(radius: float, row: float = 0.0, column: float = 0.0) -> Stroke:
    """Return a disc around (row, column)."""
    return Stroke(np.array([[row, column]]), radius)


def rod(length: float, half_width: float, angle: float, row: float = 0.0, column: float = 0.0) -> Stroke:
    """Return a straight rod around (row, column); ``angle`` from the column axis."""
    half = length / 2 * np.array([math.sin(angle), math.cos(angle)])
    return Stroke(np.array([row, column]) + np.stack([-half, half]), half_width)


def arc(radius: float, half_width: float, start: float, extent: float) -> Stroke:
    """Return an arc of a circle around the anchor."""
    turn = start + np.linspace(0, extent, 24)
    return Stroke(radius * np.stack([np.sin(turn), np.cos(turn)], axis=1), half_width)


def _hip(random: np.random.Generator) -> list[ImplantPart]:
    """Head of a hip prosthesis inside the arc of its cup."""
    radius = random.uniform(1.4, 1.9)
    cup = arc(radius, random.uniform(0.1, 0.2), random.uniform(0, 2 * math.pi), random.uniform(2.0, 3.4))
    return [ImplantPart((disc(1.0), cup))]


def _spine(random: np.random.Generator) -> list[ImplantPart]:
    """Pair of pedicle screws that point to the mid-line, or of rods seen end-on, left and right of it."""
    apart, lean = random.uniform(14, 26), random.uniform(0.15, 0.6)
    length = random.uniform(5, 9) if random.random() < 0.7 else 0.0
    return [ImplantPart((rod(length, 1.0, side * (math.pi / 2 - lean)),), (0.0, side * apart)) for side in (-1, 1)]


def _pins(random: np.random.Generator) -> list[ImplantPart]:
    """One to three pins, screws seen end-on or at a slant, or markers."""
    return [
        ImplantPart((rod(random.choice([0.0, random.uniform(1, 6)]), 1.0, random.uniform(0, math.pi)),))
        for _ in range(random.integers(1, 4))
    ]


def _plates(random: np.random.Generator) -> list[ImplantPart]:
    """An oblong plate, or a group of two or three fillings."""
    if random.random() < 0.5:
        return [ImplantPart((rod(random.uniform(3, 7), 1.0, random.uniform(0, math.pi)),))]
    return [
        ImplantPart((rod(random.uniform(0.5, 1.5), random.uniform(0.8, 1.2), random.uniform(0, math.pi)),))
        for _ in range(random.integers(2, 4))
    ]


def _wires(random: np.random.Generator) -> list[ImplantPart]:
    """A thin arc, a coil seen as a row of dots, or an arc with a disc."""
    start, extent = random.uniform(0, 2 * math.pi), random.uniform(1.2, 4.5)
    thin = arc(5.0, random.uniform(0.4, 0.8), start, extent)
    kind = random.integers(3)
    if kind == 0:
        return [ImplantPart((thin,))]
    if kind == 1:
        dots = tuple(disc(0.7, *point) for point in thin.points[:: random.integers(6, 9)])
        return [ImplantPart(dots)]
    return [ImplantPart((thin,)), ImplantPart((disc(random.uniform(1, 2)),))]


@dataclass(frozen=True)
class ImplantKind:
    """A kind of metal: how often it is drawn, where its anchors lie ("bone", "middle" or "tissue"), and its parts."""

    probability: float
    place: str
    draw_parts: Callable[[np.random.Generator], list[ImplantPart]]


KINDS: Mapping[str, ImplantKind] = {
    "hip": ImplantKind(0.20, "bone", _hip),
    "spine": ImplantKind(0.20, "middle", _spine),
    "pins": ImplantKind(0.30, "bone", _pins),
    "plates": ImplantKind(0.15, "bone", _plates),
    "wires": ImplantKind(0.15, "tissue", _wires),
}


def scale_to_area(parts: list[ImplantPart], area: float, least_half_width: float) -> list[ImplantPart]:
    """Scale all strokes by one factor so that their areas sum to ``area`` [square pixels], or come nearest to it."""

    def at(factor: float) -> list[ImplantPart]:
        return [
            ImplantPart(tuple(s.scaled(factor, least_half_width) for s in part.strokes), part.offset) for part in parts
        ]

    low, high = 0.0, 1000.0
    for _ in range(50):
        middle = (low + high) / 2
        too_small = sum(stroke.area for part in at(middle) for stroke in part.strokes) < area
        low, high = (middle, high) if too_small else (low, middle)
    return at(high)


def paint(coverage: NDArray[np.float32], part: ImplantPart, row: float, column: float) -> bool:
    """Add ``part`` anchored at (row, column) to the fractional coverage of each pixel, in place.

    Drawn at four times the resolution and averaged. Returns False, leaving ``coverage`` as it is, when the part
    leaves the image.
    """
    reach = [np.abs(stroke.points).max(axis=0) + stroke.half_width + 1 for stroke in part.strokes]
    half = np.ceil(np.max(reach, axis=0)).astype(int)
    first = np.round([row, column]).astype(int) - half
    last = first + 2 * half + 1
    if first.min() < 0 or last.max() > len(coverage):
        return False
    fine = [(np.arange(n * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - 0.5 for n in last - first]
    rows, columns = fine[0][:, None] + first[0] - row, fine[1][None, :] + first[1] - column
    inside = np.zeros((rows.size, columns.size), bool)
    for stroke in part.strokes:
        inside |= _squared_distance(stroke.points, rows, columns) <= stroke.half_width**2
    blocks = inside.reshape(last[0] - first[0], _OVERSAMPLING, last[1] - first[1], _OVERSAMPLING)
    window = coverage[first[0] : last[0], first[1] : last[1]]
    np.maximum(window, blocks.mean(axis=(1, 3), dtype=np.float32), out=window)
    return True


def _squared_distance(
    points: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared distance of every grid point to a polyline (or to its only point)."""
    nearest = np.full((rows.size, columns.size), np.inf)
    for (r0, c0), (r1, c1) in zip(points, points[1:] if len(points) > 1 else points, strict=False):
        dr, dc = r1 - r0, c1 - c0
        along = ((rows - r0) * dr + (columns - c0) * dc) / max(dr * dr + dc * dc, 1e-12)
        along = np.clip(along, 0, 1)
        np.minimum(nearest, (rows - r0 - along * dr) ** 2 + (columns - c0 - along * dc) ** 2, out=nearest)
    return nearest
