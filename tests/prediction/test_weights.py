"""Columns of predicted weights in tables of links."""

import pytest
import torch

import vgae
from vgae.errors import UsageError
from vgae.graphs.graph import Graph
from vgae.prediction.weights import checked_level
from vgae.recipes import PAPER


@pytest.mark.parametrize("bad", [0, 1, 1.5, -0.1, float("nan"), "0.8", None])
def test_levels_outside_zero_and_one_are_refused(bad):
    with pytest.raises(UsageError, match="--interval") as error:
        checked_level(bad)
    assert error.value.code == "INTERVAL"


def test_proposals_have_weights_and_wider_intervals_at_higher_levels(tmp_path):
    generator = torch.Generator().manual_seed(0)
    u, v = torch.triu_indices(40, 40, 1)
    kept = torch.rand(len(u), generator=generator) < 0.3
    edges = torch.stack([u[kept], v[kept]])
    weight = torch.randn(edges.shape[1], generator=generator).exp()
    graph = Graph.from_edges(edges, edge_weight=weight, num_nodes=40)
    split = vgae.split_links(graph, seed=0)
    recipe = PAPER.override({"reconstruct": "weights", "epochs": 5})
    result = vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    narrow, wide = (
        vgae.predict_links(result, graph, 2, interval=level, progress=False).columns()
        for level in (0.5, 0.9)
    )
    assert (narrow["expected_weight"] == wide["expected_weight"]).all()
    assert (narrow["weight_low"] > wide["weight_low"]).all()
    assert (narrow["weight_high"] < wide["weight_high"]).all()
    assert (wide["weight_low"] > 0).all()
