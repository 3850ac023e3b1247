"""Charts as SVG that the page holds: drawn once, here, so that the page needs no library to show or print them.

Vega draws them outside of any browser. What it adds for its own use, classes, roles and unseen marks, is left out, and
what a mark says becomes its ``<title>``, which browsers show to a resting pointer without any script.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

_SVG = "http://www.w3.org/2000/svg"
_ADDRESS = "{http://www.w3.org/1999/xlink}href"
# units of the drawing, about pixels: two charts side by side, three, and one on a phone
WIDE, USUAL, NARROW = 480, 310, 330
_LEFT_OUT = {"class", "role", "pointer-events", "stroke-miterlimit", "font-family", "version"}
# what SVG takes where an attribute is not there
_DEFAULTS = {"opacity": "1", "stroke-width": "1", "x2": "0", "y2": "0", "transform": "translate(0,0)"}


@dataclass(frozen=True)
class Drawing:
    """A chart in each of the widths that the page has places for, the widest first."""

    width: int
    svg: Markup


def draw(spec: dict[str, Any], name: str, title: str, widths: tuple[int, ...]) -> list[Drawing]:
    """Draw a chart.

    Args:
        spec: its specification, without a width.
        name: what tells it from the other charts of the page.
        title: what the chart is called where it cannot be seen; its description follows.
        widths: one drawing for each [pixels].
    """
    text, label = json.dumps(spec), f"{title}. {spec['description']}"
    return [Drawing(width, Markup(_drawn(text, f"{name}-{width}", label, width))) for width in widths]


@cache
def _drawn(specification: str, name: str, label: str, width: int) -> str:
    """The same chart is drawn once, however often the page is laid out."""
    import vl_convert  # large, and most pages of this package hold no chart

    spec = json.loads(specification) | {"width": width, "autosize": {"type": "fit", "contains": "padding"}}
    svg = ElementTree.fromstring(vl_convert.vegalite_to_svg(spec))
    size = svg.attrib["viewBox"]
    for element in svg.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        _clean_attributes(element, name)
    _unwrap_links(svg)
    _prune(svg)
    svg.attrib.clear()
    # a picture to assistive technology: its numbers stand in the tables
    svg.attrib.update({"viewBox": size, "role": "img", "aria-label": label})
    return ElementTree.tostring(svg, encoding="unicode")


def _clean_attributes(element: ElementTree.Element, name: str) -> None:
    """Keep what is drawn; what a mark says becomes its title."""
    said = element.attrib.get("aria-label") if element.attrib.get("role") == "graphics-symbol" else None
    if said and not len(element):
        ElementTree.SubElement(element, "title").text = said
    for key, value in list(element.attrib.items()):
        if key in _LEFT_OUT or key.startswith("aria-") or _DEFAULTS.get(key) == value:
            del element.attrib[key]
        elif key == "id":
            element.attrib[key] = f"{name}-{value}"
        elif "url(#" in value:
            element.attrib[key] = value.replace("url(#", f"url(#{name}-")


def _unwrap_links(element: ElementTree.Element) -> None:
    """Take marks out of their links: their address is what the filter of the page asks of them."""
    for place, child in enumerate(element):
        _unwrap_links(child)
        if child.tag == "a":
            (mark,) = child
            # Vega puts a host of its own before it
            mark.attrib["data-facets"] = child.attrib[_ADDRESS].rpartition("/")[2]
            element[place] = mark


def _prune(element: ElementTree.Element) -> None:
    """Take out what nobody sees, from the leaves up, and groups that add nothing."""
    kept: list[ElementTree.Element] = []
    for child in list(element):
        _prune(child)
        if child.tag == "g" and not child.attrib:
            kept += list(child)
        elif not _unseen(child):
            kept.append(child)
    element[:] = kept


def _unseen(element: ElementTree.Element) -> bool:
    if element.tag == "g":
        return not len(element)
    shape = element.tag in ("path", "line", "rect", "circle")
    painted = {"fill", "stroke"} & set(element.attrib)
    return shape and (not painted or element.attrib.get("display") == "none" or element.attrib.get("opacity") == "0")
