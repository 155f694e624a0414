"""Records become edges; sizes and dictionaries of networkx are understood."""

from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from vgae.data.edge_lists import read_edges
from vgae.data.edge_records import Layout, collect_edges, put_first, states_size, with_weights
from vgae.data.reading import Reading
from vgae.errors import DataError

PATH = Path("g.txt")


def collected(*lines, **layout):
    records = [(number, line.split()) for number, line in enumerate(lines, 1)]
    width = len(records[0][1])
    given = {"delimiter": " ", "skip": 0, "width": width, "source": 0, "target": 1, **layout}
    return collect_edges(iter(records), Layout(PATH, **given))


def test_fields_are_taken_by_their_position():
    found = collected("9 b a 2,5", "8 a c 3", source=2, target=1, weight=3, time=0)
    assert found.names == ["a", "b", "c"]
    assert found.edges.tolist() == [[0, 2], [1, 0]]
    assert found.weight.tolist() == [2.5, 3]
    assert found.decimal_commas
    assert found.times == [(1, "9"), (2, "8")]
    assert (len(found), found.lines) == (2, 2)


def test_a_comma_is_no_decimal_sign_where_it_separates():
    with pytest.raises(DataError, match="line 1: a weight must be a finite number, got '2,5'"):
        collected("a b 2,5", weight=2, delimiter=",")


def test_numbers_that_are_no_weights_are_not_checked():
    assert collected("a b 0", "b c -1", weight=2, strict=False).weight.tolist() == [0, -1]
    assert collected("a b 0", weight=2, drop_zero=True).weight.tolist() == [0]


def test_directions_are_read():
    assert collected("a b Undirected", "a b DIRECTED", direction=2).directed
    assert not collected("a b Undirected", direction=2).directed


@pytest.mark.parametrize("integers", [False, True])
def test_an_edge_is_put_before_others(integers):
    found = collected("1 2 1", "2 3 2", weight=2)
    if integers:
        found = replace(found, names=np.array([1, 2, 3]))
    found = put_first(found, collected("4 2 7", weight=2))
    ends = [[str(found.names[end]) for end in pair] for pair in found.edges.T]
    assert ends == [["4", "2"], ["1", "2"], ["2", "3"]]
    assert found.weight.tolist() == [7, 1, 2]
    assert isinstance(found.names, np.ndarray) == integers
    ends = put_first(found, collected("5 5 7", weight=2)).edges
    assert ends.tolist() == [[4, 3, 0, 1], [4, 1, 1, 2]]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        *[("3 2", True), ("4 2", True), ("2 2", False), ("3 1", False), ("3 3 2", True)],
        *[("3 2 2", False), ("3", True), ("9", True), ("2", True), ("1", False)],
    ],
)
def test_a_line_states_the_size(size, expected):
    assert states_size(size.split(), collected("1 2", "2 3")) == expected
    assert not states_size(["7"], collected("1 2", "2 8"))


@pytest.mark.parametrize("data", [True, False, ["weight"]])
@pytest.mark.parametrize("delimiter", [" ", ",", "\t"])
def test_lists_of_networkx_are_read(data, delimiter, tmp_path):
    graph = nx.Graph()
    graph.add_edge("a", "b", weight=1.5, colour="r, {g} b")
    graph.add_edge("b", "c", weight=2, tags=["x", (1, None)])
    nx.write_edgelist(graph, tmp_path / "g.txt", data=data, delimiter=delimiter)
    found = read_edges(tmp_path / "g.txt")
    assert [(found.names[u], found.names[v]) for u, v in found.edges.T.tolist()] == [*graph.edges]
    assert (None if found.weight is None else found.weight.tolist()) == (
        None if data is False else [1.5, 2]
    )
    assert read_edges(tmp_path / "g.txt", Reading(weight="none")).weight is None


@pytest.mark.parametrize(
    "text",
    [
        *["{'weight': 1", "{weight: 1}", "{'weight': __import__('os')}", "{1}"],
        *["{" + "(" * 5000 + "}", "{'a': 1" + " " * 20_000 + "}"],
    ],
)
def test_what_is_no_dictionary_is_refused(text):
    with pytest.raises(DataError, match="line 1: expected a dictionary") as caught:
        list(with_weights(iter([(1, ["a", "b", text])]), PATH, "weight", set()))
    assert caught.value.code == "BAD_WEIGHT"
    assert len(str(caught.value)) < 200
