"""Tests of the section of a page on the graphs of a collection."""

import numpy as np
import pytest

from vgae.report.figures.graphs import write_figures
from vgae.report.pages.collections import _sizes, collection_section
from vgae.report.pages.graphs import graph_page


def test_the_section_has_the_graphs_and_both_kinds_of_scores(collection_run):
    content, charts = collection_section(collection_run)
    assert content is not None
    rows = content["table"].rows
    scores = [row[-1][1] for row in rows]
    assert len(rows) == 24
    assert scores == sorted(scores, reverse=True)
    assert content["averages"][0][0] == "test"
    shown = charts["graph-map"].series
    assert [series.name for series in shown] == ["path", "ring"]
    assert sum(len(series.x) for series in shown) == 24
    assert sum(charts["graph-sizes"].series[0].y) == 24


def test_a_run_on_one_graph_has_no_such_section(graph_run):
    assert collection_section(graph_run) == (None, {})


def test_the_page_of_a_collection_shows_them(collection_run):
    write_figures(collection_run, collection_run.embedding.numpy())
    html = graph_page(collection_run, top_k=5)
    assert 'id="graph-table"' in html
    assert "24 graphs of 8 to 12 nodes, median 10" in html
    assert "averaged per graph, and pooled" in html
    assert "among all nodes of its graph" in html


@pytest.mark.parametrize(
    ("sizes", "text", "bars"),
    [
        ([5, 5, 7, 9], "Half of the graphs have 6 nodes or fewer.", [2, 0, 1, 0, 1]),
        ([20, 20, 20], "All graphs have 20 nodes.", [3]),
    ],
)
def test_the_sizes_are_counted(sizes, text, bars):
    chart = _sizes(np.array(sizes))
    assert chart.summary == text
    assert chart.series[0].y == bars
