"""Tests of the relations of a typed graph: which pairs may be links, and equal relations."""

import logging

import numpy as np
import pytest
import torch

from vgae.errors import DataError
from vgae.graphs.relations import distinct_relations, link_codes, relation_of

TYPES = torch.tensor([0, 0, 0, 1, 1, 2])
NAMES = ("user", "item", "tag")


def relation(edges, weight=None, directed="symmetrize"):
    how = {"merge": "mean", "directed": directed, "ordered": False}
    return relation_of(np.array(edges).T, weight, TYPES, NAMES, **how)


def test_a_relation_between_two_types_has_the_pairs_of_these_alone():
    across = relation([(3, 0), (1, 4)])
    assert across.side_names == ("user", "item")
    assert across.grid.num_pairs == 6
    pairs = torch.tensor([[0, 0, 0, 3], [3, 1, 5, 4]])
    assert across.grid.holds(pairs).tolist() == [True, False, False, False]
    within = relation([(0, 1), (2, 0)])
    assert within.side_names == ()
    assert within.grid.num_pairs == 3
    assert within.links.tolist() == [[0, 0], [1, 2]]


def test_targets_of_several_types_are_one_side():
    both = relation([(0, 3), (1, 5), (2, 5)])
    assert both.side_names == ("user", "item or tag")
    assert both.grid.num_pairs == 9
    mixed = relation([(0, 3), (3, 5)])
    assert mixed.sides is None
    assert mixed.members is None


def test_direction_is_kept_within_one_set_of_types_if_asked():
    one = relation([(0, 1), (1, 0), (2, 0)], directed="keep")
    assert one.directed
    assert one.num_links == 3
    assert one.grid.num_pairs == 6
    assert not relation([(0, 3)], directed="keep").directed


def test_an_edge_beyond_the_nodes_is_refused():
    with pytest.raises(DataError, match=r"must lie in \[0, 6\)"):
        relation([(0, 6)])


@pytest.mark.row("G46")
def test_the_same_links_again_are_left_out_and_logged(caplog):
    rates, back = relation([(0, 3), (1, 4)]), relation([(3, 0), (4, 1)])
    likes = relation([(1, 4), (0, 3)])
    with caplog.at_level(logging.INFO):
        kept, merged = distinct_relations({"rev_rates": back, "rates": rates, "likes": likes})
    assert [*kept] == ["rates"]
    assert merged == {"likes": "rates", "rev_rates": "rates"}
    assert "relation 'rev_rates' has the links of 'rates', reversed" in caplog.text
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert link_codes(back).tolist() == link_codes(rates).tolist() == [3, 10]
    with pytest.raises(DataError, match="have no links"):
        distinct_relations({"none": relation(np.empty((0, 2), int))})


def test_relations_without_links_are_left_out_and_logged(caplog):
    none, loops = relation(np.empty((0, 2), int)), relation([(0, 0), (1, 1)])
    kept, merged = distinct_relations({"none": none, "rates": relation([(0, 3)]), "self": loops})
    assert [*kept] == ["rates"]
    assert merged == {}
    assert "without links are left out: 'none', 'self'" in caplog.text
