"""Letters that the font of a drawing lacks: set as it can, or in a font of their own, so that the others keep theirs.

A renderer that misses one letter sets the whole text in another font. Liberation Sans, with which texts were measured,
has the metrics of Arial and Helvetica; it has no raised digits beyond ³, and not all symbols of mathematics.
"""

import re
from xml.etree.ElementTree import Element, SubElement

FONTS = "'Liberation Sans', Arial, Helvetica, sans-serif"
_SYMBOL_FONTS = "'DejaVu Sans', 'STIX Two Math', 'Cambria Math', 'Apple Symbols', sans-serif"
_RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_LEVEL = str.maketrans(_RAISED, "−0123456789")
_PARTS = re.compile(rf"[{_RAISED}]+|[⊥‖]+|[^{_RAISED}⊥‖]+")
_SHARE, _SHIFT = 0.7, 0.5  # size of raised digits, and their height in that size


def set_symbols(drawing: Element) -> None:
    """Split the texts of a drawing where a letter needs it."""
    for element in list(drawing.iter()):
        if element.tag in ("text", "tspan") and element.text:
            parts = _PARTS.findall(element.text)
            if len(parts) > 1 or parts[0][0] in f"{_RAISED}⊥‖":
                _split(element, parts)


def _split(element: Element, parts: list[str]) -> None:
    tail, element.text = list(element), None
    element[:] = []
    raised = False
    for part in parts:
        span = SubElement(element, "tspan")
        if part[0] in _RAISED:
            span.text, raised = part.translate(_LEVEL), True
            span.attrib.update({"font-size": f"{_SHARE}em", "dy": f"-{_SHIFT}em"})
            continue
        span.text = part
        if part[0] in "⊥‖":
            span.attrib["font-family"] = _SYMBOL_FONTS
        if raised:
            span.attrib["dy"], raised = f"{_SHARE * _SHIFT:g}em", False
    element.extend(tail)
