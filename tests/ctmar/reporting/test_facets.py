"""What the filter asks, and that everything of the page that shows a setting answers it."""

import dataclasses
import re

import pandas as pd

from ctmar.config.methods import Kind
from ctmar.reporting.facets import facets, facets_of_all

from .conftest import N_SERIES, SEEDS, SETTINGS


def test_only_questions_with_several_answers_are_asked(results):
    assert [facet.name for facet in facets(results)] == ["kind", "norm"]  # one network, three seeds everywhere, no dial
    kinds = next(facet for facet in facets(results) if facet.name == "kind")
    assert [text for _, text in kinds.choices] == list(Kind)
    norms = next(facet for facet in facets(results) if facet.name == "norm")
    assert ("entrywise:inf", "entry-wise\xa0∞") in norms.choices
    assert "none" not in dict(norms.choices)


def test_networks_seeds_and_strengths_are_asked_where_they_differ(results):
    other = results.models.assign(network="unet", n_seeds=1)
    dial = pd.concat([results.models.assign(asymmetry=strength) for strength in (0.0, 0.4)])
    found = {
        facet.name: [value for value, _ in facet.choices]
        for facet in facets(dataclasses.replace(results, models=pd.concat([results.models, other]), dial=dial))
    }
    assert found["network"] == ["dncnn", "unet"]
    assert found["seeds"] == ["1", "3"]
    assert found["strength"] == ["0", "0.4"]


def test_a_panel_of_several_settings_has_the_most_of_their_seeds(results):
    own = results.models[results.models["norm"] == "spectral"]
    both = pd.concat([own.assign(n_seeds=1), own.assign(n_seeds=10)])
    assert facets_of_all(both) == "penalty|spectral|10||dncnn"


def test_every_row_mark_and_panel_answers(page):
    rows = re.findall(r"<tr([^>]*)><th scope=\"row\"><svg class=\"mark\"", page)
    assert len(rows) > len(SETTINGS)
    assert all("data-facets=" in attributes for attributes in rows)
    without_layers = re.sub(
        r'<section id="layers".*?</section>', "", page, flags=re.S
    )  # its panels hold several methods
    panels = re.findall(r"<figure class=\"panel-chart\"([^>]*)>", without_layers)
    assert len(panels) > N_SERIES
    assert all("data-facets=" in attributes for attributes in panels)
    forest = re.search(r'<figure class="chart[^"]*" id="quality-1-1">.*?</figure>', page, flags=re.S)
    assert forest is not None
    drawing = forest[0].split('<div class="drawing')[1]
    # of each row the mark, its interval, its name and its value; plain has no interval
    assert drawing.count("data-facets=") == 4 * N_SERIES - 1
    assert set(re.findall(r'data-facets="[^"|]*\|[^"|]*\|(\d*)\|', page)) <= {str(len(SEEDS)), ""}
    assert "<a " not in "".join(re.findall(r"<svg viewBox.*?</svg>", page, flags=re.S))
