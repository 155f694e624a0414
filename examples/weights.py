"""Weights and signs of links: train on a signed graph, predict weights with intervals.

Usage: python examples/weights.py [TRUST.csv]; without a file, one is made first.
"""

import logging
import sys
from pathlib import Path

import numpy as np

import vgae
from vgae.recipes import PAPER

logging.basicConfig(level=logging.INFO, format="%(message)s")
if len(sys.argv) > 1:
    path = Path(sys.argv[1])
else:
    path, rng = Path("trust.csv"), np.random.default_rng(0)
    party = rng.integers(2, size=100)  # trust within a party, distrust across
    chance = np.where(party[:, None] == party, 0.2, 0.1)
    u, v = np.triu(rng.random((100, 100)) < chance, 1).nonzero()
    trust = np.where(party[u] == party[v], 3, -2) + rng.normal(scale=0.8, size=len(u))
    rows = [f"{a},{b},{t:.3f}" for a, b, t in zip(u, v, trust, strict=True)]
    path.write_text("\n".join(["source,target,trust", *rows]) + "\n", encoding="utf-8")

graph = vgae.read_graph(path, weight="trust", signed=True)
split = vgae.split_links(graph, val=0.1, test=0.1)
result = vgae.fit(graph, split, recipe=PAPER.override({"reconstruct": "weights,signs"}))
scores = vgae.evaluate(result, graph, split)["test"].to_dict()
weights, signs = scores["weights"], scores["signs"]
print(f"error of weights {weights['rmse']:.2f}, of their mean {weights['rmse_of_mean']:.2f}")
print(f"in 80 % intervals {weights['coverage']['80']:.0%}, AUC of signs {signs['auc']:.3f}")

table = vgae.predict_links(result, graph, k=3)
table.save("proposals.csv")  # expected_weight, weight_low, weight_high, positive
