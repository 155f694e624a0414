"""The peers of the benchmark of links, against networkx, dense matrices and planted blocks."""

import json
from importlib import import_module
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch

import vgae
from vgae.evaluation.metrics import link_scores

ROOT = Path(__file__).parents[1]
FITTED = ("spectral", "nmf", "block-model", "node2vec", "katz")


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of the benchmarks by name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module


@pytest.fixture(scope="module")
def club():
    """Edges of a small graph in both directions, and its matrix."""
    graph = nx.karate_club_graph()
    adj = nx.to_numpy_array(graph, weight=None)
    return graph, adj, torch.from_numpy(np.stack(adj.nonzero()))


@pytest.fixture(scope="module")
def blocks():
    """A graph of four dense groups, and a split of it."""
    planted = nx.planted_partition_graph(4, 25, 0.5, 0.02, seed=1)
    edges = np.array(planted.edges).T
    graph = vgae.Graph.from_edges(edges, num_nodes=100)
    return graph, vgae.split_links(graph, seed=100)


def all_pairs(num_nodes):
    return torch.combinations(torch.arange(num_nodes)).T


def test_pagerank_is_the_mean_of_both_directions(benchmark, club):
    graph, _, edges = club
    scorer = benchmark("heuristics").pagerank(len(graph))
    pairs = all_pairs(len(graph))
    pi = [
        nx.pagerank(graph, alpha=0.85, personalization={u: 1}, weight=None, tol=1e-12)
        for u in graph
    ]
    expected = [(pi[u][v] + pi[v][u]) / 2 for u, v in pairs.T.tolist()]
    found = scorer.logits(scorer.embed(edges), pairs).exp()
    np.testing.assert_allclose(found, expected, rtol=0.01)  # 40 of infinitely many steps


def test_katz_sums_the_paths_of_up_to_ten_links(benchmark, club):
    _, adj, edges = club
    peers = benchmark("heuristics")
    beta = 0.5
    scorer = peers.PathSums(34, beta ** np.arange(1, 11), pagerank=False, setting=beta)
    scaled = beta * adj / np.linalg.eigvalsh(adj)[-1]
    expected = sum(np.linalg.matrix_power(scaled, t) for t in range(1, 11))
    u, v = all_pairs(34)
    found = scorer.logits(scorer.embed(edges), torch.stack([v, u])).exp()
    np.testing.assert_allclose(found, expected[u, v], rtol=1e-4)


def test_unreachable_pairs_come_last(benchmark):
    edges = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    scorer = benchmark("heuristics").pagerank(5)
    pairs = torch.tensor([[0, 0, 0], [1, 2, 4]])
    near, far, alone = scorer.logits(scorer.embed(edges), pairs)
    assert near > far == alone


@pytest.mark.parametrize("name", FITTED)
def test_fitted_peers_find_planted_groups(benchmark, blocks, name):
    graph, split = blocks
    scorer = benchmark("link_peers").PEERS[name](graph, split, 0)
    z = scorer.embed(split.message_edge_index)
    pairs = split.test.edge_label_index
    found = scorer.logits(z, pairs)
    assert link_scores(found, split.test.edge_label).auc > 0.8
    rows = scorer.rows(z, pairs[0])
    torch.testing.assert_close(rows[torch.arange(len(found)), pairs[1]], found)


def test_the_setting_that_ranks_validation_best_is_chosen(benchmark, blocks):
    _, split = blocks
    group = torch.arange(100) // 25

    def vectors(edge_index, setting):
        same = torch.nn.functional.one_hot(
            group if setting == "groups" else group.roll(13)
        ).float()
        return same.repeat(1, 2)

    scorer = benchmark("factors").chosen(split, vectors, ["shifted", "groups"])
    assert scorer.setting == "groups"


def test_other_messages_are_factored_again(benchmark, blocks):
    graph, split = blocks
    scorer = benchmark("link_peers").PEERS["spectral"](graph, split, 0)
    fitted = scorer.embed(split.message_edge_index.clone())
    assert fitted is scorer.fitted
    more = scorer.embed(graph.edge_index)
    assert more.shape == fitted.shape
    assert not torch.allclose(more, fitted)


def test_networks_have_short_names_and_files_their_paths(benchmark, monkeypatch, tmp_path):
    (tmp_path / "networks").mkdir()
    path = tmp_path / "networks/ppi.npz"
    np.savez(path, edge_index=np.array([[0, 1], [1, 2]], dtype=np.int32), num_nodes=5)
    monkeypatch.setenv("VGAE_DATA", str(tmp_path))
    problems = benchmark("problems")
    for name in ("ppi", str(path)):
        graph = problems.named_graph(name, "none")
        assert (graph.num_nodes, graph.num_links, graph.x) == (5, 2, None)
    assert problems.named_graph("stdlib", "none").num_nodes > 5


def test_an_ensemble_is_a_row_of_the_table(benchmark, tmp_path):
    """Means of three noisy scores rank better than one; its time is that of all three."""
    quality_tables = benchmark("quality_tables")
    rng = np.random.default_rng(0)
    results = []
    for member in range(3):
        label = np.repeat([1.0, 0.0], 200)
        logits = {p: label + rng.standard_normal(400) for p in ("val", "train")}
        path = tmp_path / f"{member}.npz"
        np.savez(path, **logits)
        scores = {
            p: link_scores(torch.from_numpy(v), torch.from_numpy(label))._asdict()
            for p, v in logits.items()
        }
        about = {"dataset": "a", "features": "none", "row": "best", "seed": 0, "member": member}
        results.append(about | scores | {"logits": path, "seconds": 2.0})
    summary = quality_tables.summarise(results)
    single, ensemble = summary["rows"]
    assert ensemble["train"]["auc"]["mean"] > single["train"]["auc"]["mean"] + 0.05
    assert json.dumps(summary)
    text = quality_tables.tables(summary)
    first, second = (line.split("|") for line in text.splitlines()[-2:])
    assert first[1].strip() == "best × 3"
    assert first[-2].strip() == "6"
    assert second[1].strip() == "best"
