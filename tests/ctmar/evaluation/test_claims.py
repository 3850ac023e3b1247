"""Each verdict, both ways, on studies whose outcome is known."""

import pytest

from ctmar.config import Evaluation
from ctmar.evaluation.claims import chosen, judge_claims
from ctmar.evaluation.results import read_study

SETTINGS = Evaluation(bootstrap_samples=200)


def cost(ratios: dict[tuple[str, str], float]) -> list[dict[str, str]]:
    """Rows of the cost table for a plain step of 10 ms."""
    return [
        {"method": method, "norm": norm, "ratio_to_plain": str(ratio), "penalty_milliseconds": str(10 * (ratio - 1))}
        for (method, norm), ratio in ratios.items()
    ]


RATIOS = {
    ("projection", "frobenius"): 1.01,
    ("projection", "spectral"): 1.03,
    ("projection", "entrywise:inf"): 1.02,
    ("projection", "mixed:2,1"): 1.02,
    ("eqreg", "none"): 2.0,
}
COST = cost(RATIOS)


def verdicts(runs, rows=COST) -> dict[str, str]:
    """Verdict by the first words of each claim."""
    found = judge_claims(read_study(runs, SETTINGS), rows)
    return {claim["claim"].split(" ")[0] + " " + claim["claim"].split(" ")[1]: claim["verdict"] for claim in found}


@pytest.fixture
def usual(make_run):
    """A study in which everything is as the paper says, but for the cost of the spectral norm."""

    def make(**psnr: float):
        level = {"plain": 30, "frobenius": 32, "spectral": 31.9, "inf": 29, "mixed": 31.8, "eqreg": 31, **psnr}
        runs = []
        for seed in (0, 1):
            runs += [make_run("plain", seed=seed, psnr=level["plain"], non_equivariance=0.9)]
            runs += [make_run("eqreg", lam_perp=0.1, seed=seed, psnr=level["eqreg"])]
            for lam, share in ((0.1, 0.5), (1.0, 0.1)):
                runs += [make_run("projection", "frobenius", lam, seed, level["frobenius"] - lam / 10, share)]
            for norm, key in (("spectral", "spectral"), ("entrywise:inf", "inf"), ("mixed:2,1", "mixed")):
                runs += [make_run("projection", norm, 0.1, seed, level[key])]
        return runs

    return make


def test_a_study_that_agrees(usual):
    found = verdicts(usual())
    assert found == {
        "Frobenius is": "agrees",
        "The spectral": "disagrees",
        "The entry-wise": "agrees",
        "Mixed (p,q)": "agrees",
        "Non-equivariance falls": "agrees",
        "Competitive with": "agrees",
    }


def test_a_better_and_no_dearer_norm_contradicts_frobenius(usual):
    rows = [{**row, "penalty_milliseconds": "0.1"} for row in COST]
    assert verdicts(usual(spectral=35), rows)["Frobenius is"] == "disagrees"
    assert verdicts(usual(spectral=35))["Frobenius is"] == "not decided"


def test_an_expensive_spectral_norm_agrees(usual):
    rows = cost({**RATIOS, ("projection", "spectral"): 1.12})
    assert verdicts(usual(), rows)["The spectral"] == "agrees"
    rows = cost({**RATIOS, ("projection", "spectral"): 1.44})
    assert verdicts(usual(), rows)["The spectral"] == "not decided"


def test_infinity_that_does_not_degrade(usual):
    assert verdicts(usual(inf=33))["The entry-wise"] == "disagrees"


def test_a_mixed_norm_far_away(usual):
    assert verdicts(usual(mixed=28))["Mixed (p,q)"] == "disagrees"


def test_a_costly_projection_is_not_competitive(usual):
    rows = cost({**RATIOS, ("projection", "frobenius"): 3.0})
    assert verdicts(usual(), rows)["Competitive with"] == "disagrees"


def test_a_defect_that_rises(make_run):
    runs = [make_run("plain", non_equivariance=0.1)]
    runs += [make_run("projection", "frobenius", lam, non_equivariance=lam) for lam in (0.5, 0.9)]
    assert verdicts(runs)["Non-equivariance falls"] == "not decided"  # one seed has no interval
    runs += [make_run("plain", seed=1, non_equivariance=0.1)]
    runs += [make_run("projection", "frobenius", lam, seed=1, non_equivariance=lam) for lam in (0.5, 0.9)]
    assert verdicts(runs)["Non-equivariance falls"] == "disagrees"


def test_a_study_without_the_models_decides_nothing(make_run):
    found = verdicts([make_run("plain")], [])
    assert set(found.values()) == {"not decided"}


def test_weights_are_chosen_on_validation_not_on_test(make_run):
    runs = [
        make_run("projection", "frobenius", 0.1, psnr=40, validation_psnr=30),
        make_run("projection", "frobenius", 1.0, psnr=20, validation_psnr=31),
    ]
    assert chosen(read_study(runs, SETTINGS), "projection", "frobenius").lam_perp == 1.0
