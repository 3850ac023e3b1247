import dataclasses
import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import study_config, write_study

from ctmar.config import Config, Run
from ctmar.config.labels import series_label
from ctmar.config.methods import METHODS, Kind
from ctmar.errors import InputError
from ctmar.reporting import page as page_module
from ctmar.reporting.environment import assets
from ctmar.reporting.network_section import network_section
from ctmar.reporting.page import build_report, render_page, series_marks
from ctmar.reporting.report_origin import public_config
from ctmar.reporting.required_columns import IDENTITY
from ctmar.reporting.study_files import RunRecord, StudyTables, read_results


class Outline(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def outline(page):
    return Outline(page)


@pytest.mark.slow
def test_nothing_leads_into_a_network(page):
    assert not re.findall(r"""(?:src|href|action|srcset)\s*=\s*["']?\s*(?:https?:)?//""", page)
    assert not re.findall(r"url\(\s*[\"']?\s*(?:https?:)?//", page)
    assert not re.findall(r"@import|<link|<iframe|<object|<embed", page)
    assert "default-src 'none'" in page


def charts_of(text: str) -> list[str]:
    """The figures that hold a chart."""
    return re.findall(r'<figure class="chart[ "].*?</figure>', text, flags=re.S)


def test_every_chart_is_drawn_in_the_page(page):
    # two protocols, three of each sweep, three maps of λ_G × λ⊥, defect, trade-off, layers, cost
    assert len(charts_of(page)) == 15
    assert all(1 <= figure.count('<svg viewBox="') <= 2 for figure in charts_of(page))
    assert "vegaEmbed" not in page
    scripts = re.findall(r"""<script type="module">.*?</script>""", page, flags=re.S)  # others hold data
    assert len(scripts) == len(assets(".js"))
    assert len("".join(scripts)) < 60_000


def test_page_is_small_and_the_same_each_time(page, results, config):
    assert len(page.encode()) < 4_000_000
    assert render_page(results, config) == page


def test_text_from_outside_is_escaped(page):
    assert '<script>alert("x")' not in page
    assert page.count("&lt;script&gt;alert(") >= 2


def test_secrets_and_paths_stay_out(page, study, config):
    assert "a-secret-of-the-hospital" not in page
    assert str(study.summary.parent) not in page
    source = config.source.model_copy(update={"kind": "dicom_dir", "folder": Path("/home/someone/ct")})
    assert "someone" not in public_config(config.model_copy(update={"source": source}))


def test_references_inside_the_page_resolve(outline):
    ids = [attributes["id"] for _, attributes in outline.tags if attributes.get("id")]
    assert not [name for name, n in Counter(ids).items() if n > 1]
    targets = [a["href"][1:] for a in outline.all("a") + outline.all("use") if (a.get("href") or "").startswith("#")]
    targets += [a["aria-labelledby"] for _, a in outline.tags if a.get("aria-labelledby")]
    assert len(targets) > 30
    assert set(targets) <= set(ids)


def test_accessible_structure(outline):
    assert outline.all("html") == [{"lang": "en-GB"}]
    assert len(outline.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(a.get("scope") in ("row", "col", "rowgroup", "colgroup") for a in outline.all("th"))
    # main, errors, detectability, sizes and materials under two protocols, norms, equivariance, turned inputs, cost;
    # three of claims; runs; sources, split, series, 2 left out
    assert len(outline.all("caption")) == len(outline.all("table")) == 20
    pictures = [a for a in outline.all("img") if a.get("src")]
    compared = [a for a in pictures if a.get("data-kind")]
    assert len(compared) == 3 * (1 + 2 * (3 + len(Kind)))  # the truth; references and one of each kind, with errors
    kernels = [a for a in pictures if " of layers." in a["alt"]]
    assert len(pictures) == len(compared) + len(kernels) + 9
    assert all(a["alt"] and a["src"].startswith("data:image/webp") for a in pictures)
    assert all(a["loading"] == "lazy" for a in pictures if a not in kernels)
    assert all("dB" in a["alt"] for a in compared if not a["alt"].startswith("Ground truth"))
    assert outline.all("a")[0] == {"class": "skip", "href": "#main"}
    buttons = [a for a in outline.all("button") if "class" not in a]
    assert all(
        a.get("role") == "img" and a["aria-label"] for a in outline.all("svg") if a.get("viewbox") == "0 0 220 136"
    )
    assert len(buttons) == len([a for a in outline.all("th") if a.get("aria-sort") == "none"])


def test_style_serves_dark_print_and_narrow(page):
    for query in ("prefers-color-scheme: dark", "@media print", "max-width: 44rem", "prefers-reduced-motion"):
        assert query in page


def test_metrics_carry_protocol_and_numbers(page):
    assert "mean over 2 patients, 12 test pairs, 3 seeds; a patient counts once" in page
    assert "95\u00a0% intervals over patients and seeds" in page
    assert "95 to 99 % of the intervals at 95 % hold the mean" in page
    assert "The test set holds 2 patients, and the intervals" in page
    assert "the intervals are wide for it" in page
    assert page.count('<th scope="colgroup" colspan="3">Protocol fixed</th>') == 1
    assert page.count('<th scope="colgroup" colspan="2">Protocol official</th>') == 1


def test_a_chart_never_holds_both_protocols(results, config):
    section = network_section(results, config, "dncnn", series_marks(results), image_bytes=0)
    charts = [*section.quality, *(chart for _, sweep in section.responses for chart in sweep), *section.sensitivity]
    specifications = [json.dumps(spec) for _, spec in charts]
    assert len(specifications) == 11
    fixed = [text for text in specifications if "psnr_db" in text or "psnr_diff_db" in text]
    official = [text for text in specifications if "psnr_official" in text]
    assert len(official) == 1
    assert not set(fixed) & set(official)


def test_every_method_and_norm_is_in_table_chart_and_methods(page, results):
    for method, norm in set(zip(results.models["method"], results.models["norm"], strict=True)):
        label = series_label(method, norm)
        assert page.count(f"</svg>{label}</th>") >= 4
        assert f"<title>{label}" in page
    for method in set(results.models["method"]):
        assert f"<strong>{METHODS[method].label}</strong>" in page


def test_sections_fold_and_the_contents_name_them(outline):
    folds = [a for a in outline.all("details") if a.get("class") == "fold"]
    linked = [a["href"][1:] for a in outline.all("a") if (a.get("href") or "").startswith("#")]
    assert len(folds) == len(outline.all("section")) - 1  # the summary never folds
    assert {a["id"] for a in outline.all("section")} <= set(linked)


def test_claims_stand_beside_verdicts_in_words(page, results):
    signs = {"agrees": "✓", "disagrees": "✗", "not decided": "○"}
    shown = re.findall(r'<td class="verdict \w+"><span aria-hidden="true">(.)</span> ([a-z ]+)</td>', page)
    primary = [row for row in results.questions if row["role"] == "primary"]
    exploratory = [row for row in results.questions if row["role"] == "exploratory"]
    assert len(primary) == 2
    judged = [*primary, *results.claims, *exploratory]
    assert exploratory
    assert shown == [(signs[claim["verdict"]], claim["verdict"]) for claim in judged]
    assert len(set(shown)) >= 2


def test_data_section_lists_licences_and_reasons(page):
    for text in (
        "Apache-2.0",
        "Wasserthal J. et al.",
        "14 files or slices left out",
        "1532",
        "little body",
        "head-693/scout.dcm",
    ):
        assert text in page


def test_provenance_and_configuration_are_shown(page):
    for text in (
        "git commit of this report",
        "source of both packages, SHA-256",
        "cd" * 32,
        "learning_rate: 0.002",
        "torch 2.13.0+cpu",
    ):
        assert text in page


def test_two_networks_get_a_table_each(results, config):
    def both(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, table.assign(network="wide")], ignore_index=True)

    def wide_run(record: RunRecord) -> Run:
        return record.description.run.model_copy(update={"network": "wide"})

    shown = ("models", "curves", "cost", "runs", "sizes", "materials", "norms")
    tables = {name: both(getattr(results, name)) for name in shown}
    wide = [
        dataclasses.replace(record, description=record.description.model_copy(update={"run": wide_run(record)}))
        for record in results.records
    ]
    networks = config.study.networks | {"wide": config.study.networks["dncnn"]}
    study = config.study.model_copy(update={"networks": networks})
    text = render_page(
        dataclasses.replace(results, **tables, records=results.records + wide),
        config.model_copy(update={"study": study}),
    )
    outline = Outline(text)
    groups = [f"{group}-protocol-{name}" for group in ("metal-size", "metal") for name in ("fixed", "official")]
    names = ("models", "errors", "detectability", *groups, "norms", "equivariance", "turned", "cost")
    tables_of = [a["id"] for a in outline.all("table") if a.get("id")]
    assert tables_of.count("table-models-wide") == 1
    assert set(tables_of) - {"table-runs"} == {
        f"table-{name}-{network}" for name in names for network in ("dncnn", "wide")
    }
    ids = [attributes["id"] for _, attributes in outline.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))


PLAIN = ("plain", "none", 0.0, 0.0, 0.0, 0.3, 0.9)
PENALTY = ("projection", "frobenius", 1e-2, 0.0, 0.0, 0.26, 0.05)
MIXED = ("projection", "mixed:2,1", 1e-1, 0.0, 0.0, 0.27, 0.06)


def check_without_holes(text: str) -> list[str]:
    """No number is missing but the loss of a run that diverged, nothing refers to nothing, no heading stands alone."""
    shown = re.sub(r"<script.*?</script>|data:[^\"]*|loss nan", "", text, flags=re.S)
    assert not re.search(r"\[–|\bnan\b|NaN|\bNone\b", shown)
    assert all("<path" in drawing for drawing in re.findall(r'<div class="drawing.*?</div>', text, flags=re.S))
    assert not re.search(r"<tbody[^>]*>\s*</tbody>|<thead>\s*</thead>|<h3>[^<]*</h3>\s*<h3>", text)
    outline = Outline(text)
    ids = {attributes["id"] for _, attributes in outline.tags if attributes.get("id")}
    assert {a["href"][1:] for a in outline.all("a") if (a.get("href") or "").startswith("#")} <= ids
    return charts_of(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "seeds", "n_charts"),
    [
        ([PLAIN, PENALTY, MIXED], [0, 1], 6),  # tests/workflow/small.yaml: no sweep, two norms
        ([PLAIN, PENALTY], [0], 6),
        ([PLAIN], [0], 6),
        ([PENALTY, MIXED], [0], 6),  # no plain model: no differences
    ],
)
def test_small_studies_have_pages_without_holes(make_study, tmp_path, settings, seeds, n_charts):
    inputs = dataclasses.replace(make_study(settings, seeds, nmar=False), sources=None)
    config = study_config(settings, seeds)
    text = build_report(read_results(inputs, config), config, tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(check_without_holes(text)) == n_charts
    assert re.search(rf"mean over [^;]*, {len(seeds)} seeds?; a patient counts once", text)
    assert "NMAR</th>" not in text


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> tuple[StudyTables, Config]:
    """A study of few settings, one of them not chosen: what a page gives up does not hang on how many there are."""
    settings = [PLAIN, PENALTY, ("projection", "frobenius", 1e-1, 0.0, 0.0, 0.31, 0.0041), MIXED]
    config = study_config(settings, [0, 1])
    return read_results(write_study(tmp_path_factory.mktemp("few"), settings, [0, 1]), config), config


def test_pictures_give_way_before_a_page_is_too_large(few, tmp_path, monkeypatch):
    results, config = few
    whole = build_report(results, config, tmp_path / "whole.html").read_text(encoding="utf-8")
    bare = render_page(results, config, 0.0)
    monkeypatch.setattr(page_module, "MAXIMUM_BYTES", len(bare.encode()) + 1000)
    text = build_report(results, config, tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(text) < len(whole)
    assert "3 further example pairs left out to keep this page below 25 MB" in text
    assert "Pictures of 3 further series left out" in text
    check_without_holes(text)


@pytest.mark.slow
def test_of_very_many_settings_the_chosen_ones_have_rows_and_the_banner_says_so(few, tmp_path, monkeypatch):
    results, config = few
    bare = render_page(results, config, 0.0, every_setting=False)
    monkeypatch.setattr(page_module, "MAXIMUM_BYTES", len(bare.encode()) + 1000)
    text = build_report(results, config, tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Rows and curves of the settings that validation did not choose: the page would be larger" in text
    assert "Show all" not in text
    assert "Every other setting" not in text
    check_without_holes(text)


@pytest.mark.slow
def test_a_page_that_is_too_large_is_refused_and_not_written(few, tmp_path, monkeypatch):
    results, config = few
    monkeypatch.setattr(page_module, "MAXIMUM_BYTES", 1000)
    with pytest.raises(InputError, match="expected a page below 1,000 bytes"):
        build_report(results, config, tmp_path / "index.html")
    assert not list(tmp_path.iterdir())


def test_identity_names_the_columns_of_a_model(results):
    assert not results.models.duplicated(IDENTITY).any()
