import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctmar.reporting import labels


@given(st.floats(-1e6, 1e6))
def test_number_reads_back_to_its_precision(value):
    text = labels.number(value, 2).replace(labels.MINUS, "-")
    assert abs(float(text) - value) <= 0.005 + 1e-9


@given(st.floats(1e-12, 1e12))
def test_scientific_keeps_two_significant_digits(value):
    text = labels.scientific(value)
    mantissa, _, power = text.partition("·10")
    digits = {sign: str(index) for index, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")} | {"⁻": "-"}
    back = float(mantissa) * 10 ** int("".join(digits[sign] for sign in power) or 0)
    assert math.isclose(back, value, rel_tol=0.0501)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_missing_values_are_a_dash(value):
    assert labels.number(value) == labels.scientific(value) == "–"


def test_no_negative_zero():
    assert labels.number(-0.001, 2) == "0.00"
    assert labels.number(0.001, 2, signed=True) == "0.00"


def test_weights_are_powers_of_ten():
    assert [labels.weight(value) for value in (1e-6, 2e-4, 10.0, 1.0, 0.0)] == ["10⁻⁶", "2·10⁻⁴", "10", "1", "0"]


def test_eqreg_has_its_own_lambda():
    assert labels.model_label("eqreg", "none", 1e-3) == "EQ-Reg, λ\xa0=\xa010⁻³"


def test_a_softness_of_zero_is_named():
    assert labels.model_label("softness", "none", 0.0) == "Softness, s\xa0=\xa00"
    assert labels.model_label("strict", "none", 0.0) == "Strictly equivariant"


def test_two_weights_stand_side_by_side():
    name = labels.model_label("residual_pathway", "none", 1e-3, 1e-5)
    assert name == "Residual pathway, λ⊥\xa0=\xa010⁻³, λ_G\xa0=\xa010⁻⁵"
