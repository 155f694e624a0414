"""Names of two kinds of nodes are kept apart, or their mixing is said."""

import logging

import numpy as np
import pytest

from vgae.data.edge_lists import read_edges
from vgae.graphs.columns import Roles
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
    ("header", "rows", "warned"),
    [
        ("user_id,item_id", "1,1\n1,2\n", True),
        ("userId,movieId", "1,1\n1,2\n", True),
        ("customer,product", "1,1\n1,2\n", True),
        ("Users,Groups", "1,1\n1,2\n", True),
        ("user_id,item_id", "ann,ann\nann,bob\n", False),
        ("user_id,item_id", "1,7\n1,8\n", False),
        ("x,y", "1,1\n1,2\n", False),
        ("person,friend", "1,1\n1,2\n", False),
        ("follower_id,following_id", "1,2\n2,3\n", False),
    ],
)
def test_numbers_of_different_things_in_common_are_warned_of(
    header, rows, warned, tmp_path, caplog
):
    (tmp_path / "g.csv").write_text(f"{header}\n{rows}")
    read_edges(tmp_path / "g.csv")
    assert ("two_sided=True (--two-sided)" in caplog.text) == warned
