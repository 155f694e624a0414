"""Tests of the parts of a split by whole graphs."""

import torch

from tests.graphs.test_whole_graphs import rings
from vgae.graphs.split import split_links
from vgae.graphs.split_parts import training_part, validation_part, whole_split


def test_the_training_part_has_nothing_of_the_held_out_graphs():
    graphs = rings()
    split = split_links(graphs, by="graphs", val=0.1, test=0.2)
    seen, own = training_part(graphs, split)
    expected = graphs.select(split.graph_part == 0)
    assert torch.equal(seen.links, expected.links)
    assert torch.equal(own.train, expected.links)
    assert own.val.pos.shape[1] == own.test.pos.shape[1] == own.context.shape[1] == 0
    assert not any(check.violations for check in own.audit(seen))


def test_the_validation_part_predicts_hidden_links_over_the_context():
    graphs = rings()
    split = split_links(graphs, by="graphs", val=0.1, test=0.2)
    held, own = validation_part(graphs, split)
    assert held.num_graphs == 2
    assert own.train.shape[1] + own.val.pos.shape[1] == held.num_links
    assert torch.equal(torch.cat([own.train, own.val.pos], dim=1).unique(dim=1), held.links)
    assert bool(held.grid.holds(own.val.neg).all())


def test_a_split_by_links_is_its_own_part():
    graphs = rings()
    split = split_links(graphs)
    assert training_part(graphs, split)[1] is split
    assert validation_part(graphs, split)[0] is graphs


def test_all_links_of_a_whole_split_are_training_links():
    graphs = rings()
    assert not any(
        check.severity == "leak" and check.violations
        for check in whole_split(graphs, 0).audit(graphs)
    )
