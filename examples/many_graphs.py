"""Many small graphs: links within graphs, a vector of each graph, and unusual graphs."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

import vgae
from vgae.evaluation.graph_likelihood import graph_log_likelihood

rng = np.random.default_rng(0)


def molecule(family: int, *, rewired: bool) -> vgae.Graph:
    """Return rings in a chain, or a tree."""
    size = int(rng.integers(3, 5)) * 6
    edges = [(k, k + 1 if (k + 1) % 6 else k - 5) for k in range(size)]
    edges += [(k - 3, k) for k in range(6, size, 6)]
    if family:
        edges = [(int(rng.integers(max(0, k - 4), k)), k) for k in range(1, size)]
    links, pairs = np.array(edges).T, np.stack(np.triu_indices(size, 1))
    if rewired:
        links = pairs[:, rng.choice(pairs.shape[1], links.shape[1], replace=False)]
    return vgae.Graph.from_edges(links, num_nodes=size)


family, is_rewired = np.arange(100) % 2, np.arange(100) % 10 == 7
parts = [molecule(k % 2, rewired=k % 10 == 7) for k in range(100)]
graphs = vgae.GraphCollection.from_graphs(parts, y=family, label_names=["rings", "tree"])
split = vgae.split_links(graphs)  # links of all graphs; by="graphs" holds out whole graphs
result = vgae.fit(graphs, split)
scores = vgae.evaluate(result, graphs, split)["test"]
print(f"AUC: pooled {scores.auc:.3f}, of each graph: {scores.per_graph}")

vectors = vgae.graph_vectors(result, graphs).mu.numpy()  # the means of a Gaussian per graph
accuracy = cross_val_score(LogisticRegression(max_iter=5000), vectors, family).mean()
print(f"family of a graph from its vector: accuracy {accuracy:.2f}")
anomaly = graph_log_likelihood(result, graphs).anomaly
print(f"anomaly score of rewired graphs: AUC {roc_auc_score(is_rewired, anomaly):.2f}")
print(vgae.predict_links(result, graphs, 1, per_graph=True, within=["0", "1"]).to_pandas())
