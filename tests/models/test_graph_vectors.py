"""Tests of graph vectors against one graph at a time, and against samples of the nodes."""

import numpy as np
import pytest
import torch

from vgae import DiagGaussian, Graph, GraphCollection, PointMass, embed, graph_vectors
from vgae.errors import DataError, UsageError
from vgae.models.graph_vectors import standardised
from vgae.models.graphs import build_model
from vgae.recipes import PAPER_GRAPHS
from vgae.runtime.streams import stream

SIZES = (3, 1, 4)
READOUTS = ("mean", "sum", "attention", "moments")


@pytest.fixture
def graphs():
    return GraphCollection.from_graphs(
        [Graph.from_edges(torch.empty(2, 0).long(), num_nodes=n) for n in SIZES]
    )


@pytest.fixture
def q():
    generator = torch.Generator().manual_seed(0)
    return DiagGaussian(
        torch.randn(8, 2, generator=generator), torch.randn(8, 2, generator=generator)
    )


@pytest.mark.parametrize("readout", READOUTS)
def test_a_vector_has_mean_and_variance_of_the_read_out_samples(graphs, q: DiagGaussian, readout):
    found = graph_vectors(q, graphs, readout)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(200_000, 8, 2, generator=generator)
    z = q.mu + noise * (0.5 * q.logvar).exp()
    parts = []
    for own, logvar in zip(z.split(SIZES, dim=1), q.logvar.split(SIZES), strict=True):
        weight = torch.softmax(-logvar, dim=0)
        parts.append(
            {
                "mean": lambda own=own: own.mean(dim=1),
                "sum": lambda own=own: own.sum(dim=1),
                "attention": lambda own=own, weight=weight: (weight * own).sum(dim=1),
                "moments": lambda own=own: torch.cat([own.mean(1), (own**2).mean(1)], dim=1),
            }[readout]()
        )
    samples = torch.stack(parts, dim=1)
    assert found.mu.shape == samples.shape[1:]
    torch.testing.assert_close(found.mu, samples.mean(0), atol=0.05, rtol=0.02)
    torch.testing.assert_close(found.logvar.exp(), samples.var(0), atol=0.01, rtol=0.05)


def test_attention_has_the_smallest_variance(graphs, q: DiagGaussian):
    least = graph_vectors(q, graphs, "attention").logvar
    assert (least <= graph_vectors(q, graphs, "mean").logvar + 1e-6).all()
    assert (least < graph_vectors(q, graphs, "mean").logvar)[[0, 2]].all()


@pytest.mark.parametrize("readout", READOUTS)
def test_a_graph_has_the_same_vector_in_any_collection(graphs, q, readout):
    whole = graph_vectors(q, graphs, readout)
    last = DiagGaussian(q.mu[4:], q.logvar[4:])
    torch.testing.assert_close(graph_vectors(last, graphs[2:], readout).mu, whole.mu[2:])


@pytest.mark.parametrize("name", ["vgae", "gae"])
def test_vectors_of_a_model_have_lengths_of_positions_and_no_order_of_the_nodes(name):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(5, 3, generator=generator)
    own = Graph.from_edges([[0, 1, 2, 3], [1, 2, 3, 4]], x=x)
    order = torch.tensor([4, 2, 0, 1, 3])
    same = Graph.from_edges(order.argsort()[own.links], num_nodes=5, x=x[order])
    pair = GraphCollection.from_graphs([own, same])
    model = build_model(name, 3, PAPER_GRAPHS, stream(0, "init"))
    q = embed(model, pair)
    place, others = q.mu.tensor_split([PAPER_GRAPHS.positions], dim=1)
    found = graph_vectors(model, pair, "mean")
    assert isinstance(found, DiagGaussian if name == "vgae" else PointMass)
    torch.testing.assert_close(found.mu[0, 2:], others[:5].mean(dim=0))
    length = place.square().sum(dim=1)
    if isinstance(q, DiagGaussian):
        z = torch.stack([q.rsample(generator)[:5, : place.shape[1]] for _ in range(20_000)])
        drawn = z.square().sum(dim=2).mean(dim=1)
        torch.testing.assert_close(found.mu[0, 0], drawn.mean(), rtol=5e-3, atol=0)
        assert isinstance(found, DiagGaussian)
        torch.testing.assert_close(found.logvar[0, 0].exp(), drawn.var(), rtol=5e-2, atol=0)
        length = length + q.logvar[:, : place.shape[1]].exp().sum(dim=1)
    torch.testing.assert_close(found.mu[0, 0], length[:5].mean())
    torch.testing.assert_close(found.mu[0, 1], length[:5].square().mean())
    torch.testing.assert_close(found.mu[0], found.mu[1])
    whole = graph_vectors(q, pair).mu
    assert not torch.allclose(whole[0], whole[1], atol=1e-3)
    cut = pair.edge_index[:, 2:]
    other = graph_vectors(model, pair, "mean", edge_index=cut)
    assert not torch.allclose(other.mu, found.mu, atol=1e-3)


def test_standardised_columns_weigh_alike():
    vectors = np.array([[1e4, 0.1, 7.0], [3e4, 0.3, 7.0], [2e4, 0.2, 7.0]])
    found = standardised(vectors)
    np.testing.assert_allclose(found.std(axis=0), [1, 1, 0])
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-12)


def test_a_point_mass_stays_one(graphs, q):
    found = graph_vectors(PointMass(q.mu), graphs, "attention")
    assert isinstance(found, PointMass)
    torch.testing.assert_close(found.mu, graph_vectors(q, graphs, "mean").mu)
    squares = graph_vectors(PointMass(q.mu), graphs, "moments").mu[1, 2:]
    torch.testing.assert_close(squares, q.mu[3] ** 2)


def test_very_certain_and_very_uncertain_nodes_do_not_overflow(graphs, q):
    extreme = DiagGaussian(q.mu, torch.where(q.mu > 0, 200.0, -200.0))
    for readout in READOUTS[:3]:
        found = graph_vectors(extreme, graphs, readout)
        assert found.mu.isfinite().all()
        assert found.logvar.isfinite().all()


def test_what_cannot_be_read_out_is_refused(graphs, q):
    with pytest.raises(DataError, match=r"q must have the 4 nodes .*, got 8"):
        graph_vectors(q, graphs[2:])
    with pytest.raises(UsageError, match="readout must be one of"):
        graph_vectors(q, graphs, "max")  # pyright: ignore
    with pytest.raises(DataError, match=r"need a collection .*from_graphs"):
        graph_vectors(q, graphs[0])
