"""Names of two sides are kept apart, or the names in common are reported."""

import logging

import numpy as np

from vgae.graphs.columns import Roles
from vgae.graphs.sides import two_sides, warn_of_sides

ROLES = Roles(0, 1, names=("user", "item"))


def test_equal_names_of_two_sides_become_two_nodes(caplog):
    edges = np.array([[0, 1], [1, 2]])
    with caplog.at_level(logging.INFO, "vgae"):
        names, apart = two_sides("g", ["a", "b", "c"], edges, ROLES, logging.INFO)
    assert [names[end] for end in apart.ravel()] == ["user:a", "user:b", "item:b", "item:c"]
    assert "2 and 2 nodes; 1 names are on both, and become user:NAME and item:NAME" in caplog.text
    names, same = two_sides("g", ["a", "b"], np.array([[0], [1]]), ROLES, logging.INFO)
    assert (names, same.tolist()) == (["a", "b"], [[0], [1]])


def test_names_in_common_are_reported(caplog):
    warn_of_sides("g", ["a", "b"], np.array([[0], [1]]), ROLES)
    assert not caplog.records
    warn_of_sides("g", ["a", "b"], np.array([[0, 1], [1, 1]]), ROLES)
    assert "user and item have names in common, which are the same nodes: 1, such as b" in (
        caplog.text
    )
