"""Users and items: read ratings, train on pairs across, recommend items to users.

Usage: python examples/two_sided.py [RATINGS.csv]; without a file, one is made first.
"""

import logging
import sys
from pathlib import Path

import numpy as np

import vgae
from vgae.recipes import BEST

logging.basicConfig(level=logging.INFO, format="%(message)s")  # what was detected in the file
if len(sys.argv) > 1:
    path = Path(sys.argv[1])
else:
    path, rng = Path("ratings.csv"), np.random.default_rng(0)
    same_taste = rng.integers(4, size=(120, 1)) == rng.integers(4, size=80)
    users, items = (rng.random((120, 80)) < np.where(same_taste, 0.3, 0.03)).nonzero()
    stars = rng.integers(1, 6, size=len(users))
    rows = [f"u{u},i{i},{s}" for u, i, s in zip(users, items, stars, strict=True)]
    path.write_text("\n".join(["user_id,item_id,rating", *rows]) + "\n", encoding="utf-8")

graph = vgae.read_graph(path)  # columns such as user_id and item_id are two sides
split = vgae.split_links(graph, val=0.1, test=0.1)
result = vgae.fit(graph, split, recipe=BEST.override({"epochs": "100"}))
scores = vgae.evaluate(result, graph, split)["test"]
print(f"AUC across {scores.auc:.3f}, recall@20 {scores.recommended.recall_at_20:.3f}")

first, second = graph.side_names
table = vgae.predict_links(result, graph, k=5, sources=first, targets=second)
table.save("recommended.csv")  # source, target, score, rank
print(f"recommended.csv: {len(table)} links from {first} to {second}")
