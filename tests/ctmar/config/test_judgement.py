"""Primary comparisons: few, each once, between methods that the study runs."""

import pytest

from ctmar.config import Config, Judgement, validate_section
from ctmar.errors import InputError

FIRST = {"method": "projection", "norm": "frobenius", "against": "plain"}
RUNS = [{"method": "plain"}, {"method": "strict"}, {"method": "projection", "norm": ["frobenius"], "lam_perp": [0.1]}]


def judged(*comparisons: dict) -> dict:
    return {"study": {"runs": RUNS}, "judgement": {"primary": list(comparisons)}}


@pytest.mark.parametrize("second", [{"method": "projection", "against": "strict"}, FIRST | {"norm": None}])
def test_comparisons_of_the_study_are_taken(second):
    config = validate_section(Config, judged(FIRST, second), "study.yaml")
    assert str(config.judgement.primary[0]) == "projection (frobenius) against plain"


@pytest.mark.parametrize(
    ("comparison", "missing"),
    [
        ({"method": "proximal", "against": "plain"}, "runs of proximal"),
        ({"method": "strict", "against": "eqreg"}, "runs of eqreg"),
        (FIRST | {"norm": "spectral"}, r"runs of projection \(spectral\)"),
    ],
)
def test_a_comparison_that_the_study_does_not_run_is_named(comparison, missing):
    with pytest.raises(InputError, match=f"judgement.primary: .* needs {missing}"):
        validate_section(Config, judged(comparison), "study.yaml")


@pytest.mark.parametrize(
    ("primary", "message"),
    [
        ([{"method": "plain", "against": "plain"}], "expected two methods to compare, found 'plain' twice"),
        ([FIRST, FIRST], r"'projection \(frobenius\) against plain' is written twice"),
        ([{"method": "plain", "against": against} for against in ("strict", "eqreg", "annealed")] * 2, "at most 5"),
        ([FIRST | {"norm": "nuclaer"}], "nuclaer"),
    ],
)
def test_what_is_no_list_of_five_comparisons_is_refused(primary, message):
    with pytest.raises(InputError, match=message):
        validate_section(Judgement, {"primary": primary}, "settings")


def test_two_norms_of_one_method_can_be_compared():
    two = {"method": "projection", "norm": "frobenius", "against": "projection", "against_norm": "spectral"}
    assert validate_section(Judgement, {"primary": [two]}, "settings").primary[0].against_norm == "spectral"
