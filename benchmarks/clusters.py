"""Clusters against known classes, beside simple methods; prints JSON.

    VGAE_DATA=DATA python benchmarks/clusters.py > benchmarks/results/clusters.json

``cora`` and ``citeseer`` are citation graphs with features. ``digits``, ``wine`` and
``breast_cancer`` are scikit-learn's: standardised features, and links from each row to its 10
nearest ones. The recipe ``best`` is trained on all links, once per seed, without classes; the
embedding is kept under ``--folder``. Classes serve for the scores, and their number as k.

Rows: ``vgae.cluster`` by method, with k and with the number that it chooses; k-means, the best of
10 starts, on 50 principal components of the features and on the means as they are; Louvain
communities of the links, by networkx.

An ``.h5ad`` file of single cells, with classes in a column of ``obs``, is a data set too
(``cells.h5ad:COLUMN``): links to the 15 nearest in 50 principal components, X as features.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import sklearn.datasets
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import StandardScaler

import vgae

DATASETS = ("cora", "citeseer", "digits", "wine", "breast_cancer")
METHODS = ("auto", "kmeans", "mixture", "louvain")  # those that auto takes are not repeated


def neighbour_graph(
    x: np.ndarray, near: np.ndarray, y: np.ndarray, count: int, name: str
) -> vgae.Graph:
    """Return the graph of the nearest neighbours of rows, with features and classes."""
    links = np.stack(kneighbors_graph(near, count).nonzero())
    features = np.asarray(x, np.float32)
    return vgae.Graph.from_edges(links, num_nodes=len(x), x=features, y=y, name=name)


def named(name: str) -> vgae.Graph:
    """Return a data set."""
    if ".h5ad:" in name:
        import anndata

        path, column = name.rsplit(":", 1)
        cells: Any = anndata.read_h5ad(path)
        x = cells.X.toarray() if hasattr(cells.X, "toarray") else np.asarray(cells.X)
        near = PCA(min(50, *x.shape), random_state=0).fit_transform(x)
        y = np.unique(cells.obs[column].astype(str), return_inverse=True)[1]
        return neighbour_graph(x, near, y, 15, Path(path).stem)
    if name in ("cora", "citeseer"):
        return vgae.load_dataset(name)
    data: Any = getattr(sklearn.datasets, f"load_{name}")()
    x = StandardScaler().fit_transform(data.data)
    return neighbour_graph(x, x, data.target, 10, name)


def embedding(graph: vgae.Graph, seed: int, folder: Path) -> vgae.DiagGaussian:
    """Return the posterior of a model that is trained on all links."""
    path = folder / f"{graph.name}-{seed}.npz"
    if not path.exists():
        torch.set_num_threads(1)
        split = vgae.split_links(graph, val=0, test=0, seed=seed)
        recipe = vgae.recipes.BEST
        q: Any = vgae.embed(vgae.fit(graph, split, recipe=recipe, seed=seed), graph)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, mu=q.mu.numpy(), logvar=q.logvar.numpy())
    arrays = np.load(path)
    return vgae.DiagGaussian(*(torch.from_numpy(arrays[key]) for key in ("mu", "logvar")))


def louvain(graph: vgae.Graph, seed: int) -> np.ndarray:
    """Return the communities of the links alone, at resolution 1."""
    adjacency = graph.to_scipy()
    parts: Any = nx.community.louvain_communities(
        nx.from_scipy_sparse_array(adjacency), seed=seed, weight=None
    )
    labels = np.empty(graph.num_nodes, int)
    for number, part in enumerate(parts):
        labels[list(part)] = number
    return labels


def k_means(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the best of 10 starts."""
    starts: Any = 10
    return KMeans(k, n_init=starts, random_state=seed).fit_predict(x)


def rows_of(graph: vgae.Graph, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Return the scores of all methods."""
    y: Any = None if graph.y is None else graph.y.numpy()
    known = y >= 0
    k = len(np.unique(y[known]))
    q = embedding(graph, seed, folder)
    x: Any = graph.x
    x = x.to_dense().numpy() if x.is_sparse_csr else x.numpy()
    components = PCA(min(50, *x.shape), random_state=seed).fit_transform(x)
    found = {
        "k-means on PCA of features": k_means(components, k, seed),
        "Louvain on links": louvain(graph, seed),
        "k-means on means": k_means(q.mu.numpy(), k, seed),
    }
    used: dict[str, str] = {}
    for method in METHODS:
        for given in (k, None) if method != "mixture" else (k,):
            end = "k given" if given else "k chosen"
            if used.get(f"vgae.cluster auto, {end}") == method:
                continue  # the same clusters
            name = f"vgae.cluster {method}, {end}"
            clusters = vgae.cluster(q, k=given, method=method, graph=graph, seed=seed)
            found[name], used[name] = clusters.labels, clusters.method
    return [
        {
            "dataset": graph.name,
            "seed": seed,
            "row": name,
            "method": used.get(name),
            "clusters": len(np.unique(labels)),
            "ari": round(float(adjusted_rand_score(y[known], labels[known])), 4),
            "nmi": round(float(normalized_mutual_info_score(y[known], labels[known])), 4),
        }
        for name, labels in found.items()
    ]


def main() -> None:
    """Print all rows as JSON, and means over seeds to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=[*DATASETS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[*range(5)])
    parser.add_argument("--folder", type=Path, default=Path("runs/clusters"))
    args = parser.parse_args()
    rows = []
    for name in args.datasets:
        graph = named(name)
        of_graph = [row for seed in args.seeds for row in rows_of(graph, seed, args.folder)]
        rows += of_graph
        for row in dict.fromkeys(row["row"] for row in of_graph):
            same = [one for one in of_graph if one["row"] == row]
            ari, nmi, count = (
                f"{np.mean([one[key] for one in same]):.3f} ({min(one[key] for one in same):.3f})"
                for key in ("ari", "nmi", "clusters")
            )
            print(f"{graph.name:14} {row:34} ARI {ari} NMI {nmi} k {count}", file=sys.stderr)
    print(json.dumps({"seeds": args.seeds, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
