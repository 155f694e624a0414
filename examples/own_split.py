"""Train and evaluate on a split of your own: held-out links, with non-links of each link.

Usage: python examples/own_split.py [FOLDER]; without a folder, one is made first.
"""

import logging
import sys
from pathlib import Path

import torch

import vgae
from vgae.evaluation.hard_negatives import hard_negatives

logging.basicConfig(level=logging.INFO, format="%(message)s")  # how the split deviates
graph = vgae.load_dataset("stdlib")
if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
else:  # two names of nodes a line; training links are all that are not held out
    folder, generator = Path("my-split"), torch.Generator().manual_seed(0)
    folder.mkdir(exist_ok=True)
    held_out = graph.links[:, torch.randperm(graph.num_links, generator=generator)[:300]]
    for name, links in {"val": held_out[:, :100], "test": held_out[:, 100:]}.items():
        named = [f"{graph.ids[u]}\t{graph.ids[v]}\n" for u, v in links.T.tolist()]
        (folder / f"{name}.txt").write_text("".join(named), encoding="utf-8")
split = vgae.read_split(folder, graph, seed=0)  # absent non-links are drawn

# The same from arrays, with 20 hard non-links of each test link, shape (P, 20, 2), as in HeaRT.
# vgae.LinkSplit.from_pyg takes the three Data of PyG's RandomLinkSplit.
options = {"per_link": 20, "generator": torch.Generator().manual_seed(0)}
test, train = split.test.pos, split.train
hard = hard_negatives(graph.links, test, train, graph.x, graph.num_nodes, **options)
split = vgae.LinkSplit.from_pairs(
    graph, train=train, val=split.val.pos, test=test, test_neg=hard.permute(1, 2, 0)
)
result = vgae.fit(graph, split)
scores = vgae.evaluate(result.model, graph, split)["test"].to_dict()
print(f"AUC {scores['auc']:.3f}, MRR among 20 hard non-links {scores['given']['mrr']:.3f}")
