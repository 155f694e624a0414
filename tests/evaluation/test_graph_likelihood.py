"""Tests of the log-likelihood of graphs, one pair at a time, and of planted unusual graphs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from vgae import Graph, GraphCollection, embed, fit, split_links
from vgae.errors import DataError
from vgae.evaluation import graph_likelihood
from vgae.evaluation.graph_likelihood import Typical, graph_log_likelihood, graph_log_prob
from vgae.models.graphs import build_model
from vgae.recipes import Recipe
from vgae.recipes.graphs import PAPER_GRAPHS
from vgae.runtime.streams import stream


def chain_of_rings(rng: np.random.Generator) -> Graph:
    """Return rings of 5 or 6 nodes in a chain, with the sizes as features."""
    edges, sizes = [], rng.integers(5, 7, int(rng.integers(3, 6)))
    ends = np.cumsum(sizes)
    for end, size in zip(ends.tolist(), sizes.tolist(), strict=True):
        ring = range(end - size, end)
        edges += [(u, u + 1) for u in ring[:-1]] + [(ring[0], ring[-1])]
    edges += [(end - 1, end) for end in ends[:-1].tolist()]
    return Graph.from_edges(np.array(edges).T, num_nodes=int(ends[-1]))


def with_features(graph: Graph) -> Graph:
    """Return the graph with positions as features: the first eigenvectors of its Laplacian."""
    adjacency = graph.to_scipy().toarray()
    degree = adjacency.sum(axis=1)
    vectors = np.linalg.eigh(np.diag(degree) - adjacency)[1][:, 1:7]
    scaled = vectors * np.sqrt(len(degree)) / 2
    one_hot = np.eye(6)[np.minimum(degree.astype(int), 5)]
    return replace(graph, x=torch.from_numpy(np.hstack([one_hot, scaled])).float())


@pytest.fixture(scope="module")
def graphs():
    rng = np.random.default_rng(0)
    return GraphCollection.from_graphs([with_features(chain_of_rings(rng)) for _ in range(6)])


def pair_by_pair(z, graph, first, shift=0.0):
    linked = set(zip(*graph.links.tolist(), strict=True))
    log_prob = {True: [], False: []}
    for u in range(graph.num_nodes):
        for v in range(u + 1, graph.num_nodes):
            logit, is_link = z[first + u] @ z[first + v] - shift, (u, v) in linked
            log_prob[is_link].append(float(F.logsigmoid(logit if is_link else -logit)))
    return log_prob


@pytest.mark.parametrize("weighting", ["kipf", "likelihood"])
def test_likelihoods_are_sums_over_the_pairs_of_each_graph(graphs, weighting, monkeypatch):
    monkeypatch.setattr(graph_likelihood, "_PAIRS_AT_ONCE", 100)
    recipe = Recipe(name="x", weighting=weighting)
    model = build_model("vgae", 12, recipe, stream(0, "init"))
    found = graph_log_likelihood(model, graphs)
    q = embed(model, graphs)
    others = graphs.grid.num_pairs - graphs.num_links
    shift = np.log(graphs.num_links / others) if weighting == "likelihood" else 0.0
    for k, (graph, first) in enumerate(zip(graphs, graphs.grid.ptr.tolist(), strict=False)):
        plain = pair_by_pair(q.mu.double(), graph, first)
        total = sum(plain[True]) + sum(plain[False])
        assert float(found.log_likelihood[k]) == pytest.approx(total, rel=1e-5)
        own = pair_by_pair(q.mu.double(), graph, first, shift)
        mean = np.mean(own[True] + own[False])
        assert float(found.per_pair[k]) == pytest.approx(-mean, rel=1e-5)
        own = q.mu[graphs.batch == k].double()
        means = torch.cat([own.mean(dim=0), own.square().mean(dim=0)])
        terms = torch.stack([found.per_pair[k], found.kl_per_node[k]])
        torch.testing.assert_close(found.vectors[k], torch.cat([terms, means]))
        kl = q.kl()[graphs.batch == k].sum()
        assert float(found.kl[k]) == pytest.approx(float(kl), rel=1e-5)
    torch.testing.assert_close(found.elbo, found.log_likelihood - found.kl)
    decoder: object = model.decoder
    torch.testing.assert_close(graph_log_prob(decoder, q.mu, graphs), found.log_likelihood)  # pyright: ignore


def test_graphs_of_one_node_have_no_pairs_to_score():
    none = torch.empty(2, 0).long()
    parts = [
        Graph.from_edges(none, num_nodes=1, x=torch.ones(1, 2)),
        Graph.from_edges(none, num_nodes=3, x=torch.ones(3, 2)),
        Graph.from_edges([[0], [1]], num_nodes=2, x=torch.ones(2, 2)),
    ]
    graphs = GraphCollection.from_graphs(parts)
    model = build_model("vgae", 2, Recipe(name="x"), stream(0, "init"))
    found = graph_log_likelihood(model, graphs)
    assert found.anomaly.isnan().tolist() == [True, False, False]
    assert found.log_likelihood[0] == 0
    torch.testing.assert_close(found.per_pair[1], -found.log_likelihood[1] / 3)
    torch.testing.assert_close(found.per_pair[2], -found.log_likelihood[2])
    columns = found.vectors.shape[1]
    typical = Typical(torch.ones(columns).double(), torch.eye(columns).double() / 4)
    given = graph_log_likelihood(model, graphs, typical=typical)
    torch.testing.assert_close(given.anomaly, (found.vectors - 1).norm(dim=1) / 2, equal_nan=True)
    with pytest.raises(DataError, match="log-likelihoods of graphs need a collection"):
        graph_log_likelihood(model, graphs[1])  # pyright: ignore


def test_typical_values_are_those_of_most_graphs_in_any_units():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(200, 3)) @ [[1.0, 0.9, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 2.0]]
    far = rng.normal(size=(20, 3)) + np.array([0.0, 40.0, 0.0])
    x = torch.from_numpy(np.vstack([usual, far]))
    typical = Typical.of(x)
    distance = typical.distance(x)
    assert distance[200:].min() > 10 * distance[:200].max()
    assert float(distance.median()) == pytest.approx(1)
    # Against the correlation of the first two columns, a short way is far.
    odd = typical.distance(torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]).double())
    assert odd[0] > 3 * odd[1]
    units, shift = torch.tensor([1e3, 1e-3, 7.0]).double(), torch.tensor([5.0, 0.0, -2.0])
    other = Typical.of(x * units + shift)
    torch.testing.assert_close(other.distance(x * units + shift), distance)
    constant = torch.full((220, 1), 3.0).double()
    torch.testing.assert_close(Typical.of(torch.cat([x, constant], 1)).centre[:3], typical.centre)
    wide = torch.cat([x, constant], dim=1)
    torch.testing.assert_close(Typical.of(wide).distance(wide), distance)
    unknown = torch.cat([x, torch.full((1, 3), torch.nan)])
    torch.testing.assert_close(Typical.of(unknown).precision, typical.precision)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_graphs_have_finite_distances(count):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(count, 8)))
    distance = Typical.of(x).distance(x)
    assert distance.shape == (count,)
    assert bool(distance.isfinite().all())
    same = torch.ones(count, 8).double()
    assert Typical.of(same).distance(same).tolist() == [0] * count


def test_vectors_do_not_depend_on_the_order_of_the_nodes(graphs):
    rng = np.random.default_rng(3)
    shuffled = []
    for graph in graphs:
        order = torch.from_numpy(rng.permutation(graph.num_nodes))
        links = order.argsort()[graph.links]
        shuffled.append(Graph.from_edges(links, num_nodes=graph.num_nodes, x=graph.x[order]))
    other = GraphCollection.from_graphs(shuffled)
    model = build_model("vgae", 12, PAPER_GRAPHS, stream(0, "init"))
    found = graph_log_likelihood(model, graphs).vectors
    assert found.shape[1] == 2 + 2 * (PAPER_GRAPHS.latent_channels - PAPER_GRAPHS.positions + 1)
    torch.testing.assert_close(
        graph_log_likelihood(model, other).vectors, found, rtol=1e-4, atol=1e-5
    )


def unusual(kind: str, graph: Graph, rng: np.random.Generator) -> Graph:
    """Return a graph with links at random, or with more of them, or a star."""
    n, pairs = graph.num_nodes, np.stack(np.triu_indices(graph.num_nodes, 1))
    count = graph.num_links * (2 if kind == "dense" else 1)
    links = pairs[:, rng.choice(pairs.shape[1], count, replace=False)]
    if kind == "star":
        links = np.stack([np.zeros(n - 1, dtype=int), np.arange(1, n)])
    return Graph.from_edges(links, num_nodes=n)


@pytest.mark.parametrize("kind", ["rewired", "star"])
def test_planted_unusual_graphs_have_high_scores(kind):
    rng = np.random.default_rng(1)
    planted = np.arange(60) % 10 == 3
    parts = [chain_of_rings(rng) for _ in planted]
    parts = [
        unusual(kind, p, rng) if is_odd else p for p, is_odd in zip(parts, planted, strict=True)
    ]
    graphs = GraphCollection.from_graphs(parts)
    split = split_links(graphs, val=0, test=0, seed=0)
    result = fit(graphs, split, recipe=PAPER_GRAPHS, seed=0, progress=False)
    found = graph_log_likelihood(result, graphs)
    assert roc_auc_score(planted, found.anomaly) > 0.9
