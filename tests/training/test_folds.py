"""Tests of folds of the training links."""

import numpy as np
import pytest
import torch

from vgae import (
    VAE,
    GCNEncoder,
    Graph,
    GraphCollection,
    InnerProductDecoder,
    cross_fit,
    split_links,
)
from vgae.errors import DataError, UsageError
from vgae.graphs.canonical import link_positions
from vgae.recipes import PAPER
from vgae.training.folds import PARTS, folds_of
from vgae.training.links import prepare

SHORT = PAPER.override({"epochs": 3})


def numbers(split, links):
    return set(split.grid.numbers(links).tolist())


def test_all_folds_hold_each_training_link_once_and_no_other(sbm):
    split = split_links(sbm, seed=3)
    seen = []
    for fold in folds_of(sbm, split, PARTS):
        held, train = numbers(split, fold.held), numbers(split, fold.split.train)
        assert held | train == numbers(split, split.train)
        assert not held & train
        known = train | numbers(split, split.val.pos)
        assert numbers(split, fold.graph.links) == known
        assert torch.equal(fold.split.val.edge_label_index, split.val.edge_label_index)
        assert fold.split.test.pos.shape[1] == 0
        seen += held
        assert abs(len(held) - split.train.shape[1] / PARTS) <= 1
    assert len(seen) == split.train.shape[1]


def test_both_directions_of_a_link_are_in_one_fold():
    u, v = np.triu_indices(12, 4)
    graph = Graph.from_edges(np.stack([np.append(u, v), np.append(v, u)]), directed="keep")
    for fold in folds_of(graph, split_links(graph), PARTS):
        assert (link_positions(fold.held.flip(0), fold.split.train, graph.grid) < 0).all()


def test_ranks_of_the_same_seed_are_the_same_bits_and_better_than_chance(sbm):
    split = split_links(sbm)
    options = {"recipe": PAPER.override({"epochs": 40}), "progress": False}
    found = cross_fit(sbm, split, **options)
    assert found.num_folds == 2
    assert len(found.above) == pytest.approx(2 / PARTS * split.train.shape[1], abs=2)
    assert torch.equal(found.above, cross_fit(sbm, split, **options).above)
    assert 0 <= float(found.above.min()) <= float(found.above.max()) <= 1
    assert float(found.above.mean()) < 0.4
    one = cross_fit(sbm, split, folds=1, **options)
    assert torch.equal(one.above, found.above[: len(one.above)])


def test_links_of_weights_and_of_two_sides_are_divided(sbm):
    weighted = Graph.from_edges(sbm.links.numpy(), edge_weight=np.arange(sbm.num_links) + 1.0)
    across = sbm.links[:, (sbm.links[0] % 2) != (sbm.links[1] % 2)]
    two_sided = Graph.from_edges(
        across.numpy(), num_nodes=120, sides=[bool(i % 2) for i in range(120)]
    )
    for graph in (weighted, two_sided):
        found = cross_fit(graph, split_links(graph), folds=1, recipe=SHORT, progress=False)
        assert found.above.isfinite().all()


def test_the_settings_are_by_default_those_of_a_training(sbm, monkeypatch):
    seen = []

    def prepared(graph, split, **options):
        seen.append(prepare(graph, split, **options).recipe)
        return prepare(graph, split, **{**options, "recipe": SHORT})

    monkeypatch.setattr("vgae.training.folds.prepare", prepared)
    split = split_links(sbm)
    cross_fit(sbm, split, folds=1, progress=False)
    assert seen == [prepare(sbm, split).recipe]


@pytest.mark.row("R34")
def test_what_has_no_folds_is_refused_in_one_line(sbm):
    split = split_links(sbm)
    for number in (0, 6):
        with pytest.raises(UsageError, match=f"from 1 to 5, got {number}") as error:
            cross_fit(sbm, split, folds=number)
        assert error.value.code == "FOLDS"
    model = VAE(GCNEncoder(sbm.num_features), InnerProductDecoder())
    with pytest.raises(UsageError, match="name of one, got VAE"):
        cross_fit(sbm, split, model=model)
    ring = Graph.from_edges(np.array([np.arange(9), (np.arange(9) + 1) % 9]), num_nodes=9)
    graphs = GraphCollection.from_graphs([ring] * 9)
    with pytest.raises(UsageError, match="this split is by whole graphs"):
        cross_fit(graphs, split_links(graphs, by="graphs", val=0.3, test=0.2))
    with pytest.raises(DataError, match="at least 10 training links, got 8"):
        cross_fit(ring, split_links(ring, val=0, test=0.12))
