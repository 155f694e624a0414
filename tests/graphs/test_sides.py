"""Names of two kinds of nodes are kept apart, or their mixing is said."""

import logging

import numpy as np
import pandas as pd
import pytest

from vgae.data.edge_lists import read_edges
from vgae.data.files import read_graph
from vgae.data.reading import Reading
from vgae.errors import DataError, UsageError, VgaeError
from vgae.graphs.columns import Roles
from vgae.graphs.graph import Graph
from vgae.graphs.sides import two_sides


def test_names_on_both_sides_become_two_nodes():
    edges = np.array([[0, 1, 1], [1, 2, 1]])
    roles = Roles(0, 1, names=("user", "item"))
    names, apart = two_sides("g.csv", ["x", "y", "z"], edges, roles, logging.INFO)
    assert [[names[u], names[v]] for u, v in apart.T] == [
        ["user:x", "item:y"],
        ["user:y", "item:z"],
        ["user:y", "item:y"],
    ]


def test_names_on_one_side_each_stay_as_they_are():
    edges = np.array([[0, 1], [2, 2]])
    names, same = two_sides("g.csv", [1, 2, 7], edges, Roles(0, 1), logging.INFO)
    assert names == [1, 2, 7]
    assert same is edges


@pytest.mark.parametrize(
    ("header", "rows", "sides"),
    [
        ("user_id,item_id", "1,1\n1,2\n", ("user", "item")),
        ("userId,movieId", "1,1\n1,2\n", ("user", "movie")),
        ("customer,product", "1,1\n1,2\n", ("customer", "product")),
        ("Users,Groups", "1,1\n1,2\n", ("Users", "Groups")),
        ("user_id,item_id", "ann,ann\nann,bob\n", ("user", "item")),
        ("user_id,item_id", "1,7\n1,8\n", ("user", "item")),
        ("buyer,seller", "1,1\n1,2\n", None),
        ("x,y", "1,1\n1,2\n", None),
        ("person,friend", "1,1\n1,2\n", None),
        ("follower_id,following_id", "1,2\n2,3\n", None),
    ],
)
def test_columns_of_two_kinds_of_things_are_two_sides(header, rows, sides, tmp_path, caplog):
    (tmp_path / "g.csv").write_text(f"{header}\n{rows}")
    assert read_edges(tmp_path / "g.csv").side_names == sides
    assert ("sides='none' (--sides none)" in caplog.text) == (sides is not None)


@pytest.mark.parametrize("header", ["boss_id,worker_id", "gene_id,site_id"])
def test_numbers_in_common_of_what_may_be_two_kinds_are_warned_of(header, tmp_path, caplog):
    (tmp_path / "g.csv").write_text(f"{header}\n1,1\n1,2\n")
    assert read_edges(tmp_path / "g.csv").side_names is None
    assert "sides='columns' (--sides columns) keeps them apart" in caplog.text


RATINGS = "user_id,item_id,rating\n1,1,5\n2,1,3\n2,7,4\n"


def test_one_command_reads_ratings(tmp_path):
    (tmp_path / "r.csv").write_text(RATINGS)
    graph = read_graph(tmp_path / "r.csv")
    assert graph.side_names == ("user", "item")
    assert dict(zip(graph.ids, graph.sides.tolist(), strict=True)) == {
        "user_id:1": False,
        "user_id:2": False,
        "item_id:1": True,
        "item_id:7": True,
    }
    found = [(graph.ids[u], graph.ids[v]) for u, v in graph.links.T.tolist()]
    assert dict(zip(found, graph.link_weight.tolist(), strict=True)) == {
        ("user_id:1", "item_id:1"): 5,
        ("user_id:2", "item_id:1"): 3,
        ("user_id:2", "item_id:7"): 4,
    }
    one = read_graph(tmp_path / "r.csv", sides="none")
    assert (one.num_nodes, one.sides) == (3, None)


def test_two_sided_and_columns_are_the_same_option():
    edges = pd.DataFrame({"a": [1, 2], "b": [2, 1]})
    graphs = [Graph.from_pandas(edges, **k) for k in ({"two_sided": True}, {"sides": "columns"})]
    assert graphs[0].fingerprint == graphs[1].fingerprint
    assert graphs[0].node_ids == ("a:1", "a:2", "b:1", "b:2")
    assert Reading(two_sided=True) == Reading(sides="columns")
    with pytest.raises(UsageError, match="leave it out beside another sides") as caught:
        Reading(two_sided=True, sides="none")
    assert caught.value.code == "SIDES"


def test_a_graph_is_not_directed_and_two_sided(tmp_path):
    (tmp_path / "r.csv").write_text(RATINGS)
    remedies = r"leave out directed='keep'.*or give sides='none'"
    for sides in ("columns", [0, 1]):
        with pytest.raises(UsageError, match=remedies) as caught:
            Graph.from_edges([[0], [1]], sides=sides, directed="keep")
        assert caught.value.code == "SIDES"
    with pytest.raises(UsageError, match=remedies):
        read_graph(tmp_path / "r.csv", directed="keep")
    assert read_graph(tmp_path / "r.csv", directed="keep", sides="none").directed


@pytest.mark.parametrize(
    ("sides", "names", "second", "side_names"),
    [
        ([False, True, True], (), [0, 1, 1], ()),
        (np.array([True, False, False]), ("a", "b"), [1, 0, 0], ("a", "b")),
        ([7, 3, 3], (), [1, 0, 0], ()),
        (["u", "i", "i"], (), [0, 1, 1], ("u", "i")),
        (["u", "i", "i"], ("i", "u"), [1, 0, 0], ("i", "u")),
        (pd.Series(["i", "i", "u"], index=["c", "b", "a"]), (), [0, 1, 1], ("u", "i")),
    ],
)
def test_a_label_for_each_node_is_its_side(sides, names, second, side_names):
    given = {"node_ids": list("abc"), "sides": sides, "side_names": names}
    graph = Graph.from_edges([[0, 2], [1, 0]], **given)
    assert graph.sides.tolist() == [bool(side) for side in second]
    assert graph.side_names == side_names
    ends = [[0, 0], [1, 2]] if not second[0] else [[1, 2], [0, 0]]
    assert graph.links.tolist() == ends


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"sides": [0, 1]}, "SIDES", "for each of 3 nodes.* got 2 of 2"),
        ({"sides": [0, 1, 2]}, "SIDES", "got 0, 1, 2"),
        ({"sides": [0, 1, None]}, "SIDES", "None"),
        ({"sides": [0, 1, "a"]}, "SIDES", "one of two labels"),
        ({"sides": [0.5, 1, 1]}, "SIDES", "one of two labels"),
        ({"sides": list("uii"), "side_names": ("a", "b")}, "SIDES", "u and i"),
        ({"sides": [0, 0, 1]}, "SIDES", "1 edges join two nodes of one side, first nodes 0 and 1"),
        ({"sides": "columns"}, "SIDES", "1 nodes are in both columns, such as node 0"),
        ({"sides": "bipartite"}, "SIDES", "must be 'auto', 'columns', 'none'"),
        ({"sides": None}, "SIDES", "must be 'auto', 'columns', 'none'"),
        ({"sides": [0, 1, 1], "side_names": ("a", "a")}, "SIDES", "two different names"),
        ({"sides": "none", "x": ([[1]], [[1]])}, "SIDES", "x is a pair"),
    ],
)
def test_sides_that_cannot_be_used_are_refused(given, code, words):
    with pytest.raises(VgaeError, match=words) as caught:
        Graph.from_edges([[0, 2], [1, 0]], num_nodes=3, **given)
    assert caught.value.code == code


def test_a_node_without_links_has_the_side_of_its_name_or_none(caplog):
    edges = pd.DataFrame({"user": [1, 2], "item": [1, 1]})
    nodes = pd.DataFrame({"id": ["user:1", "user:2", "user:3", "item:1"], "age": range(4)})
    graph = Graph.from_pandas(edges, nodes)
    assert graph.sides.tolist() == [False, False, False, True]
    edges, nodes = edges.assign(item=["a", "a"]).astype(str), nodes.assign(id=["1", "2", "3", "a"])
    assert Graph.from_pandas(edges, nodes).sides is None
    assert "1 nodes have no link, such as '3', and no side" in caplog.text
    with pytest.raises(DataError, match="do not tell their side") as caught:
        Graph.from_pandas(edges, nodes, sides="columns")
    assert caught.value.code == "SIDES"
    known = nodes.assign(kind=["user", "user", "user", "item"])
    graph = Graph.from_pandas(edges, known, sides="kind")
    assert graph.sides.tolist() == [False, False, False, True]
    assert (graph.side_names, graph.feature_names) == (("user", "item"), ("age",))
