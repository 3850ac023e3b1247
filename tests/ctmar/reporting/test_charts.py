import json

import numpy as np
import pandas as pd
import pytest
import vl_convert

from ctmar.reporting import axes, charts, page
from ctmar.reporting.labels import assign_marks


@pytest.fixture(scope="module")
def models(results):
    return charts.prepare_models(results.models, page.series_marks(results))


def drawn(spec: dict) -> str:
    """The chart as SVG, drawn by Vega outside of any browser."""
    return vl_convert.vegalite_to_svg(spec | {"width": 300})


def data_of(spec: dict, column: str) -> pd.DataFrame:
    tables = [pd.DataFrame(rows) for rows in spec["datasets"].values()]
    return next(table for table in tables if column in table)


def test_response_shows_every_projection_with_its_interval(models):
    spec = charts.response_chart(models, "psnr_db", "PSNR [dB]")
    projection = models[models["method"] == "projection"]
    shown = data_of(spec, "shown_lam_perp")
    assert shown["psnr_db_mean"].tolist() == projection["psnr_db_mean"].tolist()
    assert shown["psnr_db_low"].tolist() == projection["psnr_db_low"].tolist()
    svg = drawn(spec)
    assert svg.count('aria-roledescription="point"') == len(projection)
    assert "λ⊥" in svg
    assert "10⁻⁴" in svg


def test_plain_lies_at_zero_in_differences(models):
    spec = charts.response_chart(models, "psnr_diff_db", "difference")
    plain = next(rows for rows in spec["datasets"].values() if "shown_lam_perp" not in rows[0])
    assert [row["psnr_diff_db_mean"] for row in plain] == [0.0]


def test_series_at_one_lam_perp_stand_apart_but_never_reach_the_next(models):
    projection = models[models["method"] == "projection"]
    shown = axes.side_by_side(projection)
    same = shown[shown["lam_perp"] == 1e-2]
    assert same["shown_lam_perp"].nunique() == len(same) == 5
    ratio = shown["shown_lam_perp"] / shown["lam_perp"]
    assert ratio.max() <= np.sqrt(10)
    assert np.prod(ratio[shown["lam_perp"] == 1e-2]) == pytest.approx(1)


def test_a_single_series_is_not_shifted(models):
    frobenius = models[(models["method"] == "projection") & (models["norm"] == "frobenius")]
    assert np.array_equal(axes.side_by_side(frobenius)["shown_lam_perp"], frobenius["lam_perp"])


def test_trade_off_shows_every_model_once(models):
    svg = drawn(charts.trade_off_chart(models, "psnr_diff_db", "difference"))
    assert svg.count('aria-roledescription="point"') == len(models)


def test_a_defect_of_zero_can_be_drawn(models):
    strict = models.copy()
    strict.loc[0, ["defect_mean", "defect_low", "defect_high"]] = 0.0
    assert "NaN" not in drawn(charts.trade_off_chart(strict, "psnr_diff_db", "difference"))


def test_missing_intervals_leave_the_points(models):
    single = models.copy()
    single[["defect_low", "defect_high"]] = np.nan
    svg = drawn(charts.response_chart(single, "defect", "defect", logarithmic=True))
    assert svg.count('aria-roledescription="point"') == (models["method"] == "projection").sum()
    assert "NaN" not in svg


def test_curves_are_means_over_seeds(results):
    marks = page.series_marks(results)
    curves, legend = page.prepare_curves(results, "dncnn", marks)
    spec = charts.curve_chart(curves, "validation_psnr", "PSNR")
    shown = pd.concat(pd.DataFrame(rows) for rows in spec["datasets"].values())
    plain = results.curves[results.curves["method"] == "plain"].groupby("epoch")["validation_psnr"].mean()
    assert shown.loc[shown["label"] == "Plain", "mean"].tolist() == pytest.approx(plain.tolist())
    assert [label for label, _ in legend] == [
        "Plain",
        "Rotation augmentation",
        "EQ-Reg, λ\xa0=\xa010⁻³",
        "Projection, Frobenius, λ⊥\xa0=\xa010⁻²",
    ]


def test_long_trainings_are_thinned_to_first_and_last(results):
    long = pd.concat([results.curves.assign(epoch=results.curves["epoch"] + 8 * k) for k in range(40)])
    from dataclasses import replace

    curves, _ = page.prepare_curves(replace(results, curves=long), "dncnn", page.series_marks(results))
    epochs = sorted(set(curves["epoch"]))
    assert len(epochs) == page.MAXIMUM_EPOCHS
    assert (epochs[0], epochs[-1]) == (1, 320)


def test_cost_chart_writes_each_ratio(results):
    svg = drawn(charts.cost_chart(results.cost, page.series_marks(results)))
    assert all(f"{ratio:.3f} ×" in svg for ratio in results.cost["ratio_to_plain"])


@pytest.mark.parametrize("n_decades", [0.3, 3])
def test_logarithmic_axes_have_few_round_ticks(n_decades):
    scale = axes.value_scale(pd.DataFrame({"value": [1e-3, 1e-3 * 10**n_decades]}), logarithmic=True)
    ticks = axes.value_axis(scale).to_dict()["values"]
    assert 1 <= len(ticks) <= 6
    assert all(f"{tick:.0e}"[0] in "125" for tick in ticks)


def test_specifications_hold_no_address(results, models):
    specs = [
        charts.response_chart(models, "ssim", "SSIM"),
        charts.cost_chart(results.cost, assign_marks(page.series_marks(results))),
    ]
    assert "http" not in json.dumps(specs)
