"""Embeddings in files of AnnData, ``.h5ad``: a new one, or one that is there."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vgae.data._isolated_reader import column
from vgae.errors import DataError
from vgae.runtime.atomic import check_writable, replacing
from vgae.runtime.reading import brief
from vgae.runtime.tables import optional_module

_KEYS = {"mu": "X_vgae", "logvar": "vgae_logvar"}


def write_h5ad(
    path: Path,
    ids: Sequence[int | str],
    arrays: Mapping[str, np.ndarray],
    *,
    labels: Sequence[Any] | None,
    more: Mapping[str, np.ndarray],
) -> None:
    """Write vectors as ``obsm["X_vgae"]``, and log variances as ``obsm["vgae_logvar"]``.

    A file that exists keeps all else that it has, byte for byte; its observations must be the
    nodes, in any order. A new file has the names, labels and further columns as ``obs``.

    Args:
        path: The file.
        ids: Names of the nodes.
        arrays: ``mu`` and perhaps ``logvar``, shape ``(N, d)``.
        labels: Labels of the nodes.
        more: Further columns of numbers, such as clusters.

    Raises:
        DataError: ``NODE_ID`` if the observations of the file are not the nodes.
        UsageError: ``MISSING_PACKAGE`` without anndata.
    """
    check_writable(path)
    names, vectors = [str(node) for node in ids], {_KEYS[k]: v for k, v in arrays.items()}
    if path.exists():
        _add(path, names, vectors)
        return
    anndata, pandas = (optional_module(name, "anndata") for name in ("anndata", "pandas"))

    def texts(values: Sequence[str]) -> Any:
        # Of type object: anndata 0.12 writes no other text of pandas 3.
        return pandas.Index(np.array([*values], object), dtype=object)

    obs = pandas.DataFrame(index=texts(names))
    if labels is not None:
        kinds = sorted({str(label) for label in labels if label is not None})
        codes = [-1 if label is None else kinds.index(str(label)) for label in labels]
        types = pandas.CategoricalDtype(texts(kinds))
        obs["label"] = pandas.Categorical.from_codes(codes, dtype=types)
    for name, values in more.items():
        obs[name] = values
    var = pandas.DataFrame(index=texts([]))
    with replacing(path) as temporary:
        anndata.AnnData(obs=obs, var=var, obsm=vectors).write_h5ad(temporary)


def _add(path: Path, names: list[str], vectors: Mapping[str, np.ndarray]) -> None:
    """Put vectors into a copy of a file, which takes its place."""
    h5py: Any = optional_module("h5py", "anndata")
    with replacing(path) as temporary:
        shutil.copyfile(path, temporary)
        try:
            with h5py.File(temporary, "r+") as file:
                obs, obsm = file["obs"], file.require_group("obsm")
                rows = _rows(names, column(obs, obs.attrs["_index"]), path)
                for name, vector in vectors.items():
                    if name in obsm:
                        del obsm[name]
                    stored = obsm.create_dataset(name, data=vector[rows])
                    stored.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        except (KeyError, OSError, TypeError, AttributeError) as error:
            raise DataError(
                "H5AD_CORRUPT",
                f"{path} is there and is no AnnData ({brief(error)}); choose another --out.",
            ) from error


def _rows(names: list[str], observed: list[str], path: Path) -> np.ndarray:
    """Return the place among the nodes of each observation."""
    places = {name: place for place, name in enumerate(names)}
    if len(places) < len(names) or sorted(observed) != sorted(names):
        other = next((name for name in observed if name not in places), None)
        why = f"it has {other!r:.60}, which is none" if other is not None else "some are missing"
        raise DataError(
            "NODE_ID",
            f"the {len(observed)} observations of {path}, which is there already, are not the"
            f" {len(names)} nodes ({why}); choose another --out.",
        )
    return np.array([places[name] for name in observed], dtype=np.int64)
