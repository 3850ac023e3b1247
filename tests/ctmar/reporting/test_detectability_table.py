"""The table of detectability: models beside the images without a network, and nothing where nothing was measured."""

import math

import pytest

from ctmar.reporting import page
from ctmar.reporting.choice import chosen_settings
from ctmar.reporting.detectability_table import detectability_table
from ctmar.reporting.shown_tables import Context


@pytest.fixture
def settings(results):
    return chosen_settings(results.models, "dncnn")


def build(models, results, settings):
    return detectability_table(models, Context("dncnn", page.series_marks(results), settings), settings)


def test_models_stand_beside_fbp_and_li(results, settings):
    table = build(results.models, results, settings)
    headings = [heading.title for heading in table.headings]
    rows = {row.label: row.cells for group in table.groups for row in group.rows}
    plain = results.models[results.models["method"] == "plain"].iloc[0]
    auc, gain = headings.index("AUC"), headings.index("Gain over FBP")
    assert rows["Plain"][auc].value == plain["auc_mean"]
    assert rows["Plain"][gain].value == pytest.approx(plain["auc_mean"] - 0.6)
    assert [rows[name][auc].value for name in ("Input (FBP)", "LI")] == pytest.approx([0.6, 0.7])
    assert rows["Input (FBP)"][headings.index("Bias")].value == pytest.approx(55.0)
    assert rows["LI"][gain].text == ""  # of references nothing but what was measured


def test_without_signals_there_is_no_table(results, settings):
    assert build(results.models.assign(auc_mean=math.nan), results, settings) is None
