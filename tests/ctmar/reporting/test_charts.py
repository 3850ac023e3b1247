import json

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert

from ctmar.reporting import axes, charts, forest, page, sweeps, trade_off
from ctmar.reporting.choice import chosen_settings
from ctmar.reporting.required_columns import IDENTITY


@pytest.fixture(scope="module")
def models(results):
    table = charts.prepare_models(results.models, page.series_marks(results))
    settings = chosen_settings(results.models, "dncnn")
    keys = table[IDENTITY].itertuples(index=False, name=None)
    return table.assign(chosen=[key in settings for key in keys])


@pytest.fixture(scope="module")
def chosen(models):
    return models[models["chosen"]]


@pytest.fixture(scope="module")
def sweep(models):
    own = models[(models["norm"] == "frobenius") & (models["lam_equi"] == 0)]
    return pd.concat([models[models["method"] == "plain"], own])


def drawn(spec: dict) -> str:
    """The chart as SVG, drawn by Vega outside of any browser."""
    return vl_convert.vegalite_to_svg(spec | {"width": 300})


def n_points(svg: str) -> int:
    return svg.count('aria-roledescription="point"')


def data_of(spec: dict, column: str) -> pd.DataFrame:
    tables = [pd.DataFrame(rows) for rows in spec["datasets"].values()]
    return next(table for table in tables if column in table)


def test_forest_has_a_named_row_with_its_value_for_every_setting(chosen):
    svg = drawn(forest.forest_chart(chosen, "psnr_diff_db", "difference", 0.0))
    for series, value in zip(chosen["series"], chosen["psnr_diff_db_mean"].fillna(0.0), strict=True):
        assert f">{series}<" in svg
        assert f">{charts.write_value('psnr_diff_db', value)}<" in svg
    assert n_points(svg) == len(chosen)


def test_a_long_name_goes_on_in_a_second_line(chosen):
    name = "Projection, Frobenius, squared, drawn start"
    spec = forest.forest_chart(chosen.assign(series=[name, *chosen["series"][1:]]), "psnr_diff_db", "difference", 0.0)
    svg = drawn(spec)
    assert ">Projection, Frobenius,<" in svg
    assert ">squared, drawn start<" in svg
    assert "…" not in svg


def test_every_mark_says_its_setting_and_its_numbers(chosen):
    shown = data_of(forest.forest_chart(chosen, "psnr_db", "PSNR [dB]"), "says")
    for text, row in zip(shown["says"], chosen.to_dict("records"), strict=True):
        low, high = row["psnr_db_low"], row["psnr_db_high"]
        assert text == f"{row['label']}\nPSNR [dB]: {row['psnr_db_mean']:.2f} [{low:.2f}, {high:.2f}]"


def test_forest_rows_stand_under_their_kinds(chosen):
    spec = forest.forest_chart(chosen, "psnr_diff_db", "difference", 0.0)
    svg = drawn(spec)
    for kind in ("Sample-based", "Weight-based", "Projection penalty"):
        assert f">{kind}<" in svg
    assert ">Plain training<" not in svg


def test_forest_intervals_are_those_of_the_table(chosen):
    shown = data_of(forest.forest_chart(chosen, "psnr_db", "PSNR"), "psnr_db_low")
    assert shown["psnr_db_low"].tolist() == chosen["psnr_db_low"].tolist()
    assert shown["psnr_db_high"].tolist() == chosen["psnr_db_high"].tolist()


def test_a_defect_of_zero_is_drawn_and_called_zero(chosen):
    spec = forest.forest_chart(chosen, "defect", "defect", log=True)
    shown = data_of(spec, "defect_mean")
    strict = shown[shown["label"] == "Strictly equivariant"].iloc[0]
    assert strict["defect_mean"] == charts.SMALLEST_SHOWN
    assert strict["text"] == "0"
    assert "NaN" not in drawn(spec)


def test_step_times_are_written(results):
    cost = charts.prepare_series(results.cost, page.series_marks(results))
    svg = drawn(forest.ratio_chart(cost))
    assert all(f">{ratio:.2f} ×<" in svg for ratio in results.cost["ratio_to_plain"])


@pytest.fixture
def no_runs(results):
    return results.runs[:0]


def test_response_shows_the_sweep_with_its_intervals(sweep, no_runs):
    spec = sweeps.response_chart(sweep, no_runs, "psnr_db", "PSNR [dB]")
    shown = data_of(spec, "lam_perp")
    swept = sweep[sweep["lam_perp"] > 0]
    assert shown["psnr_db_mean"].tolist() == swept["psnr_db_mean"].tolist()
    svg = drawn(spec)
    assert n_points(svg) == len(swept) == 4
    assert "10⁻⁴" in svg


def test_plain_lies_at_zero_in_differences(sweep, no_runs):
    spec = sweeps.response_chart(sweep, no_runs, "psnr_diff_db", "difference")
    plain = next(rows for rows in spec["datasets"].values() if "lam_perp" not in rows[0])
    assert [row["psnr_diff_db_mean"] for row in plain] == [0.0]


def test_missing_intervals_leave_the_points(sweep, no_runs):
    single = sweep.copy()
    single[["defect_low", "defect_high"]] = np.nan
    svg = drawn(sweeps.response_chart(single, no_runs, "defect", "defect", logarithmic=True))
    assert n_points(svg) == 4
    assert "NaN" not in svg


def test_trade_off_shows_every_model_once(models):
    spec = trade_off.trade_off_chart(models, "psnr_diff_db", "difference")
    svg = drawn(spec)
    assert n_points(svg) == models["chosen"].sum()
    assert svg.count('aria-roledescription="circle"') == (~models["chosen"]).sum()


def test_the_map_writes_every_cell(models):
    own = models[models["norm"] == "frobenius"]
    spec = sweeps.sensitivity_map(own, "psnr_diff_db", "difference")
    svg = drawn(spec)
    assert own["lam_equi"].nunique() == 2
    for value in own["psnr_diff_db_mean"]:
        assert f">{charts.write_value('psnr_diff_db', value)}<" in svg
    assert svg.count('aria-roledescription="rect mark"') == len(own) == 6


def test_the_tint_of_the_map_follows_the_value(models):
    own = models[models["norm"] == "frobenius"]
    shown = data_of(sweeps.sensitivity_map(own, "psnr_diff_db", "difference"), "tint")
    order = np.argsort(own["psnr_diff_db_mean"].to_numpy())
    assert np.all(np.diff(shown["tint"].to_numpy()[order]) > 0)


def test_labels_of_close_weights_give_way_to_powers_of_ten():
    weights = pd.DataFrame({"lam_perp": [1e-6, 1e-5, 1e-4, 3e-4, 1e-3]})
    assert axes.lam_perp_axis(weights).to_dict()["values"] == [1e-6, 1e-5, 1e-4, 1e-3]
    weights = pd.DataFrame({"lam_perp": [1e-6, 2e-5, 1e-4]})
    assert axes.lam_perp_axis(weights).to_dict()["values"] == [1e-6, 2e-5, 1e-4]


def test_tick_labels_write_small_weights_like_the_tables():
    weights = [1e-7, 3e-4, 2e-3, 1e-2, 0.05, 1.0, 30.0, 100.0]
    table = pd.DataFrame({"lam_perp": weights})
    axis = alt.Axis(values=weights, labelExpr=axes.POWER_LABEL)
    chart = alt.Chart(table).mark_point().encode(x=alt.X("lam_perp:Q", scale=axes.lam_perp_scale(table), axis=axis))
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    for text in ("10⁻⁷", "3·10⁻⁴", "2·10⁻³", "10⁻²", "0.05", ">1<", ">30<", ">100<"):
        assert text in svg


@pytest.mark.parametrize("n_decades", [0.3, 3])
def test_logarithmic_axes_have_few_round_ticks(n_decades):
    scale = axes.value_scale(pd.DataFrame({"value": [1e-3, 1e-3 * 10**n_decades]}), logarithmic=True)
    ticks = axes.value_axis(scale).to_dict()["values"]
    assert 1 <= len(ticks) <= 6
    assert all(f"{tick:.0e}"[0] in "125" for tick in ticks)


def test_specifications_hold_no_address(chosen, sweep, no_runs):
    specs = [
        sweeps.response_chart(sweep, no_runs, "ssim", "SSIM"),
        forest.forest_chart(chosen, "psnr_diff_db", "difference", 0.0),
    ]
    assert "http" not in json.dumps(specs)
