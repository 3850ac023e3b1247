"""The layers in the report: sentences of their rows, lines of methods, kernels to choose, words where files lack."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from ctmar.config.labels import model_label, scientific
from ctmar.config.methods import METHODS, Kind
from ctmar.reporting.choice import shown_settings
from ctmar.reporting.kernel_pictures import kernel_chooser
from ctmar.reporting.layer_section import MOST_PANELS, layer_section
from ctmar.reporting.page import render_page, series_marks
from ctmar.reporting.study_files import read_results

FEW = [
    ("plain", "none", 0.0, 0.0, 0.0, 0.30, 0.86),
    ("projection", "frobenius", 1e-2, 0.0, 0.0, 0.26, 0.052),
    ("test_time_average", "none", 0.0, 0.0, 0.0, 0.275, 0.86),
]


@pytest.fixture(scope="module")
def section(results):
    return layer_section(results, "dncnn", series_marks(results))


def test_sentences_hold_the_numbers_of_their_rows(results, section):
    *told, compared = section.sentences
    for sentence, method in zip(told, ("plain", "projection"), strict=True):
        (own,) = [
            rows
            for (name, *_), rows in results.layers.groupby(["method", "norm", "lam_perp", "lam_equi"])
            if name == method and f"“{_label(rows)}”" in sentence
        ]
        kernels = own[own["parameter"] == "weight"].set_index("layer")["ratio"]
        assert f"largest in {kernels.idxmax()} (layer 4 of 4: {scientific(kernels.max())})" in sentence
        assert f"smallest in {kernels.idxmin()} (layer 1 of 4: {scientific(kernels.min())})" in sentence
        assert "mean of 3 seeds" in sentence
        assert "the first layer" not in sentence  # it is named already
    penalty = next(name for name, *_ in section.legend if name.startswith("Projection"))
    assert compared == f"‖W − P(W)‖ / ‖W‖ is smaller for “{penalty}” than for “Plain” in 4 of 4 layers."


def test_the_first_and_the_last_layer_are_told_where_they_are_not_the_extremes(results):
    turned = results.layers.assign(
        ratio=results.layers["ratio"] * results.layers["depth"].map({1: 1, 2: 9, 3: 0, 4: 1})
    )
    changed = dataclasses.replace(results, layers=turned)
    sentence = layer_section(changed, "dncnn", series_marks(changed)).sentences[0]
    assert "largest in layers.1 (layer 2 of 4" in sentence
    assert "smallest in layers.2 (layer 3 of 4: 0)" in sentence
    first, last = (turned[turned["depth"] == depth].iloc[0]["ratio"] for depth in (1, 4))
    assert sentence.endswith(f"; the first layer has {scientific(first)}; the last layer has {scientific(last)}.")


def _label(rows):
    return model_label(rows.iloc[0].to_dict())


def test_a_line_for_each_kind_of_method_that_has_weights_of_its_own(results, section):
    shown = shown_settings(results.models, "dncnn")
    assert Kind.AVERAGING in {METHODS[identity[1]].kind for identity in shown}
    assert len(section.legend) == len(shown) - 1
    assert section.averaged == ["Test-time average"]
    colours = [mark.colour for _, mark, _ in section.legend]
    assert len(set(colours)) == len(colours)
    assert [n_seeds for *_, n_seeds in section.legend] == [3] * len(colours)


def test_a_panel_for_each_layer_and_both_norms(section):
    captions = [caption for caption, _ in section.curves]
    assert captions == ["‖W − P(W)‖ by epoch, 0 is the start", "‖P(W)‖ by epoch, 0 is the start"]
    for _, panels in section.curves:
        assert [panel.title for panel in panels.panels] == [f"{k}: layers.{k - 1}" for k in (1, 2, 3, 4)]
        for panel in panels.panels:
            assert [stroke.colour for stroke in panel.strokes] == [mark.colour for _, mark, _ in section.legend]
            assert all(dot.text.endswith("after epoch 8, mean of 3") for dot in panel.dots)


def test_many_layers_share_the_panels_evenly(results):
    def deeper(table):
        more = [table.assign(depth=table["depth"] + 4 * k, layer=table["layer"] + f".{k}") for k in range(5)]
        return pd.concat(more)

    many = dataclasses.replace(results, layers=deeper(results.layers), layer_curves=deeper(results.layer_curves))
    section = layer_section(many, "dncnn", series_marks(many))
    assert section.n_layers == 20
    titles = [panel.title for panel in section.curves[0][1].panels]
    assert len(titles) == MOST_PANELS
    assert titles[0].startswith("1: ")
    assert titles[-1].startswith("20: ")
    assert section.of_all == "; 12 of 20 layers, evenly spaced"


def test_without_a_script_the_first_layer_of_plain_against_the_penalty(section, page):
    kernels = section.kernels
    shown = [picture for picture in kernels.pictures if picture.shown]
    assert [picture.layer for picture in shown] == [0, 0]
    assert [kernels.settings[picture.setting] for picture in shown] == [
        "Plain, seed 0",
        next(name for name in kernels.settings if name.startswith("Projection")),
    ]
    figures = re.findall(r"<figure class=\"kernel\"[^>]*>", page)
    assert len(figures) == len(kernels.pictures) == 4 * len(kernels.settings)
    assert sum("hidden" not in figure for figure in figures) == 2


def test_norms_are_those_of_the_whole_layer(section):
    first = section.kernels.pictures[0]
    assert first.norms.startswith("‖W‖ = 5.00, ‖P(W)‖ = 4.88, ‖W − P(W)‖ = 1.0")
    assert (first.n_out, first.n_in) == (4, 3)
    assert first.grid == "M1 0V4M2 0V4M0 1H3M0 2H3M0 3H3"


def test_all_pictures_of_a_layer_have_one_scale(section):
    for layer in range(4):
        assert len({picture.limit for picture in section.kernels.pictures if picture.layer == layer}) == 1


@pytest.mark.parametrize("content", [None, b"", b"PK no archive", "one number"])
def test_kernels_that_cannot_be_read_are_named_and_nothing_is_faked(make_study, config, content):
    inputs = make_study(FEW, [0])
    (path,) = [path for path in inputs.summary.parent.rglob("kernels.npz") if "plain" in str(path)]
    if content is None:
        path.unlink()
    elif content == "one number":
        np.savez(path, **{"layers.0.weight": np.array(np.nan)})
    else:
        path.write_bytes(content)
    results = read_results(inputs, config)
    trained = [identity for identity in shown_settings(results.models, "dncnn") if identity[1] != "test_time_average"]
    chooser = kernel_chooser(results.records, trained)
    assert chooser.unreadable == ["Plain"]
    assert len(chooser.settings) == 1
    assert "No readable <code>kernels.npz</code>: Plain." in render_page(results, config)


def test_where_nothing_is_known_of_layers_the_page_says_so(make_study, config):
    inputs = make_study(FEW, [0])
    for name in ("kernels.npz", "layers.jsonl"):
        for path in inputs.summary.parent.rglob(name):
            path.unlink()
    results = read_results(inputs, config)
    curveless = dataclasses.replace(results, layer_curves=results.layer_curves[:0])
    text = render_page(curveless, config)
    assert "how the norms went through training is not shown" in text
    assert "no kernels are drawn" in text
    assert 'figure class="kernel"' not in text
    assert 'id="layer-depth-1"' in text  # the norms at the end stand in run.json
    text = render_page(dataclasses.replace(curveless, layers=results.layers[:0]), config)
    assert "say nothing of their layers" in text
