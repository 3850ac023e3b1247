import io
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from ctmar.reporting import page, tables


@pytest.fixture(scope="module")
def table(results):
    marks = page.series_marks(results)
    return tables.result_table(results.models, results.references, results.cost, marks, "dncnn")


def column(table, name):
    index = [measure.name for measure in tables.MEASURES].index(name)
    return [row.cells[index] for row in table.rows]


def test_best_is_the_best_mean(table, results):
    for measure in tables.MEASURES:
        means = results.models[f"{measure.name}_mean"].to_numpy()
        best = np.nanargmax(means) if measure.better == "high" else np.nanargmin(means)
        marked = [index for index, cell in enumerate(column(table, measure.name)) if cell.best]
        assert best in marked
        assert all(
            column(table, measure.name)[index].text == column(table, measure.name)[best].text for index in marked
        )


def test_equal_text_is_equally_best(results):
    models = results.models.copy()
    models.loc[[1, 2], "psnr_db_mean"] = [50.001, 50.0]
    table = tables.result_table(models, results.references, results.cost, page.series_marks(results), "dncnn")
    assert [cell.best for cell in column(table, "psnr_db")][:4] == [False, True, True, False]


def test_plain_has_no_difference_to_itself(table):
    assert column(table, "psnr_diff_db")[0].text == "–"


def test_judgement_follows_the_interval(table, results):
    for cell, (low, high) in zip(
        column(table, "psnr_diff_db")[1:],
        results.models[["psnr_diff_db_low", "psnr_diff_db_high"]].to_numpy()[1:],
        strict=True,
    ):
        assert cell.judgement == ("above" if low > 0 else "below" if high < 0 else "undecided")


def test_step_time_is_that_of_method_and_norm(table, results):
    ratios = results.cost.set_index(["method", "norm"])["ratio_to_plain"]
    spectral = next(row for row in table.rows if "spectral" in row.label)
    assert spectral.cells[-1].value == ratios["projection", "spectral"]


def test_references_come_without_a_mark_or_equivariance(table):
    assert [row.label for row in table.references] == ["Input", "LI"]
    assert all(row.mark is None and row.cells[-1].text == row.cells[-2].text == "" for row in table.references)


def test_download_holds_every_digit(table, results):
    text = unquote(table.download.partition(",")[2])
    back = pd.read_csv(io.StringIO(text), sep="\t", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(back, results.models, check_dtype=False)


def test_lam_equi_gets_a_column_only_where_it_varies(table, results):
    assert table.weight_titles == ["λ⊥"]
    models = results.models.copy()
    models.loc[3:, "lam_equi"] = 1e-3
    marks = page.series_marks(results) | tables_marks(models)
    both = tables.result_table(models, results.references, results.cost, marks, "dncnn")
    assert both.weight_titles == ["λ⊥", "λ_G"]
    assert both.rows[3].weights[1].text == "10⁻³"
    assert len({len(row.weights) for row in both.rows + both.references}) == 1


def tables_marks(models):
    from ctmar.reporting.labels import assign_marks, series_label

    return assign_marks(series_label(*key) for key in models[["method", "norm", "lam_equi"]].itertuples(index=False))


def test_quarantine_is_counted_by_reason(results):
    summary = tables.quarantine_summary(results.quarantine)
    assert summary[0] == {"reason": "little body", "remedy": "none needed", "n_files": 12}
    assert sum(row["n_files"] for row in summary) == len(results.quarantine)
