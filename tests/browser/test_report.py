"""The report as a reader meets it: in a browser, offline, by mouse and by keyboard, wide and narrow, light and dark."""

import base64
import re
from importlib import resources
from xml.etree import ElementTree

import pytest
from tests.ctmar.reporting.conftest import N_SERIES, SEEDS, SETTINGS

from ctmar.config.methods import Kind
from ctmar.reporting.marks import COLOURS

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, report_page):
    browser.open(report_page)
    return browser


def key(page, name, code, text=""):
    virtual = {"Tab": 9, "Enter": 13, "b": 66, "ArrowRight": 39}[name]
    common = {"key": name, "code": code, "windowsVirtualKeyCode": virtual}
    page.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
    page.send("Input.dispatchKeyEvent", type="keyUp", **common)


MAIN = "#table-models-dncnn"
PSNR, P_VALUE = 2, 4  # columns of the main table: fixed PSNR, and p, which plain has not


def column(page, index):
    rows = f"[...document.querySelectorAll('{MAIN} tbody.models tr:not(.kind)')]"
    return page.run(f"{rows}.map(r => r.cells[{index}].dataset.value)")


def visible(page, selector):
    return page.run(f"[...document.querySelectorAll('{selector}')].filter(e => e.checkVisibility()).length")


def test_no_console_errors_and_no_requests(page, report_page):
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.run("new Promise(done => setTimeout(done, 300))")
    assert page.problems() == []
    assert page.requests() == [report_page.resolve().as_uri()]


def test_the_network_is_refused(page):
    page.events.clear()
    blocked = page.run("fetch('https://example.org/').then(() => 'loaded', error => 'refused')")
    assert blocked == "refused"
    assert any("Content Security Policy" in problem for problem in page.problems())


def test_every_chart_is_drawn_with_its_marks(page):
    marks = """Object.fromEntries([...document.querySelectorAll('.chart')].map(c => [c.id,
        c.querySelector('svg').querySelectorAll('title').length]))"""
    drawn = page.run(marks)
    assert drawn["quality-1-1"] == drawn["quality-1-2"] == drawn["defect-1"] == drawn["cost-1"] == N_SERIES
    # of a sweep every weight with its seeds, and the line of plain training
    n_seeds = len(SEEDS)
    assert [drawn[f"response-1-1-{place}"] for place in (1, 2, 3)] == [4 * (1 + n_seeds) + 1] * 3
    assert [drawn[f"response-1-2-{place}"] for place in (1, 2, 3)] == [2 * (1 + n_seeds) + 1] * 3
    assert drawn["trade-off-1"] == len(SETTINGS)
    assert drawn["map-1-1"] == 6
    assert len(drawn) == 15
    heights = "[...document.querySelectorAll('.drawing svg')].filter(s => s.checkVisibility())"
    assert page.run(f"{heights}.length") == 15  # of two widths the one that fits
    assert page.run(f"{heights}.every(s => s.getBoundingClientRect().height > 60)")


def rest_on(page, mark):
    """Move the mouse to the middle of an element, which is scrolled into view."""
    x, y = page.run(f"""(() => {{
        const mark = {mark};
        mark.scrollIntoView({{block: "center", behavior: "instant"}});
        const box = mark.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")
    page.run("new Promise(done => setTimeout(done, 50))")
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


FOREST = "document.querySelector('#quality-1-1 .wide svg')"


def test_the_mouse_is_told_what_every_row_of_a_forest_says(page):
    texts = page.run(f"[...{FOREST}.querySelectorAll('title')].map(t => t.textContent)")
    assert len(texts) == N_SERIES
    heard = []
    for index in range(N_SERIES):
        rest_on(page, f"[...{FOREST}.querySelectorAll('title, [data-says]')].map(t => t.closest('path'))[{index}]")
        heard.append(page.run("document.querySelector('.tip').textContent"))
    assert heard == texts
    assert page.run("document.querySelector('.tip').checkVisibility()")
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert not page.run("document.querySelector('.tip').checkVisibility()")


def test_every_kind_of_chart_answers_the_mouse(page):
    for mark in (
        "document.querySelector('#response-1-1-1 path title').parentElement",
        "document.querySelector('#trade-off-1 .wide path title').parentElement",
        "document.querySelector('#map-1-1 path title').parentElement",
        "document.querySelector('#cost-1 .wide path title').parentElement",
        "document.querySelector('#equivariance .panel-chart circle')",
    ):
        said = page.run(f"{mark}.querySelector('title').textContent")
        rest_on(page, mark)
        assert page.run("document.querySelector('.tip:not([hidden])')?.textContent") == said


def test_arrow_keys_walk_along_the_marks(page):
    texts = page.run(f"[...{FOREST}.querySelectorAll('title')].map(t => t.textContent)")
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)  # a mouse that rests on a mark has a say, too
    page.run(f"{FOREST}.focus({{preventScroll: true}})")
    key(page, "ArrowRight", "ArrowRight")
    assert page.run("document.querySelector('.tip').textContent") == texts[0]
    key(page, "ArrowRight", "ArrowRight")
    assert page.run("document.querySelector('.tip').textContent") == texts[1]
    assert page.run("document.querySelector('.tip').role") == "status"


def test_a_chart_is_saved_as_it_is_seen(page):
    saved = page.run("""new Promise(done => {
        URL.createObjectURL = (blob) => { blob.text().then(done); return "blob:nothing"; };
        HTMLAnchorElement.prototype.click = () => {};
        document.querySelector('#quality-1-1 .save').click();
    })""")
    root = ElementTree.fromstring(saved)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "color: #1c2126" in root.attrib["style"]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}title"))) == N_SERIES


def test_names_and_values_of_a_forest_are_whole(page):
    texts = page.run("[...document.querySelectorAll('#quality-1-1 .wide svg text')].map(t => t.textContent)")
    assert "Projection, mixed\xa0(2,1)" in texts
    assert "Strictly equivariant" in texts
    assert not [text for text in texts if "…" in text]


def test_small_multiples_are_drawn_without_scripts(page):
    # norms three times (the last against the measured defect), angles, layers, curves of the chosen settings
    assert visible(page, ".panel-chart svg") == 3 * 8 + len(Kind) + 4 + N_SERIES
    page.run("document.querySelectorAll('#curves details').forEach(d => { d.open = true; })")
    assert visible(page, "#curves .panel-chart svg") == N_SERIES + len(SETTINGS)


def test_a_click_sorts_down_up_and_back(page):
    before = column(page, PSNR)
    numbers = [float(value) for value in before]
    press = f"document.querySelectorAll('{MAIN} thead tr:last-child button')[{PSNR}].click()"
    state = f"document.querySelectorAll('{MAIN} thead tr:last-child th')[{PSNR}].ariaSort"
    page.run(press)
    assert [float(value) for value in column(page, PSNR)] == sorted(numbers, reverse=True)
    assert page.run(state) == "descending"
    assert visible(page, f"{MAIN} tbody.models tr.kind") == 0
    page.run(press)
    assert [float(value) for value in column(page, PSNR)] == sorted(numbers)
    assert page.run(state) == "ascending"
    page.run(press)
    assert column(page, PSNR) == before
    assert page.run(state) == "none"
    assert visible(page, f"{MAIN} tbody.models tr.kind") == len(Kind) - 1
    assert page.run(f"document.querySelectorAll('{MAIN} tbody.references tr:not(.kind)').length") == 3


def test_missing_values_stay_last_in_both_directions(page):
    press = f"document.querySelectorAll('{MAIN} thead tr:last-child button')[{P_VALUE}].click()"
    for _ in range(2):
        page.run(press)
        values = column(page, P_VALUE)
        assert values[-1] == ""
        assert "" not in values[:-1]


def test_a_table_shows_the_chosen_settings_and_on_demand_all(page):
    rows = f"{MAIN} tbody.models tr:not(.kind)"
    box = ".settings-filter [name=settings]"
    assert visible(page, rows) == N_SERIES
    assert visible(page, f"{MAIN} td.best") > 0
    page.run(f"document.querySelector('{box}').click()")
    assert visible(page, rows) == len(SETTINGS)
    page.run(f"document.querySelector('{box}').click()")
    assert visible(page, rows) == N_SERIES


def test_sections_fold_and_a_link_opens_them(page):
    heading = "document.querySelector('#results > details > summary').click()"
    assert visible(page, MAIN) == 1
    page.run(heading)
    assert visible(page, MAIN) == 0
    page.run("document.querySelector('nav a[href=\"#results\"]').click()")
    page.run("new Promise(done => setTimeout(done, 200))")
    assert visible(page, MAIN) == 1
    button = "document.querySelector('.fold-all')"
    page.run(f"{button}.click()")
    page.run("new Promise(done => setTimeout(done, 200))")
    assert visible(page, "details.fold > :not(summary)") == 0
    assert page.run(f"{button}.textContent") == "Open all sections"
    page.run(f"{button}.click()")
    assert page.run("[...document.querySelectorAll('details.fold')].every(d => d.open)")


def test_footnotes_of_folded_methods_are_reached(page):
    page.run("location.hash = '#ref-bai2025'")
    page.run("new Promise(done => setTimeout(done, 200))")
    assert visible(page, "#ref-bai2025") == 1


def test_printing_opens_every_section(page):
    page.send("Emulation.setEmulatedMedia", media="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("[...document.querySelectorAll('details.fold')].every(d => d.open)")
    assert visible(page, "nav") == 0
    page.send("Emulation.setEmulatedMedia", media="")


def test_thumbnails_are_shown_with_their_numbers(page):
    loaded = "[...document.querySelectorAll('.thumbnails img')].map(i => { i.loading = 'eager'; return i.decode(); })"
    assert page.run(f"Promise.all({loaded}).then(all => all.length)") == 9
    assert "64 of 191 slices kept; 1.5 mm apart; −1024 to 1532 HU" in page.run(
        "document.querySelector('.series figcaption').textContent"
    )


def test_the_first_tab_offers_to_skip_the_contents(page):
    key(page, "Tab", "Tab")
    assert page.run("document.activeElement.className") == "skip"
    key(page, "Enter", "Enter", "\r")
    assert page.run("document.activeElement.id") == "main"


def test_outlines_can_be_switched_off(page):
    assert page.run("getComputedStyle(document.querySelector('.pic .outline')).display") != "none"
    page.run("document.querySelector('[name=outline]').click()")
    assert page.run("getComputedStyle(document.querySelector('.pic .outline')).display") == "none"


def test_downloads_are_held_by_the_page(page):
    assert page.run("[...document.querySelectorAll('a[download]')].every(a => a.href.startsWith('data:text/'))")


@pytest.mark.parametrize("width", [400, 768, 1400])
def test_the_page_never_scrolls_sideways(browser, report_page, width):
    browser.open(report_page, width=width)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_wide_tables_scroll_inside_their_box_on_a_phone(browser, report_page):
    browser.open(report_page, width=400)
    box = f"document.querySelector('{MAIN}').closest('.scroll')"
    inside, outside = browser.run(f"[{box}.scrollWidth, {box}.clientWidth]")
    assert inside > outside
    assert outside <= 400
    browser.run(f"{box}.scrollLeft = 200")
    left = f"document.querySelector('{MAIN} tbody.models th[scope=row]').getBoundingClientRect().left"
    assert browser.run(f"{left} >= {box}.getBoundingClientRect().left")  # names of methods stay in view
    captions = "[...document.querySelectorAll('caption span')].map(c => c.getBoundingClientRect().width)"
    assert browser.run(f"Math.max(...{captions})") <= 400


def test_charts_stay_inside_a_phone(browser, report_page):
    browser.open(report_page, width=400)
    right = "[...document.querySelectorAll('.drawing svg, .panel-chart svg')].filter(s => s.checkVisibility())"
    assert browser.run(f"Math.max(...{right}.map(s => s.getBoundingClientRect().right))") <= 400


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(browser, report_page, dark):
    browser.open(report_page, dark=dark)
    ratio = browser.run("""(() => {
        const luminance = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number).map((v) => v / 255)
            .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const paper = luminance(getComputedStyle(document.body).backgroundColor);
        const texts = ["p", ".note", "caption", "nav a", ".verdict.agrees", ".verdict.disagrees", ".judgement.above"];
        // a small study may decide nothing: what the page does not show is put there to be measured
        const shown = (selector) => document.querySelector(selector) ?? document.querySelector("main").appendChild(
            Object.assign(document.createElement("span"), {className: selector.replaceAll(".", " ").trim()}));
        return Math.min(...texts.map((selector) => {
            const ink = luminance(getComputedStyle(shown(selector)).color);
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        }));
    })()""")
    assert ratio >= 4.5  # WCAG 2.2, level AA
    assert (browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)") == dark


def test_marks_stand_out_from_both_papers():
    style = (resources.files("ctmar.reporting") / "static" / "report.css").read_text(encoding="utf-8")
    papers = re.findall(r"--paper: #([0-9a-f]{6})", style)
    colours = [colour.lstrip("#") for own in COLOURS.values() for colour in own if colour != "currentColor"]
    assert len(papers) == 2
    assert len(colours) == 6
    for paper in papers:
        for colour in colours:
            darker, lighter = sorted((luminance(paper), luminance(colour)))
            assert (lighter + 0.05) / (darker + 0.05) >= 3, (paper, colour)  # WCAG 2.2, 1.4.11


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


OVERLAPPING = """(() => {
    const found = [];
    for (const svg of document.querySelectorAll(".drawing svg, .panel-chart svg")) {
        if (!svg.checkVisibility()) continue;
        const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim());
        const boxes = texts.map(text => text.getBoundingClientRect());
        texts.forEach((text, i) => texts.slice(i + 1).forEach((other, j) => {
            const [a, b] = [boxes[i], boxes[i + 1 + j]];
            const [across, down] = [Math.min(a.right, b.right) - Math.max(a.left, b.left),
                Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];
            // boxes hold the room above and below letters; lines of one name may share it
            if (across > 1 && down > 5) found.push(`${text.textContent} | ${other.textContent}`);
        }));
    }
    return found;
})()"""


@pytest.mark.parametrize("width", [390, 768, 1280, 1680])
def test_words_of_charts_never_touch(browser, report_page, width):
    browser.open(report_page, width=width)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.run(OVERLAPPING) == []


SMALLEST = """Math.min(...[...document.querySelectorAll("body *")].filter(e => e.checkVisibility()
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e =>
    parseFloat(getComputedStyle(e).fontSize) * (e.ownerSVGElement?.getScreenCTM().a ?? 1)))"""


@pytest.mark.parametrize("width", [390, 768, 1280, 1680])
def test_no_text_is_too_small_to_read(browser, report_page, width):
    browser.open(report_page, width=width)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.run(SMALLEST) >= 10.8


@pytest.mark.parametrize("width", [1280, 1680])
def test_no_table_is_cut_on_a_desk(browser, report_page, width):
    browser.open(report_page, width=width)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    cut = "[...document.querySelectorAll('.scroll')].filter(s => s.scrollWidth > s.clientWidth).map(s => s.ariaLabel)"
    assert browser.run(cut) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_a_long_name_of_a_network_breaks(browser, report_page, width):
    text = report_page.read_text(encoding="utf-8").replace("dncnn", "n" * 90)
    long = report_page.with_name("long.html")
    long.write_text(text, encoding="utf-8")
    browser.open(long, width=width)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_every_picture_has_a_source(page):
    assert page.run("[...document.images].every(image => image.getAttribute('src'))")


@pytest.fixture
def still(browser, report_page):
    """The page as a browser without scripts shows it."""
    browser.open(report_page, scripts=False)
    return browser


def test_without_scripts_all_is_there_but_what_needs_them(still):
    assert visible(still, ".drawing svg") == 15
    assert still.run(f"{FOREST}.querySelectorAll('title').length") == N_SERIES
    assert visible(still, ".save, .explorer, .settings-filter, .fold-all, .tip") == 0
    assert still.run("[...document.images].every(image => image.getAttribute('src'))")
    assert still.problems() == []


def test_on_paper_folded_sections_are_open_without_scripts(still):
    assert not still.run("document.querySelector('#provenance details').open")
    still.send("Emulation.setEmulatedMedia", media="print")
    assert still.run("document.querySelector('.record').getBoundingClientRect().height") > 50
    still.send("Emulation.setEmulatedMedia", media="")


def test_paper_is_not_wasted(page):
    page.send("Emulation.setEmulatedMedia", media="print")
    page.send("Emulation.setDeviceMetricsOverride", width=718, height=1000, deviceScaleFactor=1, mobile=False)
    page.run("dispatchEvent(new Event('beforeprint'))")
    height = page.run("document.body.getBoundingClientRect().height")
    # what is in a box of its own does not come again above the rest of a table on the next sheet
    assert page.run("getComputedStyle(document.querySelector('th button')).display") == "contents"
    page.send("Emulation.setEmulatedMedia", media="")
    printed = page.send(
        "Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True
    )
    n_pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", base64.b64decode(printed["data"])))
    assert n_pages <= 8
    assert n_pages <= height / 1047 + 2  # a page of A4 within its margins; figures that do not fit begin a new one
    assert visible(page, "nav") == 1
