"""write_embeddings: node names and latent vectors to files that other programs read."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vgae.atomic import replacing
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian
from vgae.graph import NodeId
from vgae.npz import write_arrays
from vgae.vae import Posterior

FORMATS = (".npz", ".npy", ".csv")


def write_embeddings(path: str | os.PathLike[str], ids: Sequence[NodeId], q: Posterior) -> None:
    """Write one row per node, in the format that the suffix names, whole or not at all.

    ``.npz``: ``ids`` (N,), ``mu`` (N, d) and, unless the posterior is a point mass, ``logvar``
    (N, d), log sigma squared; no pickled objects. ``.npy``: ``mu`` alone. ``.csv``: a header and
    the columns ``id``, ``z_0`` ... of ``mu``; an id that a spreadsheet would take for a formula
    (it begins with ``= + - @``, tab, return or NUL) gets a leading apostrophe.

    Args:
        path: Where to; an existing file is replaced.
        ids: Name of each node, of length N.
        q: Posterior, as :func:`vgae.embed` returns it.

    Raises:
        UsageError: If the suffix is none of these.
    """
    path = Path(path)
    mu = q.mu.detach().cpu().numpy()
    if path.suffix not in FORMATS:
        raise UsageError(
            "EXPORT_FORMAT",
            f"{path} must end in one of {', '.join(FORMATS)}, got {path.suffix!r}.",
        )
    if len(ids) != len(mu):
        raise ValueError(f"ids must name all {len(mu)} nodes, got {len(ids)}.")
    if path.suffix == ".npz":
        logvar = {"logvar": q.logvar.detach().cpu().numpy()} if isinstance(q, DiagGaussian) else {}
        write_arrays(path, {"ids": _id_array(ids), "mu": mu, **logvar})
        return
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            _write_csv(temporary, ids, mu)
        else:
            np.save(temporary, mu, allow_pickle=False)


def _id_array(ids: Sequence[NodeId]) -> np.ndarray:
    """Return integers as int64 and anything else as text; never as objects."""
    array = np.array(ids)
    return array if array.dtype == np.int64 else np.array([str(node) for node in ids])


def _write_csv(path: Path, ids: Sequence[NodeId], mu: np.ndarray) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(f"z_{k}" for k in range(mu.shape[1]))])
        for node, row in zip(ids, mu, strict=True):
            # Nine digits bring every float32 back exactly.
            writer.writerow([_inert(node), *(f"{value:.9g}" for value in row)])


def _inert(node: NodeId) -> NodeId:
    """Return a cell that a spreadsheet does not run as a formula."""
    return f"'{node}" if isinstance(node, str) and node[:1] in tuple("=+-@\t\r\0") else node
