"""Texts a reader sees: numbers, weights, and the names of norms and models."""

import math
import re
from collections.abc import Mapping
from typing import Any

from ctmar.config.methods import METHODS

NORMS = {"frobenius": "Frobenius", "entrywise": "entry-wise", "schatten": "Schatten"}  # the others as they are
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUS = "−"
MISSING = "–"


def number(value: float, digits: int = 2, signed: bool = False) -> str:
    """A number with fixed decimals and a true minus sign; missing values become a dash.

    Examples:
        >>> number(-0.126), number(1.5, 1, signed=True), number(float("nan")), number(float("inf"))
        ('−0.13', '+1.5', '–', '∞')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
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
        return number(value)
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -3 <= power < 4:
        return number(value, max(digits - 1 - power, 0))
    return f"{mantissa.replace('-', MINUS)}·10{str(power).translate(_SUPERSCRIPT)}"


def group_in_words(name: str) -> str:
    """What the elements of a group by its name are, to follow the name; nothing for other groups.

    Examples:
        >>> group_in_words("C4"), group_in_words("D4"), group_in_words("my_groups:Kite")
        (', the turns by 90°', ', the turns by 90° and the mirror images', '')
    """
    found = re.fullmatch(r"([CD])(\d+)", name)
    if found is None:
        return ""
    mirrored = " and the mirror images" if found[1] == "D" else ""
    return f", the turns by {360 / int(found[2]):g}°{mirrored}"


def weight(value: float) -> str:
    """A penalty weight, below 1 as a power of ten.

    Examples:
        >>> weight(1e-3), weight(0.05), weight(0), weight(30)
        ('10⁻³', '5·10⁻²', '0', '30')
    """
    if value == 0 or 1 <= value < 1e4:
        return f"{value:g}"
    mantissa, exponent = f"{value:.6e}".split("e")
    factor = f"{float(mantissa):g}"
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return power if factor == "1" else f"{factor}·{power}"


def weighted(symbol: str, value: float) -> str:
    """A weight with its symbol, kept on one line."""
    return f"{symbol}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{weight(value)}"


def norm_label(norm: str) -> str:
    r"""The name of a matrix norm as the field writes it; its parts stay on one line.

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


def series_label(method: str, norm: str) -> str:
    """What all settings of a method and norm have in common.

    Examples:
        >>> series_label("projection", "spectral"), series_label("eqreg", "none")
        ('Projection, spectral', 'EQ-Reg')
    """
    name = METHODS[method].label
    return name if norm == "none" else f"{name}, {norm_label(norm)}"


def variant(setting: Mapping[str, Any]) -> list[str]:
    """What a model differs by from the others of its method and norm beside its weights; nothing where it is standard.

    Examples:
        >>> variant({"power": 2, "start": "drawn", "compute": 1.0})
        ['squared', 'drawn start']
        >>> variant({"power": 1, "start": "equivariant", "compute": 4.0})
        ['4× the steps']
    """
    texts = ["squared"] * (setting["power"] == 2) + ["drawn start"] * (setting["start"] == "drawn")
    return texts + [f"{setting['compute']:g}× the steps"] * (setting["compute"] != 1)


def setting_label(setting: Mapping[str, Any]) -> str:
    """The name of a model without its weights.

    Args:
        setting: values of `IDENTITY` by name.
    """
    return ", ".join([series_label(setting["method"], setting["norm"]), *variant(setting)])


def model_label(setting: Mapping[str, Any]) -> str:
    r"""The full name of a model of the study, with what differs from the default; a softness of 0 is like any other.

    Args:
        setting: values of `IDENTITY` by name.

    Examples:
        >>> from ctmar.config import Run
        >>> settings = {"method": "projection", "norm": "frobenius", "lam_perp": 1e-2, "start": "drawn", "power": 2}
        >>> model_label(Run(network="n", **settings).model_dump())
        'Projection, Frobenius, λ⊥\xa0=\xa010⁻², squared, drawn start'
        >>> model_label(Run(network="n", method="softness", softness=0.25).model_dump())
        'Softness, s\xa0=\xa00.25'
    """
    return ", ".join([series_label(setting["method"], setting["norm"]), *own_settings(setting)])


def own_settings(setting: Mapping[str, Any]) -> list[str]:
    """What a model has beside its method and norm: its weights, and what differs from the default.

    Args:
        setting: values of `IDENTITY` by name.
    """
    facts = METHODS[setting["method"]]
    weights = ((facts.weight_symbol, "lam_perp"), ("λᴳ", "lam_equi"), ("target", "target"), ("balance", "balance"))
    parts = [weighted(symbol, setting[name]) for symbol, name in weights if setting[name]]
    if facts.reads_softness:
        parts.append(f"s\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{setting['softness']:g}")
    return [*parts, *variant(setting)]


def condition_parts(asymmetry: float, slices: int) -> list[str]:
    r"""The condition of a run in words, where it is not the usual one.

    Examples:
        >>> condition_parts(0.4, 0), condition_parts(0.0, 2)
        (['ε\xa0=\xa00.4'], ['2 slices of a patient'])
    """
    parts = [f"ε\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{asymmetry:g}"] * bool(asymmetry)
    return parts + [f"{slices} slices of a patient"] * bool(slices)
