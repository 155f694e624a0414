"""log p(A | X) of graphs agrees with integration over a grid of latent vectors."""

import math

import numpy as np
import pytest
import torch

import vgae
from vgae.decoders import InnerProductDecoder
from vgae.errors import UsageError
from vgae.evaluation import likelihood
from vgae.evaluation.likelihood import graph_log_marginal
from vgae.graphs.collection import GraphCollection


class Fixed(torch.nn.Module):
    """An encoder whose posterior is the same for all graphs of a size."""

    def __init__(self, mu, logvar=None):
        super().__init__()
        self.mu, self.logvar = mu, logvar

    def forward(self, x, edge_index, edge_weight=None):
        if self.logvar is None:
            return vgae.PointMass(self.mu)
        return vgae.DiagGaussian(self.mu, self.logvar)


def integrated(links, num_nodes, bias):
    """Integrate p(A | z) over the prior of one latent dimension per node."""
    at, weight = np.polynomial.hermite_e.hermegauss(40)
    grids = np.meshgrid(*[at] * num_nodes, indexing="ij")
    total = math.prod(np.meshgrid(*[weight / np.sqrt(2 * np.pi)] * num_nodes, indexing="ij"))
    for u in range(num_nodes):
        for v in range(u + 1, num_nodes):
            sign = 1 if (u, v) in links else -1
            total = total / (1 + np.exp(-sign * (grids[u] * grids[v] + bias)))
    return float(np.log(total.sum()))


def biased(bias, weighting="kipf"):
    decoder = InnerProductDecoder(bias=True, weighting=weighting)
    torch.nn.init.constant_(decoder.bias, bias)
    return decoder


def test_each_graph_of_a_collection_agrees_with_an_integral():
    linked, path = ([[0], [1]], 2), ([[0, 1], [1, 2]], 3)
    graphs = GraphCollection.from_graphs(
        vgae.Graph.from_edges(links, num_nodes=n, sides="none")
        for links, n in (linked, ([[], []], 2), path)
    )
    mu = torch.tensor([0.5, 0.4, 0.1, -0.2, 0.3, 0.4, 0.2])[:, None]
    model = vgae.VAE(Fixed(mu, torch.full_like(mu, -0.2)), biased(-0.7))
    found = graph_log_marginal(model, graphs, num_samples=20_000)
    truth = [integrated(s, n, -0.7) for s, n in (({(0, 1)}, 2), (set(), 2), ({(0, 1), (1, 2)}, 3))]
    assert (found.log_marginal - torch.tensor(truth)).abs().le(4 * found.error).all()
    assert (found.error < 0.02).all()
    assert (found.elbo < found.log_marginal).all()
    assert found.num_pairs.tolist() == [1, 1, 3]
    assert ((found.effective_samples > 2000) & (found.effective_samples <= 20_000)).all()
    values = found.to_dict()
    assert not values["loose_bound"]
    assert values["log_marginal"] == pytest.approx(float(found.log_marginal.mean()))
    assert values["log_marginal_per_pair"] == pytest.approx(float(found.log_marginal.sum()) / 5)
    error = float(found.log_marginal.std()) / math.sqrt(3)
    assert values["log_marginal_error"] == pytest.approx(error)


def test_an_exact_posterior_has_weights_without_spread():
    """With the prior as posterior and no logits but the bias, every weight is p(A)."""
    graph = vgae.Graph.from_edges([[0, 1], [1, 2]], num_nodes=4, sides="none")
    model = vgae.VAE(Fixed(torch.zeros(4, 0), torch.zeros(4, 0)), biased(-1.0))
    found = graph_log_marginal(model, graph, num_samples=5)
    log_p, log_1_p = -math.log1p(math.e), -math.log1p(math.exp(-1))
    assert found.log_marginal.tolist() == pytest.approx([2 * log_p + 4 * log_1_p])
    assert found.error.tolist() == pytest.approx([0], abs=1e-12)
    assert found.to_dict()["effective_samples"] == pytest.approx(5)


def test_limits_of_memory_change_only_the_rounding(sbm, monkeypatch):
    generator = torch.Generator().manual_seed(1)
    mu = torch.randn(sbm.num_nodes, 3, generator=generator)
    model = vgae.VAE(Fixed(mu, torch.full_like(mu, -3.0)), biased(-2.0))
    whole = graph_log_marginal(model, sbm, num_samples=7).log_marginal
    monkeypatch.setattr(likelihood, "_PAIRS_AT_ONCE", 100)
    monkeypatch.setattr(likelihood, "_NUMBERS_AT_ONCE", 2 * mu.numel())
    parts = graph_log_marginal(model, sbm, num_samples=7).log_marginal
    assert torch.allclose(whole, parts, rtol=1e-12)
    other = graph_log_marginal(model, sbm, num_samples=7, seed=1).log_marginal
    assert not torch.equal(whole, other)


def test_evaluate_adds_the_likelihood_of_all_links(sbm):
    split = vgae.split_links(sbm)
    recipe = vgae.recipes.PAPER.override({"epochs": 1})
    result = vgae.fit(sbm, split, recipe=recipe, progress=False)
    found = vgae.evaluate(result, sbm, split, samples=5)
    own = graph_log_marginal(result, sbm, num_samples=5, seed=split.seed).to_dict()
    assert found["test"].to_dict()["likelihood"] == own
    assert "likelihood" not in vgae.evaluate(result, sbm, split)["test"].to_dict()


def test_held_out_graphs_have_likelihoods_of_their_own():
    rng = np.random.default_rng(0)
    parts = [rng.integers(6, size=(2, 9)) for _ in range(12)]
    graphs = GraphCollection.from_graphs(
        [vgae.Graph.from_edges(links, num_nodes=6, sides="none") for links in parts]
    )
    split = vgae.split_links(graphs, by="graphs", val=0.25, test=0.25)
    recipe = vgae.recipes.PAPER.override({"epochs": 1})
    result = vgae.fit(graphs, split, recipe=recipe, progress=False)
    found = vgae.evaluate(result, graphs, split, samples=40)
    for number, name in ((1, "val"), (2, "test")):
        own = graphs.select(split.graph_part == number)
        expected = graph_log_marginal(result, own, num_samples=40, seed=split.seed)
        assert found[name].likelihood.to_dict() == expected.to_dict()
        assert len(expected.log_marginal) == own.num_graphs == 3


def test_an_estimate_of_few_samples_says_so(sbm, caplog):
    model = vgae.VAE(Fixed(*torch.ones(2, sbm.num_nodes, 3)), biased(-2.0))
    with caplog.at_level("WARNING"):
        found = graph_log_marginal(model, sbm, num_samples=40)
    assert float(found.effective_samples) < 10
    assert found.to_dict()["loose_bound"]
    assert "of 40 samples count, so it is a loose lower bound" in caplog.text


def test_a_posterior_without_density_is_refused(sbm):
    model = vgae.VAE(Fixed(torch.ones(sbm.num_nodes, 2)), biased(0.0))
    with pytest.raises(UsageError, match=r"has a PointMass; leave samples \(--samples\) out") as e:
        graph_log_marginal(model, sbm, num_samples=5)
    assert e.value.code == "POSTERIOR"
