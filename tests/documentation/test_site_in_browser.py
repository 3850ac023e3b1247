"""The site as a reader meets it: opened from files, without network, wide and narrow."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.chromium import Browser, find_chromium

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGES = ("index.html", "architecture.html", "derivation.html", "reference/equiproj/regularisers.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium found on PATH (chromium, chromium-browser, google-chrome)")
    with Browser(executable) as opened:
        yield opened


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_the_network_for_nothing_and_is_no_wider_than_the_screen(
    browser: Browser, site: Path, name: str, width: int
):
    browser.open(site / name, width=width)
    assert browser.problems() == []
    assert [address for address in browser.requests() if not address.startswith("file:")] == []
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_search_works_from_files(browser: Browser, site: Path):
    browser.open(site / "index.html")
    browser.run("""(() => {
        document.querySelector("[data-md-toggle=search]").click();
        const query = document.querySelector("[data-md-component=search-query]");
        query.focus();
        query.value = "Reynolds average";
        query.dispatchEvent(new Event("keyup"));
        query.dispatchEvent(new Event("input"));
    })()""")
    found = browser.run("""new Promise(done => {
        const results = () => [...document.querySelectorAll(".md-search-result__link")].map(a => a.href);
        const started = Date.now();
        const look = () => results().length || Date.now() - started > 10000 ? done(results()) : setTimeout(look, 100);
        look();
    })""")
    assert any("derivation.html" in address for address in found)
    assert [address for address in browser.requests() if not address.startswith("file:")] == []
