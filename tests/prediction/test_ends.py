"""Names of sides and nodes, and the pairs that a search is among."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import DataError
from vgae.prediction.ends import pair_numbers, searches, side_named


def two_sided(names, side_names=("user", "item")):
    graph = vgae.Graph.from_edges([[], []], node_ids=names)
    sides = torch.tensor([k >= len(names) // 2 for k in range(len(names))])
    return replace(graph, sides=sides, side_names=side_names)


@pytest.mark.parametrize(
    ("name", "second"),
    [
        *[("user", False), ("Users", False), ("first", False), ("source", False)],
        *[("item", True), ("items ", True), ("second", True), ("target", True)],
        *[("u1", None), ("users2", None), ("", None)],
    ],
)
def test_a_side_is_named_in_singular_or_plural_or_by_its_place(name, second):
    assert side_named(two_sided(["u1", "u2", "i1", "i2"]), name) is second


@pytest.mark.parametrize(
    ("sides", "name", "second"),
    [
        (("user_id", "item_id"), "users", False),
        (("category", "dish"), "categories", False),
        (("category", "dish"), "dishes", True),
        (("movies", "people"), "movie", False),
        (("user", "users"), "users", True),
        ((), "first", False),
        ((), "user", None),
    ],
)
def test_forms_of_a_name_of_a_side(sides, name, second):
    assert side_named(two_sided(["a", "b"], sides), name) is second


def test_a_node_may_have_the_name_of_a_side(caplog):
    graph = two_sided(["user", "users", "first", "i1", "i2", "i3"])
    assert side_named(graph, "users") is None
    assert side_named(graph, "first") is None
    caplog.set_level(logging.WARNING)
    assert side_named(graph, "user") is False
    assert "taken as the side, though a node has that name" in caplog.text
    (search,) = searches(graph, None, ["user"], None, per_node=True)
    assert search.nodes.tolist() == [0]


def test_a_graph_without_sides_has_no_names_of_sides():
    graph = vgae.Graph.from_edges([["a"], ["b"]])
    assert side_named(graph, "first") is None
    with pytest.raises(DataError, match="first 'first'"):
        searches(graph, None, "first", None, per_node=True)


def test_a_side_as_target_is_proposed_to_the_other_one():
    graph = two_sided(["u1", "u2", "i1", "i2"])
    (search,) = searches(graph, None, None, "users", per_node=True)
    assert (search.nodes.tolist(), search.candidates.tolist()) == ([2, 3], [0, 1])
    assert not search.swapped
    (search,) = searches(graph, None, None, ["u1"], per_node=True)
    assert (search.nodes.tolist(), search.candidates.tolist()) == ([0], [2, 3])
    assert search.swapped
    (search,) = searches(graph, None, None, ["u1"], per_node=False)
    assert (search.nodes.tolist(), search.candidates.tolist()) == ([2, 3], [0])
    for per_node in (True, False):
        assert sum(len(s.nodes) for s in searches(graph, None, None, [], per_node=per_node)) == 0


def test_the_numbers_of_pairs_across_keep_their_order():
    graph = two_sided(["u1", "u2", "i1", "i2"])
    assert pair_numbers(graph, [("i2", "u1"), ("u2", "i1")]).tolist() == [[3, 1], [0, 2]]


def test_a_name_that_is_on_both_sides_is_asked_for_with_its_side():
    names = ["user_id:1", "user_id:2", "item_id:1", "item_id:2"]
    graph = vgae.Graph.from_edges([[0, 1], [2, 3]], sides=[0, 0, 1, 1], node_ids=names)
    with pytest.raises(DataError, match="Did you mean 'user_id:1 or item_id:1' for '1'"):
        pair_numbers(graph, [("1", "item_id:1")])


def test_a_pair_beyond_a_relation_is_not_called_one_of_one_side():
    edges = {"knows": (np.array([[0, 1], [1, 2]]), None)}
    types = {"node_type": np.array([0, 0, 0, 1]), "node_type_names": ("user", "item")}
    relation = vgae.TypedGraph.of(edges, **types).relations["knows"]
    with pytest.raises(DataError, match=r"of a type that the relation .* does not link, first 3"):
        pair_numbers(relation, [[0, 3]])
