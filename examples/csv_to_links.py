"""A CSV of pairs with names in; for each name the likeliest missing links out, as a CSV.

Usage: python examples/csv_to_links.py [LINKS.csv]; without a file, one is made first.
"""

import logging
import sys
from pathlib import Path

import vgae
from vgae.recipes import BEST

logging.basicConfig(level=logging.INFO, format="%(message)s")  # what was detected in the file
if len(sys.argv) > 1:
    path = Path(sys.argv[1])
else:
    path, imports = Path("links.csv"), vgae.load_dataset("stdlib")
    named = [f"{imports.ids[u]},{imports.ids[v]}" for u, v in imports.links.T.tolist()]
    path.write_text("\n".join(["source,target", *named]) + "\n", encoding="utf-8")

graph = vgae.read_graph(
    path
)  # or .tsv, .npz, .mtx, .parquet; features=FILE joins features by name
print(graph, dict(graph.notes))
split = vgae.split_links(graph, val=0.1, test=0)  # some links tell what a score is worth
result = vgae.fit(graph, split, recipe=BEST.override({"epochs": "100"}))
calibration = vgae.calibrate(result.model, graph, split)

table = vgae.predict_links(result, graph, k=5, calibration=calibration)
table.save("proposed.csv")  # source, target, score, probability, rank
print(f"proposed.csv: {len(table)} links")
