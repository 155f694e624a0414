"""Loading of a graph of the catalogue by name."""

from pathlib import Path

from vgae.data.catalog import Features, catalogue, entry
from vgae.data.graph_npz import read_npz
from vgae.data.planetoid import load_planetoid
from vgae.data.pyg_ogb import PREFIXES, load_pyg_or_ogb
from vgae.errors import DataError, UsageError, check_choice
from vgae.graphs.graph import Graph


def load_dataset(name: str, *, features: Features = "raw", progress: bool | None = None) -> Graph:
    """Load a data set of the catalogue (``vgae datasets list``), of PyG or of OGB.

    ``stdlib`` comes with the package. The files of the others are read from ``$VGAE_DATA``, or the
    user's cache, and downloaded there if missing; each is checked against its SHA-256.

    Args:
        name: ``"stdlib"``, ``"cora"``, ``"citeseer"`` or ``"pubmed"``; or
            ``"pyg:Planetoid/Cora"``, ``"ogb:ogbl-collab"`` and others, see
            :func:`vgae.data.pyg_ogb.load_pyg_or_ogb`.
        features: ``"none"`` omits the features, and does not need their files.
        progress: Whether to show a download on stderr; see :func:`vgae.fit`.

    Raises:
        UsageError: If ``features`` is invalid, or the data set is one of images.
        DataError: If the name is unknown, or files are missing or damaged.
    """
    check_choice("features", features, Features)
    if name.startswith(PREFIXES):
        return load_pyg_or_ogb(name, features=features, progress=progress)
    if Path(name).exists() and name.lower() not in catalogue():
        raise DataError(
            "UNKNOWN_DATASET",
            f"there is no data set {name!r:.60}, but a file or folder: give it as ./{name}",
        )
    found = entry(name)
    if found.holds_images:
        raise UsageError("IMAGES", f"{found.name} is a data set of images: use load_images.")
    if found.kind == "planetoid":
        return load_planetoid(found.name, features=features, progress=progress)
    graph = read_npz(found.path)  # pyright: ignore[reportArgumentType]
    return graph if features == "raw" else graph.without_features()
