"""Page of a run on images in a browser."""

import math
from pathlib import Path

import numpy as np
import pytest

from vgae.recipes.images import ImageRecipe
from vgae.report.pages.frame import write_page
from vgae.report.pages.images import image_page
from vgae.runs.images import train_image_run

NAME = "<img src=x onerror=alert(1)>"
# What the decoded image looks like: its pixels, as one number that no other has by chance.
PIXELS = """() => {
    const canvas = document.getElementById('%s');
    return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
}"""


@pytest.fixture(scope="module")
def image_path(tmp_path_factory):
    """The page of a plane of images of three kinds, whose data set has the worst of names."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 400)
    pixels = 0.1 * rng.random((400, 6, 6), dtype=np.float32)
    for k in range(3):
        pixels[kinds == k, 2 * k : 2 * k + 2] += 0.8
    np.savez(folder / f"{NAME}.npz", train=pixels, y_train=kinds)
    recipe = ImageRecipe(name="plane", hidden_channels=(32,), latent_channels=2, epochs=60)
    source = str(folder / f"{NAME}.npz")
    run = train_image_run(source, folder / "run", recipe=recipe, num_samples=2, progress=False)
    write_page(folder / "report.html", image_page(run))
    return folder / "report.html"


@pytest.fixture(scope="module")
def light(opened, image_path):
    page = opened(image_path, color_scheme="light")
    page.wait_for_function("document.getElementById('place').textContent !== ''")
    return page


@pytest.fixture
def page(light):
    """The page in light colours, with nothing to complain of yet."""
    light.complaints.clear()
    return light


@pytest.fixture(scope="module")
def dark(opened, image_path):
    """The same in dark colours, on a telephone."""
    page = opened(image_path, color_scheme="dark", width=390, has_touch=True)
    page.wait_for_function("document.getElementById('place').textContent !== ''")
    return page


def pixels(page, canvas="decoded"):
    return page.evaluate(PIXELS % canvas)


def place(page):
    """Return where the explorer is."""
    text = page.inner_text("#place").replace("−", "-")
    return [float(part.split("=")[1]) for part in text.split(",")]


def start(page):
    page.focus("#pad")
    page.keyboard.press("Home")


def test_it_opens_without_a_complaint_or_a_request(light):
    light.wait_for_selector("#kl-bars .plot-container")
    light.mouse.wheel(0, 20_000)
    light.wait_for_timeout(300)
    assert light.complaints == []
    assert light.inner_text("h1") == NAME
    assert light.title().startswith(NAME)
    assert light.locator("img[src=x]").count() == 0


def test_the_pointer_moves_through_the_space(page):
    start(page)
    middle = pixels(page)
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    reach = float(page.get_attribute("#z-0", "max"))
    grid = page.evaluate("page.data.explorer.grid")
    x, y = box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"]
    page.mouse.move(x, y)
    # The middles of the outermost images are the ends of the square.
    fraction = (0.25 - 0.5 / grid) / (1 - 1 / grid)
    expected = (2 * fraction - 1) * reach
    assert place(page) == pytest.approx([expected, expected], abs=0.02)
    assert pixels(page) != middle
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    assert place(page) == pytest.approx([-reach, reach], abs=0.01)
    assert page.complaints == []


def test_keys_move_through_the_space(page):
    start(page)
    assert place(page) == [0, 0]
    middle, reach = pixels(page), float(page.get_attribute("#z-0", "max"))
    page.keyboard.press("ArrowRight")
    assert place(page) == pytest.approx([reach / 50, 0], abs=0.01)
    for _ in range(4):
        page.keyboard.press("Shift+ArrowUp")
    assert place(page) == pytest.approx([reach / 50, 0.4 * reach], abs=0.01)
    assert pixels(page) != middle
    for _ in range(20):
        page.keyboard.press("Shift+ArrowLeft")
    assert place(page)[0] == pytest.approx(-reach, abs=0.01)
    start(page)
    assert pixels(page) == middle


def test_sliders_move_through_the_space(page):
    start(page)
    middle = pixels(page)
    page.focus("#z-1")
    page.keyboard.press("End")
    assert place(page) == pytest.approx([0, float(page.get_attribute("#z-1", "max"))], abs=0.01)
    assert pixels(page) != middle
    assert page.get_attribute("#z-1", "aria-valuetext") == page.inner_text("#place").split(", ")[1]


def test_a_place_of_the_grid_shows_the_very_image_that_was_decoded_there(page):
    """The tile in the sheet, pixel by pixel; between two places, the mean of both."""
    tile = """async ([column, row]) => {
        const { size: [high, wide] } = page.data.explorer;
        const image = document.getElementById('pad-tiles');
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [wide, high];
        const pen = canvas.getContext('2d');
        pen.drawImage(image, -column * wide, -row * high);
        return [...pen.getImageData(0, 0, wide, high).data];
    }"""
    middle = (page.evaluate("page.data.explorer.grid") - 1) // 2
    start(page)
    assert pixels(page) == page.evaluate(tile, [middle, middle])
    page.focus("#z-0")
    step = float(page.get_attribute("#z-0", "max")) / middle
    page.evaluate(
        f"(() => {{ const z = document.getElementById('z-0'); z.value = {step / 2};"
        " z.dispatchEvent(new Event('input')); })()"
    )
    both = [page.evaluate(tile, [middle + k, middle]) for k in range(2)]
    expected = np.mean(both, axis=0)
    assert np.abs(np.array(pixels(page)) - expected).max() <= 1


def test_a_finger_moves_through_the_space(dark):
    page = dark
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    before = pixels(page)
    page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.5 * box["height"])
    assert place(page)[0] > 1
    assert pixels(page) != before


def dot(page, i):
    """Return where an image is on the screen."""
    page.evaluate("page.map.reset()")
    page.locator("#map").scroll_into_view_if_needed()
    return page.evaluate(f"page.map.place({i})")


def test_pointing_at_a_dot_shows_its_image_and_choosing_it_decodes_its_place(page):
    count = page.evaluate("page.data.map.count")
    places = np.array([[*dot(page, i).values()] for i in range(count)])
    gaps = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(count)
    i = int(gaps.min(axis=1).argmax())  # one that no other covers
    page.mouse.move(*places[i])
    number = page.evaluate(f"page.unpack(page.data.map.number)[{i}]")
    label = page.evaluate(f"page.data.map.classes[page.unpack(page.data.map.label)[{i}]]")
    text = page.inner_text("#seen-text")
    assert f"class {label}" in text
    assert f"image {number}, z = (" in text
    image = np.array(pixels(page, "seen-image")).reshape(6, 6, 4)[..., 0]
    bright = image.mean(axis=1).reshape(3, 2).mean(axis=1).argmax()
    assert str(bright) == label  # the rows that make the kind
    start(page)
    page.mouse.click(*dot(page, i).values())
    z = page.evaluate(f"[...page.unpack(page.data.map.points).slice({2 * i}, {2 * i + 2})]")
    reach = float(page.get_attribute("#z-0", "max"))
    assert place(page) == pytest.approx(np.clip(z, -reach, reach), abs=0.006)
    assert page.complaints == []


def test_the_slider_goes_through_the_images(page):
    page.focus("#seen-number")
    page.keyboard.press("Home")
    first = pixels(page, "seen-image")
    assert "image 1," in page.inner_text("#seen-text")
    page.keyboard.press("ArrowRight")
    assert "image 2," in page.inner_text("#seen-text")
    assert pixels(page, "seen-image") != first
    assert "class" in page.get_attribute("#seen-number", "aria-valuetext")


def test_a_class_can_be_singled_out(page):
    before = page.locator("#map").screenshot()
    button = page.locator("#legend button").nth(1)
    button.press("Enter")
    page.wait_for_timeout(200)
    assert page.locator("#legend button").nth(1).get_attribute("aria-pressed") == "true"
    assert page.locator("#map").screenshot() != before
    page.locator("#legend button").nth(1).press("Enter")
    assert page.locator("#legend button[aria-pressed=true]").count() == 0


def test_the_theme_follows_the_system_and_the_button(page, dark):
    def look(page):
        return page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " document.getElementById('kl-bars').layout.font.color]"
        )

    first, wanted = look(page), look(dark)
    assert first[0] != wanted[0]
    page.click("#theme")
    assert look(page) == wanted
    page.click("#theme")
    assert look(page) == first


def test_without_javascript_there_are_images_figures_and_numbers(opened, image_path):
    page = opened(image_path, java_script_enabled=False)
    # Samples, originals, rebuilt ones, the latent square, and figures of training and the space.
    assert page.locator("img:visible").count() == 6
    assert page.locator("canvas, .plot, #theme, #cross").locator("visible=true").count() == 0
    assert page.locator("#dimension-table tbody tr:visible").count() == 2
    assert page.locator("#pad-tiles").bounding_box()["width"] > 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(request, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is missing")
    page = request.getfixturevalue(scheme)
    page.evaluate("document.querySelectorAll('main details').forEach((d) => { d.open = true; })")
    # Axe is no script of the page: its policy keeps it out, but not what a debugger evaluates.
    page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text() + "; undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    page.evaluate("document.querySelectorAll('main details').forEach((d) => { d.open = false; })")
    assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found] == []


def test_nothing_sticks_out_of_the_window(page):
    for width in (360, 390, 768, 1920, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_has_all_samples(page):
    size = page.evaluate(
        "(({naturalWidth: w, naturalHeight: h}) => [w, h])(document.querySelector('.wide img'))"
    )
    assert size == [12 * 7 - 1, math.ceil(72 / 12) * 7 - 1]
