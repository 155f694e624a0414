"""Who follows whom: links with a direction, and how well it is predicted.

Usage: python examples/directed.py [EDGES.csv]; two columns, source and target.
"""

import logging
import sys

import torch

import vgae
from vgae.recipes import PAPER

logging.basicConfig(level=logging.INFO, format="%(message)s")
if len(sys.argv) > 1:
    graph = vgae.read_graph(sys.argv[1], directed="keep")
else:  # 200 accounts: the more popular one is, the more others follow it
    generator = torch.Generator().manual_seed(0)
    popularity = torch.randn(200, generator=generator)
    follows = torch.rand(200, 200, generator=generator) < (2 * popularity - 4).sigmoid()
    edges = follows.fill_diagonal_(0).nonzero().T
    graph = vgae.Graph.from_edges(edges, num_nodes=200, directed="keep", name="follows")

# Held-out links u -> v against their reverses v -> u: a model without direction has AUC 0.5.
split = vgae.split_links(graph, task="biased")
settings = {"degrees": True, "bias": True, "self_loop_weight": 100.0, "mask": 0.5, "keep": "best"}
recipe = PAPER.override({**settings, "feature_dropout": 0.95, "lr": 0.05, "epochs": 100})
for model in ("vgae", "source-target-vgae", "gravity-vgae"):
    result = vgae.fit(graph, split, model=model, recipe=recipe, progress=False)
    print(f"{model}: AUC {vgae.evaluate(result, graph, split)['test'].auc:.3f}")
