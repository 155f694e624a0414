"""Splits of links as OGB stores them: ``split/KIND/{train,valid,test}.pt``, nothing unpickled.

Source: Hu et al. (2020), `Open Graph Benchmark <https://arxiv.org/abs/2005.00687>`_, and
``ogb.linkproppred.PygLinkPropPredDataset.get_edge_split``.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vgae.data.torch_files import read_integers
from vgae.errors import DataError, printable

log = logging.getLogger(__name__)
_SHAPES = "source_node and target_node must have shape (P,), target_node_neg (P, K)"


def split_folders(folder: Path) -> list[Path]:
    """Return the folders of splits within a folder or its folder ``split``."""
    inside = folder / "split" if (folder / "split").is_dir() else folder
    return [child for child in sorted(inside.iterdir()) if (child / "test.pt").is_file()]


def with_held_out(pairs: np.ndarray, folder: Path, *, weighted: bool) -> np.ndarray:
    """Return the links of ``edge.csv`` and the validation and test links of ``split/KIND/*.pt``.

    Without such files only the links of ``edge.csv``: OGB keeps the training links alone there.

    Args:
        pairs: Links of ``edge.csv``, int64, shape ``(2, M)``.
        folder: Folder of the data set, with ``raw`` and ``split``.
        weighted: Whether ``edge.csv`` has weights.

    Raises:
        DataError: ``FOLDER_LAYOUT`` with weights; or as :func:`ogb_links` and
            :func:`vgae.data.torch_files.read_integers`.
    """
    kinds = split_folders(folder) if (folder / "split").is_dir() else []
    paths = [kind / f"{part}.pt" for kind in kinds for part in ("valid", "test")]
    found = [ogb_links(read_integers(path), path) for path in paths if path.is_file()]
    if not found:
        return pairs
    if weighted:
        raise DataError(
            "FOLDER_LAYOUT",
            f"{folder}: edge-weight.csv has no weights of the held-out links in split; move it"
            f" away to read all links without weights, or read {folder / 'raw'} alone.",
        )
    held = np.concatenate(found, axis=1).astype(np.int64)
    log.info(
        "%s: the %s held-out links in split are added to the %s training links of edge.csv;"
        " vgae.read_split(%r, graph) (--split %s) holds them out, and %s is read without them",
        *(folder, f"{held.shape[1]:,}", f"{pairs.shape[1]:,}", str(folder), folder),
        folder / "raw",
    )
    return np.concatenate([pairs, held], axis=1)


def ogb_links(content: Mapping[str, np.ndarray], path: Path) -> np.ndarray:
    """Return the links of a dictionary of OGB, shape ``(2, P)``.

    Raises:
        DataError: ``SPLIT_PARTS`` if it has none, or they have another shape.
    """
    if (edge := content.get("edge")) is not None:
        if edge.ndim != 2 or edge.shape[1] != 2:
            raise _refused(path, "edge and edge_neg must have shape (P, 2)")
        return edge.T
    source, target = content.get("source_node"), content.get("target_node")
    if source is None or target is None:
        listed = printable(", ".join(content)) or "no integers"
        raise _refused(path, f"it must hold edge, or source_node and target_node; found {listed}")
    if source.ndim != 1 or source.shape != target.shape:
        raise _refused(path, _SHAPES)
    return np.stack([source, target])


def ogb_pairs(content: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Return links and non-links of a dictionary of OGB, by the end of their name.

    ``""`` are the links; ``"_neg"`` the non-links, shared ones of ``edge_neg``, shape ``(2, Q)``,
    or those of each link of ``target_node_neg``, shape ``(P, K, 2)``.

    Raises:
        DataError: ``SPLIT_PARTS`` if there are no links, or a shape is another one.
    """
    links = ogb_links(content, path)
    if "edge" in content:
        if (neg := content.get("edge_neg")) is None:
            return {"": links}
        if neg.ndim != 2 or neg.shape[1] != 2:
            raise _refused(path, "edge and edge_neg must have shape (P, 2)")
        return {"": links, "_neg": neg.T}
    if (neg := content.get("target_node_neg")) is None:
        return {"": links}
    if neg.ndim != 2 or len(neg) != links.shape[1]:
        raise _refused(path, _SHAPES)
    source = np.broadcast_to(links[0][:, None], neg.shape)
    return {"": links, "_neg": np.stack([source, neg], axis=2)}


def _refused(path: Path, rule: str) -> DataError:
    return DataError("SPLIT_PARTS", f"{path}: {rule}.")
