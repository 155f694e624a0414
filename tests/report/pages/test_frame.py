import base64
import hashlib
import json
import re
import sys

import numpy as np
import pytest

from vgae.errors import UsageError
from vgae.report.pages.frame import (
    Chart,
    Column,
    Series,
    Table,
    image_uri,
    json_markup,
    numeric,
    packed,
    render,
    rounded,
    shown,
    thinned,
    unpacked,
    write_page,
)

HOSTILE = ["</script><script>alert(1)</script>", "<!--", "a & b", "line\u2028end\u2029", '"><img>']


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A page of the frame alone, with a title and two scripts, without the megabytes of plotly."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    from vgae.report.pages import frame as page

    real = page._environment().loader
    monkeypatch.setattr(page, "plotly_js", lambda: "'</script>';\r\n1;")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    sources = {
        "small.html.j2": '{% extends "base.html.j2" %}{% block main %}'
        '{{ parts.chart("c", charts.c) }}{{ parts.table("t", table) }}'
        '{{ parts.interval(0.9, 0.95, 0.97, 0.5) }}{{ parts.copied("k", title) }}'
        "{% endblock %}"
    }
    from jinja2 import ChoiceLoader

    environment.loader = ChoiceLoader([DictLoader(sources), real])
    monkeypatch.setattr(page, "_environment", lambda: environment)

    def make(title="title", rows=(), sortable=True):
        columns = [Column("name"), numeric("number", "explained")]
        return render(
            "small.html.j2",
            {
                "title": title,
                "sections": [("a", title)],
                "table": Table(title, columns, list(rows), sortable=sortable),
            },
            charts={"c": Chart(title, "summary", [Series(title, [1, 2], [3.0, None])])},
            data={"names": [title]},
        )

    return make


def content_of(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


@pytest.mark.parametrize("name", HOSTILE)
def test_data_come_back_as_they_were_and_hold_no_markup(name):
    text = json_markup({name: [name, 1.5, None]})
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {name: [name, 1.5, None]}


def test_numbers_that_json_has_not_are_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_markup([float("nan")])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_adds_no_tag_to_a_page(small, name):
    def tags(html):
        return re.findall(r"<(/?[a-z][a-z0-9]*)[\s>]", re.sub(r"<style>.*?</style>", "", html))

    row = [[name, (name, 2.0)]]
    assert tags(small(name, row)) == tags(small("plain", [["plain", ("plain", 2.0)]]))
    assert content_of(small(name))["names"] == [name]


def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else(small):
    html = small()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace(
        "&#39;", "'"
    )
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 2
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert policy.split("script-src ")[1].split() == hashes
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy


def test_a_library_cannot_end_its_script(small):
    html = small()
    assert "'<\\/script>';\n1;" in html


def test_no_address_stands_in_a_page(small):
    assert not re.search(r"(src|href)=\"(?!#|data:)", small())


def test_only_a_sortable_table_can_be_sorted(small):
    assert "data-sorts" in small()
    assert "data-filters" in small()
    still = small(sortable=False).split("<script")[0]
    assert "data-sorts" not in still
    assert "data-filters" not in still


def test_a_cell_is_sorted_by_its_number(small):
    html = small(rows=[["x", ("> 99.9 %", 0.9995)]])
    assert 'data-value="0.9995">&gt; 99.9 %</td>' in html


def test_a_chart_keeps_its_values():
    series = Series("s", [1, 2], [3.0, None], "dots", low=[1.0, 2.0], high=[4.0, 5.0])
    made = Chart("t", "s", [series], log_y=True, marks=[(2, "here")]).to_dict()
    assert made["series"][0]["y"] == [3.0, None]
    assert made["series"][0]["kind"] == "dots"
    assert made["log_y"] is True
    assert json.loads(json_markup(made))["marks"] == [[2, "here"]]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i4", ">i4"])
def test_packed_arrays_come_back(dtype):
    array = np.array([[1, 2], [3, -4]], dtype=dtype)
    made = packed(array)
    back = np.frombuffer(base64.b64decode(made["base64"]), f"<{made['type']}")
    np.testing.assert_array_equal(back, array.ravel())
    np.testing.assert_array_equal(unpacked(made), array.ravel())


def test_arrays_of_other_types_are_not_packed():
    with pytest.raises(ValueError, match="float32 or int32, got float64"):
        packed(np.zeros(3))


def test_names_are_cut_and_what_cannot_be_seen_is_escaped():
    assert shown("a" * 80) == "a" * 80
    assert shown("a" * 81) == "a" * 79 + "…"
    assert shown("x\u202egnp.exe\x1b[0m") == "x\\u202egnp.exe\\x1b[0m"
    assert len(shown("\u202e" * 500)) == 80


def test_rounding_keeps_six_digits():
    assert rounded([1.23456789, 0.000123456789]) == [1.23457, 0.000123457]


def test_thinning_keeps_both_ends():
    assert thinned(3).tolist() == [0, 1, 2]
    few = thinned(10_000, 100)
    assert (few[0], few[-1], len(few)) == (0, 9_999, 100)


def test_an_image_is_its_own_address():
    assert image_uri(b"PNG") == "data:image/png;base64,UE5H"


def test_a_page_is_written_whole(tmp_path):
    path = tmp_path / "new" / "x.html"
    assert write_page(path, "é") == 2
    assert path.read_bytes() == "é".encode()
    assert [*path.parent.iterdir()] == [path]


def test_without_plotly_the_error_names_the_extra(monkeypatch):
    from vgae.report.pages.frame import plotly_js

    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(UsageError, match=r"pip install 'vgae\[report\]'"):
        plotly_js()
