"""Norms at a common defect on the page: every curve beside Frobenius, every difference with its interval."""

import pytest

from ctmar.evaluation.norms_at_defect import SHARES
from ctmar.reporting import charts, norm_section, page


@pytest.fixture(scope="module")
def marks(results):
    return page.series_marks(results)


@pytest.fixture(scope="module")
def models(results, marks):
    return charts.prepare_models(results.models, marks)


def test_every_norm_has_its_curve_from_plain_on_and_frobenius_beside_it(models):
    drawn = norm_section.defect_panels(models, "psnr_diff_db", "dB")
    assert [panel.title for panel in drawn.panels][:2] == ["Frobenius", "Spectral"]
    assert len(drawn.panels) == 8
    frobenius = drawn.panels[0]
    assert len(frobenius.dots) == 5  # plain, and four weights at λ_G = 0
    own = models[(models["method"] == "plain") | ((models["norm"] == "frobenius") & (models["lam_equi"] == 0))]
    assert [dot.x for dot in frobenius.dots] == [drawn.x.at(value) for value in own["defect_mean"]]
    assert frobenius.dots[0].x == max(dot.x for panel in drawn.panels for dot in panel.dots)
    assert {panel.strokes[0].path for panel in drawn.panels} == {frobenius.strokes[-1].path}
    assert "λ⊥ = 10⁻²: " in frobenius.dots[3].text


def test_a_study_of_one_norm_has_no_such_figure(models, results, marks):
    one = models[models["norm"].isin(["none", "frobenius"])]
    assert norm_section.defect_panels(one, "psnr_diff_db", "dB") is None
    norms = results.norms[results.norms["norm"] == "frobenius"]
    assert norm_section.norm_table(norms, "dncnn", marks) is None


def test_differences_stand_at_the_shares_of_the_plain_defect(results, marks):
    table = norm_section.norm_table(results.norms, "dncnn", marks)
    assert [heading.title.split()[0] for heading in table.headings] == ["1/2", "1/4", "1/8"]
    rows = {row.label: row.cells for row in table.groups[0].rows}
    assert [cell.text for cell in rows["Projection, Frobenius"]] == ["–"] * 3
    # its only weight ends at 0.62 of 0.86
    assert [cell.text for cell in rows["Projection, entry-wise\xa0∞"]] == ["not reached"] * 3
    own = results.norms.set_index(["norm", "share"])["psnr_to_frobenius_db_mean"]
    cells = rows["Projection, mixed\xa0(2,1)"]
    assert [cell.value for cell in cells] == pytest.approx([own["mixed:2,1", share] for share in SHARES])
    assert all(cell.interval for cell in cells)
