import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctmar.config import Run, labels
from ctmar.evaluation.columns import IDENTITY


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


@pytest.mark.parametrize("value", [math.nan, None])
def test_missing_values_are_a_dash(value):
    assert labels.number(value) == labels.scientific(value) == "–"


def test_what_is_infinite_is_not_called_missing():
    assert labels.number(math.inf) == labels.scientific(math.inf) == "∞"
    assert labels.number(-math.inf) == labels.scientific(-math.inf) == "−∞"


def test_no_negative_zero():
    assert labels.number(-0.001, 2) == "0.00"
    assert labels.number(0.001, 2, signed=True) == "0.00"


def test_weights_are_powers_of_ten():
    assert [labels.weight(value) for value in (1e-6, 2e-4, 10.0, 1.0, 0.0)] == ["10⁻⁶", "2·10⁻⁴", "10", "1", "0"]


def label(method: str, **settings: object) -> str:
    return labels.model_label(Run(network="n", method=method, **settings).model_dump())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"power": 2, "start": "drawn", "lam_perp": 1e-5}, "λ⊥\xa0=\xa010⁻⁵, squared, drawn start"),
        ({"target": 0.1}, "target\xa0=\xa010⁻¹"),
        ({"balance": 2.0, "compute": 4.0}, "balance\xa0=\xa02, 4× the steps"),
    ],
)
def test_a_label_shows_what_differs_from_the_default(settings, text):
    assert label("projection", norm="frobenius", **settings) == f"Projection, Frobenius, {text}"


def test_every_setting_of_a_run_is_in_its_label():
    """All that tells models apart; a new field of a run needs a place here."""
    others = {"lam_perp": 0.1, "lam_equi": 0.2, "target": 0.3, "balance": 0.4, "power": 2, "start": "drawn"}
    others |= {"compute": 2.0, "softness": 0.5}
    plain = Run(network="n", method="projection", norm="frobenius").model_dump() | {"lam_perp": 0.1}
    assert set(others) | {"network", "method", "norm"} == set(IDENTITY)
    for name, value in (others | {"lam_perp": 0.7}).items():
        method = "softness" if name == "softness" else "projection"
        both = [plain | {"method": method, "norm": "none" if method == "softness" else "frobenius"}]
        both.append(both[0] | {name: value})
        assert len({labels.model_label(one) for one in both}) == 2, name


def test_eqreg_has_its_own_lambda():
    assert label("eqreg", lam_perp=1e-3) == "EQ-Reg, λ\xa0=\xa010⁻³"


def test_a_softness_of_zero_is_named():
    assert label("softness") == "Softness, s\xa0=\xa00"
    assert label("strict") == "Strictly equivariant"


def test_two_weights_stand_side_by_side():
    name = label("residual_pathway", lam_perp=1e-3, lam_equi=1e-5)
    assert name == "Residual pathway, λ⊥\xa0=\xa010⁻³, λᴳ\xa0=\xa010⁻⁵"
