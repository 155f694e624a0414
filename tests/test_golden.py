"""Numbers small enough to check by hand, and the published ones."""

from dataclasses import replace
from math import exp, log

import pytest
import torch

from vgae.data.named import load_dataset
from vgae.encoders import GCNEncoder
from vgae.kernels import inner_product_nll
from vgae.recipes import PAPER
from vgae.runs.table import run_table


def test_the_cost_of_three_nodes():
    """z = e1, e2, e1 + e2 and the edge 0 - 2.

    Logits: z0.z1 = 0, z0.z2 = 1, z1.z2 = 1. Edge 0 - 2 costs log(1 + e^-1) each way; the others
    cost log(1 + e^0) = log 2 and log(1 + e^1), each way.
    """
    z = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    nll = inner_product_nll(z, torch.tensor([[0, 2], [2, 0]]))
    assert nll.edges.item() == pytest.approx(2 * log(1 + exp(-1)), rel=1e-6)
    assert nll.non_edges.item() == pytest.approx(2 * log(2) + 2 * log(1 + exp(1)), rel=1e-6)


def test_a_convolution_of_a_path_of_three():
    """Path 0 - 1 - 2 with x = 1, 2, 3 and all weights 1: degrees with self-loops are 2, 3, 2.

    h0 = 1/2 + 2/sqrt(6), h1 = 1/sqrt(6) + 2/3 + 3/sqrt(6), h2 = 2/sqrt(6) + 3/2; all positive, so
    relu does nothing; the second layer averages again.
    """
    encoder = GCNEncoder(1, 1, 1)
    for parameter in (encoder.conv0.weight, encoder.conv1.weight):
        torch.nn.init.ones_(parameter)
    q = encoder(torch.tensor([[1.0], [2], [3]]), torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]))
    r = 1 / 6**0.5
    h = (1 / 2 + 2 * r, 4 * r + 2 / 3, 2 * r + 3 / 2)
    expected = [h[0] / 2 + h[1] * r, (h[0] + h[2]) * r + h[1] / 3, h[1] * r + h[2] / 2]
    assert q.mu.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert q.logvar.flatten().tolist() == pytest.approx(
        [2 * value for value in expected], rel=1e-5
    )


COUNTS = {
    "cora": (2708, 5278, 1433, 7, 0),
    "citeseer": (3327, 4552, 3703, 6, 48),
    "stdlib": (641, 2854, 1500, 20, 15),
}


@pytest.mark.parametrize("name", COUNTS)
def test_data_sets_have_the_published_counts(name, request):
    if name != "stdlib":
        request.getfixturevalue("data_home")
    graph = load_dataset(name)
    classes = len(graph.y[graph.y >= 0].unique())
    counts = (graph.num_nodes, graph.num_links, graph.num_features, classes, graph.num_isolated)
    assert counts == COUNTS[name]


def test_pubmeds_links_can_be_used_without_its_missing_file(data_home):
    graph = load_dataset("pubmed", features="none")
    assert (graph.num_nodes, graph.num_links, graph.num_features) == (19717, 44324, 0)


def test_the_embedded_graph_is_learned_in_a_few_epochs():
    (row,) = run_table(["stdlib"], ["vgae"], seeds=2, recipes=replace(PAPER, epochs=120))
    assert row.mean.auc > 0.87
    assert row.mean.ap > 0.88


@pytest.mark.slow
@pytest.mark.parametrize("features", ["raw", "none"])
@pytest.mark.parametrize("model", ["gae", "vgae"])
@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_the_papers_figures_are_reached(name, model, features, data_home):
    """Kipf & Welling (2016), table 1; ten seeds, each with its own split; within 1 point (1.5)."""
    (row,) = run_table([name], [model], seeds=10, features=features)
    margin = 0.010 if features == "raw" else 0.015
    assert row.mean.auc >= row.published.auc - margin
    assert row.mean.ap >= row.published.ap - margin
