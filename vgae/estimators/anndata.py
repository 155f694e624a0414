"""Embeddings of the cells of an AnnData object, for scanpy."""

from collections.abc import Mapping
from typing import Any, Literal

from sklearn.base import clone

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.estimators.graphs import VGAEEmbedder
from vgae.graphs.graph import Graph


def embed_anndata(
    adata: Any,
    estimator: VGAEEmbedder | None = None,
    *,
    graph: str = "connectivities",
    features: str | Literal["auto", "none"] = "auto",
    key_added: str = "X_vgae",
) -> VGAEEmbedder:
    """Train on the graph of an ``AnnData``, and store a vector for each cell in ``obsm``.

    As functions of scanpy do, it changes ``adata``: ``adata.obsm[key_added]`` are the means of the
    posteriors, float32, shape ``(n_obs, d)``, and ``adata.uns["vgae"]`` says how they came about.
    ``sc.pp.neighbors(adata, use_rep="X_vgae")`` goes on from there.

    Args:
        adata: Cells with a graph, such as ``sc.pp.neighbors(adata)`` makes.
        estimator: Settings of the training; it is not changed. By default
            ``VGAEEmbedder(random_state=0)``.
        graph: Key of ``obsp``; its values are weights of the links.
        features: Key of ``obsm`` with the features; ``"X"`` for ``adata.X``; ``"none"`` for the
            links alone; ``"auto"`` for ``X_pca``, or else ``X``.
        key_added: Key of the result in ``obsm``.

    Returns:
        The fitted estimator, which has the model, the settings and the training history.

    Raises:
        DataError: ``H5AD_GRAPH`` without that graph; or as :meth:`vgae.VGAEEmbedder.fit`.
        UsageError: ``FEATURES`` without those features.
    """
    if not all(hasattr(adata, name) for name in ("obsp", "obsm", "obs_names", "uns", "X")):
        raise DataError("H5AD_GRAPH", f"adata must be an AnnData, got a {type(adata).__name__}.")
    adj = _part(adata.obsp, graph, "obsp", "make one by scanpy.pp.neighbors(adata)")
    x = _features(adata, features)
    fitted: Any = clone(VGAEEmbedder(random_state=0) if estimator is None else estimator)
    if x is None:
        fitted.fit(Graph.from_scipy(adj, sides="none", name="cells"))
    else:
        fitted.fit(x, graph=adj)
    adata.obsm[key_added] = fitted.embedding_
    adata.uns["vgae"] = {
        "key_added": key_added,
        "graph": graph,
        "features": features,
        "recipe": fitted.recipe_.name,
        "model": fitted.model,
        "seed": fitted.seed_,
        "n_iter": fitted.n_iter_,
    }
    return fitted


def _features(adata: Any, features: str) -> Any:
    if features == "none":
        return None
    if features == "auto":
        features = "X_pca" if "X_pca" in adata.obsm else "X"
    if features != "X":
        return _part(adata.obsm, features, "obsm", "or X for adata.X, none for the links alone")
    if adata.X is None:
        raise UsageError(
            "ANNDATA",
            "adata has neither X_pca nor X; choose features of obsm, or features='none'.",
        )
    return adata.X


def _part(found: Mapping[str, Any], key: str, where: str, cure: str) -> Any:
    if key in found:
        return found[key]
    listed = ", ".join(map(str, found)) or "nothing"
    near = did_you_mean(key, found)
    what = f"adata.{where} has no {key!r:.60}, but {listed:.200}; {cure}.{near}"
    if where == "obsp":
        raise DataError("H5AD_GRAPH", what)
    raise UsageError("FEATURES", what)
