"""The table of all runs in a browser: searched, sorted, folded on a phone, complete without scripts."""

import pytest
from tests.ctmar.reporting.conftest import SEEDS, SETTINGS

pytestmark = pytest.mark.browser
N_RUNS = len(SETTINGS) * len(SEEDS)
ROWS = "[...document.querySelectorAll('#table-runs tbody tr')]"
SHOWN = f"{ROWS}.filter(row => row.checkVisibility()).length"


@pytest.fixture(scope="module")
def page(browser, report_page):
    browser.open(report_page)
    browser.run("document.querySelector('#runs details').open = true")
    return browser


def type_into_search(page, text):
    page.run("(() => { const box = document.querySelector('#search-runs'); box.focus(); box.select(); })()")
    page.send("Input.insertText", text=text) if text else page.run("""(() => {
        const box = document.querySelector('#search-runs');
        box.value = ''; box.dispatchEvent(new Event('input'));
    })()""")


def test_typed_words_leave_the_rows_that_hold_all_of_them_and_their_curves(page):
    assert page.run(SHOWN) == N_RUNS
    type_into_search(page, "spectral seed 1")
    assert page.run(SHOWN) == 1
    assert page.run("document.querySelector('.search-runs output').textContent") == f"1 of {N_RUNS}"
    assert page.run("document.querySelectorAll('#run-curves-1 g:not(.faint)').length") == 1
    type_into_search(page, "no such run")
    assert page.run(SHOWN) == 0
    type_into_search(page, "")
    assert page.run(SHOWN) == N_RUNS


def test_a_click_sorts_by_the_number_behind_a_cell(page):
    values = f"{ROWS}.map(row => Number(row.cells[3].dataset.value))"
    before = page.run(values)
    page.run("document.querySelectorAll('#table-runs th button')[3].click()")
    assert page.run(values) == sorted(before, reverse=True)


def test_the_curve_of_the_row_with_the_focus_stands_out(page):
    page.run(f"{ROWS}[4].dispatchEvent(new PointerEvent('pointerover', {{bubbles: true}}))")
    found = page.run("[...document.querySelectorAll('#run-curves-1 g.found')].map(g => g.dataset.run)")
    assert found == [page.run(f"{ROWS}[4].dataset.run")]


def test_on_a_phone_a_run_is_a_card_as_wide_as_the_page_and_without_scripts_it_is_whole(browser, report_page):
    browser.open(report_page, width=390, scripts=False)
    browser.run("document.querySelector('#runs details').open = true")
    assert browser.run(SHOWN) == N_RUNS
    assert browser.run("Math.max(...[...document.querySelectorAll('#table-runs tbody > tr > *')]"
                       ".map(cell => cell.getBoundingClientRect().right))") <= 390  # fmt: skip
    assert not browser.run("document.querySelector('.search-runs').checkVisibility()")
    assert browser.run(
        "[...document.querySelectorAll('#table-runs .spark')].every(s => s.getBoundingClientRect().height > 15)"
    )
