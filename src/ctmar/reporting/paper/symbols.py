"""Letters that the font of a drawing lacks: raised digits are set by hand, texts with a symbol in a font that has it.

A renderer that misses one letter of a text takes any font that has it for all of them, be it one with serifs.
Liberation Sans, with which texts were measured, has the metrics of Arial and Helvetica; it has no raised digits beyond
³, and not all symbols of mathematics.
"""

import re
from xml.etree.ElementTree import Element, SubElement

FONTS = "'Liberation Sans', Arial, Helvetica, sans-serif"
_SYMBOLS = "⊥‖"
_SYMBOL_FONTS = "'DejaVu Sans', 'STIX Two Math', 'Cambria Math', 'Apple Symbols', sans-serif"
_RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_LEVEL = str.maketrans(_RAISED, "−0123456789")
_PARTS = re.compile(rf"[{_RAISED}]+|[^{_RAISED}]+")
_SHARE, _SHIFT = 0.7, 0.5  # size of raised digits, and their height in that size


def set_symbols(drawing: Element) -> None:
    """Set the texts of a drawing in what it can count on."""
    for text in list(drawing.iter("text")):
        if set(_SYMBOLS) & set("".join(text.itertext())):
            text.attrib["font-family"] = _SYMBOL_FONTS
        for element in list(text.iter()):
            if set(_RAISED) & set(element.text or ""):
                _split(element, _PARTS.findall(element.text or ""))


def _split(element: Element, parts: list[str]) -> None:
    tail, element.text = list(element), None
    element[:] = []
    raised = False
    for part in parts:
        span = SubElement(element, "tspan")
        span.text = part.translate(_LEVEL)
        if part[0] in _RAISED:
            span.attrib.update({"font-size": f"{_SHARE}em", "dy": f"-{_SHIFT}em"})
        elif raised:
            span.attrib["dy"] = f"{_SHARE * _SHIFT:g}em"
        raised = part[0] in _RAISED
    element.extend(tail)
