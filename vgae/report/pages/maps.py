"""Projections of the nodes for the map of a page."""

from importlib import import_module
from importlib.util import find_spec

import numpy as np

from vgae.report.figures.points import COLLAPSED, OVERFLOWED, UNPROJECTED, projections

_UMAP_NODES = 50_000


def maps(embedding: np.ndarray) -> dict[str, np.ndarray]:
    """Return an embedding in the plane by each method that is installed and fast enough.

    The positions, float32 of shape ``(N, 2)``, are centred; the largest coordinate is 1. The first
    method is shown first.
    """
    found = dict(projections(embedding))
    is_projected = found.keys().isdisjoint((COLLAPSED, OVERFLOWED, UNPROJECTED))
    if is_projected and find_spec("umap") and len(embedding) <= _UMAP_NODES:
        neighbours = min(15, len(embedding) - 1)
        method = import_module("umap").UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1)
        found = {"UMAP": method.fit_transform(embedding), **found}
    return {name: _fitted(plane) for name, plane in found.items()}


def _fitted(plane: np.ndarray) -> np.ndarray:
    """Return positions with their centre at 0 and the largest coordinate 1."""
    low, high = plane.min(axis=0), plane.max(axis=0)
    centred = plane - (low + high) / 2
    return (centred / max(np.abs(centred).max(), np.finfo(np.float32).tiny)).astype(np.float32)
