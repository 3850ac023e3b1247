"""Kernels in the browser: chosen by mouse and keyboard, there without scripts, and nothing wider than the page."""

import pytest

pytestmark = pytest.mark.browser
SHOWN = """[...document.querySelectorAll("figure.kernel")].filter(f => f.checkVisibility())
    .sort((a, b) => a.getBoundingClientRect().left - b.getBoundingClientRect().left)
    .map(f => f.querySelector("figcaption").textContent)"""
FIRST = '"[name=kernel-layer]"'


def captions(page):
    return page.run(SHOWN)


@pytest.mark.parametrize("scripts", [True, False])
def test_plain_and_the_penalty_are_shown_first(browser, report_page, scripts):
    browser.open(report_page, scripts=scripts)
    found = captions(browser)
    assert len(found) == 2
    assert found[0].startswith("Plain, seed 0 layers.0.weight: ‖W‖ = 5.00")
    assert found[1].startswith("Projection")
    assert browser.run("document.querySelector('.kernel-choice').checkVisibility()") == scripts


def test_a_layer_is_chosen_by_the_keyboard(browser, report_page):
    browser.open(report_page)
    browser.run(f"document.querySelector({FIRST}).focus()")
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key="ArrowDown", code="ArrowDown", windowsVirtualKeyCode=40)
    assert all(" layers.1.weight: " in text for text in captions(browser))
    assert len(captions(browser)) == 2


def test_a_setting_is_chosen_for_each_side(browser, report_page):
    browser.open(report_page)
    names = browser.run("[...document.querySelector('[name=kernel-setting]').options].map(o => o.textContent)")
    browser.run("""document.querySelectorAll('[name=kernel-setting]').forEach((select, side) => {
        select.value = side ? 0 : 1;
        select.dispatchEvent(new Event('change', {bubbles: true}));
    })""")
    found = captions(browser)
    assert [text.startswith(name) for text, name in zip(found, (names[1], names[0]), strict=True)] == [True, True]
    browser.run("""document.querySelectorAll('[name=kernel-setting]')[1].value = 1""")
    browser.run(f"document.querySelector({FIRST}).dispatchEvent(new Event('change', {{bubbles: true}}))")
    assert len(captions(browser)) == 1  # the same setting twice


@pytest.mark.parametrize("width", [390, 1280])
def test_pictures_fit_and_stay_square(browser, report_page, width):
    browser.open(report_page, width=width)
    boxes = browser.run("""[...document.querySelectorAll(".kernel-picture img")].filter(i => i.checkVisibility())
        .map(i => [i, i.getBoundingClientRect()])
        .map(([image, box]) => [box.right, box.width / 3, box.height / 4, image.naturalWidth])""")
    assert len(boxes) == 6
    for right, kernel_width, kernel_height, pixels in boxes:
        assert right <= width
        assert kernel_width == pytest.approx(kernel_height, rel=0.02)
        assert kernel_width > 20
        assert pixels == 9
