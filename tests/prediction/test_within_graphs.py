"""Tests of proposals within the graphs of a collection, against all pairs of one graph."""

import numpy as np
import pytest
import torch

from vgae import Graph, GraphCollection, predict_links, score_links
from vgae.errors import DataError, UsageError
from vgae.evaluation.links import PairScorer
from vgae.models.graphs import build_model
from vgae.prediction import searches, within_graphs
from vgae.recipes import Recipe
from vgae.runtime.streams import stream

SIZES = (6, 1, 9, 4, 12)
NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def graphs():
    rng = np.random.default_rng(0)
    parts = []
    for n in SIZES:
        pairs = np.stack(np.triu_indices(n, 1))
        linked = pairs[:, rng.random(pairs.shape[1]) < 0.3]
        x = rng.normal(size=(n, 3)).astype(np.float32)
        parts.append(Graph.from_edges(linked, num_nodes=n, x=x))
    return GraphCollection.from_graphs(parts, names=NAMES)


@pytest.fixture(scope="module")
def scorer(graphs):
    return PairScorer(build_model("vgae", 3, Recipe(name="x"), stream(0, "init")), graphs)


@pytest.fixture(params=["small", "large", "many runs"])
def way(request, monkeypatch):
    """Have the graphs of more than 5 nodes searched alone, or few pairs scored at a time."""
    if request.param == "large":
        monkeypatch.setattr(within_graphs, "SMALL", 5)
        monkeypatch.setattr(searches, "SMALL", 5)
    if request.param == "many runs":
        monkeypatch.setattr(within_graphs, "_PAIRS_AT_ONCE", 20)


def all_pairs(graphs, scorer):
    """Yield graph, u, v and score of each pair without a link, in both directions."""
    linked = set(zip(*graphs.links.tolist(), strict=True))
    for u in range(graphs.num_nodes):
        for v in range(graphs.num_nodes):
            same = graphs.batch[u] == graphs.batch[v]
            if u != v and same and (min(u, v), max(u, v)) not in linked:
                score = float(scorer.z[u] @ scorer.z[v])
                yield NAMES[int(graphs.batch[u])], u, v, score


def expected(rows, k, key):
    groups = {}
    for row in sorted(rows, key=lambda row: -row[3]):
        groups.setdefault(key(row), []).append(row)
    found = [row for name in sorted(groups) for row in groups[name][:k]]
    return [(row[0], row[1], row[2]) for row in found]


def rows_of(table):
    return list(
        zip(table.columns()["graph"], table.source.tolist(), table.target.tolist(), strict=True)
    )


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("k", [1, 3, 50])
def test_each_node_gets_its_best_partners_of_its_graph(graphs, scorer, k):
    found = predict_links(scorer, graphs, k)
    assert rows_of(found) == expected(all_pairs(graphs, scorer), k, lambda row: row[1])
    assert found.rank.max() <= k
    first = found.rank[found.source == found.source[0]].tolist()
    assert first == list(range(1, 1 + len(first)))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("k", [1, 4, 200])
def test_each_graph_or_the_collection_gets_its_best_pairs(graphs, scorer, k):
    once = [row for row in all_pairs(graphs, scorer) if row[1] < row[2]]
    found = predict_links(scorer, graphs, k, per_graph=True)
    assert rows_of(found) == expected(once, k, lambda row: row[0])
    found = predict_links(scorer, graphs, k, per_node=False)
    assert rows_of(found) == expected(once, k, lambda _: 0)
    assert found.rank.tolist() == list(range(1, len(found) + 1))


@pytest.mark.usefixtures("way")
def test_nodes_and_graphs_are_chosen_by_name(graphs, scorer):
    rows = [*all_pairs(graphs, scorer)]
    found = predict_links(scorer, graphs, 2, nodes=["e:3", "a:0"])
    own = [expected([r for r in rows if r[1] == u], 2, lambda _: 0) for u in (23, 0)]
    assert rows_of(found) == [row for rows in own for row in rows]
    found = predict_links(scorer, graphs, 2, within=["a", "d"])
    assert rows_of(found) == expected(
        [row for row in rows if row[0] in "ad"], 2, lambda row: row[1]
    )
    found = predict_links(scorer, graphs, 3, per_node=False, within="e", metric="cosine")
    assert set(found.columns()["graph"]) == {"e"}
    found = predict_links(scorer, graphs, 2, targets=["c:2"])
    back = expected([(g, v, u, s) for g, u, v, s in rows if v == 9], 2, lambda _: 0)
    assert rows_of(found) == [(g, v, u) for g, u, v in back]


def test_cosines_rank_within_graphs(graphs, scorer):
    found = predict_links(scorer, graphs, 1, metric="cosine")
    z = torch.nn.functional.normalize(scorer.z, dim=1)
    same = graphs.batch[:, None] == graphs.batch
    cosine = (z @ z.T).masked_fill(~same, -2)
    cosine[graphs.links[0], graphs.links[1]] = -2
    cosine[graphs.links[1], graphs.links[0]] = -2
    cosine.fill_diagonal_(-2)
    best = cosine.max(dim=1).values
    torch.testing.assert_close(found.score, best[found.source])
    assert set(found.source.tolist()) == set((best > -2).nonzero()[:, 0].tolist())


def test_pairs_across_graphs_are_refused(graphs, scorer):
    found = score_links(scorer, graphs, [["a:0", "a:1"], ["c:0", "c:1"]])
    assert found.columns()["graph"] == ["a", "c"]
    with pytest.raises(DataError, match=r"1 pairs join nodes of two graphs .* 'a:0' and 'c:1'"):
        score_links(scorer, graphs, [["a:0", "a:1"], ["a:0", "c:1"]])


def test_wrong_graphs_are_refused(graphs, scorer):
    with pytest.raises(DataError, match="has no graph 'z'; names of its 5 graphs are like 'a'"):
        predict_links(scorer, graphs, within=["a", "z"])
    one = graphs[4]
    with pytest.raises(UsageError, match=r"are for collections of graphs, and .* is one graph"):
        predict_links(PairScorer(scorer.model, one), one, per_graph=True)


def test_equal_scores_are_in_the_order_of_the_nodes(graphs, scorer):
    same = PairScorer(scorer.model, graphs)
    same.z = torch.ones_like(same.z)
    found = predict_links(same, graphs, 2, within="e")
    for node in found.source.unique().tolist():
        partners = found.target[found.source == node].tolist()
        known = graphs.links[:, (graphs.links == node).any(dim=0)].flatten().tolist()
        rest = [v for v in range(20, 32) if v != node and v not in known]
        assert partners == rest[:2]


@pytest.mark.row("R26")
def test_a_graph_of_no_such_name_is_refused(graphs, scorer):
    with pytest.raises(DataError, match=r"has no graph 'x'; names of its .* graphs are like 'a'"):
        predict_links(scorer, graphs, 1, within=["a", "x"])
