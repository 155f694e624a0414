"""Fill in missing features of nodes, with a standard deviation for each.

Two groups of people who mostly know their own group; a third of what they told is missing.
"""

import numpy as np

import vgae
from vgae.recipes import PAPER

rng = np.random.default_rng(0)
group = np.arange(80) % 2
u, v = np.triu_indices(80, 1)
friends = rng.random(len(u)) < np.where(group[u] == group[v], 0.25, 0.02)
edges = np.stack([u[friends], v[friends]])

age = 35 + 12 * (2 * group - 1) + 3 * rng.normal(size=80)
income = 50 - 10 * (2 * group - 1) + 4 * rng.normal(size=80)
truth = np.stack([age, income], axis=1)
given = np.where(rng.random(truth.shape) < 0.3, np.nan, truth)
given[79] = np.nan  # the last person has told nothing

graph = vgae.Graph.from_edges(
    edges, x=given, feature_names=["age", "income"], missing_features="impute", sides="none"
)
split = vgae.split_links(graph, seed=0)
recipe = PAPER.override({"reconstruct": "features", "scale_features": True})
result = vgae.fit(graph, split, recipe=recipe, seed=0, progress=False)

imputed = vgae.impute_features(result, graph)
filled = imputed.complete(graph)
missing = np.isnan(given)
means = np.where(missing, np.nanmean(given, axis=0), truth)
for name, guess in {"column means": means, "imputed": filled}.items():
    error = np.sqrt(np.mean((guess - truth)[missing] ** 2))
    print(f"{name}: root mean squared error {error:.1f}")
for name, mean, std, true in zip(
    ["age", "income"], imputed.mean[-2:], imputed.std[-2:], truth[79], strict=True
):
    print(f"the last person: {name} {mean:.0f} +- {std:.0f}, in truth {true:.0f}")
