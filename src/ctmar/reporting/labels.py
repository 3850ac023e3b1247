"""Names and marks a reader sees: numbers, norms, methods, and the colour and shape that go with each."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

METHODS = {
    "plain": "Plain",
    "augmentation": "Rotation augmentation",
    "eqreg": "EQ-Reg",
    "projection": "Projection",
}
NORMS = {"frobenius": "Frobenius", "entrywise": "entry-wise", "schatten": "Schatten"}  # the others as they are
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUS = "−"
MISSING = "–"

# Okabe and Ito's palette without black (the text colour stands for the plain model) and yellow (too weak on white)
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# Baselines without a penalty stay neutral, so that colours are left for what is compared
NEUTRAL = {"plain": "currentColor", "augmentation": "#8A9096"}
# Paths in the square from −1 to 1, drawn alike by Vega-Lite and by the legend of the page
SHAPES = (
    "M-1,0a1,1,0,1,0,2,0a1,1,0,1,0,-2,0Z",
    "M-.89,-.89H.89V.89H-.89Z",
    "M0,-1.1L1,.8H-1Z",
    "M0,-1.2L1.2,0L0,1.2L-1.2,0Z",
    "M0,1.1L1,-.8H-1Z",
    "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
)


@dataclass(frozen=True)
class Mark:
    """Colour and shape of a series; two series never share both."""

    colour: str
    shape: str


def number(value: float, digits: int = 2, signed: bool = False) -> str:
    """A number with fixed decimals and a true minus sign; missing values become a dash.

    Examples:
        >>> number(-0.126), number(1.5, 1, signed=True), number(float("nan"))
        ('−0.13', '+1.5', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def scientific(value: float, digits: int = 2) -> str:
    """A number with ``digits`` significant digits; powers of ten are written out below 0.001 and from 10,000 on.

    Examples:
        >>> scientific(1e-3), scientific(0.0312), scientific(2.5e-4), scientific(0)
        ('0.0010', '0.031', '2.5·10⁻⁴', '0')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -3 <= power < 4:
        return number(value, max(digits - 1 - power, 0))
    return f"{mantissa.replace('-', MINUS)}·10{str(power).translate(SUPERSCRIPT)}"


def weight(value: float) -> str:
    """A penalty weight as a power of ten.

    Examples:
        >>> weight(1e-3), weight(0.05), weight(0), weight(1)
        ('10⁻³', '5·10⁻²', '0', '1')
    """
    if value in (0, 1):
        return f"{value:g}"
    mantissa, exponent = f"{value:.6e}".split("e")
    factor = f"{float(mantissa):g}"
    power = f"10{str(int(exponent)).translate(SUPERSCRIPT)}"
    return power if factor == "1" else f"{factor}·{power}"


def weighted(symbol: str, value: float) -> str:
    """A weight with its symbol, kept on one line."""
    return f"{symbol}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{weight(value)}"


def norm_label(norm: str) -> str:
    """The name of a matrix norm as the field writes it; its parts stay on one line.

    Examples:
        >>> norm_label("entrywise:inf"), norm_label("mixed:2,1"), norm_label("frobenius")
        ('entry-wise\xa0∞', 'mixed\xa0(2,1)', 'Frobenius')
    """
    family, _, parameters = norm.partition(":")
    parameters = parameters.replace("inf", "∞")
    name = NORMS.get(family, family)
    if family == "mixed":
        return f"{name}\N{NO-BREAK SPACE}({parameters})"
    return f"{name}\N{NO-BREAK SPACE}{parameters}" if parameters else name


def series_label(method: str, norm: str, lam_equi: float = 0.0) -> str:
    """What the rows of a table and the points of a line have in common: everything but λ⊥.

    Examples:
        >>> series_label("projection", "spectral", 1e-2)
        'Projection, spectral, λ_G\xa0=\xa010⁻²'
        >>> series_label("eqreg", "none")
        'EQ-Reg'
    """
    parts = [METHODS.get(method, method)]
    if norm != "none":
        parts.append(norm_label(norm))
    if lam_equi:
        parts.append(weighted("λ_G", lam_equi))
    return ", ".join(parts)


def model_label(method: str, norm: str, lam_perp: float, lam_equi: float = 0.0) -> str:
    """The full name of a model of the study.

    Examples:
        >>> model_label("projection", "frobenius", 1e-2)
        'Projection, Frobenius, λ⊥\xa0=\xa010⁻²'
    """
    symbol = "λ" if method == "eqreg" else "λ⊥"
    label = series_label(method, norm, lam_equi)
    return f"{label}, {weighted(symbol, lam_perp)}" if lam_perp else label


def assign_marks(labels: Iterable[str]) -> dict[str, Mark]:
    """A mark for every series in the order given; baselines without a penalty are neutral, plain as the text.

    Examples:
        >>> marks = assign_marks(["Plain", "EQ-Reg", "EQ-Reg"])
        >>> marks["Plain"].colour, marks["EQ-Reg"].colour
        ('currentColor', '#0072B2')
    """
    marks = {METHODS[method]: Mark(colour, SHAPES[0]) for method, colour in NEUTRAL.items()}
    others = [label for label in dict.fromkeys(labels) if label not in marks]
    for index, label in enumerate(others):
        # after each round of colours the shapes move on by one: 36 pairs before the first repeats
        shape = (index + index // len(PALETTE)) % len(SHAPES)
        marks[label] = Mark(PALETTE[index % len(PALETTE)], SHAPES[shape])
    return marks
