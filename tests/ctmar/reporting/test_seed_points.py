"""Values of single seeds beside their setting, and what captions count."""

import numpy as np
import pandas as pd
import pytest

from ctmar.reporting import charts, small_multiples, sweeps
from ctmar.reporting.page import series_marks
from ctmar.reporting.required_columns import IDENTITY
from ctmar.reporting.seed_points import seed_points

from .conftest import SEEDS


@pytest.fixture(scope="module")
def models(results):
    return charts.prepare_models(results.models, series_marks(results))


@pytest.mark.parametrize(
    "measure", ["psnr_db", "psnr_diff_db", "psnr_official_diff_db", "defect", "relative_non_equivariance"]
)
def test_the_mean_of_the_seeds_is_the_mean_of_the_setting(results, models, measure):
    own = models[models["method"] == "projection"]
    points = seed_points(results.runs, own, measure)
    assert len(points) == len(SEEDS) * len(own)
    means = points.groupby(IDENTITY)["seed_value"].mean()
    expected = own.set_index(IDENTITY)[f"{measure}_mean"]
    np.testing.assert_allclose(means.sort_index(), expected.sort_index(), rtol=1e-6, atol=1e-9)


def test_plain_training_has_no_difference_to_itself(results, models):
    assert seed_points(results.runs, models[models["method"] == "plain"], "psnr_diff_db").empty


def test_without_such_a_measure_there_are_no_seeds(results, models):
    assert seed_points(results.runs.drop(columns="psnr_diff_db"), models, "psnr_diff_db").empty
    chart = sweeps.response_chart(models[:0], results.runs[:0], "psnr_diff_db", "PSNR")
    assert chart["layer"]


def test_every_seed_stands_in_the_panel_of_its_norm(results, models):
    panels = small_multiples.norm_panels(models, results.runs, "psnr_diff_db", "dB").panels
    swept = small_multiples.swept_settings(models)
    assert sum(panel.seeds.count("M") for panel in panels) == len(SEEDS) * len(swept)
    assert pd.Series([panel.facets.split("|")[1] for panel in panels]).is_unique
