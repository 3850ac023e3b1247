"""The front of quality and equivariance, and names that do not meet."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ctmar.reporting.front import Box, on_front, places

SIZES = [(422.0, 308.0), (272.0, 308.0)]
LETTER, LINE = 6.2, 13


def test_the_front_is_what_no_other_beats():
    generator = np.random.default_rng(3)
    table = pd.DataFrame(generator.normal(size=(60, 2)), columns=["quality", "defect"])
    front = set(on_front(table, "quality", "defect").index)
    for row in table.itertuples():
        beaten = ((table["quality"] > row.quality) & (table["defect"] < row.defect)).any()
        assert (row.Index in front) == (not beaten)


def test_what_was_not_measured_is_not_on_the_front():
    table = pd.DataFrame({"quality": [1.0, np.nan, 3.0], "defect": [0.1, 0.01, np.nan]})
    assert on_front(table, "quality", "defect").index.tolist() == [0]


def boxes(named, found, size):
    width, height = size
    for (x, y, lines), place in zip(named, found, strict=True):
        wide = max(map(len, lines)) * LETTER
        left = x * width + place.dx - {"left": 0, "center": wide / 2, "right": wide}[place.align]
        top = y * height + place.dy - LINE + 2
        yield Box(left, top, left + wide, top + LINE * len(lines))


@pytest.mark.parametrize("seed", range(5))
def test_names_meet_neither_each_other_nor_the_edge(seed):
    generator = np.random.default_rng(seed)
    xs, ys = np.sort(generator.uniform(0.02, 0.98, 6)), np.sort(generator.uniform(0.05, 0.9, 6))[::-1]
    named = [(x, y, ["Projection, mixed (2,1),", "λ⊥ = 10⁻²"]) for x, y in zip(xs, ys, strict=True)]
    marks = [(x, y) for x, y, _ in named]
    found = places(named, marks, SIZES)
    for size in SIZES:
        own = list(boxes(named, found, size))
        assert not any(one.meets(other) for one, other in itertools.combinations(own, 2))
        assert all(box.within(*size) for box in own)


def test_a_name_alone_stands_beside_its_mark():
    (place,) = places([(0.1, 0.5, ["Plain training"])], [(0.1, 0.5)], SIZES)
    assert (place.align, place.dx) == ("left", 9)
    (place,) = places([(0.95, 0.5, ["Plain training"])], [(0.95, 0.5)], SIZES)
    assert place.align == "right"
