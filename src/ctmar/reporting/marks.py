"""Colour and shape of every series: the colour says which kind of method it is, the shape which one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ctmar.config.methods import METHODS, Kind

# Okabe and Ito's hues, as dark as it takes to stand out from paper and from the dark page alike (a contrast of 3);
# plain training takes the text colour, so that the others stand out against it
_PALETTE = (("currentColor",), ("#0072B2", "#2E8BC0"), ("#00906A",), ("#D55E00", "#A87400"), ("#B8578F",))
COLOURS = dict(zip(Kind, _PALETTE, strict=False))  # in the order of the kinds; a colour may be left
# Paths in the square from −1 to 1, drawn alike by Vega-Lite and by the legend of the page
SHAPES = (
    "M-1,0a1,1,0,1,0,2,0a1,1,0,1,0,-2,0Z",
    "M-.89,-.89H.89V.89H-.89Z",
    "M0,-1.1L1,.8H-1Z",
    "M0,-1.2L1.2,0L0,1.2L-1.2,0Z",
    "M0,1.1L1,-.8H-1Z",
    "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
)
SeriesKey = tuple[str, str]  # method, norm


@dataclass(frozen=True)
class Mark:
    """Colour and shape of a series."""

    colour: str
    shape: str


def assign_marks(series: Iterable[SeriesKey]) -> dict[SeriesKey, Mark]:
    """A mark for every (method, norm) in the order given; a kind repeats when each of its colours had every shape.

    Examples:
        >>> marks = assign_marks([("plain", "none"), ("projection", "frobenius"), ("projection", "spectral")])
        >>> marks["plain", "none"].colour, marks["projection", "spectral"].colour
        ('currentColor', '#D55E00')
    """
    marks: dict[SeriesKey, Mark] = {}
    counts = dict.fromkeys(Kind, 0)
    for key in dict.fromkeys(series):
        kind = METHODS[key[0]].kind
        colours = COLOURS[kind]
        shape, colour = counts[kind] % len(SHAPES), counts[kind] // len(SHAPES) % len(colours)
        marks[key] = Mark(colours[colour], SHAPES[shape])
        counts[kind] += 1
    return marks


def kind_marks(marks: Mapping[SeriesKey, Mark]) -> list[tuple[str, Mark]]:
    """The kinds of methods of some series, each with the mark of its first one."""
    first: dict[str, Mark] = {}
    for (method, _), mark in marks.items():
        first.setdefault(METHODS[method].kind, mark)
    return list(first.items())
