"""maps: the nodes in the plane, by each method that is there and takes reasonable time."""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

_TSNE_NODES = 5_000  # it takes seconds up to here and minutes beyond
_UMAP_NODES = 50_000


def maps(embedding: np.ndarray) -> dict[str, np.ndarray]:
    """Bring an embedding into the plane.

    Args:
        embedding: Shape ``(N, d)``.

    Returns:
        By the name of the method, the one to be shown first first: float32, shape ``(N, 2)``,
        centred and scaled so that the farthest coordinate is 1. Always ``"PCA"``, or ``"as it
        is"`` where there are no more than two dimensions to begin with.
    """
    num_nodes, width = embedding.shape
    # Within rounding one and the same point: no method has an axis for it.
    spread = np.ptp(embedding, axis=0).max() > 1e-6 * np.abs(embedding).max()
    if width <= 2 or num_nodes < 4 or not spread:
        padded = np.pad(embedding, ((0, 0), (0, max(0, 2 - width))))
        return {"as it is": _fitted(padded[:, :2])}
    found = {}
    if find_spec("umap") and num_nodes <= _UMAP_NODES:
        neighbours = min(15, num_nodes - 1)
        method = import_module("umap").UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1)
        found["UMAP"] = _fitted(method.fit_transform(embedding))
    if num_nodes <= _TSNE_NODES:
        perplexity = min(30, (num_nodes - 1) / 3)
        method = TSNE(perplexity=perplexity, random_state=0)
        found["t-SNE"] = _fitted(method.fit_transform(embedding))
    found["PCA"] = _fitted(PCA(2, random_state=0).fit_transform(embedding))
    return found


def _fitted(plane: np.ndarray) -> np.ndarray:
    """Return places with their middle at 0 and the farthest coordinate at 1."""
    low, high = plane.min(axis=0), plane.max(axis=0)
    centred = plane - (low + high) / 2
    return (centred / max(np.abs(centred).max(), np.finfo(np.float32).tiny)).astype(np.float32)
