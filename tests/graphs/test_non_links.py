"""Drawn non-links are non-links, each once and equally likely."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from vgae.graphs.grid import Grid
from vgae.graphs.non_links import sample_non_links


def complete(n):
    return list(itertools.combinations(range(n), 2))


def path(n):
    return [(u, u + 1) for u in range(n - 1)]


def links_of(pairs):
    return torch.tensor(sorted(pairs), dtype=torch.int64).reshape(-1, 2).T


def pairs_of(tensor):
    return [tuple(pair) for pair in tensor.T.tolist()]


@st.composite
def graphs(draw):
    """Nodes and pairs of a graph of up to 40 nodes, from empty to complete."""
    n = draw(st.integers(1, 40))
    every, chosen = complete(n), set(draw(st.lists(st.integers(0, 800), max_size=150)))
    wanted = draw(st.booleans())
    return n, [pair for k, pair in enumerate(every) if (k in chosen) == wanted]


@settings(deadline=None)
@given(graphs(), st.integers(0, 99))
def test_drawing_all_non_links_gives_each_once(case, seed):
    n, pairs = case
    links = links_of(pairs)
    missing = set(complete(n)) - set(pairs)
    drawn = sample_non_links(links, Grid(n), len(missing), torch.Generator().manual_seed(seed))
    assert sorted(pairs_of(drawn)) == sorted(missing)


@pytest.mark.parametrize("count", [2, 12])
def test_every_non_link_is_equally_likely(count):
    """Few draws are rejected for repeats, many are cut from a permutation: two ways, one law."""
    n, pairs = 9, [*path(9), (0, 4), (2, 7)]
    links = links_of(pairs)
    generator = torch.Generator().manual_seed(1)
    drawn = [sample_non_links(links, Grid(n), count, generator) for _ in range(3000)]
    _, counts = np.unique(torch.cat(drawn, dim=1).numpy(), axis=1, return_counts=True)
    assert len(counts) == 36 - len(pairs)
    # Drawn without repeats, the counts spread less than chance allows: only a bias shows here.
    assert chisquare(counts).pvalue > 1e-4


def test_every_non_link_is_equally_likely_among_hundreds_of_millions():
    """200 million pairs, as in PubMed: torch.randint draws the lower ones up to 5 % too often."""
    n, links = 20_068, torch.tensor([[0], [1]])
    u, v = sample_non_links(links, Grid(n), 400_000, torch.Generator().manual_seed(0))
    half = (n * (n - 1) // 2 - 1) / 2
    lower = (v * (v - 1) // 2 + u < half).double().mean().item()
    assert abs(lower - 0.5) < 4 * 0.5 / 400_000**0.5


@pytest.mark.parametrize("n", [3, 94_906_267, 3_000_000_000])
def test_pairs_are_decoded_rightly_however_many_there_are(n):
    """Beyond 2**53 pairs, a square root in double precision is off by one."""
    links = torch.tensor([[0, 0, n - 2], [1, n - 1, n - 1]]).unique(dim=1)
    count = min(200_000, n * (n - 1) // 2 - links.shape[1])
    drawn = sample_non_links(links, Grid(n), count, torch.Generator().manual_seed(0))
    pairs = set(pairs_of(drawn))
    assert len(pairs) == count
    assert all(0 <= u < v < n for u, v in pairs)
    assert not pairs & set(pairs_of(links))
