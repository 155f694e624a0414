import numpy as np
import pytest
import torch

from vgae import Graph, fit, split_links
from vgae.errors import UsageError
from vgae.evaluation.links import evaluate_links
from vgae.graphs.split import LinkSplit
from vgae.recipes import PAPER
from vgae.training.search import inner_splits, score_recipe, training_graph, without_test

SHORT = PAPER.override({"epochs": 3})


def pairs_of(links):
    return set(map(tuple, links.T.tolist()))


def test_the_graph_of_a_search_has_the_training_links_alone(sbm):
    split = split_links(sbm)
    inside = training_graph(sbm, split)
    assert torch.equal(inside.links, split.train)
    assert inside.node_ids == sbm.node_ids
    assert inside.x is sbm.x
    for inner in inner_splits(inside, 3, seed=5):
        used = pairs_of(inner.train) | pairs_of(inner.val.pos)
        assert used == pairs_of(split.train)
        assert not inner.test.pos.shape[1]
    seeds = [inner.seed for inner in inner_splits(inside, 3, seed=5)]
    assert seeds == [5, 6, 7]


def test_a_search_does_not_depend_on_held_out_links(sbm):
    """Two graphs with the same training links, one without the others, have the same scores."""
    split = split_links(sbm)
    bare = Graph.from_edges(split.train, num_nodes=120, x=sbm.x, node_ids=sbm.node_ids)
    none = np.empty((2, 0), dtype=np.int64)
    whole = LinkSplit.from_pairs(bare, train=split.train, val=none, test=none)
    one, two = (training_graph(*given) for given in ((sbm, split), (bare, whole)))
    assert one.fingerprint == two.fingerprint
    scores = [
        score_recipe(graph, inner_splits(graph, 1), SHORT, model="vgae") for graph in (one, two)
    ]
    assert scores[0] == scores[1]


def test_scores_are_those_of_a_training_on_each_split(sbm):
    inside = training_graph(sbm, split_links(sbm))
    splits, rows = inner_splits(inside), []
    found = score_recipe(inside, splits, SHORT, model="gae", on_row=rows.append)
    for split, scores in zip(splits, found, strict=True):
        options = {"model": "gae", "recipe": SHORT, "seed": split.seed, "progress": False}
        model = fit(inside, split, **options).model
        assert scores == evaluate_links(model, inside, split)["val"]
    assert [row.epoch for row in rows] == [1, 2, 3] * 2


def test_a_check_has_the_validation_links_and_no_test_links(sbm):
    split = split_links(sbm)
    known, own = without_test(sbm, split)
    assert pairs_of(known.links) == pairs_of(split.train) | pairs_of(split.val.pos)
    own.audit(known)
    assert torch.equal(own.val.edge_label_index, split.val.edge_label_index)
    assert not own.test.pos.shape[1]


def test_splits_that_no_search_can_be_of_are_refused(sbm):
    with pytest.raises(UsageError, match=r"splits \(--splits\) must be at least 1, got 0"):
        inner_splits(sbm, 0)
    directed = Graph.from_edges(sbm.links, directed="keep", num_nodes=120)
    with pytest.raises(UsageError, match="this split is by task 'biased'; split by links"):
        training_graph(directed, split_links(directed, task="biased"))
    with pytest.raises(UsageError, match=r"graph must be a vgae.Graph"):
        training_graph("cora", None)
