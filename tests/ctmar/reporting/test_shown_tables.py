import math

import numpy as np
import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import SETTINGS

from ctmar.config.methods import Kind
from ctmar.reporting import shown_tables
from ctmar.reporting.marks import assign_marks
from ctmar.reporting.model_tables import MAIN
from ctmar.reporting.required_columns import IDENTITY

PSNR = shown_tables.Measure("psnr_db", "PSNR", "dB", shown_tables.decimals(2), "high")
GAP = shown_tables.Measure(
    "psnr_diff_db", "Difference", "dB", shown_tables.decimals(2, signed=True), "high", judged=True
)


@pytest.fixture(scope="module")
def context(results):
    marks = assign_marks(zip(results.models["method"], results.models["norm"], strict=True))
    first = list(results.models[IDENTITY].drop_duplicates(["method", "norm"]).itertuples(index=False, name=None))
    return shown_tables.Context("dncnn", marks, first)


@pytest.fixture(scope="module")
def table(results, context):
    return shown_tables.model_table("models", results.models, (PSNR, GAP), context, results.references)


def rows(table):
    return [row for group in table.groups if not group.references for row in group.rows]


def test_rows_stand_under_their_kind(table, results):
    assert [group.title for group in table.groups] == ["References, without training", *Kind]
    assert [row.label for row in table.groups[0].rows] == ["Input", "LI", "NMAR"]
    assert len(rows(table)) == len(results.models) == len(SETTINGS)


def test_best_is_the_best_mean_of_the_rows_shown(table, results):
    means = results.models["psnr_db_mean"].to_numpy()
    cells = [row.cells[1] for row in rows(table)]
    assert [cell.value for cell in cells if cell.best] == [means.max()]
    chosen = [row.cells[1].value for row in rows(table) if row.chosen]
    assert [cell.value for cell in cells if cell.best_chosen] == [max(chosen)]
    assert max(chosen) < means.max()


def test_equal_text_is_equally_best(results, context):
    models = results.models.copy()
    models.loc[[1, 2], "psnr_db_mean"] = [50.001, 50.0]
    again = shown_tables.model_table("models", models, (PSNR,), context)
    assert [row.cells[1].best for row in rows(again)][:4] == [False, True, True, False]


def test_what_differs_by_rounding_alone_is_equally_best(results, context):
    models = results.models.copy()
    models.loc[[0, 1, 2], "defect_mean"] = [2e-8, 9e-7, 2e-6]
    measure = next(measure for measure in MAIN if measure.name == "defect")
    shown = shown_tables.model_table("models", models.iloc[:3], (measure,), context)
    assert [row.cells[1].best for row in rows(shown)] == [True, True, False]


def test_where_all_read_the_same_none_is_best(results, context):
    even = shown_tables.model_table("models", results.models.assign(psnr_db_mean=40.001), (PSNR,), context)
    assert not any(row.cells[1].best or row.cells[1].best_chosen for row in rows(even))


def test_plain_has_no_difference_to_itself(table):
    assert rows(table)[0].cells[2] == shown_tables.Cell("–")


def test_judgement_follows_the_interval(table, results):
    bounds = results.models[["psnr_diff_db_low", "psnr_diff_db_high"]].to_numpy()[1:]
    for row, (low, high) in zip(rows(table)[1:], bounds, strict=True):
        assert row.cells[2].judgement == ("above" if low > 0 else "below" if high < 0 else "undecided")


def test_a_measure_without_any_value_has_no_column(results, context):
    absent = shown_tables.Measure("psnr_of_tomorrow", "x", "", shown_tables.decimals(1))
    empty = shown_tables.Measure("rmse_hu", "RMSE", "HU", shown_tables.decimals(1))
    models = results.models.assign(rmse_hu_mean=np.nan)
    table = shown_tables.model_table("models", models, (PSNR, absent, empty), context)
    assert [heading.title for heading in table.headings] == ["Weight", "PSNR"]
    assert {len(row.cells) for row in rows(table)} == {2}


def test_without_any_weight_there_is_no_column_of_weights(results, context):
    plain = results.models[results.models["method"].isin(["plain", "augmentation", "strict"])]
    table = shown_tables.model_table("models", plain, (PSNR,), context, results.references)
    assert [heading.title for heading in table.headings] == ["PSNR"]
    assert {len(row.cells) for group in table.groups for row in group.rows} == {1}


@pytest.mark.parametrize(
    ("method", "perp", "equi", "softness", "text", "below"),
    [
        ("eqreg", 1e-3, 0.0, 0.0, "λ 10⁻³", ""),
        ("projection", 1e-2, 1e-3, 0.0, "λ⊥ 10⁻²", "λᴳ 10⁻³"),
        ("projection", 0.0, 1e-3, 0.0, "λᴳ 10⁻³", ""),
        ("softness", 0.0, 0.0, 0.0, "s 0", ""),
        ("plain", 0.0, 0.0, 0.0, "–", ""),
    ],
)
def test_a_weight_stands_under_the_symbol_of_its_method(method, perp, equi, softness, text, below):
    row = {"method": method, "lam_perp": perp, "lam_equi": equi, "softness": softness, "target": 0.0, "balance": 0.0}
    cell = shown_tables.weight_cell(row)
    assert cell.text == text
    assert cell.interval in (below, "λᴳ 10⁻³")


def test_another_measure_may_stand_below():
    measure = shown_tables.Measure("defect", "15°", "", shown_tables.decimals(2), beside="floor", called="floor")
    assert shown_tables.measure_cell({"defect_mean": 0.5, "floor_mean": 0.25}, measure).interval == "floor 0.25"
    assert shown_tables.measure_cell({"defect_mean": 0.5}, measure).interval == ""


def test_families_span_their_columns():
    headings = [shown_tables.Heading("a"), shown_tables.Heading("b", "", "X"), shown_tables.Heading("c", "", "X")]
    assert shown_tables.Table("t", headings, []).families == [("", 1), ("X", 2)]
    assert shown_tables.Table("t", headings[:1], []).families == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_missing_p_value_is_a_dash(value):
    assert shown_tables.p_value(value) == "–"


def test_download_holds_every_digit(results):
    import io
    from urllib.parse import unquote

    text = unquote(shown_tables.download_address(results.models).partition(",")[2])
    back = pd.read_csv(io.StringIO(text), sep="\t", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(back, results.models, check_dtype=False)
