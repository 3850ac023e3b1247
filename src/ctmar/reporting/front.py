"""The front of quality and equivariance: the settings that no other beats in both, and where their names have room."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

_LETTER_WIDTH, _LINE_HEIGHT = 6.2, 13  # of letters of 11 pixels
_MARK = 5  # half the width of a mark [pixels]
Align = Literal["left", "center", "right"]
_ALIGNED: dict[int, Align] = {-1: "right", 0: "center", 1: "left"}


@dataclass(frozen=True)
class Box:
    """A rectangle of the drawing [pixels], from the left and from the top."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether two rectangles have a point in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def within(self, width: float, height: float) -> bool:
        """Whether it lies inside the drawing."""
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height


@dataclass(frozen=True)
class Place:
    """Where a name stands from its mark: right, left or in the middle of it [pixels]; ``dy`` is of its first line."""

    dx: float
    dy: float
    align: Align


def on_front(models: pd.DataFrame, quality: str, defect: str) -> pd.DataFrame:
    """The rows that no other beats in both, from the least defect to the most; by the means alone.

    Args:
        models: settings.
        quality: column of which more is better.
        defect: column of which less is better.

    Examples:
        >>> table = pd.DataFrame({"q": [1.0, 3.0, 2.0, 3.0], "d": [0.1, 0.4, 0.5, 0.6]})
        >>> on_front(table, "q", "d").index.tolist()
        [0, 1]
    """
    ordered = models.dropna(subset=[quality, defect]).sort_values([defect, quality], ascending=[True, False])
    best_before = ordered[quality].cummax().shift(fill_value=float("-inf"))
    return ordered[ordered[quality] > best_before]


def places(
    named: Sequence[tuple[float, float, Sequence[str]]],
    marks: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
) -> list[Place]:
    """For each name the nearest place around its mark where it meets no other name and as few marks as can be.

    Args:
        named: of each name its mark, as shares of width and height from the left and from the top, and its lines.
        marks: every mark, as such shares.
        sizes: width and height of the drawings that the names have to fit [pixels].
    """
    dots = [[_around(x * width, y * height) for x, y in marks] for width, height in sizes]
    orders = [list(range(len(named))), list(range(len(named)))[::-1]]
    orders.append(sorted(orders[0], key=lambda place: abs(named[place][0] - 0.5)))
    tried = [_placed(named, order, dots, sizes) for order in orders]
    _, found = min(tried, key=lambda one: one[0])
    return [found[index] for index in orders[0]]


def _placed(
    named: Sequence[tuple[float, float, Sequence[str]]],
    order: Sequence[int],
    dots: Sequence[Sequence[Box]],
    sizes: Sequence[tuple[float, float]],
) -> tuple[tuple[int, int, int], dict[int, Place]]:
    """Give each name in some order the nearest place that is left, and count what went wrong."""
    taken: list[list[Box]] = [[] for _ in sizes]
    found, wrong = {}, [0, 0, 0]
    for index in order:
        x, y, lines = named[index]
        tried = []
        for place in _around_mark(len(lines)):
            boxes = [_box(x * width, y * height, lines, place) for width, height in sizes]
            names = sum(box.meets(other) for box, own in zip(boxes, taken, strict=True) for other in own)
            outside = sum(not box.within(*size) for box, size in zip(boxes, sizes, strict=True))
            covered = sum(box.meets(dot) for box, own in zip(boxes, dots, strict=True) for dot in own)
            tried.append(((names, outside, covered), place, boxes))
        cost, found[index], boxes = min(tried, key=lambda one: one[0])
        wrong = [one + other for one, other in zip(wrong, cost, strict=True)]
        for own, box in zip(taken, boxes, strict=True):
            own.append(box)
    return (wrong[0], wrong[1], wrong[2]), found


def _around_mark(n_lines: int) -> Iterable[Place]:
    """Places around a mark, the nearest first."""
    height = n_lines * _LINE_HEIGHT
    for away in (0, 14, 28, 48, 72):
        up, down = -(_MARK + 4 + away + height - _LINE_HEIGHT), _MARK + _LINE_HEIGHT - 2 + away
        if not away:
            middle = 4 - (height - _LINE_HEIGHT) / 2
            yield from (Place(side * (_MARK + 4), middle, _ALIGNED[side]) for side in (1, -1))
        for dy in (up, down):
            yield from (Place(side * _MARK, dy, _ALIGNED[side]) for side in (0, 1, -1))
            yield from (Place(dx, dy, "center") for dx in (-30, 30, -60, 60, -90, 90))


def _around(x: float, y: float) -> Box:
    return Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK)


def _box(x: float, y: float, lines: Sequence[str], place: Place) -> Box:
    width = max(map(len, lines)) * _LETTER_WIDTH
    left = x + place.dx - {"left": 0.0, "center": width / 2, "right": width}[place.align]
    top = y + place.dy - _LINE_HEIGHT + 2
    return Box(left, top, left + width, top + len(lines) * _LINE_HEIGHT)
