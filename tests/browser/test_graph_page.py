"""Page of a run on a graph in a browser."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import HOSTILE
from vgae.report.pages.frame import json_markup, packed

DATA = "JSON.parse(document.getElementById('data').textContent)"
SHOWN = [name.replace("\u202e", "\\u202e") for name in HOSTILE]


@pytest.fixture(scope="module")
def light(opened, page_path):
    """The page in light colours, used by many tests."""
    page = opened(page_path, color_scheme="light")
    page.wait_for_selector("#panel h3")
    return page


@pytest.fixture(scope="module")
def dark(opened, page_path):
    """The same in dark colours, as narrow as a phone."""
    page = opened(page_path, color_scheme="dark", width=390)
    page.wait_for_selector("#panel h3")
    return page


@pytest.fixture
def page(light):
    """The page in light colours, with nothing to complain of yet."""
    light.complaints.clear()
    light.evaluate("scrollTo(0, 0)")
    return light


def neighbours(page, kind):
    return page.locator(f"#panel ul.{kind} bdi").all_inner_texts()


def expected(page, kind, name):
    """Return whom the data of the page list for a node."""
    graph = page.evaluate(DATA)["graph"]
    node = graph["names"].index(name)
    pairs = np.frombuffer(base64.b64decode(graph[kind]["pairs"]["base64"]), "<i4").reshape(-1, 2)
    ends = [v for u, v in pairs if u == node]
    ends += [u for u, v in pairs if v == node] if kind == "links" else []
    return {graph["names"][i] for i in ends}


def test_it_opens_without_a_complaint_or_a_request(light):
    page = light
    page.wait_for_selector("#degrees .plot-container")
    assert page.locator(".plot .main-svg").count() >= 8
    page.mouse.wheel(0, 20_000)
    page.wait_for_timeout(300)
    assert page.complaints == []
    assert page.title() == "<u> · vgae · vgae"


def test_a_script_that_is_not_of_the_page_does_not_run(page):
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'taken'";
        document.body.append(script);
    }""")
    assert page.title() == "<u> · vgae · vgae"
    assert any("policy script-src" in text for text in page.complaints)


def test_the_search_finds_a_node_and_the_panel_lists_its_links(page):
    page.fill("#search", "NODE-1")
    options = page.locator("#suggestions li").all_inner_texts()
    assert options[0] == "node-10"
    assert len(options) == 10
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.inner_text("#panel h3") == "node-11"
    assert page.locator("#suggestions").is_hidden()
    assert set(neighbours(page, "proposed")) == expected(page, "proposals", "node-11")
    more = page.locator("#panel > button")
    if more.count():
        more.click()
    assert set(neighbours(page, "known")) == expected(page, "links", "node-11")
    assert page.complaints == []


def test_a_name_that_no_node_has_gives_a_note(page):
    page.fill("#search", "nobody")
    assert page.locator("#suggestions li").all_inner_texts() == ["no node of that name"]
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator("#suggestions").is_hidden()


def test_a_click_on_a_node_chooses_it_and_draws_its_links(page):
    page.locator("#map").scroll_into_view_if_needed()
    names = page.evaluate(DATA)["graph"]["names"]
    # One that no other covers.
    places = np.array([[*page.evaluate(f"page.map.place({i})").values()] for i in range(60)])
    gaps = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(60)
    node = int(gaps.min(axis=1).argmax())
    before = page.locator("#map").screenshot()
    page.mouse.move(*places[node])
    assert page.locator("#tip bdi").inner_text() == names[node]
    page.mouse.click(*places[node])
    assert page.inner_text("#panel h3") == names[node]
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    assert page.locator("#map").screenshot() != before
    assert page.complaints == []


def test_a_neighbour_in_the_list_is_a_button(page):
    name = neighbours(page, "proposed")[0]
    page.locator("#panel ul.proposed button").first.press("Enter")
    assert page.inner_text("#panel h3") == name
    assert page.evaluate("document.activeElement.closest('#panel') !== null")


def test_the_map_is_moved_and_zoomed(page):
    def where():
        return page.evaluate("page.map.place(0)")

    page.locator("#map").scroll_into_view_if_needed()
    start = where()
    page.click("#zoom-in")
    assert where() != start
    page.click("#zoom-all")
    assert where() == start
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + 20, box["y"] + box["height"] - 20
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y - 30, steps=3)
    page.mouse.up()
    assert where() == pytest.approx({"x": start["x"] + 50, "y": start["y"] - 30}, abs=0.01)


def test_each_colouring_of_each_map_is_another_picture(page):
    pictures = set()
    for plane in ("t-SNE", "PCA"):
        for tint in ("degree", "uncertainty", "label"):
            page.select_option("#plane", plane)
            page.select_option("#tint", tint)
            page.wait_for_timeout(150)
            pictures.add(page.locator("#map").screenshot())
    assert len(pictures) == 6
    page.select_option("#plane", "t-SNE")
    assert page.complaints == []


def test_a_class_can_be_singled_out(page):
    names = page.locator("#legend button").all_inner_texts()
    assert names == ["<i>one</i>", "two", "three"]  # in the order of the labels
    button = page.locator("#legend button", has_text="two")
    button.click()
    assert page.locator("#legend button", has_text="two").get_attribute("aria-pressed") == "true"
    assert "<i>one</i>" in page.locator("#legend button").all_inner_texts()


def test_the_table_sorts_by_numbers_and_by_names(page):
    def column(k):
        return page.locator(f"#proposals tbody td:nth-child({k})").all_inner_texts()

    head = page.locator("#proposals thead button")
    head.nth(5).click()
    counts = [int(text) for text in column(6)]
    assert counts == sorted(counts)
    assert page.locator("#proposals th").nth(5).get_attribute("aria-sort") == "ascending"
    head.nth(5).press("Enter")
    assert [int(text) for text in column(6)] == sorted(counts, reverse=True)
    head.nth(0).click()
    assert column(1) == [str(k + 1) for k in range(40)]
    assert page.locator("#proposals th[aria-sort]").count() == 1


def test_the_filter_keeps_the_rows_that_have_its_words(page):
    name = page.locator("#proposals tbody td:nth-child(2)").first.inner_text()
    page.fill("#proposals-filter", name.upper())
    rows = page.locator("#proposals tbody tr:visible")
    assert all(name.lower() in text.lower() for text in rows.all_inner_texts())
    assert page.inner_text("#proposals-count") == f"{rows.count()} of 40 rows"
    # The end of one cell and the start of the next are no word.
    cells = page.locator("#proposals tbody tr").first.locator("td").all_inner_texts()
    page.fill("#proposals-filter", cells[4][-3:] + cells[5])
    assert rows.count() == 0
    assert page.inner_text("#proposals-count") == "no rows"
    page.fill("#proposals-filter", "")
    assert page.locator("#proposals tbody tr:visible").count() == 40


def test_a_known_link_has_no_probability_and_proposals_go_by_score(page):
    name = page.locator("#top-link bdi").first.inner_text()
    page.fill("#search", name)
    page.keyboard.press("Enter")
    assert "%" in page.locator("#panel ul.proposed").inner_text()
    assert page.locator("#panel ul.known li").count()
    assert page.locator("#panel ul.known .chance, #panel ul.known .bar").count() == 0
    graph = page.evaluate(DATA)["graph"]
    flat = np.frombuffer(base64.b64decode(graph["proposals"]["pairs"]["base64"]), "<i4")
    mine = [v for u, v in flat.reshape(-1, 2) if u == graph["names"].index(name)]
    assert neighbours(page, "proposed") == [graph["names"][i] for i in mine]


@pytest.mark.parametrize("width", [390, 1280])
def test_an_explanation_covers_no_score_and_stays_in_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    try:
        for score in page.locator(".score").all():
            score.locator("summary").click()
            box, number = (
                score.locator(".help p").bounding_box(),
                score.locator(".big").bounding_box(),
            )
            assert box["y"] >= number["y"] + number["height"]
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            score.locator("summary").click()
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


def test_a_table_that_scrolls_shows_it_at_the_edge_and_its_caption_is_whole(page):
    page.set_viewport_size({"width": 390, "height": 900})
    try:
        scroll = page.locator(".scroll", has=page.locator("#score-table"))
        assert scroll.evaluate("(box) => box.scrollWidth > box.clientWidth")
        scroll.scroll_into_view_if_needed()
        start = scroll.screenshot()
        caption = scroll.locator("caption span").bounding_box()
        assert caption["x"] + caption["width"] <= 390
        shadow = "(box) => getComputedStyle(box).backgroundAttachment.includes('local')"
        assert scroll.evaluate(shadow)
        scroll.evaluate("(box) => { box.scrollLeft = 60; }")
        assert scroll.screenshot() != start
        assert scroll.locator("caption span").bounding_box() == caption
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("name", SHOWN)
def test_a_hostile_name_stays_text_wherever_it_comes(page, name):
    page.fill("#search", name)
    assert page.locator("#suggestions li").first.inner_text() == name
    page.keyboard.press("Enter")
    assert page.inner_text("#panel h3") == name
    page.evaluate("page.map.redraw()")
    place = page.evaluate(f"page.map.place({SHOWN.index(name)})")
    page.locator("#map").scroll_into_view_if_needed()
    page.mouse.move(*place.values())
    page.wait_for_timeout(100)
    assert page.title() == "<u> · vgae · vgae"
    assert page.locator("main img, main b, main i, main u, main a[href^=javascript]").count() == 0
    assert page.complaints == []


def test_the_theme_follows_the_system_and_the_button(page, dark):
    def paper(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    def drawn(page):
        return page.evaluate("document.getElementById('loss').layout.font.color")

    first, wanted = (paper(page), drawn(page)), (paper(dark), drawn(dark))
    assert first[0] != wanted[0]
    assert first[1] != wanted[1]
    assert page.inner_text("#theme") == "Dark"
    page.click("#theme")
    assert (paper(page), drawn(page)) == wanted
    assert page.inner_text("#theme") == "Light"
    page.click("#theme")
    assert (paper(page), drawn(page)) == first


def test_without_javascript_there_are_figures_tables_and_words(opened, page_path):
    page = opened(page_path, java_script_enabled=False)
    images = page.locator("img:visible")
    assert images.count() == 3
    for k in range(3):
        assert images.nth(k).bounding_box()["width"] > 300
    assert page.locator("#map, #search, .plot, #theme").locator("visible=true").count() == 0
    assert page.locator("#proposals tbody tr:visible").count() == 40
    assert page.locator("#top-link").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(request, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is missing")
    page = request.getfixturevalue(scheme)
    opened = "document.querySelectorAll('main details').forEach((d) => { d.open = %s; })"
    page.evaluate(opened % "true")
    # Axe is no script of the page: its policy keeps it out, but not what a debugger evaluates.
    source = Path(axe.__file__).with_name("axe.min.js").read_text()
    page.evaluate(source + "; undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    page.evaluate(opened % "false")
    found = [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found]
    assert found == []


def test_the_keyboard_reaches_everything(page):
    page.locator(".skip").focus()
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "document.activeElement.id || document.activeElement.dataset.sorts"
            " || document.activeElement.className || document.activeElement.tagName"
        )
        reached.add(name)
        if "command" in reached:
            break
    assert {"theme", "search", "plane", "tint", "zoom-in", "proposals-filter"} <= reached
    assert {str(k) for k in range(7)} <= reached  # the heads of the table


def test_nothing_sticks_out_of_the_window(page):
    for width in (360, 390, 768, 1920, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_frame_shows_an_empty_map(opened, page_path):
    """A new size clears the canvas, and the dots were drawn a frame later."""
    page = opened(page_path)
    painted = page.evaluate("""async () => {
        const map = document.getElementById("map"), canvas = map.querySelector("canvas");
        map.style.height = "300px";
        await new Promise((done) => new ResizeObserver(done).observe(map));
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return [canvas.height / devicePixelRatio, data.some((value) => value > 0)];
    }""")
    assert painted == [298, True]  # less the border
    assert page.complaints == []


def test_the_map_is_coloured_by_a_column(opened, page_path, tmp_path):
    html = page_path.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])
    count = len(data["graph"]["names"])
    age = np.linspace(20, 80, count).astype(np.float32)
    age[1] = np.nan
    city = (np.arange(count) % 3).astype(np.int32)
    data["graph"]["columns"] = [
        {"name": "age", "value": packed(age), "ends": ["20", "80"], "is_date": False},
        {
            "name": "city",
            "code": packed(city),
            "names": ["Bern", "Ulm", "unknown"],
            "unknown": True,
        },
    ]
    head, rest = html.split('id="data">', 1)
    html = f'{head}id="data">{json_markup(data)}{rest[rest.index("</script>") :]}'
    options = "".join(f'<option value="column-{k}">{k}</option>' for k in range(2))
    html = html.replace('<select id="tint">', f'<select id="tint">{options}')
    (tmp_path / "columns.html").write_text(html)
    page = opened(tmp_path / "columns.html")
    page.select_option("#tint", "column-0")
    assert page.locator("#legend").inner_text().split() == ["20", "80"]
    page.select_option("#tint", "column-1")
    assert page.locator("#legend button").all_inner_texts() == ["Bern", "Ulm", "unknown"]
    kinds = page.locator("#legend .dot").evaluate_all("dots => dots.map((dot) => dot.className)")
    assert kinds == ["dot shape-0", "dot shape-0", "dot shape-4"]
    assert page.complaints == []


def test_a_map_of_twenty_thousand_nodes_answers(opened, page_path, tmp_path):
    """The same page with the data of a large graph; it must be far from freezing."""
    html = page_path.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])
    rng, n = np.random.default_rng(0), 20_000

    def pairs(count):
        drawn = rng.integers(0, n, (count, 2)).astype(np.int32)
        return {"pairs": packed(drawn), "value": packed(rng.random(count, dtype=np.float32))}

    data["graph"] |= {
        "names": [f"node {k}" for k in range(n)],
        "degree": packed(rng.integers(0, 99, n).astype(np.int32)),
        "label": packed(rng.integers(0, 3, n).astype(np.int32)),
        "uncertainty": packed(rng.random(n, dtype=np.float32)),
        "planes": {"PCA": packed(rng.uniform(-1, 1, 2 * n).astype(np.float32))},
        "links": pairs(45_000),
        "proposals": pairs(120_000),
        "num_nodes": n,
    }
    data["charts"] = {}
    head, rest = html.split('id="data">', 1)
    large = f'{head}id="data">{json_markup(data)}{rest[rest.index("</script>") :]}'
    large = large.replace("<option>t-SNE</option>", "")
    (tmp_path / "large.html").write_text(large)
    assert len(large.encode()) < 10e6
    page = opened(tmp_path / "large.html")
    page.wait_for_selector("#panel h3", timeout=20_000)
    seconds = page.evaluate("""async () => {
        const start = performance.now();
        for (let k = 0; k < 10; k++) {
            page.map.zoom(0.97);
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
        }
        return (performance.now() - start) / 10_000;
    }""")
    assert seconds < 1  # some 0.05 s where nothing else runs
    page.fill("#search", "node 19999")
    page.keyboard.press("Enter")
    assert page.inner_text("#panel h3") == "node 19999"
    assert page.complaints == []
