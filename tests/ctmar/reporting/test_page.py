import dataclasses
import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser

import pandas as pd
import pytest

from ctmar.errors import InputError
from ctmar.reporting import page as page_module
from ctmar.reporting.page import build_report, render_page
from ctmar.reporting.provenance import public_config
from ctmar.reporting.results import IDENTITY


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


def test_nothing_leads_into_a_network(page):
    assert not re.findall(r"""(?:src|href|action|srcset)\s*=\s*["']?\s*(?:https?:)?//""", page)
    assert not re.findall(r"url\(\s*[\"']?\s*(?:https?:)?//", page)
    assert not re.findall(r"@import|<link|<iframe|<object|<embed", page)
    assert "default-src 'none'" in page


def test_one_vega_bundle_is_shared(page, outline):
    assert len(re.findall(r"window\.vegaEmbed\s*=", page)) == 1
    assert len([1 for a in outline.all("script") if a.get("type") == "application/json"]) == 10


def test_page_is_small_and_the_same_each_time(page, results, config):
    assert len(page.encode()) < 15_000_000
    assert render_page(results, config) == page


def test_text_from_outside_is_escaped(page):
    assert '<script>alert("x")' not in page
    assert page.count("&lt;script&gt;alert(") >= 2


def test_secrets_and_paths_stay_out(page, study, config):
    assert "a-secret-of-the-hospital" not in page
    assert str(study.summary.parent) not in page
    source = config.source.model_copy(update={"kind": "dicom_dir", "folder": "/home/someone/ct"})
    assert "someone" not in public_config(config.model_copy(update={"source": source}))


def test_references_inside_the_page_resolve(outline):
    ids = [attributes["id"] for _, attributes in outline.tags if attributes.get("id")]
    assert not [name for name, n in Counter(ids).items() if n > 1]
    targets = [a["href"][1:] for a in outline.all("a") + outline.all("use") if (a.get("href") or "").startswith("#")]
    targets += [a["aria-labelledby"] for _, a in outline.tags if a.get("aria-labelledby")]
    targets += [a["data-spec"] for a in outline.all("div") if a.get("data-spec")]
    assert len(targets) > 30
    assert set(targets) <= set(ids)


def test_accessible_structure(outline):
    assert outline.all("html") == [{"lang": "en-GB"}]
    assert len(outline.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(a.get("scope") in ("row", "col") for a in outline.all("th"))
    assert len(outline.all("caption")) == len(outline.all("table")) == 8
    pictures = [a for a in outline.all("img") if a.get("src")]
    assert len(pictures) == 3 * (1 + 2 * 6)
    assert all(a["alt"] and a["loading"] == "lazy" and a["src"].startswith("data:image/webp") for a in pictures)
    assert all("dB" in a["alt"] for a in pictures if not a["alt"].startswith("Ground truth"))
    assert outline.all("a")[0] == {"class": "skip", "href": "#main"}
    buttons = [a for a in outline.all("button") if "class" not in a]
    assert len(buttons) == len([a for a in outline.all("th") if a.get("aria-sort") == "none"])


def test_style_serves_dark_print_and_narrow(page):
    for query in ("prefers-color-scheme: dark", "@media print", "max-width: 44rem", "prefers-reduced-motion"):
        assert query in page


def test_metrics_carry_protocol_and_numbers(page):
    assert "metric protocol <em>fixed</em>: mean over 3 seeds × 12 test pairs from 2 patients" in page
    assert "95 % bootstrap" in page
    assert "The test set holds 2 patients." in page


def test_claims_stand_beside_verdicts_in_words(page, results):
    signs = {"agrees": "✓", "disagrees": "✗", "not decided": "○"}
    shown = re.findall(r'<td class="verdict \w+"><span aria-hidden="true">(.)</span> ([a-z ]+)</td>', page)
    assert shown == [(signs[claim["verdict"]], claim["verdict"]) for claim in results.claims]
    assert len(set(shown)) >= 2


def test_data_section_lists_licences_and_reasons(page):
    for text in (
        "Apache-2.0",
        "Wasserthal J. et al.",
        "14 files or slices left out",
        "little body",
        "head-693/scout.dcm",
    ):
        assert text in page


def test_provenance_and_configuration_are_shown(page):
    for text in (
        "git commit",
        "source of both packages, SHA-256",
        "cd" * 32,
        "learning_rate: 0.002",
        "torch 2.13.0+cpu",
    ):
        assert text in page


def test_two_networks_get_a_table_each(results, config):
    def both(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, table.assign(network="wide")], ignore_index=True)

    tables = {name: both(getattr(results, name)) for name in ("models", "curves", "cost", "runs")}
    wide = [
        dataclasses.replace(record, run=record.run | {"run": record.run["run"] | {"network": "wide"}})
        for record in results.records
    ]
    networks = config.study.networks | {"wide": config.study.networks["dncnn"]}
    study = config.study.model_copy(update={"networks": networks})
    text = render_page(
        dataclasses.replace(results, **tables, records=results.records + wide),
        config.model_copy(update={"study": study}),
    )
    outline = Outline(text)
    assert len([a for a in outline.all("table") if a.get("class") == "results sortable"]) == 2
    ids = [attributes["id"] for _, attributes in outline.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_a_small_study_of_one_seed_without_own_sources(make_study, config, tmp_path):
    settings = [("plain", "none", 0.0, 0.3, 0.9), ("projection", "frobenius", 1e-2, 0.26, 0.05)]
    inputs = dataclasses.replace(make_study(settings, [0]), sources=None)
    text = build_report(inputs, config, tmp_path / "index.html").read_text(encoding="utf-8")
    assert "[–" not in text
    specifications = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    for specification in specifications:
        json.loads(specification, parse_constant=pytest.fail)  # NaN is no JSON: the browser would refuse it
    assert len(specifications) == 10
    assert "mean over 1 seed ×" in text


def test_a_page_that_is_too_large_is_refused_and_not_written(study, config, tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "MAXIMUM_BYTES", 1000)
    with pytest.raises(InputError, match="expected a page below 1,000 bytes"):
        build_report(study, config, tmp_path / "index.html")
    assert not list(tmp_path.iterdir())


def test_identity_names_the_columns_of_a_model(results):
    assert not results.models.duplicated(IDENTITY).any()
