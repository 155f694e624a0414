"""Many small graphs: links within graphs, a vector of each graph, and unusual graphs."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

import vgae
from vgae.evaluation.graph_likelihood import graph_log_likelihood

rng = np.random.default_rng(0)


def molecule(family: int, *, rewired: bool) -> vgae.Graph:
    """Return rings in a chain (0), or a tree (1); with links at random if rewired."""
    edges: list[tuple[int, int]] = []
    size = int(rng.integers(3, 5)) * 6
    if family == 0:
        for first in range(0, size, 6):
            edges += [(first + k, first + (k + 1) % 6) for k in range(6)]
            edges += [(first - 3, first)] if first else []
    else:
        edges = [(int(rng.integers(max(0, k - 4), k)), k) for k in range(1, size)]
    links = np.array(edges).T
    if rewired:
        pairs = np.stack(np.triu_indices(size, 1))
        links = pairs[:, rng.choice(pairs.shape[1], links.shape[1], replace=False)]
    return vgae.Graph.from_edges(links, num_nodes=size)


family, is_rewired = np.arange(100) % 2, np.arange(100) % 10 == 7
parts = [molecule(f, rewired=r) for f, r in zip(family.tolist(), is_rewired.tolist(), strict=True)]
graphs = vgae.GraphCollection.from_graphs(
    parts, names=[f"mol{k}" for k in range(100)], y=family, label_names=["rings", "tree"]
)

split = vgae.split_links(graphs)  # links of all graphs; by="graphs" holds out whole graphs
result = vgae.fit(graphs, split)
scores = vgae.evaluate(result, graphs, split)["test"]
assert scores.per_graph is not None
print(f"AUC: pooled {scores.auc:.3f}, averaged per graph {scores.per_graph.auc:.3f}")

vectors = vgae.graph_vectors(result, graphs)  # a Gaussian per graph
accuracy = cross_val_score(LogisticRegression(max_iter=5000), vectors.mu.numpy(), family).mean()
print(f"family of a graph from its vector: accuracy {accuracy:.2f}")

anomaly = graph_log_likelihood(result, graphs).anomaly
print(
    f"anomaly score, rewired graphs against others: AUC {roc_auc_score(is_rewired, anomaly):.2f}"
)

print(vgae.predict_links(result, graphs, 1, per_graph=True, within=["mol0", "mol1"]).to_pandas())
