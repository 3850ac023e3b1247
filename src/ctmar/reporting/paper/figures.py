"""Every figure of a page as a drawing that stands alone, SVG and PDF, its legend in it and its text still text."""

import base64
import io
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import vl_convert
from PIL import Image

from ctmar.reporting.paper.page_tree import Node
from ctmar.reporting.paper.style_rules import StyleRules
from ctmar.reporting.paper.symbols import FONTS, set_symbols

_SVG = "http://www.w3.org/2000/svg"
_INK = "#1c2126"
_FONT_SIZE, _LINE, _GAP = 11, 14, 18
_LETTER = 0.56 * _FONT_SIZE  # mean width
_COLUMNS = 4  # of small charts
_PICTURE = 110  # width of a picture in a row of them


@dataclass(frozen=True)
class PaperFigure:
    """A figure: the name of its files, its caption, and the drawing."""

    name: str
    caption: str
    svg: str

    @property
    def pdf(self) -> bytes:
        """The same as PDF; a unit of the drawing is a point."""
        return bytes(vl_convert.svg_to_pdf(self.svg))


@dataclass(frozen=True)
class _Box:
    """A part of a figure with its size."""

    element: Element
    width: float
    height: float


def figures(page: Node) -> list[PaperFigure]:
    """Charts, small multiples, and pictures of examples and kernels, in the order of the page."""
    rules, counts = StyleRules.of(page), Counter[str]()
    found = []
    for node in [*_charts(page), *_rows_of_pictures(page)]:
        section = node.around("section")
        about = section.attributes.get("id", "figure") if section else "figure"
        counts[about] += 1
        name = node.attributes.get("id") or f"{about}-{counts[about]}"
        is_pictures = node.tag == "article" or "kernel" in node.classes
        box = _pictures(node) if is_pictures else _with_legend(_drawings(node, rules), section, rules)
        found.append(PaperFigure(name, _caption(node), _stand_alone(box, _caption(node))))
    return found


def _charts(page: Node) -> Iterator[Node]:
    """Figures that are no part of another."""
    for node in page.all("figure"):
        if node.around("figure") is None and {"chart", "multiples"} & node.classes:
            yield node


def _rows_of_pictures(page: Node) -> Iterator[Node]:
    yield from (node for node in page.all("article", "example") if node.first("img"))
    yield from (node for node in page.all("figure", "kernel") if "hidden" not in node.attributes)


def _caption(node: Node) -> str:
    heading = node.first("h3") if node.tag == "article" else node.first("figcaption")
    return heading.text if heading else ""


def _drawings(node: Node, rules: StyleRules) -> _Box:
    """A chart in the widest of its drawings, or small charts under their titles in rows."""
    drawings = [svg for svg in node.all("svg") if svg.around("figcaption") is None]
    if "chart" in node.classes:
        return _drawing(drawings[0], rules)
    panels = [_titled(_drawing(svg, rules), svg.around("figure")) for svg in drawings]
    return _in_rows(panels, min(_COLUMNS, len(panels)))


def _drawing(node: Node, rules: StyleRules) -> _Box:
    svg = ElementTree.fromstring(node.xml)
    rules.apply(svg, node.ancestors)
    width, height = (float(value) for value in svg.attrib["viewBox"].split()[2:])
    for name in ("role", "aria-label", "tabindex", "aria-hidden"):
        svg.attrib.pop(name, None)
    return _Box(svg, width, height)


def _titled(box: _Box, figure: Node | None) -> _Box:
    heading = figure.first("figcaption") if figure else None
    lines = textwrap.wrap(heading.text if heading else "", int(box.width / _LETTER)) or [""]
    group = Element("g")
    for number, line in enumerate(lines):
        _text(group, line, 0, _FONT_SIZE + number * _LINE)
    _place(group, box, 0, len(lines) * _LINE + 4)
    return _Box(group, box.width, box.height + len(lines) * _LINE + 4)


def _in_rows(boxes: Sequence[_Box], n_columns: int) -> _Box:
    """Boxes beside each other, aligned at the bottom of each row."""
    group, y, width = Element("g"), 0.0, 0.0
    for start in range(0, len(boxes), n_columns):
        row = boxes[start : start + n_columns]
        height, x = max(box.height for box in row), 0.0
        for box in row:
            _place(group, box, x, y + height - box.height)
            x += box.width + _GAP
        y, width = y + height + _GAP, max(width, x - _GAP)
    return _Box(group, width, y - _GAP)


def _with_legend(box: _Box, section: Node | None, rules: StyleRules) -> _Box:
    """A drawing above what its colours and shapes stand for, where its section says so."""
    legend = section.first("ul", "legend") if section else None
    if legend is None:
        return box
    group, x, y = Element("g"), 0.0, box.height + _GAP
    _place(group, box, 0, 0)
    for item in legend.all("li"):
        width = _FONT_SIZE + 6 + _LETTER * len(item.text) + _GAP
        x, y = (0.0, y + _LINE + 3) if x and x + width > max(box.width, 300) else (x, y)
        if mark := item.first("svg"):
            drawn = _drawing(mark, rules).element
            drawn.attrib.update({"x": f"{x:g}", "y": f"{y:g}", "width": "11", "height": "11"})
            group.append(drawn)
        _text(group, item.text, x + _FONT_SIZE + 6, y + _FONT_SIZE - 1)
        x += width
    return _Box(group, max(box.width, 300), y + _LINE + 3)


def _pictures(node: Node) -> _Box:
    """Pictures in a row, each under its name and above what was measured of it."""
    columns = list(node.all("figure", "panel")) or [node]
    boxes = [_column(column) for column in columns if column.first("img")]
    if "kernel" in node.classes:
        pictures = zip(node.all("img"), (part.text for part in node.all("div") if part.first("img")), strict=False)
        boxes = [_stack([name], [picture], []) for picture, name in pictures]
    return _in_rows(boxes, 6)


def _column(panel: Node) -> _Box:
    name, values = panel.first("div", "name"), panel.first("figcaption")
    measured = [part for part in values.children if isinstance(part, str) and part.strip()] if values else []
    return _stack(textwrap.wrap(name.text if name else "", 20), list(panel.all("img")), list(map(str.strip, measured)))


def _stack(above: list[str], pictures: list[Node], below: list[str]) -> _Box:
    group, y = Element("g"), 0.0
    for line in above:
        _text(group, line, 0, y + _FONT_SIZE)
        y += _LINE
    for picture in pictures:
        address, share = _as_png(picture.attributes["src"])
        height = _PICTURE * share
        SubElement(
            group,
            "image",
            {"href": address, "x": "0", "y": f"{y + 3:g}", "width": f"{_PICTURE}", "height": f"{height:g}"},
        )
        y += height + 5
    for line in below:
        _text(group, line, 0, y + _FONT_SIZE + 2)
        y += _LINE
    return _Box(group, _PICTURE, y + 3)


def _as_png(address: str) -> tuple[str, float]:
    """A picture of the page in a format that all programs read, and its height by its width."""
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        share = picture.height / picture.width
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", share


def _place(group: Element, box: _Box, x: float, y: float) -> None:
    group.append(box.element)
    if box.element.tag == "svg":
        place = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{box.width:g}", "height": f"{box.height:g}"}
        box.element.attrib.update(place | {"overflow": "visible"})
    else:
        box.element.attrib["transform"] = f"translate({x:g},{y:g})"


def _text(group: Element, text: str, x: float, y: float) -> None:
    SubElement(group, "text", {"x": f"{x:g}", "y": f"{y:g}", "font-size": f"{_FONT_SIZE}", "fill": _INK}).text = text


def _stand_alone(box: _Box, caption: str) -> str:
    margin = 6
    width, height = box.width + 2 * margin, box.height + 2 * margin
    size = {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"{-margin} {-margin} {width:g} {height:g}"}
    svg = Element("svg", {"xmlns": _SVG, **size, "font-family": FONTS, "color": _INK})
    SubElement(svg, "title").text = caption
    _place(svg, box, 0, 0)
    set_symbols(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"
