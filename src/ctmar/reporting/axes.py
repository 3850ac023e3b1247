"""Scales and axes of the charts."""

import math

import altair as alt
import numpy as np
import pandas as pd

_CLOSEST_TICKS = 0.17  # of the width of the axis; labels any closer would touch
# Vega's own exponent format writes 10⁻³ as "1e-3"; the superscripts are worth one expression
_EXPONENT = "floor(log(datum.value)/LN10 + 1e-6)"
_MANTISSA = f"format(datum.value / pow(10, {_EXPONENT}), '.3~g')"
POWER = f"'10' + ({_EXPONENT} < 0 ? '⁻' : '') + slice('⁰¹²³⁴⁵⁶⁷⁸⁹', abs({_EXPONENT}), abs({_EXPONENT}) + 1)"
POWER_LABEL = (
    f"({_EXPONENT} < 0 || {_EXPONENT} > 3) && {_MANTISSA} == '1' ? {POWER}"
    f" : {_EXPONENT} < -2 ? {_MANTISSA} + '·' + {POWER}"
    " : format(datum.value, '~g')"
)


def lam_perp_scale(points: pd.DataFrame) -> alt.Scale:
    """Logarithmic scale around the λ⊥ of ``points``."""
    if points.empty:
        return alt.Scale(type="log", domain=[0.1, 10])
    return alt.Scale(type="log", domain=[points["lam_perp"].min() / 2, points["lam_perp"].max() * 2], nice=False)


def lam_perp_axis(points: pd.DataFrame) -> alt.Axis:
    """Axis with a tick at the λ⊥ of ``points``; where labels would touch, those off the powers of ten give way."""
    values = sorted(points["lam_perp"].unique().tolist(), key=lambda value: (_off_power(value), value))
    span = math.log10(max(values) / min(values)) if len(values) > 1 else 1.0
    shown: list[float] = []
    for value in values:
        if all(abs(math.log10(value / other)) > _CLOSEST_TICKS * span for other in shown):
            shown.append(value)
    return alt.Axis(values=sorted(shown), labelExpr=POWER_LABEL, grid=False)


def _off_power(value: float) -> bool:
    """Whether a weight is no power of ten."""
    power = math.log10(value)
    return abs(power - round(power)) > 1e-6


def value_axis(scale: alt.Scale) -> alt.Axis:
    """An axis with few ticks; on a logarithmic scale at powers of ten, or at 1, 2, 5 within two decades."""
    scale_values = scale.to_dict()
    if scale_values.get("type") != "log" or "domain" not in scale_values:
        return alt.Axis(tickCount=5)
    low, high = scale_values["domain"]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if math.log10(high / low) > 2 else (1, 2, 5)
    ticks = [factor * 10.0**decade for decade in decades for factor in factors]
    inside = [tick for tick in ticks if low <= tick <= high]
    return alt.Axis(values=inside, labelExpr=POWER_LABEL) if len(inside) > 1 else alt.Axis(tickCount=4)


def value_scale(values: pd.DataFrame, logarithmic: bool = False) -> alt.Scale:
    """A scale that just holds the values and their intervals; zero only matters where the data come near it."""
    numbers = values.to_numpy(float).ravel()
    numbers = numbers[np.isfinite(numbers) & ((numbers > 0) | (not logarithmic))]
    if not len(numbers):
        return alt.Scale(type="log" if logarithmic else "linear")
    low, high = float(numbers.min()), float(numbers.max())
    if logarithmic:
        return alt.Scale(type="log", domain=[low / 1.25, high * 1.25], nice=False)
    margin = 0.06 * (high - low) or 0.5
    return alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)
