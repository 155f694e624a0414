"""Page that compares runs in a browser."""

import json
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from vgae.report.pages.comparison import comparison_page
from vgae.report.pages.frame import write_page


@pytest.fixture(scope="module")
def compared_path(page_path, tmp_path_factory, resign):
    """A run with hostile names of nodes beside itself, under the worst of names."""
    folder = tmp_path_factory.mktemp("compared")
    paths = [
        folder / "run",
        folder / "javascript:alert(1)",
        folder / "<img src=x onerror=alert(1)>",
    ]
    for path in paths:
        shutil.copytree(page_path.parent / "run", path)
    for k, path in enumerate(paths[1:], 1):
        config = json.loads((path / "config.json").read_text())
        config["threads"] = f"<i>{k}</i>"
        (path / "config.json").write_text(json.dumps(config))
        resign(path)
    shutil.copy(page_path, paths[1] / "report.html")
    write_page(folder / "compare.html", comparison_page(paths, folder / "compare.html"))
    return folder / "compare.html"


@pytest.fixture(scope="module")
def light(opened, compared_path):
    page = opened(compared_path, color_scheme="light")
    page.wait_for_selector("#pr .plot-container")
    return page


@pytest.fixture(scope="module")
def dark(opened, compared_path):
    page = opened(compared_path, color_scheme="dark", width=390)
    page.wait_for_selector("#pr .plot-container")
    return page


@pytest.fixture
def page(light):
    """The page in light colours, with nothing to complain of yet."""
    light.complaints.clear()
    return light


def test_it_opens_without_a_complaint_and_names_stay_text(light):
    names = light.locator(".runs bdi").all_inner_texts()
    assert names == ["run", "javascript:alert(1)", "<img src=x onerror=alert(1)>"]
    assert light.locator("#score-table tbody tr").count() == 3
    assert "<i>2</i>" in light.inner_text("#score-table")
    assert light.locator("main img, main i, a[href^='javascript:']").count() == 0
    light.mouse.wheel(0, 20_000)
    light.wait_for_timeout(300)
    assert light.complaints == []


def test_a_run_with_a_page_is_linked_to_it(page, compared_path):
    addresses = page.evaluate("[...document.querySelectorAll('.runs a')].map((a) => a.href)")
    assert [unquote(address) for address in addresses] == [
        unquote((compared_path.parent / "javascript:alert(1)" / "report.html").as_uri())
    ]


def test_a_run_can_be_drawn_alone_and_stays_so_in_other_colours(page):
    def drawn():
        return page.evaluate(
            "document.getElementById('roc').data.map((trace) => trace.visible !== false)"
        )

    assert drawn() == [True, True, True, True]
    page.locator("[data-run]").nth(1).press("Enter")
    assert drawn() == [False, True, False, True]  # guessing stays, to compare with
    page.click("#theme")
    assert drawn() == [False, True, False, True]
    page.click("#theme")
    assert page.locator("[data-run]").nth(1).get_attribute("aria-pressed") == "true"
    page.locator("[data-run]").nth(1).click()
    assert drawn() == [True, True, True, True]
    assert page.complaints == []


def test_each_run_has_a_colour_of_its_own_that_follows_the_theme(page, dark):
    look = "document.getElementById('roc').data.slice(0, 3).map((trace) => trace.line.color)"
    first, other = page.evaluate(look), dark.evaluate(look)
    assert len({*first, *other}) == 6
    key = "getComputedStyle(document.querySelector('.runs .run-1')).borderTopColor"
    assert page.evaluate(key) == first[1]


def test_the_table_sorts(page):
    def column(k):
        return page.locator(f"#score-table tbody td:nth-child({k})").all_inner_texts()

    page.locator("#score-table thead button").nth(0).click()
    assert column(1) == ["<img src=x onerror=alert(1)>", "javascript:alert(1)", "run"]
    page.locator("#score-table thead button").nth(1).press("Enter")
    page.locator("#score-table thead button").nth(1).press("Enter")
    assert column(2) == ["1", "<i>2</i>", "<i>1</i>"]


def test_without_javascript_there_are_curves_and_scores(opened, compared_path):
    page = opened(compared_path, java_script_enabled=False)
    assert page.locator("img:visible").count() == 1
    assert page.locator("img:visible").bounding_box()["width"] > 600
    assert page.locator("#score-table tbody tr:visible").count() == 3
    assert page.locator(".plot, [data-run], #theme").locator("visible=true").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(request, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is missing")
    page = request.getfixturevalue(scheme)
    # Axe is no script of the page: its policy keeps it out, but not what a debugger evaluates.
    page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text() + "; undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found] == []


def test_nothing_sticks_out_of_the_window(page):
    for width in (360, 390, 768, 1920, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
