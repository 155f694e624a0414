import html.parser
import math

import numpy as np
import pytest

from vgae.runtime.preview import MOST_ROWS, Preview


class Seen(html.parser.HTMLParser):
    """Tags and text of a document."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


BAD = "<script>alert(1)</script>&\x1b[2J\u202e\n" + "x" * 500


def test_names_of_strangers_are_text_in_both():
    table = Preview(BAD, [(BAD, 1)], [BAD, "n"], notes=[BAD])
    seen = Seen(table.html())
    assert set(seen.tags) == {"div", "p", "b", "table", "thead", "tr", "th", "tbody", "td"}
    assert any("<script>alert(1)</script>&\\x1b[2J\\u202e" in text for text in seen.text)
    assert "\x1b" not in table.text()
    assert "\u202e" not in table.text()
    assert len(table.text().splitlines()) == 4


def test_long_names_are_cut_and_no_colour_is_set():
    text = Preview.of_facts("t", {"name": "y" * 500}).html()
    assert "y" * 79 + "…" in text
    assert "y" * 80 not in text
    assert "color" not in text
    assert "background" not in text


def test_rows_beyond_the_first_are_counted():
    table = Preview.of_columns("t", {"n": range(5000)}, 5000)
    assert len(table.rows) == MOST_ROWS
    assert "... and 4,990 more" in table.html()
    assert table.text().splitlines()[-1] == "... and 4,990 more"
    assert "more" not in Preview.of_columns("t", {"n": range(3)}, 3).text()


def test_floats_of_a_column_have_equally_many_decimals():
    values = [11.344, 9.5, np.float32(0.25), None]
    columns = {"score": values, "n": [1, 2, 3, 4], "name": ["a", "b", "c", "d"]}
    table = Preview.of_columns("t", columns, 4)
    assert table.text().splitlines() == [
        "t",
        "score  n  name",
        "11.34  1  a",
        " 9.50  2  b",
        " 0.25  3  c",
        "    -  4  d",
    ]
    assert table.html().count("text-align: right") == 2 * 5


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (14884.6, "14,885"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (1e-9, "1e-09"),
        (True, "True"),
        (np.int64(7), "7"),
        (0, "0"),
    ],
)
def test_values_of_all_kinds_have_a_cell(value, cell):
    assert Preview.of_facts("t", {"a": value}).text() == f"t\na  {cell}"
    assert f">{cell}</td>" in Preview.of_facts("t", {"a": value}).html()


def test_facts_that_are_not_known_are_left_out_and_a_table_may_be_empty():
    table = Preview.of_facts("t", {"a": None, "b": "", "c": 0})
    assert table.rows == [("c", 0)]
    for empty in (Preview("t", []), Preview.of_columns("t", {"a": []}, 0)):
        Seen(empty.html())
        assert empty.text().startswith("t")
