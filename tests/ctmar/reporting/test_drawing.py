"""Charts as SVG: what is drawn, what a mark says, and nothing that only Vega would need."""

import re
from xml.etree import ElementTree

import altair as alt
import pandas as pd
import pytest

from ctmar.reporting import charts
from ctmar.reporting.drawing import draw

ROWS = pd.DataFrame(
    {"x": [1.0, 2.0, 3.0], "y": [1.0, 4.0, 9.0], "says": ["one <b>", "two & more", "three\nlines"], "colour": "#0072B2"}
)


def specification() -> charts.Spec:
    base = alt.Chart(ROWS).encode(x="x:Q", y="y:Q", color=alt.Color("colour:N", scale=None))
    unseen = base.mark_point(opacity=0, aria=False)
    marks = base.mark_point(filled=True, size=60).encode(description=charts.SAYS)
    return charts.finish(alt.layer(base.mark_line(clip=True), marks, unseen), "y against x")


@pytest.fixture(scope="module")
def drawings():
    return draw(specification(), "chart-1", "A title", (480, 330))


def test_there_is_a_drawing_for_every_width(drawings):
    assert [drawing.width for drawing in drawings] == [480, 330]
    for drawing in drawings:
        size = ElementTree.fromstring(str(drawing.svg)).attrib["viewBox"].split()
        assert [float(size[0]), float(size[1]), float(size[2])] == [0, 0, drawing.width]


def test_a_drawing_is_a_picture_with_a_name(drawings):
    svg = ElementTree.fromstring(str(drawings[0].svg))
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == "A title. y against x"
    inside = [element for element in svg.iter() if element is not svg]
    assert not [
        key for element in inside for key in element.attrib if key.startswith("aria") or key in ("role", "class")
    ]


def test_marks_say_their_text_and_nothing_else_does(drawings):
    svg = ElementTree.fromstring(str(drawings[0].svg))
    assert [title.text for title in svg.iter("title")] == ROWS["says"].tolist()
    assert "one &lt;b&gt;" in drawings[0].svg


def test_what_nobody_sees_is_left_out(drawings):
    text = str(drawings[0].svg)
    assert 'opacity="0"' not in text
    assert "display=" not in text
    assert not re.search(r"<g[^>]*/>|<g>", text)


def test_names_inside_are_those_of_the_drawing(drawings):
    identifiers = [re.findall(r'id="([^"]+)"', drawing.svg) for drawing in drawings]
    assert identifiers[0]
    assert not set(identifiers[0]) & set(identifiers[1])
    for drawing, own in zip(drawings, identifiers, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", drawing.svg)) == set(own)
