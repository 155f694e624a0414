"""Export of node names and latent vectors to files and to objects of other libraries."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np
import scipy.sparse as sp
import torch

from vgae.errors import ArtifactError, DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.arrays import scipy_from_tensor
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph, NodeId
from vgae.prediction.cells import write_h5ad
from vgae.runtime.atomic import replacing
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.runtime.numerals import is_integer
from vgae.runtime.tables import FORMATS as TABLE_FORMATS
from vgae.runtime.tables import checked_suffix, exact_values, write_table
from vgae.vae import Posterior

if TYPE_CHECKING:
    import networkx as nx

_WORD2VEC = (".txt", ".vec", ".w2v")
FORMATS = (".npz", ".npy", *TABLE_FORMATS, *_WORD2VEC, ".projector", ".h5ad")

_PROJECTOR_FILES = 'tensor_name: "mu" tensor_path: "vectors.tsv" metadata_path: "metadata.tsv"'

Labels = Sequence[NodeId | None] | None


def write_embeddings(
    path: str | os.PathLike[str],
    ids: Sequence[NodeId],
    q: Posterior,
    *,
    labels: Labels = None,
    more: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    """Write one row per node, or per graph of a collection, in the format of the suffix.

    ``.npz``: ``ids`` (N,), ``mu`` (N, d) and, unless the posterior is a point mass, ``logvar``
    (N, d), log sigma squared; no pickled objects. ``.npy``: only ``mu``. ``.csv``, ``.tsv``,
    ``.json``, ``.jsonl``, ``.parquet``: the columns ``id``, ``label`` if given, and ``z_0`` ...
    of ``mu``, written by :func:`vgae.runtime.tables.write_table`. ``.txt``, ``.vec``, ``.w2v``:
    ``mu`` in the text format of word2vec, which gensim reads, with names from
    :func:`word2vec_name`. ``.projector``: a folder, see :func:`write_projector`. ``.h5ad``
    (AnnData): ``obsm["X_vgae"]``, in the file if it is there, see
    :func:`vgae.prediction.cells.write_h5ad`.

    A file is written as a whole or not at all.

    Args:
        path: Destination; an existing file is replaced, but for ``.h5ad``.
        ids: Names of the N nodes or graphs.
        q: Posterior, as returned by :func:`vgae.embed` or :func:`vgae.graph_vectors`.
        labels: Labels, such as :func:`node_labels`, None where unknown; only tables and the
            projector have them.
        more: Further columns of tables, of the projector and of ``obs``, and arrays of ``.npz``,
            by name, of length N, such as ``{"cluster": clusters.labels}``; NaN is an empty cell.

    Raises:
        UsageError: If the suffix is unknown, or a package that the format needs is missing.
        DataError: If two names are equal in the text format of word2vec.
    """
    path = Path(path)
    suffix = checked_suffix(path, FORMATS)
    _check_lengths(q, ids, labels)
    arrays = _arrays(q)
    if suffix == ".projector":
        write_projector(path, ids, q, labels=labels, more=more)
    elif suffix == ".npz":
        write_arrays(path, {"ids": id_array(ids), **more, **arrays})
    elif suffix == ".npy":
        with replacing(path) as temporary:
            np.save(temporary, arrays["mu"], allow_pickle=False)
    elif suffix in _WORD2VEC:
        _write_word2vec(path, ids, arrays["mu"])
    elif suffix == ".h5ad":
        write_h5ad(path, ids, arrays, labels=labels, more=more)
    else:
        label = {} if labels is None else {"label": labels}
        z = {f"z_{k}": column for k, column in enumerate(arrays["mu"].T)}
        rest = {name: _without_nan(column) for name, column in more.items()}
        write_table(path, {"id": ids, **label, **rest, **z})


def read_embeddings(path: str | os.PathLike[str], ids: Sequence[NodeId]) -> Posterior:
    """Return the posterior in an ``.npz`` file of :func:`write_embeddings`.

    Args:
        path: File of a run.
        ids: Names of the N nodes that it must be of.

    Returns:
        A :class:`~vgae.DiagGaussian`, or a :class:`~vgae.PointMass` if it has no ``logvar``.

    Raises:
        ArtifactError: ``EMBEDDINGS_CORRUPT`` if it cannot be read; is of other nodes; or if its
            arrays are not finite floating-point numbers of shape (N, d), d at least 1.
    """
    path = Path(path)
    try:
        arrays = read_arrays(path)
        names, stored = id_array(ids), arrays["ids"]
        if stored.dtype.kind != names.dtype.kind or not np.array_equal(stored, names):
            raise ValueError(f"its ids are not the names of the {len(ids)} nodes")
        tensors = {n: _matrix(n, arrays[n], len(ids)) for n in ("mu", "logvar") if n in arrays}
        if tensors.get("logvar", tensors["mu"]).shape != tensors["mu"].shape:
            raise ValueError("mu and logvar differ in shape")
    except (KeyError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ArtifactError(
            "EMBEDDINGS_CORRUPT",
            f"{path}: {reason:.200}; write it again with 'vgae embed RUN'.",
        ) from None
    return DiagGaussian(**tensors) if "logvar" in tensors else PointMass(tensors["mu"])


def _matrix(name: str, array: np.ndarray, num_nodes: int) -> torch.Tensor:
    """Return stored vectors; raise ``ValueError`` unless they are one per node, and finite."""
    if array.dtype.kind != "f" or array.ndim != 2 or not array.shape[1]:
        raise ValueError(
            f"{name} must be floating-point numbers of shape (N, d), d at least 1, got"
            f" {array.dtype} of shape {array.shape}"
        )
    if len(array) != num_nodes:
        raise ValueError(f"{name} must have a row for each of {num_nodes} nodes, got {len(array)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are NaN or infinite")
    # In the byte order of the machine and at most double precision, which torch takes.
    return torch.tensor(array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64))


def write_projector(
    folder: str | os.PathLike[str],
    ids: Sequence[NodeId],
    q: Posterior,
    *,
    labels: Labels = None,
    more: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    """Write a folder for the projector of ``tensorboard --logdir FOLDER``.

    ``vectors.tsv`` has ``mu``, one line per node. ``metadata.tsv`` has names or, with a header,
    names, labels and further columns; :func:`node_from_word2vec` decodes names and labels.
    TensorBoard looks for ``projector_config.pbtxt``, which is therefore removed first and written
    last.

    Arguments are those of :func:`write_embeddings`; ``folder`` is created if missing.
    """
    _check_lengths(q, ids, labels)
    folder = Path(folder)
    config = folder / "projector_config.pbtxt"
    config.unlink(missing_ok=True)
    _write_lines(folder / "vectors.tsv", _number_lines(_arrays(q)["mu"], "\t"))
    metadata: Iterable[str] = [_metadata_cell(node) for node in ids]
    columns: dict[str, Any] = {} if labels is None else {"label": labels}
    columns |= {name: _without_nan(column) for name, column in more.items()}
    if columns:
        # TensorBoard takes a first line with a tab as the header.
        cells = [
            [name, *("" if value is None else _metadata_cell(value) for value in column)]
            for name, column in columns.items()
        ]
        rows = zip(["name", *metadata], *cells, strict=True)
        metadata = map("\t".join, rows)
    _write_lines(folder / "metadata.tsv", metadata)
    _write_lines(config, [f"embeddings {{ {_PROJECTOR_FILES} }}"])


def networkx_with_embeddings(
    graph: Graph, q: Posterior, *, more: Mapping[str, np.ndarray] = MappingProxyType({})
) -> "nx.Graph":
    """Return :meth:`vgae.Graph.to_networkx` with the posterior as attributes of the nodes.

    They are ``mu`` and, unless the posterior is a point mass, ``logvar`` (log sigma squared), as
    lists of d numbers; and those of ``more``, arrays of length N by name, such as
    ``{"cluster": clusters.labels}``.
    """
    import networkx as nx

    _check_lengths(q, graph.ids)
    result = graph.to_networkx()
    for name, array in {**_arrays(q), **more}.items():
        nx.set_node_attributes(result, dict(zip(graph.ids, array.tolist(), strict=True)), name)
    return result


def to_anndata_dict(
    graph: Graph, q: Posterior, *, more: Mapping[str, np.ndarray] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the arguments of ``anndata.AnnData`` for an embedded graph, nodes as observations.

    They are copies, since programs such as scanpy modify an ``AnnData`` in place.

    Args:
        graph: The graph.
        q: Its posterior.
        more: Further columns of ``obs`` by name, of length N. Programs colour text by category,
            so clusters are ``{"cluster": clusters.labels.astype(str)}``.

    Returns:
        ``X``: features (N, F), sparse if sparse in the graph. ``obs``: ``obs_names`` and, if the
        graph has labels, ``label``; if it has two sides, the name of each node's ``side``.
        ``var``: ``var_names``, by default ``x_0`` and so on. ``obsm``: ``X_vgae``, the means
        (N, d), and, unless the posterior is a point mass, ``vgae_logvar``, log sigma squared.
        ``obsp``: ``connectivities``, the adjacency (N, N) of ones or weights, from source (row)
        to target if the graph is directed.
    """
    _check_lengths(q, graph.ids)
    labels = node_labels(graph)
    features = graph.feature_names or [f"x_{k}" for k in range(graph.num_features)]
    obs: dict[str, Any] = {"obs_names": [str(node) for node in graph.ids]}
    if graph.sides is not None:
        names = graph.side_names or ("first", "second")
        obs["side"] = [names[side] for side in graph.sides.tolist()]
    copies = {name: np.array(column) for name, column in more.items()}
    obsm_names = {"mu": "X_vgae", "logvar": "vgae_logvar"}
    return {
        "X": _feature_matrix(graph),
        "obs": {**obs, **({} if labels is None else {"label": labels}), **copies},
        "var": {"var_names": list(features)},
        "obsm": {obsm_names[name]: array.copy() for name, array in _arrays(q).items()},
        # Not a csr_array, which anndata takes only since version 0.11.
        "obsp": {"connectivities": sp.csr_matrix(graph.to_scipy())},
    }


def node_labels(graph: Graph) -> list[NodeId | None] | None:
    """Return the label of each node by name, or by number if labels have no names.

    Unknown labels are None; the result is None for a graph without labels.
    """
    return _named_labels(graph.y, graph.label_names)


def _named_labels(y: torch.Tensor | None, names: Sequence[str]) -> list[NodeId | None] | None:
    if y is None:
        return None
    known: Any = names or range(int(y.max()) + 1)
    return [known[label] if label >= 0 else None for label in y.tolist()]


def graph_labels(graphs: GraphCollection) -> list[NodeId | None] | None:
    """Return the label of each graph as :func:`node_labels` does those of nodes.

    If all names are integers in text, such as the -1 and 1 of TU files, so are the labels.
    """
    labels = _named_labels(graphs.graph_y, graphs.graph_label_names)
    if labels is None or not all(map(is_integer, graphs.graph_label_names)):
        return labels
    return [None if label is None else int(label) for label in labels]


def word2vec_name(node: NodeId) -> str:
    """Return a name as one word, by percent-encoding white space, ``%`` and invisible characters.

    A character is invisible if it is not ``str.isprintable``. The empty name becomes ``%``.
    """
    encoded = (c if c.isprintable() and c not in " %" else quote(c, safe="") for c in str(node))
    return "".join(encoded) or "%"


def node_from_word2vec(text: str) -> str:
    """Decode a name of :func:`word2vec_name`, as text even if it was a number."""
    return "" if text == "%" else unquote(text)


def _check_lengths(q: Posterior, ids: Sequence[NodeId], labels: Labels = None) -> None:
    for name, given in {"ids": ids, "labels": labels}.items():
        if given is not None and len(given) != len(q.mu):
            raise ValueError(f"{name} must name all {len(q.mu)} nodes, got {len(given)}.")


def _arrays(q: Posterior) -> dict[str, np.ndarray]:
    """Return ``mu`` and, unless the posterior is a point mass, ``logvar``, each (N, d)."""
    tensors = {"mu": q.mu, "logvar": q.logvar} if isinstance(q, DiagGaussian) else {"mu": q.mu}
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def id_array(ids: Sequence[NodeId]) -> np.ndarray:
    """Return integers as int64 and other names as text, not as objects."""
    array = np.array(ids)
    return array if array.dtype == np.int64 else np.array([str(node) for node in ids])


def _without_nan(column: np.ndarray) -> Any:
    """Return a column with None in place of NaN, if there are any."""
    if column.dtype.kind != "f" or not np.isnan(column).any():
        return column
    return [None if value != value else value for value in column.tolist()]


def _feature_matrix(graph: Graph) -> np.ndarray | sp.csr_matrix:
    """Return a copy of the features; without features, a matrix without columns."""
    if graph.x is None:
        return np.zeros((graph.num_nodes, 0), dtype=np.float32)
    if graph.x.is_sparse_csr:
        return sp.csr_matrix(scipy_from_tensor(graph.x), copy=True)
    return graph.x.numpy().copy()


def _write_word2vec(path: Path, ids: Sequence[NodeId], mu: np.ndarray) -> None:
    names = [word2vec_name(node) for node in ids]
    # gensim keeps only the first of equal names.
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError("NODE_ID", f"node ids must differ as text, got {repeated[0]!r:.60} twice.")
    rows = zip(names, _number_lines(mu, " "), strict=True)
    _write_lines(path, chain([f"{len(mu)} {mu.shape[1]}"], map(" ".join, rows)))


def _metadata_cell(node: NodeId) -> str:
    """Return the result of ``word2vec_name`` with spaces, for a name that is not blank."""
    name = word2vec_name(node)
    # TensorBoard skips blank lines.
    return name.replace("%20", " ") if str(node).strip(" ") else name


def _number_lines(mu: np.ndarray, separator: str) -> Iterable[str]:
    return (separator.join(map(repr, exact_values(row))) for row in mu)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
