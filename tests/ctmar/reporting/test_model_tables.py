import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import N_SERIES

from ctmar.config.methods import Kind
from ctmar.reporting import model_tables, network_section, page
from ctmar.reporting.choice import chosen_settings, shown_settings
from ctmar.reporting.required_columns import interval_columns
from ctmar.reporting.shown_tables import Context


@pytest.fixture(scope="module")
def settings(results):
    return chosen_settings(results.models, "dncnn")


@pytest.fixture(scope="module")
def context(results, settings):
    return Context("dncnn", page.series_marks(results), settings)


def rows(table, references=False):
    return {row.label: row for group in table.groups if group.references == references for row in group.rows}


def column(table, title, family):
    (index,) = [i for i, h in enumerate(table.headings) if (h.title, h.family) == (title, family)]
    return index


def test_protocols_have_columns_of_their_own(results, context):
    table = model_tables.main_table(results.models, results.references, results.cost, context, alpha=0.05)
    assert [family for family, _ in table.families] == [
        "",
        "Protocol fixed",
        "Protocol official",
        "Equivariance",
        "Cost",
    ]
    fixed, official = (column(table, "PSNR", f"Protocol {name}") for name in ("fixed", "official"))
    plain = rows(table)["Plain"]
    assert plain.cells[fixed].value == results.models.loc[0, "psnr_db_mean"]
    assert plain.cells[official].value == results.models.loc[0, "psnr_official_db_mean"]
    assert plain.cells[fixed].value - plain.cells[official].value > 3


def test_p_values_are_those_after_holm(results, context):
    models = results.models.assign(p_value_holm=[0.5, 0.03, *[1.0] * (len(results.models) - 2)])
    table = model_tables.main_table(models, results.references, results.cost, context, alpha=0.05)
    cell = rows(table)["Rotation augmentation"].cells[column(table, "p", "Protocol fixed")]
    assert cell.value == 0.03
    assert cell.interval == ""


def test_step_time_is_that_of_method_and_norm(results, context):
    table = model_tables.main_table(results.models, results.references, results.cost, context, alpha=0.05)
    ratios = results.cost.set_index(["method", "norm"])["ratio_to_plain"]
    assert rows(table)["Projection, spectral"].cells[-1].value == ratios["projection", "spectral"]


def test_regions_show_every_error_of_references_and_models(results, context, settings):
    table = model_tables.region_table(results.models, results.references, context, settings)
    assert [span for _, span in table.families] == [1, 2, 2, 2, 2]
    near = column(table, "RMSE", "Near the metal")
    li = results.references.set_index("reference").loc["LI"]
    assert rows(table, references=True)["LI"].cells[near].value == li["rmse_near_metal_hu_mean"]
    assert len(rows(table)) == len(settings) == N_SERIES


def test_metrics_of_the_studys_own_stand_beside_their_difference_to_plain(results, context, settings):
    own = dict(zip(interval_columns("own_mine_error"), interval_columns("mae_hu"), strict=True))
    own |= dict(zip(interval_columns("own_mine_error_diff"), interval_columns("mae_diff_hu"), strict=True))
    models, references = (
        table.assign(**{new: table[old] for new, old in own.items() if old in table})
        for table in (results.models, results.references)
    )
    table = model_tables.own_metrics_table(["mine:error"], models, references, context, settings)
    value, gap = (column(table, title, "mine:error") for title in ("error", "Difference to plain"))
    plain, frobenius = rows(table)["Plain"], rows(table)["Projection, Frobenius"]
    assert frobenius.cells[value].value - plain.cells[value].value == pytest.approx(frobenius.cells[gap].value)
    li = references.set_index("reference").loc["LI", "mae_hu_mean"]
    assert rows(table, references=True)["LI"].cells[value].value == li


def test_a_study_without_metrics_of_its_own_has_no_table_of_them(results, context, settings, page):
    for metrics in ([], ["mine:not_measured"]):
        assert not model_tables.own_metrics_table(metrics, results.models, results.references, context, settings)
    assert "Metrics of this study’s own" not in page


def test_equivariance_has_every_angle_with_its_floor(results, context):
    table = model_tables.equivariance_table(results.models, [15.0, 30.0, 45.0], context)
    cell = rows(table)["Plain"].cells[column(table, "15°", "Measured defect")]
    assert cell.value == results.models.loc[0, "defect_15deg_mean"]
    assert cell.interval == "floor 0.018"


def test_turned_inputs_have_a_table_of_the_chosen_settings(results, context, settings):
    table = model_tables.turned_table(results.models, context, settings)
    turned = rows(table)["Plain"].cells[column(table, "90°", model_tables.TURNED)]
    assert turned.value == results.models.loc[0, "psnr_turned_90deg_db_mean"]
    assert len(rows(table)) == len(settings)


@pytest.mark.parametrize(("smallest", "shown"), [(0.03, True), (0.07, False)])
def test_p_values_have_a_column_where_one_says_something(results, context, smallest, shown):
    models = results.models.assign(p_value_holm=1.0)
    models.loc[3, "p_value_holm"] = smallest
    table = model_tables.main_table(models, results.references, results.cost, context, alpha=0.05)
    assert ("p" in [heading.title for heading in table.headings]) == shown


def test_every_row_says_how_many_seeds_it_has(results, context):
    models = results.models.assign(n_seeds=[1, *[3] * (len(results.models) - 1)])
    table = model_tables.main_table(models, results.references, results.cost, context, alpha=0.05)
    seeds = next(index for index, heading in enumerate(table.headings) if heading.title == "Seeds")
    assert rows(table)["Plain"].cells[seeds].text == "1"
    assert {row.cells[seeds].text for row in rows(table).values()} == {"1", "3"}


def test_sizes_and_materials_have_a_table_for_each_protocol(results, context, settings):
    table = model_tables.group_table(
        results.sizes, "metal_size", results.models, context, settings, measure="psnr_official_db"
    )
    assert len(table.headings) - 1 == results.sizes["metal_size"].nunique()
    assert table.name == "metal-size-protocol-official-dncnn"
    own = results.sizes[(results.sizes["method"] == "strict") & (results.sizes["metal_size"] == 1)].iloc[0]
    cells = rows(table)["Strictly equivariant"].cells
    assert cells[column(table, "1, largest", "")].value == own["psnr_official_db_mean"]
    assert set(rows(table, references=True)) == {"Input", "LI", "NMAR"}
    materials = model_tables.group_table(
        results.materials, "metal", results.models, context, settings, measure="psnr_db"
    )
    assert [heading.title for heading in materials.headings][1:3] == ["cobalt chromium", "titanium"]


def test_cost_has_one_row_for_each_method_and_norm(results, context):
    table = model_tables.cost_table(results.models, results.cost, context)
    assert len(rows(table)) == len(results.cost) == N_SERIES
    assert [heading.title for heading in table.headings] == [
        "Step",
        "Step",
        "Beyond plain",
        "Memory of a step",
        "Peak memory",
        "Parameters",
        "Time",
        "Peak memory",
    ]
    cells = rows(table)["EQ-Reg"].cells
    assert [cells[index].text for index in (1, 5, 6)] == ["2.31 ×", "31,440", "12.0"]


def test_cost_without_measures_of_prediction_has_fewer_columns(results, context):
    old = results.models.drop(columns=["seconds_per_image", "prediction_peak_memory_mb", "n_parameters"])
    titles = [heading.title for heading in model_tables.cost_table(old, results.cost, context).headings]
    assert titles[-1] == "Parameters"  # of the table of costs
    assert "Time" not in titles


def test_few_rows_are_shown_first(results, settings, config):
    few = shown_settings(results.models, "dncnn")
    context = Context("dncnn", page.series_marks(results), few)
    table = model_tables.region_table(results.models, results.references, context, settings)
    assert not all(row.chosen for group in table.groups for row in group.rows)
    assert sum(row.chosen for row in rows(table).values()) == len(few) == len(Kind)


def test_a_single_group_is_no_table(results, config):
    from dataclasses import replace

    one = replace(
        results,
        sizes=results.sizes[results.sizes["metal_size"] == 1],
        materials=pd.DataFrame(columns=results.materials.columns),
    )
    section = network_section.network_section(one, config, "dncnn", page.series_marks(one), image_bytes=10**6)
    assert section.groups == []
