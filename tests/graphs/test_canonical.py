"""Weights, directions and repeats: what becomes of each, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgae.errors import DataError, UsageError
from vgae.graphs.canonical import canonical_links, link_positions
from vgae.graphs.grid import Grid

# Link 0 - 1 three times, in both directions; 1 - 2 once; a self-loop.
EDGES = np.array([[0, 1, 0, 1, 2], [1, 0, 1, 2, 2]])
WEIGHT = [1.0, 5.0, 3.0, 4.0, 9.0]


@pytest.mark.parametrize(
    ("merge", "expected"), [("mean", 3.0), ("sum", 9.0), ("max", 5.0), ("first", 1.0)]
)
def test_a_link_given_several_times_weighs_what_merge_says(merge, expected):
    found = canonical_links(EDGES, Grid(3), WEIGHT, merge=merge)
    assert found.links.tolist() == [[0, 1], [1, 2]]
    assert found.weight.tolist() == [expected, 4.0]
    assert found.weight.dtype == torch.float32
    assert found.notes == {"self_loops": 1, "repeats": 1, "both_ways": 1, "one_way": 1}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 50)), min_size=1))
def test_merged_weights_are_those_of_a_dictionary(edges):
    groups = {}
    for u, v, weight in edges:
        if u != v:
            groups.setdefault((min(u, v), max(u, v)), []).append(weight)
    u, v, weight = np.array(edges).T
    for merge, rule in {"mean": np.mean, "sum": sum, "max": max, "first": lambda w: w[0]}.items():
        found = canonical_links(np.stack([u, v]), Grid(7), weight, merge=merge)
        expected = [rule(groups[link]) for link in sorted(groups)]
        got = [1.0] * len(expected) if found.weight is None else found.weight.tolist()
        assert got == pytest.approx(expected)


def test_weights_of_one_are_no_weights():
    assert canonical_links(EDGES, Grid(3), np.ones(5)).weight is None
    assert canonical_links(EDGES, Grid(3), np.ones(5), merge="sum").weight.tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("weight", "code", "words"),
    [
        pytest.param([1, -2, 1, 1, 1], "NEGATIVE_WEIGHT", r"1 - 0 \(-2\)", id="G11"),
        pytest.param([1, 0, 1, 1, 1], "ZERO_WEIGHT", r"1 such, first 1 - 0", id="G12-zero"),
        pytest.param([1, 1e-60, 1, 1, 1], "ZERO_WEIGHT", "float32", id="G12-tiny"),
        pytest.param([1, np.nan, 1, 1, 1], "BAD_WEIGHT", "finite", id="G12-nan"),
        pytest.param([1, 1e60, 1, 1, 1], "BAD_WEIGHT", "finite", id="G12-inf"),
        pytest.param(["1"] * 5, "BAD_WEIGHT", "numbers", id="G13"),
        pytest.param([1, 2], "BAD_WEIGHT", "5 numbers", id="G13-length"),
        pytest.param([[1]] * 5, "BAD_WEIGHT", r"\(5, 1\)", id="G13-shape"),
    ],
)
def test_weights_that_cannot_be_used_are_refused_with_the_place(weight, code, words):
    with pytest.raises(DataError, match=words) as caught:
        canonical_links(EDGES, Grid(3), weight)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("edges", "ordered", "one_way"),
    [
        ([[0, 1], [1, 2]], False, 0),  # the usual list of undirected edges
        ([[0, 1], [1, 2]], True, 2),
        ([[0, 1, 1], [1, 0, 2]], False, 1),
        ([[0, 1, 1, 2], [1, 0, 2, 1]], True, 0),
    ],
)
def test_one_way_links_are_counted_and_refused_on_request(edges, ordered, one_way):
    edges = np.array(edges)
    notes = canonical_links(edges, Grid(3), ordered=ordered).notes
    assert notes.get("one_way", 0) == one_way
    if one_way:
        with pytest.raises(DataError, match=f"{one_way} links go one way only, the first"):
            canonical_links(edges, Grid(3), ordered=ordered, directed="error")
    else:
        assert canonical_links(edges, Grid(3), ordered=ordered, directed="error").links.shape == (
            2,
            2,
        )


@pytest.mark.parametrize("option", ["merge", "directed"])
def test_options_that_do_not_exist_are_refused(option):
    with pytest.raises(UsageError, match=f"{option} must be one of"):
        canonical_links(EDGES, Grid(3), **{option: "other"})


def test_positions_find_links_in_either_direction_and_nothing_else():
    links = torch.tensor([[0, 0, 2], [1, 3, 3]])
    pairs = torch.tensor([[3, 0, 1, 3, 2], [0, 1, 2, 2, 2]])
    assert link_positions(pairs, links, Grid(4)).tolist() == [1, 0, -1, 2, -1]
    assert link_positions(pairs, links[:, :0], Grid(4)).tolist() == [-1] * 5
