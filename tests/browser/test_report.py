"""The report as a reader meets it: in a browser, offline, by mouse and by keyboard, wide and narrow, light and dark."""

import pytest

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


def choose(page, name, value):
    page.run(f"""(() => {{
        const select = document.querySelector("select[name={name}]");
        select.value = {value};
        select.dispatchEvent(new Event("change"));
    }})()""")


def column(page, index):
    return page.run(
        f"[...document.querySelectorAll('.results tbody.models tr')].map(r => r.cells[{index}].dataset.value)"
    )


def test_no_console_errors_and_no_requests(page, report_page):
    assert page.problems() == []
    assert page.requests() == [report_page.resolve().as_uri()]


def test_the_network_is_refused(page):
    page.events.clear()
    blocked = page.run("fetch('https://example.org/').then(() => 'loaded', error => 'refused')")
    assert blocked == "refused"
    assert any("Content Security Policy" in problem for problem in page.problems())


def test_every_chart_is_drawn_with_its_marks(page):
    assert page.run("document.querySelectorAll('.vega').length") == 10
    point = "svg [aria-roledescription=point]"
    marks = page.run(f"[...document.querySelectorAll('.vega')].map(c => c.querySelectorAll('{point}').length)")
    # six responses of eight settings, the trade-off of eleven, four models over eight epochs twice, the cost of eight
    assert marks == [8] * 6 + [11] + [32] * 2 + [8]
    assert page.run("[...document.querySelectorAll('.vega svg')].every(s => s.getBoundingClientRect().height > 100)")


def test_a_click_sorts_down_up_and_back(page):
    before = column(page, 2)
    numbers = [float(value) for value in before]
    press = "document.querySelectorAll('.results th button')[2].click()"
    state = "document.querySelectorAll('.results thead th')[2].ariaSort"
    page.run(press)
    assert [float(value) for value in column(page, 2)] == sorted(numbers, reverse=True)
    assert page.run(state) == "descending"
    page.run(press)
    assert [float(value) for value in column(page, 2)] == sorted(numbers)
    assert page.run(state) == "ascending"
    page.run(press)
    assert column(page, 2) == before
    assert page.run(state) == "none"
    assert page.run("document.querySelectorAll('.results tbody.references tr').length") == 2


def test_missing_values_stay_last_in_both_directions(page):
    press = "document.querySelectorAll('.results th button')[3].click()"
    for _ in range(2):
        page.run(press)
        values = column(page, 3)
        assert values[-1] == ""
        assert "" not in values[:-1]


def test_the_viewer_compares_two_images(page):
    assert not page.run("document.querySelector('.viewer').hidden")
    assert page.run("[...document.querySelectorAll('.stage img')].every(i => i.complete && i.naturalWidth === 96)")
    choose(page, "b", 4)
    assert page.run("document.querySelector('.over').src === document.querySelectorAll('.example .pic img')[4].src")
    assert "error against the ground truth" in page.run("document.querySelector('.over').alt")
    choose(page, "example", 2)
    third = "document.querySelectorAll('.example')[2].querySelectorAll('.pic img')[4].src"
    assert page.run(f"document.querySelector('.over').src === {third}")


def test_the_viewer_is_operated_by_keyboard(page):
    page.run("document.querySelector('[name=divider]').focus()")
    for _ in range(10):
        key(page, "ArrowRight", "ArrowRight")
    assert page.run("document.querySelector('.stage').style.getPropertyValue('--split')") == "60%"
    key(page, "b", "KeyB", "b")
    assert page.run("document.querySelector('.blink').ariaPressed") == "true"
    second = "document.querySelector('.stage').classList.contains('second')"
    assert page.run(f"new Promise(done => setTimeout(() => done({second}), 800))")
    key(page, "b", "KeyB", "b")
    assert page.run("document.querySelector('.blink').ariaPressed") == "false"


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
    assert page.run("[...document.querySelectorAll('a[download]')].every(a => a.href.startsWith('data:text/tab'))")


@pytest.mark.parametrize("width", [400, 768, 1400])
def test_the_page_never_scrolls_sideways(browser, report_page, width):
    browser.open(report_page, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(browser, report_page, dark):
    browser.open(report_page, dark=dark)
    ratio = browser.run("""(() => {
        const luminance = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number).map((v) => v / 255)
            .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const paper = luminance(getComputedStyle(document.body).backgroundColor);
        const texts = ["p", ".note", "caption", "nav a", ".verdict.agrees", ".verdict.disagrees", ".judgement.above"];
        return Math.min(...texts.map((selector) => {
            const ink = luminance(getComputedStyle(document.querySelector(selector)).color);
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        }));
    })()""")
    assert ratio >= 4.5  # WCAG 2.2, level AA
    assert (browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)") == dark
