"""Tests of the evaluation of typed graphs, and of the proposals of a relation."""

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import DataError, LeakageError, UsageError
from vgae.evaluation.ranking import link_ranks
from vgae.evaluation.typed import RelationScorer
from vgae.models.typed import messages


@pytest.fixture(scope="module")
def trained():
    """A graph of users, items and tags with a trained model."""
    generator = np.random.default_rng(0)
    groups = generator.integers(2, size=45)

    def links(first, second, count):
        allowed = groups[first][:, None] == groups[second]
        found = np.argwhere(allowed & (first[:, None] != second))
        found = found[generator.choice(len(found), count, replace=False)]
        return np.stack([first[found[:, 0]], second[found[:, 1]]]), None

    user, item, tag = np.arange(20), np.arange(20, 38), np.arange(38, 45)
    edges = {"buys": links(user, item, 80), "knows": links(user, user, 60)}
    edges["has"] = links(item, tag, 40)
    names = [f"{kind}{k}" for kind, size in (("u", 20), ("i", 18), ("t", 7)) for k in range(size)]
    types = {"node_type": np.repeat([0, 1, 2], [20, 18, 7]), "node_ids": names}
    graph = vgae.TypedGraph.of(edges, node_type_names=("user", "item", "tag"), **types)
    split = vgae.split_links(graph, val=0.1, test=0.1)
    recipe = vgae.recipes.PAPER.override({"epochs": 10})
    return vgae.fit(graph, split, model="rgcn-gae", recipe=recipe, progress=False), graph, split


def test_links_are_ranked_among_the_pairs_of_their_relation(trained):
    result, graph, split = trained
    found = vgae.evaluate(*trained)["test"].relations
    assert {name: score.num_links for name, score in found.items()} == {
        name: part.test.pos.shape[1] for name, part in split.parts.items()
    }
    scorer = RelationScorer(result, graph, "has", messages(graph, split))
    part, relation = split.parts["has"].test, graph.relations["has"]
    ranks = link_ranks(scorer.logits_of, part.pos, relation.links, 45, grid=relation.grid)
    linked = {*map(tuple, relation.links.T.tolist())}
    item, tag = part.pos[:, 0].tolist()
    others = [t for t in range(38, 45) if (item, t) not in linked]
    scores = scorer.logits(torch.tensor([[item] * (len(others) + 1), [tag, *others]]))
    assert ranks[0, 0] == 1 + int((scores[1:] > scores[0]).sum())
    assert found["has"].ranks.mrr == pytest.approx(float((1 / ranks).mean()))


def test_messages_may_travel_on_validation_links(trained):
    split = trained[2]
    usual, more = (vgae.evaluate(*trained, messages=m) for m in ("train", "train+val"))
    assert usual["val"].auc == more["val"].auc
    assert usual["test"].relations["buys"].ranks != more["test"].relations["buys"].ranks
    assert repr(split).startswith("TypedSplit(seed=0, 3 relations")


@pytest.mark.parametrize("per_node", [True, False])
def test_proposals_are_pairs_of_the_relation(trained, per_node):
    result, graph, _ = trained
    for name, relation in graph.relations.items():
        table = vgae.predict_links(result, graph, 3, relation=name, per_node=per_node)
        pairs = torch.stack([table.source, table.target])
        assert len(table) > 0
        assert relation.grid.holds(pairs).all()
        known = {*map(tuple, relation.links.T.tolist())}
        assert known.isdisjoint(map(tuple, relation.grid.ordered(pairs).T.tolist()))
        again = vgae.score_links(result, graph, table.names(), relation=name)
        torch.testing.assert_close(again.score, table.score)


def test_ends_of_other_types_and_unnamed_relations_are_refused(trained):
    result, graph, split = trained
    assert len(vgae.predict_links(result, graph, 2, relation="has", nodes=["i3", "i4"])) > 1
    with pytest.raises(DataError, match="first 'u1'"):
        vgae.predict_links(result, graph, relation="has", sources=["u1"])
    with pytest.raises(DataError, match="does not link, first 'u1'"):
        vgae.score_links(result, graph, [("u1", "t1")], relation="has")
    with pytest.raises(UsageError, match="name one of the relations 'buys', 'knows', 'has'"):
        vgae.predict_links(result, graph)
    with pytest.raises(UsageError, match="calibration and hard"):
        vgae.evaluate(result, graph, split, hard=10)
    with pytest.raises(LeakageError, match="trained on other links"):
        vgae.evaluate(result, graph, vgae.split_links(graph, val=0.1, test=0.1, seed=1))
