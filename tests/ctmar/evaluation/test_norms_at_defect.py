"""Norms at a common measured defect: interpolation in closed form, and nothing beyond the ends."""

import math

import numpy as np
import pytest

from ctmar.config import Judgement
from ctmar.evaluation.columns import norm_columns
from ctmar.evaluation.measured_study import read_study
from ctmar.evaluation.norms_at_defect import SHARES, common_defects, curves, deepest, difference_at, norm_rows

SETTINGS = Judgement()


@pytest.fixture
def study(make_run):
    """PSNR is 30 + slope · ln(plain defect / defect): every point of a norm lies on a line in the logarithm."""
    runs = [make_run("plain", seed=seed, psnr=30 + seed, non_equivariance=0.8) for seed in (0, 1)]
    sweeps = {"frobenius": (1.0, (0.5, 0.05)), "spectral": (0.7, (0.3, 0.02)), "nuclear": (2.0, (0.6,))}
    for norm, (slope, shares) in sweeps.items():
        for lam, share in enumerate(shares, start=1):
            for seed in (0, 1):
                own = share * (1 + 0.1 * seed)  # seeds end at other defects
                psnr = 30 + seed + slope * math.log(0.8 / own)
                runs.append(make_run("projection", norm, float(lam), seed, psnr, own))
    return read_study(runs, SETTINGS)


def test_common_defects_are_shares_of_the_plain_one(study):
    assert common_defects(study) == pytest.approx({share: share * 0.08 for share in SHARES})


@pytest.mark.parametrize("share", SHARES)
def test_what_is_linear_in_the_logarithm_is_interpolated_exactly(study, share):
    every = curves(study)
    found = difference_at(study, every["spectral"], every["Frobenius"], share * 0.08)
    assert found.mean == pytest.approx((0.7 - 1.0) * math.log(1 / share))
    assert found.half_width(0.05) == pytest.approx(0, abs=1e-9)


def test_the_norms_own_weights_would_say_something_else(study):
    """At its largest weight the spectral norm is better than Frobenius at its own, because it broke less."""
    largest = {name: curve.models[-1] for name, curve in curves(study).items()}
    assert study.difference(largest["spectral"], largest["Frobenius"], "psnr_db").mean < 0
    own = {name: study.mean_of(model, "psnr_db").mean for name, model in largest.items()}
    assert own["nuclear"] < own["spectral"]  # though its slope is the steepest


def test_nothing_is_extrapolated(study):
    """The nuclear norm ends at 0.6 and 0.66 of non-equivariance, above half the plain one."""
    every = curves(study)
    assert every["nuclear"].at(0.07, 0) is not None
    assert every["nuclear"].at(0.04, 0) is None
    share, found = deepest(study, every["nuclear"], every["Frobenius"])
    assert np.isnan([share, found.mean]).all()
    assert deepest(study, every["spectral"], every["Frobenius"])[0] == SHARES[-1]


def test_one_seed_that_does_not_reach_is_enough(make_run):
    runs = [make_run("plain", seed=seed, non_equivariance=0.8) for seed in (0, 1)]
    runs += [make_run("projection", "frobenius", 1.0, seed, 31, (0.3, 0.5)[seed]) for seed in (0, 1)]
    study = read_study(runs, SETTINGS)
    curve = curves(study)["Frobenius"]
    assert curve.at(0.04, 0) is not None
    assert math.isnan(difference_at(study, curve, None, 0.04).mean)


def test_rows_name_every_norm_at_every_defect(study):
    rows = list(norm_rows(study))
    assert all(set(row) == set(norm_columns()) for row in rows)
    assert [(row["norm"], row["share"], row["reached"]) for row in rows] == [
        (norm, share, norm != "nuclear") for norm in ("frobenius", "spectral", "nuclear") for share in SHARES
    ]
    assert rows[0]["psnr_db_mean"] == pytest.approx(30.5 + 5.5 + math.log(2))
    assert math.isnan(rows[0]["psnr_to_frobenius_db_mean"])
    assert rows[3]["psnr_to_frobenius_db_mean"] == pytest.approx(-0.3 * math.log(2))


def test_other_starts_powers_and_adapted_weights_are_curves_of_their_own_or_none(make_run):
    runs = [make_run("plain", non_equivariance=0.8)]
    others = ({"start": "drawn"}, {"compute": 2.0}, {"power": 2}, {"lam_perp": 0.0, "target": 0.1})
    for other in ({}, *others):
        runs.append(make_run("projection", "frobenius", **{"lam_perp": 1.0, "non_equivariance": 0.1, **other}))
    found = curves(read_study(runs, SETTINGS))
    assert {name: len(curve.models) for name, curve in found.items()} == {"Frobenius": 2, "Frobenius, squared": 2}
