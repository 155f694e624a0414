"""Tables of links go to files, frames and graphs with all of their columns."""

import json
from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch

from vgae.prediction.link_table import LinkTable


@pytest.fixture
def table():
    return LinkTable(
        torch.tensor([0, 0, 2]),
        torch.tensor([1, 2, 0]),
        torch.tensor([1.5, -0.25, 0.1]),
        torch.tensor([0.5, 0.25, 0.3], dtype=torch.float64),
        torch.tensor([1, 2, 1]),
        ["a", "b", "c"],
        prior="balanced",
        further={"expected_weight": torch.tensor([3.0, 2.0, 1.0])},
    )


def test_a_table_goes_to_files_frames_and_graphs(table, tmp_path):
    names = [*("source", "target", "score", "balanced_probability"), "rank", "expected_weight"]
    assert repr(table).splitlines()[0] == "LinkTable(3 links)"
    table.save(tmp_path / "links.json")
    rows = json.loads((tmp_path / "links.json").read_text())
    assert [[*row] for row in rows] == [names] * 3
    assert rows[1] == dict(zip(names, ["a", "c", -0.25, 0.25, 2, 2.0], strict=True))
    there = table.to_networkx()
    assert type(there) is nx.Graph
    assert {frozenset(e) for e in there.edges} == {frozenset("ab"), frozenset("ac")}
    assert there.edges["a", "b"] == {
        "score": 1.5,
        "balanced_probability": 0.5,
        "expected_weight": 3.0,
    }
    frame = table.to_pandas()
    assert list(frame.columns) == names
    table.save(tmp_path / "links.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "links.csv"), frame, check_dtype=False)
    assert np.array_equal(frame["expected_weight"], [3, 2, 1])


def test_its_first_rows_are_shown(table):
    assert repr(table).splitlines()[1:] == [
        "source  target    score  balanced_probability  rank  expected_weight",
        "a       b        1.5000                0.5000     1           3.0000",
        "a       c       -0.2500                0.2500     2           2.0000",
        "c       a        0.1000                0.3000     1           1.0000",
    ]
    page = table._repr_html_()
    assert "if half of all pairs were" in page
    named = replace(table, ids=["<b>", "b", "c"], graphs=["g", "g", "h"])
    assert "&lt;b&gt;" in named._repr_html_()
    assert repr(named).splitlines()[1].startswith("graph  source")


def test_a_long_table_is_cut_before_it_is_made_text():
    count = 200_000

    class Ids(list):
        asked = 0

        def __getitem__(self, key):
            self.asked += 1
            return f"node {key}"

    ids, numbers = Ids(), torch.arange(count)
    table = LinkTable(numbers, numbers, torch.rand(count), None, numbers + 1, ids)
    assert repr(table).splitlines()[-1] == "... and 199,990 more"
    assert "... and 199,990 more" in table._repr_html_()
    assert ids.asked == 2 * 2 * 10
