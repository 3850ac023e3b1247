"""The image explorer as a reader meets it: every control by mouse and by keyboard, and the numbers it shows."""

import numpy as np
import pytest
from tests.browser.test_standards import AXE, HOW
from tests.ctmar.reporting.conftest import SIZE

from ctmar.config import Run
from ctmar.reporting.images import error_image, window_image
from ctmar.store.run_folder import RunFolder
from ctmar.units import attenuation_to_hu

pytestmark = pytest.mark.browser
VIRTUAL = {"Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
LEFT = {"button": "left", "buttons": 1, "clickCount": 1}


@pytest.fixture
def page(browser, report_page):
    browser.open(report_page)
    near(browser)
    return browser


def near(page):
    """Scroll to the explorer, which unpacks its first example then."""
    page.run("""(async () => {
        const root = document.querySelector(".explorer");
        root.scrollIntoView({block: "start", behavior: "instant"});
        while (!root.explorer?.tiles.length) await new Promise(done => setTimeout(done, 20));
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    })()""")


def settled(page):
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 20))))")


def state(page, name):
    return page.run(f"document.querySelector('.explorer').explorer.state.{name}")


def press(page, *names, shift=False):
    for name in names:
        common = {"key": name, "modifiers": 8 if shift else 0, "windowsVirtualKeyCode": VIRTUAL.get(name, ord(name[0]))}
        text = name if len(name) == 1 else ""
        page.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        page.send("Input.dispatchKeyEvent", type="keyUp", **common)
    settled(page)


def place(page, element, across=0.5, down=0.5):
    """A point of an element in the window, into which it is scrolled."""
    x, y, width, height = page.run(f"""(() => {{
        const element = {element};
        element.scrollIntoView({{block: "center", behavior: "instant"}});
        const box = element.getBoundingClientRect();
        return [box.x, box.y, box.width, box.height];
    }})()""")
    return x + across * width, y + down * height


def click(page, element):
    settled(page)
    x, y = place(page, element)
    for kind in ("mousePressed", "mouseReleased"):
        page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **LEFT)
    settled(page)


def control(name, value=None):
    wanted = f'[data-state="{name}"]' + ("" if value is None else f'[value="{value}"]')
    return f"document.querySelector('.explorer {wanted}')"


def choose(page, name, value):
    """What the list of a select does when a reader picks an entry."""
    page.run(f"""(() => {{
        const select = {control(name)};
        select.value = "{value}";
        select.dispatchEvent(new Event("input", {{bubbles: true}}));
    }})()""")
    settled(page)


def canvas(index=0):
    return f"document.querySelectorAll('.explorer .tile canvas')[{index}]"


def drag(page, index, start, end, modifiers=0):
    (x, y), (to_x, to_y) = (place(page, canvas(index), *point) for point in (start, end))
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, modifiers=modifiers, **LEFT)
    for share in (0.5, 1):
        here = {"x": x + share * (to_x - x), "y": y + share * (to_y - y)}
        page.send("Input.dispatchMouseEvent", type="mouseMoved", modifiers=modifiers, **here, **LEFT)
    page.send("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=to_y, modifiers=modifiers, **LEFT)
    settled(page)


def names(page):
    return page.run("[...document.querySelectorAll('.explorer .tile .name')].map(name => name.textContent)")


def on_images(page):
    page.run("document.querySelector('.explorer .tiles').focus()")


def numbers(page, example, image):
    """All values [HU] of an image of an example, as the page unpacks them."""
    return np.array(
        page.run(f"""unpackedExample(document.querySelector('.explorer').explorer.facts.examples[{example}],
            document.querySelectorAll('script.packed')[{example}].textContent)
            .then(found => Array.from(found.mask, (_, pixel) => found.hu({image}, pixel)))""")
    ).reshape(SIZE, SIZE)


@pytest.fixture(scope="module")
def files(report_page):
    """Arrays [HU] of the study's files: truth, input, and of plain training output and outputs turned back."""
    results = report_page.parent / "results"
    plain = RunFolder.of(results / "runs", Run(network="dncnn", method="plain")).examples
    with np.load(results / "references" / "examples.npz") as file:
        arrays = {"truth": attenuation_to_hu(file["image"]), "input": attenuation_to_hu(file["ma_CT"])}
    with np.load(plain) as file:
        made = {"plain": file["prediction"], "turned_back": file["turned_back"]}
    return arrays | {name: attenuation_to_hu(array) for name, array in made.items()}


@pytest.mark.parametrize(("image", "name"), [(0, "truth"), (1, "input"), (4, "plain")])
def test_the_browser_unpacks_the_files_to_half_a_hounsfield_unit(page, files, image, name):
    for example in (0, 2):
        assert np.abs(numbers(page, example, image) - files[name][example]).max() <= 0.5


def test_the_browser_unpacks_outputs_turned_back(page, files):
    n_images = page.run("document.querySelector('.explorer').explorer.facts.examples[2].images.length")
    for turns in (1, 2, 3):
        found = numbers(page, 2, n_images + turns - 1)  # plain is the first of the models
        assert np.abs(found - files["turned_back"][0, turns - 1]).max() <= 0.5


def pixels(page, bitmap):
    """Colours of a bitmap of the explorer."""
    data = page.run(f"""(() => {{
        const explorer = document.querySelector(".explorer").explorer;
        const bitmap = {bitmap};
        return Array.from(bitmap.getContext("2d").getImageData(0, 0, bitmap.width, bitmap.height).data);
    }})()""")
    return np.array(data).reshape(SIZE, SIZE, 4)[..., :3]


def test_pictures_have_the_colours_of_the_still_ones(page):
    truth, plain = (numbers(page, 0, image) for image in (0, 4))
    mask = np.array(page.run("Array.from(document.querySelector('.explorer').explorer.shown.mask)")).reshape(SIZE, SIZE)
    grey = pixels(page, "explorer.bitmap({kind: 'ct', image: 4, against: 0})")
    assert np.abs(grey - window_image(plain, (-175.0, 275.0))[..., None]).max() <= 1
    error = pixels(page, "explorer.bitmap({kind: 'error', image: 4, against: 0})")
    assert np.abs(error - error_image(np.where(mask, 0, plain - truth), 200.0)).max() <= 1


def test_nothing_is_unpacked_before_a_reader_comes_near(browser, report_page):
    browser.open(report_page)
    assert browser.run("document.querySelector('.explorer').checkVisibility()")
    assert browser.run("document.querySelector('.explorer').explorer === undefined")
    near(browser)
    assert names(browser) == ["Ground truth", "Input", "Plain", "Projection, Frobenius, λ⊥\xa0=\xa010⁻²"]
    assert browser.problems() == []


def test_images_are_large_and_in_full_view_larger_than_their_pixels(page):
    width = f"{canvas()}.getBoundingClientRect().width"
    assert page.run(width) >= 240
    on_images(page)
    press(page, "f")
    assert page.run("document.querySelector('dialog').open")
    for index in (1, 4):
        click(page, control("image", index))
    assert len(names(page)) == 2
    assert page.run(width) >= 500 > SIZE
    assert page.run("document.querySelector('.explorer .sight').scrollHeight <= innerHeight")
    press(page, "Escape")
    assert page.run("document.querySelector('dialog')") is None
    assert page.run("document.querySelector('#images .explorer').checkVisibility()")
    click(page, "document.querySelector('.explorer .full')")
    assert page.run("document.querySelector('.explorer .full').ariaPressed") == "true"
    click(page, "document.querySelector('.explorer .full')")
    assert page.run("document.querySelector('dialog')") is None


def test_hovering_reads_the_values_of_every_tile(page):
    x, y = place(page, canvas(2), 60.5 / SIZE, 30.5 / SIZE)
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    settled(page)
    assert [state(page, "cross.column"), state(page, "cross.row")] == [60, 30]
    expected = [int(numbers(page, 0, image)[30, 60]) for image in (0, 1, 4)]
    found = page.run("[...document.querySelectorAll('.explorer .tile .value')].map(value => value.textContent)")
    assert [text.replace("−", "-") for text in found[:3]] == [f"{value} HU" for value in expected]
    assert "Row 30, column 60" in page.run("document.querySelector('.explorer .place').textContent")


def test_the_cross_is_moved_by_keys(page):
    on_images(page)
    press(page, "l", "k")
    assert [state(page, "cross.column"), state(page, "cross.row")] == [SIZE // 2 + 1, SIZE // 2 + 1]
    press(page, "j", "j", "i")
    assert [state(page, "cross.column"), state(page, "cross.row")] == [SIZE // 2 - 1, SIZE // 2]


def test_windows_are_set_by_list_fields_keys_and_drag(page):
    choose(page, "window", 2)
    assert [state(page, "low"), state(page, "high")] == [-500, 1500]
    assert page.run(f"[{control('level')}.value, {control('width')}.value]") == ["500", "2000"]
    choose(page, "level", 100)
    choose(page, "width", 50)
    assert [state(page, "low"), state(page, "high")] == [75, 125]
    assert page.run(f"{control('window')}.value") == "own"
    on_images(page)
    press(page, "4")
    assert [state(page, "low"), state(page, "high")] == [-1350, 150]
    assert page.run("document.querySelector('.explorer .low').textContent") == "−1350 HU"
    press(page, "ArrowRight", shift=True)
    assert state(page, "high") - state(page, "low") > 1500
    press(page, "ArrowUp", shift=True)
    assert (state(page, "low") + state(page, "high")) / 2 < -600
    press(page, "1")
    drag(page, 0, (0.3, 0.5), (0.6, 0.5))
    assert state(page, "high") - state(page, "low") > 1.3 * 450


def test_zoom_and_position_are_shared_by_all_tiles(page):
    on_images(page)
    press(page, "+", "+")
    assert state(page, "zoom") == pytest.approx(1.25**2)
    before = state(page, "x")
    press(page, "ArrowRight")
    assert state(page, "x") > before
    press(page, "0")
    assert state(page, "zoom") == 1
    x, y = place(page, canvas(1), 0.25, 0.25)
    page.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-240, modifiers=2)
    settled(page)
    assert state(page, "zoom") == pytest.approx(2)
    assert [state(page, "x"), state(page, "y")] == pytest.approx(
        [3 * SIZE / 8] * 2, abs=0.3
    )  # the point under the mouse stays
    click(page, control("drag", "position"))
    drag(page, 0, (0.6, 0.5), (0.4, 0.5))
    assert state(page, "x") == pytest.approx(3 * SIZE / 8 + 0.2 * SIZE / 2, abs=0.5)
    low = state(page, "low")
    drag(page, 0, (0.6, 0.6), (0.6, 0.4), modifiers=8)
    assert state(page, "low") < low  # with Shift the window
    for zoom, expected in (("1.25", 2.5), ("0.8", 2), ("0", 1)):
        click(page, f"document.querySelector('[data-zoom=\"{zoom}\"]')")
        assert state(page, "zoom") == pytest.approx(expected)
    for count in (1, 2):
        x, y = place(page, canvas(1))
        for kind in ("mousePressed", "mouseReleased"):
            page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)
    assert state(page, "zoom") == 2


def test_all_tiles_show_the_same_part(page):
    on_images(page)
    press(page, "+", "+", "+", "o")
    drawn = page.run("""(() => {
        const {tiles, shown, size, state} = document.querySelector(".explorer").explorer;
        return tiles.map(({canvas, layers}) => {
            const [x, y] = imagePoint(0.5, 0.5, size, state, 0).map(Math.floor);
            const [side, scale] = [canvas.width, state.zoom * canvas.width / size];
            const at = (place, centre) => Math.round(side / 2 + (place + 0.5 - centre) * scale);
            const value = canvas.getContext("2d").getImageData(at(x, state.x), at(y, state.y), 1, 1).data[0];
            return [value, shown.hu(layers[0].image, y * size + x)];
        });
    })()""")
    for grey, hu in drawn:
        assert abs(grey - window_image(np.array(float(hu)), (-175.0, 275.0))) <= 3  # in the middle of a pixel


def test_swipe_and_blink(page):
    click(page, control("compare", "swipe"))
    assert len(names(page)) == 1
    assert state(page, "split") == 0.5
    drag(page, 0, (0.5, 0.5), (0.2, 0.9))
    assert state(page, "split") == pytest.approx(0.2, abs=0.01)
    assert page.run("String(getSelection())") == ""
    press(page, "]", "[", "]")
    assert state(page, "split") == pytest.approx(0.25, abs=0.01)
    page.run(f"{control('split')}.focus()")
    press(page, "ArrowRight")
    assert state(page, "split") == pytest.approx(0.26, abs=0.01)
    choose(page, "a", 2)
    choose(page, "b", 3)
    assert names(page) == ["A: LI; B: NMAR"]
    on_images(page)
    press(page, "x")
    assert names(page) == ["A: NMAR; B: LI"]
    press(page, "b")
    assert state(page, "compare") == "blink"
    page.run("new Promise(done => setTimeout(done, 700))")
    first = state(page, "second")
    page.run("new Promise(done => setTimeout(done, 600))")
    assert state(page, "second") != first
    press(page, "b")
    assert state(page, "compare") == "beside"
    press(page, "s")
    assert state(page, "compare") == "swipe"
    press(page, "m", "m")
    assert state(page, "compare") == "beside"


def test_errors_share_one_scale(page):
    click(page, control("view", "error"))
    assert names(page) == ["Input", "Plain", "Projection, Frobenius, λ⊥\xa0=\xa010⁻²"]
    assert "Error against the ground truth" in page.run(f"{canvas()}.ariaLabel")
    assert "RMSE" in page.run(f"{canvas()}.ariaLabel")
    choose(page, "limit", 50)
    bars = "[...document.querySelectorAll('.explorer .limit')].map(limit => limit.textContent)"
    assert page.run(bars) == ["−50 HU", "+50 HU"]
    on_images(page)
    press(page, "e")
    assert page.run(bars) == ["−100 HU", "+100 HU"]
    press(page, "v")
    assert state(page, "view") == "both"
    assert len(names(page)) == 7


def test_turned_inputs_stand_beside_outputs_turned_back(page, files):
    click(page, control("view", "turned"))
    page.run("new Promise(done => setTimeout(done, 200))")
    assert state(page, "example") == 2  # the one whose outputs are kept
    shows = page.run("[...document.querySelectorAll('.explorer .tile .shows')].map(shows => shows.textContent)")
    assert [text.split(",")[0].split(":")[0] for text in shows[:4]] == [
        "Input",
        "Output for the upright input",
        "Output for the turned input",
        "Turned back minus upright",
    ]
    quality = page.run("[...document.querySelectorAll('.explorer .tile .quality')].map(quality => quality.textContent)")
    difference = np.rint(files["turned_back"][0, 0]) - np.rint(files["plain"][2])
    mask = np.array(page.run("Array.from(document.querySelector('.explorer').explorer.shown.mask)"))
    outside = difference[mask.reshape(SIZE, SIZE) == 0]
    rms, largest = np.sqrt(np.mean(outside**2)), np.abs(outside).max()
    annealed = page.run("document.querySelector('.explorer').explorer.facts.examples[0].images.map(i => i.name)").index(
        "Annealed"
    )
    assert quality[3] == f"{rms:.1f} HU root mean square, {largest:.0f} HU at most, outside the metal"
    assert annealed in state(page, "models")
    assert "0.0 HU root mean square, 0 HU at most, outside the metal" in quality
    on_images(page)
    press(page, "r")
    assert state(page, "turns") == 2
    assert "turned by 180°" in page.run(f"{canvas()}.ariaLabel")
    choose(page, "turns", 1)
    press(page, "s")
    assert len(names(page)) == 3 * 3
    assert not page.run(f"{control('image', 0)}.checkVisibility()")  # the truth has no input to turn
    click(page, control("image", 4))
    assert len(names(page)) == 2 * 3
    press(page, "p")
    assert [state(page, "view"), state(page, "example")] == ["ct", 1]


def test_a_turned_tile_shows_the_same_place_turned(page):
    """A point of the upright input is shown a quarter further, counter-clockwise, in the turned tile."""
    view = "{zoom: 1, x: 48, y: 48}"
    assert page.run(f"imagePoint(0.5, 0.25, 96, {view}, 0)") == [48, 24]
    assert page.run(f"imagePoint(0.25, 0.5, 96, {view}, 1)") == pytest.approx([48, 24])  # what was above is at the left


def test_two_fingers_zoom_and_one_sets_the_window(page):
    page.send("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    x, y = place(page, canvas(1))

    def touch(kind, *across):
        points = [{"x": x + one, "y": y, "id": number} for number, one in enumerate(across)]
        page.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    touch("touchStart", -20, 20)
    touch("touchMove", -30, 30)
    touch("touchMove", -40, 40)
    touch("touchEnd")
    settled(page)
    assert state(page, "zoom") == pytest.approx(2, rel=0.05)
    assert [state(page, "low"), state(page, "high")] == [-175, 275]
    touch("touchStart", 0)
    for across in (10, 20, 40):
        touch("touchMove", across)
    touch("touchEnd")
    settled(page)
    page.send("Emulation.setTouchEmulationEnabled", enabled=False)
    assert state(page, "zoom") == pytest.approx(2, rel=0.05)
    assert state(page, "high") - state(page, "low") > 450


@pytest.mark.skipif(not AXE.is_file(), reason=f"axe-core is not there: {HOW}")
def test_axe_finds_nothing_in_any_of_its_views(page):
    page.run(AXE.read_text(encoding="utf-8"))
    for keys in ("vvv", "s", "f"):  # turned, swipe, full view
        on_images(page)
        press(page, *keys)
        page.run("new Promise(done => setTimeout(done, 150))")
        found = page.run("""axe.run(".explorer", {resultTypes: ["violations"]}).then(result => result.violations.map(
            violation => [violation.id, violation.nodes.map(node => node.html.slice(0, 200))]))""")
        assert found == [], keys
    assert [state(page, "view"), state(page, "compare")] == ["turned", "swipe"]


def test_examples_and_images_are_chosen(page):
    choose(page, "example", 1)
    page.run("new Promise(done => setTimeout(done, 200))")
    assert state(page, "example") == 1
    on_images(page)
    press(page, "n")
    assert state(page, "example") == 2
    press(page, "n")
    assert state(page, "example") == 0
    press(page, "p")
    assert state(page, "example") == 2
    for image in state(page, "images"):
        page.run(f"{control('image', image)}.focus()")
        press(page, " ")
    assert names(page) == []
    assert page.run("document.querySelector('.explorer .nothing').checkVisibility()")
    click(page, control("image", 2))
    assert names(page) == ["LI"]


def test_outline_and_what_dragging_changes_by_key(page):
    on_images(page)
    press(page, "o")
    assert not state(page, "outline")
    assert page.run("getComputedStyle(document.querySelector('.pic .outline')).display") == "none"
    click(page, control("outline"))
    assert state(page, "outline")
    press(page, "d")
    assert state(page, "drag") == "position"


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False), (1680, True)])
def test_it_fits_every_screen(browser, report_page, width, dark):
    browser.open(report_page, width=width, height=900, dark=dark)
    near(browser)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(f"{canvas()}.getBoundingClientRect().width") >= 150
    right = "Math.max(...[...document.querySelectorAll('.explorer *')].filter(e => e.checkVisibility()).map(e =>"
    assert browser.run(f"{right} e.getBoundingClientRect().right))") <= width
    browser.run("document.querySelector('.explorer .full').click()")
    settled(browser)
    assert browser.run(f"{right} e.getBoundingClientRect().right))") <= width
    assert browser.problems() == []


def test_without_scripts_the_still_pictures_are_open(browser, report_page):
    browser.open(report_page, scripts=False)
    assert not browser.run("document.querySelector('.explorer').checkVisibility()")
    assert browser.run("document.querySelector('.example .pic img').checkVisibility()")


def test_on_paper_the_still_pictures_are_there(page):
    assert not page.run("document.querySelector('.example').checkVisibility({contentVisibilityAuto: true})")
    page.send("Emulation.setEmulatedMedia", media="print")
    assert page.run("document.querySelector('.example').getBoundingClientRect().height") > 50
    assert not page.run("document.querySelector('.explorer').checkVisibility()")
    page.send("Emulation.setEmulatedMedia", media="")
