"""The page names every run that diverged above all numbers, and shows no number that is not there."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
from tests.ctmar.reporting.conftest import NETWORK, study_config
from tests.ctmar.reporting.test_page import MIXED, PENALTY, PLAIN, Outline, check_without_holes
from tests.ctmar.run_folders import description

from ctmar.config import Config, Run
from ctmar.evaluation.collect import collect
from ctmar.reporting.cards import write_dataset_card, write_model_card
from ctmar.reporting.diverged_runs import diverged_runs
from ctmar.reporting.page import build_report, render_page
from ctmar.reporting.study_description import describe_study
from ctmar.reporting.study_files import ReportInputs, StudyTables, read_results
from ctmar.reporting.timed_networks import timed_networks
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import Divergence

FROBENIUS = {"method": "projection", "norm": "frobenius", "lam_perp": 1e-2}
CONFIG = study_config()


def diverge(inputs: ReportInputs, seed: int, **settings: object) -> Path:
    """Write a run that diverged into a study, in place of the finished one."""
    run = Run(**{"network": "dncnn"} | settings, seed=seed)
    where = Divergence(step=7 + seed, where="output", layer="layers.1", loss=math.nan)
    facts = {"network": NETWORK, "n_parameters": 31_440, "diverged": where, "kept_epoch": None}
    folder = RunFolder.of(inputs.results / "runs", run)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_epochs([])
    folder.write_divergence(description(run=run, **facts), {})
    return folder.path


def summarised(inputs: ReportInputs, config: Config = CONFIG) -> StudyTables:
    """The study after its runs have changed."""
    results = inputs.summary.parent
    again = dataclasses.replace(inputs, sources=None)
    references = results / "references" / "slices.csv"
    collect(again.runs, references, results / "cost.csv", CONFIG.judgement, again.summary)
    return read_results(again, config)


def banner(text: str) -> str:
    found = re.search(r'<aside class="banner" aria-labelledby="diverged-title".*?</aside>', text, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", found[0])).replace("\xa0", " ") if found else ""


def below_the_banner(text: str) -> str:
    """The page without its banner: a loss there may well be NaN."""
    return re.sub(r'<aside class="banner".*?</aside>', "", text, flags=re.DOTALL)


def test_without_any_there_is_no_banner(page):
    assert banner(page) == ""
    assert "<dt>diverged</dt>" not in page


def test_a_seed_that_diverged_is_named_and_counted_beside_its_model(make_study, tmp_path):
    inputs = make_study([PLAIN, PENALTY, MIXED], [0, 1, 2])
    diverge(inputs, 1, **FROBENIUS)
    results = summarised(inputs)
    text = build_report(results, CONFIG, tmp_path / "index.html").read_text(encoding="utf-8")
    check_without_holes(below_the_banner(text))
    said = banner(text)
    assert "1 run diverged Its training stopped" in said
    assert "Projection, Frobenius, λ⊥ = 10⁻², seed 1: at step 8 (output of layer layers.1, loss nan)" in said
    assert "No seed is left" not in said
    assert text.index('class="banner"') < text.index('id="summary"')
    assert "Projection, Frobenius (1 of 3 seeds diverged)" in text
    assert re.search(r"mean over [^;<]*, 2 to 3 seeds;", text)
    assert "table of runs" not in said.lower()  # of most of which the curves are flat
    assert len(results.records) == len(results.runs) == 8
    card = write_model_card(results, CONFIG, tmp_path / "card.md").read_text()
    assert "- Trained models: 8 (" in card
    assert "- Diverged, without a model: 1 run." in card
    assert "seed 1: at step 8 (output of layer layers.1, loss nan)" in card
    assert describe_study(results, CONFIG).n_diverged == 1


@pytest.mark.parametrize(
    ("settings", "lost", "named"),
    [
        ([PLAIN, PENALTY, MIXED], FROBENIUS, "No seed is left of Projection, Frobenius, λ⊥ = 10⁻²: this setting is"),
        ([PLAIN, PENALTY, MIXED], {"method": "plain"}, "No seed is left of Plain: this setting is missing"),
        ([PENALTY, PLAIN], FROBENIUS, "No seed is left of Projection"),
    ],
    ids=["the primary comparison's model", "plain", "every penalty"],
)
def test_a_model_of_which_no_seed_is_left(make_study, tmp_path, settings, lost, named):
    inputs = make_study(settings, [0, 1])
    for seed in (0, 1):
        diverge(inputs, seed, **lost)
    results = summarised(inputs)
    text = build_report(results, CONFIG, tmp_path / "index.html").read_text(encoding="utf-8")
    check_without_holes(below_the_banner(text))
    assert named in banner(text)
    assert "diverged with every seed" in text  # what became of the primary comparison
    write_model_card(results, CONFIG, tmp_path / "card.md")


def test_a_study_of_which_every_run_diverged_has_a_page(make_study, tmp_path):
    inputs = make_study([PLAIN, PENALTY], [0, 1])
    config = study_config([PLAIN, PENALTY], [0, 1])
    for seed in (0, 1):
        diverge(inputs, seed, method="plain")
        diverge(inputs, seed, **FROBENIUS)
    results = summarised(inputs, config)
    text = build_report(results, config, tmp_path / "index.html").read_text(encoding="utf-8")
    check_without_holes(below_the_banner(text))
    assert banner(text).count("at step ") == 4
    assert "No model of this study was measured: every run diverged." in text
    ids = {attributes["id"] for _, attributes in Outline(text).tags if attributes.get("id")}
    assert {"summary", "claims", "data", "methods", "provenance"} <= ids
    assert not {"results", "equivariance", "images", "curves", "response"} & ids
    assert timed_networks(results, {}) == []
    card = write_model_card(results, config, tmp_path / "card.md").read_text()
    write_dataset_card(results, config, tmp_path / "data.md")
    assert "- Trained models: 0" in card
    assert "31,440 parameters" in card
    described = describe_study(results, config)
    assert (described.n_runs, described.n_diverged, described.networks) == (0, 4, ["dncnn"])


def test_many_are_folded(make_study, tmp_path):
    inputs = make_study([PLAIN, PENALTY], [0])
    for seed in range(1, 9):
        diverge(inputs, seed, **FROBENIUS)
    text = render_page(summarised(inputs), CONFIG)
    assert "8 runs diverged" in banner(text)
    assert "All 8, with step, place and loss" in banner(text)
    assert banner(text).count("at step ") == 8


def test_a_network_of_which_every_run_diverged_is_not_called_only_timed(make_study, tmp_path):
    inputs = make_study([PLAIN, PENALTY], [0])
    diverge(inputs, 0, network="wide", method="plain")
    cost = inputs.table("cost").read_text().splitlines()
    inputs.table("cost").write_text("\n".join([*cost, cost[1].replace("dncnn", "wide")]) + "\n")
    results = summarised(inputs)
    assert [one.name for one in timed_networks(results, {})] == []
    assert "Plain, network “wide”, seed 0" in banner(render_page(results, CONFIG))


def test_examples_are_of_the_first_seed_that_is_left(make_study):
    inputs = make_study([PLAIN, PENALTY], [0, 1])
    diverge(inputs, 0, **FROBENIUS)
    assert check_without_holes(below_the_banner(render_page(summarised(inputs), CONFIG)))


def test_other_conditions_are_named(make_study):
    inputs = make_study([PLAIN, PENALTY], [0])
    diverge(inputs, 0, method="plain", asymmetry=0.4, slices=5)
    found = diverged_runs(summarised(inputs))
    assert [run.name for run in found.runs] == ["Plain, ε\xa0=\xa00.4, 5 slices of a patient"]
    assert found.lost == []
