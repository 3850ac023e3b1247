import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctmar.config.methods import Kind
from ctmar.reporting import charts, page, panels, small_multiples
from ctmar.reporting.choice import chosen_settings, shown_settings


@pytest.fixture(scope="module")
def models(results):
    return charts.prepare_models(results.models, page.series_marks(results))


@pytest.fixture(scope="module")
def curves(results):
    curves = results.curves.merge(results.models[[*small_multiples.IDENTITY, "standard"]])
    return charts.prepare_models(curves, page.series_marks(results))


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_ticks_are_few_and_inside(low, extent):
    ticks = panels.round_ticks(low, low + extent)
    assert 1 <= len(ticks) <= 5
    assert all(low - 1e-9 <= value <= low + extent + 1e-9 for value, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)


@given(st.floats(1e-9, 1e3), st.floats(1.01, 1e9))
def test_logarithmic_ticks_are_few_and_inside(low, ratio):
    ticks = panels.log_ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 4
    assert all(0.999 * low <= value <= 1.001 * low * ratio for value, _ in ticks)


def test_an_axis_maps_its_ends_to_its_ends():
    axis = panels.Axis(1e-4, 1e-1, 40, 212, True, [])
    assert [axis.at(value) for value in (1e-4, 1e-1)] == [40, 212]
    assert axis.at(1e-3) == pytest.approx(40 + 172 / 3, abs=0.06)
    assert axis.at(0.0) == 40  # a defect of zero lies at the foot


def test_missing_values_break_a_line():
    axis = panels.Axis(0, 10, 0, 10, False, [])
    assert panels.line(axis, axis, [1, 2, 3], [1, math.nan, 3]) == "M1 1M3 3"


def test_every_norm_has_a_panel_on_the_same_axes(models, results):
    drawn = small_multiples.norm_panels(models, results.runs, "psnr_diff_db", "dB")
    norms = models.loc[models["method"] == "projection", "norm"].unique()
    assert len(drawn.panels) == len(norms) == 8
    frobenius = drawn.panels[0]
    assert (frobenius.title, len(frobenius.dots)) == ("Frobenius", 4)  # λ_G = 0 alone
    own = models[(models["norm"] == "frobenius") & (models["lam_equi"] == 0)].sort_values("lam_perp")
    assert [dot.y for dot in frobenius.dots] == [drawn.y.at(value) for value in own["psnr_diff_db_mean"]]
    assert "λ⊥ = 10⁻²" in frobenius.dots[2].text


def test_curves_are_means_over_seeds_beside_each_seed(results, curves):
    settings = chosen_settings(results.models, "dncnn")
    drawn = small_multiples.curve_panels(curves, settings, "validation_psnr", "dB")
    assert len(drawn.panels) == len(settings)
    strokes = [stroke.role for stroke in drawn.panels[1].strokes]
    assert strokes == ["plain", "seed", "seed", "seed", "mean"]
    own = curves[curves["method"] == "augmentation"].groupby("epoch")["validation_psnr"].mean()
    assert drawn.panels[1].strokes[-1].path == panels.line(drawn.x, drawn.y, own.index.tolist(), own.tolist())
    assert drawn.panels[1].note == f"{own.iloc[-1]:.2f}"


def test_a_curve_stands_beside_plain_training_on_its_own_seeds(curves):
    few = curves[(curves["method"] == "plain") | ((curves["method"] == "augmentation") & (curves["seed"] == 2))]
    settings = list(few[small_multiples.IDENTITY].drop_duplicates().itertuples(index=False, name=None))
    drawn = small_multiples.curve_panels(few, settings, "validation_psnr", "dB")
    for panel, seeds in zip(drawn.panels, ([0, 1, 2], [2]), strict=True):
        own = few[(few["method"] == "plain") & few["seed"].isin(seeds)].groupby("epoch")["validation_psnr"].mean()
        assert panel.strokes[0].path == panels.line(drawn.x, drawn.y, own.index.tolist(), own.tolist())


def test_a_curve_from_another_start_stands_beside_plain_training_from_that_start(curves):
    other = curves.assign(start="drawn", standard=False, validation_psnr=curves["validation_psnr"] - 1)
    both = pd.concat([curves, other])
    setting = tuple(other[other["method"] == "augmentation"].iloc[0][small_multiples.IDENTITY])
    drawn = small_multiples.curve_panels(both, [setting], "validation_psnr", "dB")
    own = other[other["method"] == "plain"].groupby("epoch")["validation_psnr"].mean()
    assert drawn.panels[0].strokes[0].path == panels.line(drawn.x, drawn.y, own.index.tolist(), own.tolist())


def test_long_trainings_are_thinned_to_first_and_last(curves):
    long = pd.concat([curves.assign(epoch=curves["epoch"] + 8 * k) for k in range(40)])
    setting = tuple(long.iloc[0][small_multiples.IDENTITY])
    drawn = small_multiples.curve_panels(long, [setting], "validation_psnr", "dB")
    assert drawn.panels[0].strokes[-1].path.count("L") == small_multiples.MAXIMUM_EPOCHS - 1
    assert [value for value, _ in drawn.x.ticks] == [1, 320]


def test_a_training_of_one_epoch_has_a_point(curves):
    short = curves[curves["epoch"] == 8]
    setting = tuple(short.iloc[0][small_multiples.IDENTITY])
    drawn = small_multiples.curve_panels(short, [setting], "validation_psnr", "dB")
    assert len(drawn.panels[0].dots) == 1
    assert np.isfinite(drawn.panels[0].dots[0].x)


def test_angles_have_their_floor(results, models):
    shown = shown_settings(results.models, "dncnn")
    rows = models.set_index(small_multiples.IDENTITY, drop=False).loc[shown]
    drawn = small_multiples.angle_panels(rows, [15.0, 30.0, 45.0])
    assert [len(panel.dots) for panel in drawn.panels] == [4] * len(Kind)
    assert [text for _, text in drawn.x.ticks] == ["15°", "45°", "90°"]  # between, there is no room for a third
    assert "interpolation alone: 0.018" in drawn.panels[0].dots[0].text
    strict = drawn.panels[2]  # its defect at quarter turns is zero
    assert strict.dots[-1].y == drawn.y.start
    assert strict.dots[-1].beyond


def test_a_defect_beyond_the_axis_is_drawn_as_such(results, models):
    shown = shown_settings(results.models, "dncnn")
    rows = models.set_index(small_multiples.IDENTITY, drop=False).loc[shown]
    rows = rows.assign(defect_mean=[4e-8, *[0.02] * (len(rows) - 1)])
    drawn = small_multiples.angle_panels(rows, [15.0, 30.0, 45.0])
    beyond = {panel.title: [dot.beyond for dot in panel.dots] for panel in drawn.panels}
    first = drawn.panels[0]
    assert beyond.pop(first.title) == [False, False, False, True]
    assert not any(any(dots) for dots in beyond.values())
    (mean,) = [stroke.path for stroke in first.strokes if stroke.role == "mean"]
    assert mean.count("L") == 2  # no line leads to where the value is not
    assert "4.0·10⁻⁸" in first.dots[-1].text
    assert drawn.any_beyond
