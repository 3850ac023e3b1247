"""The one filter of settings, in its address, and numbers copied out of tables, as a reader meets them."""

import csv

import pytest
from tests.ctmar.reporting.conftest import N_SERIES, SEEDS, SETTINGS

from ctmar.config.methods import METHODS, Kind

pytestmark = pytest.mark.browser
N_PENALTIES = sum(METHODS[setting[0]].kind is Kind.PENALTY for setting in SETTINGS)
N_PENALTY_SERIES = len({setting[:2] for setting in SETTINGS if METHODS[setting[0]].kind is Kind.PENALTY})
MAIN = "#table-models-dncnn"
ROWS = f"{MAIN} tbody.models tr:not(.kind)"
FOREST = "#quality-1-1 .wide svg"
PENALTY = ".settings-filter [name=kind][value=penalty]"
SPECTRAL = ".settings-filter [name=norm][value=spectral]"


@pytest.fixture
def page(browser, report_page):
    browser.open(report_page)
    return browser


def visible(page, selector):
    return page.run(f"[...document.querySelectorAll('{selector}')].filter(e => e.checkVisibility()).length")


def click(page, selector):
    page.run(f"document.querySelector('{selector}').click()")


def text(page, selector):
    return page.run(f"document.querySelector('{selector}').textContent")


def names(page):
    return page.run(
        f"[...document.querySelectorAll('{ROWS}')].filter(r => r.checkVisibility()).map(r => r.cells[0].textContent)"
    )


def press(page, name, code, virtual, typed=""):
    common = {"key": name, "code": code, "windowsVirtualKeyCode": virtual}
    page.send("Input.dispatchKeyEvent", type="keyDown", text=typed, **common)
    page.send("Input.dispatchKeyEvent", type="keyUp", **common)


def settle(page):
    page.run("new Promise(done => setTimeout(done, 100))")


def test_at_rest_everything_is_shown_that_validation_prefers(page):
    assert text(page, ".count") == (
        f"{len(SETTINGS)} of {len(SETTINGS)} settings shown, in tables the {N_SERIES} that validation prefers"
    )
    assert page.run("document.querySelector('.count').role") == "status"
    assert visible(page, "svg .out") == 0
    assert visible(page, ".settings-filter [type=reset]") == 0
    assert visible(page, "#facets") == 0


def test_one_choice_filters_tables_panels_and_charts(page):
    panels = "[...document.querySelectorAll('#curves > details > .multiples .panel-chart')]"
    click(page, PENALTY)
    assert text(page, ".count").startswith(f"{N_PENALTIES} of {len(SETTINGS)} settings shown, in tables the")
    assert len(names(page)) == N_PENALTY_SERIES
    assert page.run(f"{panels}.filter(p => p.checkVisibility()).length") == N_PENALTY_SERIES
    # of a forest the marks, their intervals, names and values
    pale = f"[...document.querySelectorAll('{FOREST} [data-facets].out')]"
    assert page.run(f"{pale}.every(e => !e.dataset.facets.startsWith('penalty'))")
    assert page.run(f"{pale}.filter(e => e.tagName === 'text').length") == 2 * (N_SERIES - N_PENALTY_SERIES)
    assert page.run(f"getComputedStyle({pale}[0]).opacity") == "0.12"
    click(page, SPECTRAL)
    # the penalty beside the optimiser has no norm to be asked for
    assert names(page) == ["Projection, spectral", "Proximal step"]
    click(page, PENALTY)
    assert len(names(page)) == N_SERIES - N_PENALTY_SERIES + 2


def test_what_is_pale_says_nothing(page):
    said = "[...document.querySelectorAll('#quality-1-1 .wide [data-says]:not(.out)')].length"
    click(page, PENALTY)
    page.run(f"document.querySelector('{FOREST}').focus({{preventScroll: true}})")
    heard = set()
    for _ in range(N_SERIES):
        press(page, "ArrowRight", "ArrowRight", 39)
        heard.add(text(page, ".tip").split("\n")[0])
    assert len(heard) == page.run(said) == N_PENALTY_SERIES
    assert all(name.startswith(("Projection", "Proximal")) for name in heard)


def test_seeds_are_asked_for_by_their_least_number(browser, report_page, tmp_path):
    fewer = report_page.read_text(encoding="utf-8").replace("penalty|spectral|3|", "penalty|spectral|1|")
    path = tmp_path / "fewer.html"
    path.write_text(fewer, encoding="utf-8")
    browser.open(path, address="?seeds=2")
    assert text(browser, ".count").startswith(f"{len(SETTINGS) - 1} of {len(SETTINGS)} settings shown")
    assert "Projection, spectral" not in names(browser)
    assert len(SEEDS) == 3


def test_the_best_is_the_best_of_the_rows_shown(page):
    best = f"[...document.querySelectorAll('{MAIN} td.best:nth-child(4)')].map(c => c.dataset.value)"
    shown = f"[...document.querySelectorAll('{ROWS}')].filter(r => r.checkVisibility())"
    for choice in (None, ".settings-filter [name=settings]", ".settings-filter [name=kind][value=weight]"):
        if choice:
            click(page, choice)
        values = page.run(f"{shown}.map(row => Number(row.cells[3].dataset.value))")
        assert {f"{float(value):.2f}" for value in page.run(best)} == {f"{max(values):.2f}"}
        assert "(best)" in text(page, f"{MAIN} td.best")


def test_the_address_holds_the_filter_and_back_takes_it_back(page):
    click(page, PENALTY)
    click(page, SPECTRAL)
    assert page.run("location.hash") == "#?kind=penalty&norm=spectral"
    page.run("history.back()")
    settle(page)
    assert page.run("location.hash") == "#?kind=penalty"
    assert len(names(page)) == N_PENALTY_SERIES
    assert not page.run(f"document.querySelector('{SPECTRAL}').checked")
    page.run("history.back()")
    settle(page)
    assert len(names(page)) == N_SERIES
    page.run("history.forward()")
    settle(page)
    assert len(names(page)) == N_PENALTY_SERIES
    assert page.problems() == []


def test_a_link_shares_section_and_filter(browser, report_page):
    browser.open(report_page, address="equivariance?kind=penalty&norm=spectral&settings=all")
    assert browser.run(f"document.querySelector('{SPECTRAL}').checked && document.querySelector('{PENALTY}').checked")
    assert "Projection, spectral" in names(browser)
    assert "Plain training" not in names(browser)
    top = "document.querySelector('#equivariance').getBoundingClientRect().top"
    assert 0 <= browser.run(top) < 200


def test_a_link_to_a_section_keeps_the_filter(page):
    click(page, PENALTY)
    page.run("document.querySelector('nav a[href=\"#cost\"]').click()")
    settle(page)
    assert page.run("location.hash") == "#cost?kind=penalty"
    assert len(names(page)) == N_PENALTY_SERIES
    click(page, ".settings-filter [type=reset]")
    assert page.run("location.hash") == "#cost"
    assert len(names(page)) == N_SERIES
    assert page.run("document.activeElement.textContent") == "Filter"


@pytest.mark.parametrize("address", ["%", "?kind=nothing", "?%E0%A4%A&=&&", "?seeds=many", "nowhere?norm=spectral"])
def test_no_address_breaks_the_page(browser, report_page, address):
    browser.open(report_page, address=address)
    assert browser.problems() == []
    assert " settings shown" in text(browser, ".count")


def test_the_filter_is_used_by_keyboard(page):
    page.run("document.querySelector('.settings-filter .open').focus()")
    press(page, "Enter", "Enter", 13, "\r")
    assert page.run("document.activeElement.ariaExpanded") == "true"
    press(page, "Tab", "Tab", 9)
    assert page.run("document.activeElement.name") == "kind"
    press(page, " ", "Space", 32, " ")
    assert page.run("document.activeElement.checked")
    assert page.run("location.hash") == "#?kind=plain"
    press(page, "Escape", "Escape", 27)
    assert visible(page, "#facets") == 0
    assert page.run("document.activeElement.textContent") == "Filter"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_filter_stays_in_view_and_leaves_room(browser, report_page, width):
    browser.open(report_page, width=width, height=844)
    browser.run("document.querySelector('#cost').scrollIntoView({behavior: 'instant'})")
    settle(browser)
    box = "document.querySelector('.settings-filter').getBoundingClientRect()"
    assert browser.run(f"{box}.top") == 0
    assert browser.run(f"{box}.height") < 100
    heading = browser.run("document.querySelector('#cost h2').getBoundingClientRect().top")
    assert browser.run(f"{box}.bottom") <= heading < 300
    click(browser, ".settings-filter .open")
    assert browser.run(f"{box}.height") < 0.8 * 844
    assert browser.run("document.documentElement.scrollWidth") <= width


COPIED = """(select) => {
    getSelection().removeAllRanges();
    const range = document.createRange();
    select(range);
    getSelection().addRange(range);
    const event = new ClipboardEvent("copy", { clipboardData: new DataTransfer(), bubbles: true, cancelable: true });
    document.querySelector("main").dispatchEvent(event);
    return [event.clipboardData.getData("text/plain"), event.defaultPrevented];
}"""


def test_copied_numbers_are_ascii(page):
    row = f"[...document.querySelectorAll('{ROWS}')].find(r => r.cells[0].textContent === 'Strictly equivariant')"
    shown = page.run(f"{row}.cells[4].textContent")
    assert "\N{MINUS SIGN}" in shown
    copied, replaced = page.run(f"({COPIED})(range => range.selectNode({row}))")
    cells = copied.split("\t")
    assert replaced
    assert cells[0] == "Strictly equivariant"
    assert float(cells[4].split(" ")[0]) < 0
    assert float(cells[-2].split(" ")[0]) == pytest.approx(
        page.run(f"Number([...{row}.cells].at(-2).dataset.value)"), rel=0.1, abs=1e-12
    )
    assert copied.isascii() or set(copied) - set(map(chr, range(128))) <= {"×", "–"}
    one, _ = page.run(f"({COPIED})(range => range.selectNodeContents({row}.cells[4].firstChild))")
    assert float(one) < 0
    prose, replaced = page.run(f"({COPIED})(range => range.selectNodeContents(document.querySelector('.summary p')))")
    assert not replaced
    assert prose == ""


def test_powers_of_ten_are_copied_as_numbers(page):
    cell = f"document.querySelector('{ROWS} td:nth-child(2)')"
    for shown, copied in (
        ("2.5·10⁻⁴", "2.5e-4"),
        ("−3·10¹²", "-3e12"),
        ("λ⊥ 10⁻⁵", "λ⊥ 1e-5"),
        ("1,000 and 10", "1,000 and 10"),
    ):
        page.run(f"{cell}.textContent = '{shown}'")
        assert page.run(f"({COPIED})(range => range.selectNodeContents({cell}))")[0] == copied


def test_a_table_is_copied_as_csv(page):
    click(page, PENALTY)
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    click(page, f"button[data-table={MAIN[1:]}]")
    settle(page)
    rows = list(csv.DictReader(page.run("window.copied").splitlines()))
    assert len(rows) == N_PENALTY_SERIES + 3  # references stay
    own = {row["Method"]: row for row in rows}
    assert "Projection, mixed (2,1)" in own
    difference = "Protocol fixed Difference to plain [dB]"
    spectral = own["Projection, spectral"]
    assert float(spectral[f"{difference} low"]) < float(spectral[difference]) < float(spectral[f"{difference} high"])
    row = f"[...document.querySelectorAll('{ROWS}')].find(r => r.cells[0].textContent === 'Projection, spectral')"
    assert spectral[difference] == page.run(f"{row}.cells[4].dataset.value")
    assert own["Input"]["Protocol fixed PSNR [dB]"]
    assert text(page, f"button[data-table={MAIN[1:]}] + [role=status]") == "Copied these rows as CSV."
