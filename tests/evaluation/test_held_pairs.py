"""Tests of the pairs that a calibration is fitted to."""

import numpy as np
import pytest
import torch

from vgae import Graph, GraphCollection, fit, split_links
from vgae.evaluation.folds import TOP, FoldLinks
from vgae.evaluation.held_pairs import drawn_pairs, held_pairs, link_fraction, population
from vgae.evaluation.links import PairScorer
from vgae.recipes import PAPER


@pytest.fixture(scope="module")
def scorer(sbm):
    split = split_links(sbm)
    result = fit(sbm, split, recipe=PAPER.override({"epochs": 2}), progress=False)
    return PairScorer(result, sbm, split.message_edge_index), split


def test_the_population_is_all_pairs_but_the_training_links(sbm, scorer):
    _, split = scorer
    numbers = population(sbm, split)
    assert numbers.unknown == 120 * 119 // 2 - split.train.shape[1]
    assert numbers.hidden == split.val.pos.shape[1] + split.test.pos.shape[1]
    assert link_fraction(sbm, split, "density") == numbers.hidden / numbers.unknown
    assert link_fraction(sbm, split, "graph") == sbm.num_links / (120 * 119 // 2)
    assert link_fraction(sbm, split, "balanced") == 0.5


def test_validation_links_are_beside_all_others_test_links_among_them(sbm, scorer):
    found = held_pairs(scorer[0], sbm, scorer[1])
    split, num_links = scorer[1], scorer[1].val.pos.shape[1]
    assert int(found.edge_label.sum()) == num_links
    assert float(found.weight.sum()) == population(sbm, split).unknown
    assert [(part.others, part.looks) for part in found.held] == [(split.test.pos.shape[1], 1)]
    folds = FoldLinks(torch.rand(9), 3)
    own = held_pairs(scorer[0], sbm, split, folds).held[-1]
    assert (own.others, own.looks, own.top) == (split.test.pos.shape[1], 3, TOP)
    pairs = drawn_pairs(sbm, split)
    torch.testing.assert_close(
        found.logits.sort().values, scorer[0].logits(pairs.edge_label_index).double().sort().values
    )


def test_of_held_out_graphs_the_pairs_are_those_of_the_validation_graphs():
    ring = [(i, (i + 1) % 9) for i in range(9)]
    parts = [Graph.from_edges(np.array([*ring, (0, i)]).T, num_nodes=9) for i in range(2, 8)] * 3
    collection = GraphCollection.from_graphs(parts)
    split = split_links(collection, by="graphs", val=0.3, test=0.2)
    result = fit(collection, split, recipe=PAPER.override({"epochs": 1}), progress=False)
    scorer = PairScorer(result, collection, split.message_edge_index)
    found, numbers = held_pairs(scorer, collection, split), population(collection, split)
    assert numbers.hidden == split.val.pos.shape[1]
    assert float(found.weight.sum()) == pytest.approx(numbers.unknown)
    of_graph = collection.batch[drawn_pairs(collection, split).neg[0]]
    assert set(split.graph_part[of_graph].tolist()) == {1}
