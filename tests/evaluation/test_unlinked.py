"""Tests of the logits of all pairs that are not known as links."""

import numpy as np
import pytest
import torch

from vgae import Graph, InnerProductDecoder, split_links
from vgae.decoders.source_target import SourceTargetDecoder
from vgae.evaluation import unlinked as module
from vgae.evaluation.links import PairScorer
from vgae.evaluation.unlinked import Unlinked, unlinked
from vgae.gaussian import PointMass
from vgae.vae import VAE


class Given(torch.nn.Module):
    """An encoder that returns the same vectors for any links."""

    def __init__(self, num_nodes):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.z = torch.nn.Parameter(torch.randn(num_nodes, 6, generator=generator))

    def forward(self, x, edge_index):
        return PointMass(self.z)


KINDS = {
    "undirected": {"sides": "none"},
    "directed": {"directed": "keep"},
    "two-sided": {"sides": [False] * 20 + [True] * 20},
}


def scored(kind):
    """A scorer of 40 nodes, and its split; all links of the two-sided graph go across."""
    rng = np.random.default_rng(1)
    links = np.stack([rng.integers(20, size=150), 20 + rng.integers(20, size=150)])
    graph = Graph.from_edges(links, num_nodes=40, **KINDS[kind])
    decoder = SourceTargetDecoder() if kind == "directed" else InnerProductDecoder()
    return PairScorer(VAE(Given(40), decoder), graph), split_links(graph)


def all_logits(scorer, split):
    """Logits of the pairs of the grid that are no training links, one by one."""
    grid = split.grid
    known = set(grid.numbers(split.train).tolist())
    rest = torch.tensor([n for n in range(grid.num_pairs) if n not in known])
    return scorer.logits(grid.pairs(rest)).double().sort(descending=True).values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("kept", "top"), [(10_000, 10_000), (100, 50)])
def test_the_best_of_all_pairs_are_each_there_once(kind, kept, top, monkeypatch):
    monkeypatch.setattr(module, "_MOST_KEPT", kept)
    monkeypatch.setattr(module, "_TOP", top)
    monkeypatch.setattr(module, "_REST", 60 if kept == 100 else 10_000)
    monkeypatch.setattr(module, "_BLOCK", 300)
    scorer, split = scored(kind)
    expected = all_logits(scorer, split)
    found = unlinked(scorer, split.train, split.grid, torch.Generator().manual_seed(0))
    assert float(found.weight.sum()) == pytest.approx(len(expected))
    ones = int((found.weight == 1).sum()) if kept == 100 else len(expected)
    assert ones > min(top, len(expected)) / 2
    torch.testing.assert_close(found.logits[:ones], expected[:ones], atol=1e-5, rtol=0)
    assert (found.logits.diff() <= 0).all()


def test_a_long_search_is_by_a_sample(monkeypatch):
    monkeypatch.setattr(module, "_MOST_SECONDS", 0.0)
    monkeypatch.setattr(module, "SAMPLED", 100)
    scorer, split = scored("undirected")
    found = unlinked(scorer, split.train, split.grid, torch.Generator().manual_seed(0))
    assert len(found.logits) == 100
    assert float(found.weight.sum()) == pytest.approx(split.grid.num_pairs - split.train.shape[1])
    assert set(found.logits.tolist()) <= set(all_logits(scorer, split).tolist())


def test_others_stand_for_those_beside_them(monkeypatch):
    monkeypatch.setattr(module, "_TOP", 30)
    monkeypatch.setattr(module, "_REST", 40)
    scorer, split = scored("undirected")
    expected = all_logits(scorer, split)
    found = unlinked(scorer, split.train, split.grid, torch.Generator().manual_seed(0))
    assert 60 < len(found.logits) <= 71
    exact = Unlinked(expected, torch.ones(len(expected)).double())
    some = torch.linspace(-4, 4, 50)
    np.testing.assert_allclose(found.above(some), exact.above(some), atol=0.03)


def test_equal_logits_count_one_half():
    found = Unlinked(torch.tensor([3.0, 1, 1, 0]).double(), torch.tensor([1.0, 1, 1, 5]).double())
    assert found.above(torch.tensor([4.0, 3, 2, 1, -1])).tolist() == [0, 1 / 16, 1 / 8, 1 / 4, 1]
