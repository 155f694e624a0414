"""Two methods on the same ten splits: mean, deviation, and a paired test."""

import numpy as np
from scipy.stats import wilcoxon

import vgae
from vgae.recipes import PAPER

graph = vgae.load_dataset("stdlib")  # or "cora"
recipe = PAPER.override({"epochs": "60"})
scores = {"gae": [], "vgae": []}
for seed in range(10):
    split = vgae.split_links(graph, seed=seed)  # the same links and non-links for both
    for model, aucs in scores.items():
        result = vgae.fit(graph, split, model=model, recipe=recipe, seed=seed)
        aucs.append(vgae.evaluate(result.model, graph, split)["test"].auc)

for model, aucs in scores.items():
    print(f"{model:5} test AUC {100 * np.mean(aucs):.2f} ± {100 * np.std(aucs, ddof=1):.2f}")
wins = np.greater(scores["vgae"], scores["gae"]).sum()
print(f"vgae ahead on {wins} of 10 splits, p = {wilcoxon(*scores.values()).pvalue:.3f} (Wilcoxon)")
