"""Data sets of PyG and of OGB by name: ``pyg:Planetoid/Cora``, ``ogb:ogbl-collab``.

These libraries download, read and keep the files themselves, in ``pyg`` and ``ogb`` within
:func:`vgae.data.catalog.data_home`; they trust what is there.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from vgae.data.array_graphs import labels_of
from vgae.data.catalog import Features, data_home
from vgae.errors import DataError, UsageError, VgaeError, nearest
from vgae.graphs.graph import Graph
from vgae.runtime.reading import brief

PREFIXES = ("pyg:", "ogb:")


def load_pyg_or_ogb(
    source: str, *, features: Features = "raw", progress: bool | None = None
) -> Graph:
    """Load a graph of PyG or OGB.

    Args:
        source: ``pyg:CLASS`` or ``pyg:CLASS/NAME``, a class of ``torch_geometric.datasets`` and
            its argument ``name``, of one graph or, as ``pyg:TUDataset/MUTAG``, of several, which
            become a collection; or ``ogb:NAME``, such as ``ogb:ogbn-arxiv``, of one graph.
        features: ``"none"`` leaves them out.
        progress: ``False`` discards what the library prints.

    Raises:
        DataError: ``UNKNOWN_DATASET``; ``DATASET_KIND`` if it has no graphs of one kind of
            nodes; ``OFFLINE``; ``LIBRARY`` if the library fails; or as
            :meth:`vgae.Graph.from_pyg`.
        UsageError: ``MISSING_PACKAGE`` without ogb.
    """
    library, _, name = source.partition(":")
    with _quiet() if progress is False else _aside():
        graph = _of_pyg(name, source) if library == "pyg" else _of_ogb(name, source)
    return graph if features == "raw" else graph.without_features()


def run_name(source: str) -> str:
    """Return a name of a data set as a part of the name of a folder: ``pyg-Planetoid-Cora``."""
    return source.replace(":", "-").replace("/", "-")


def _of_pyg(name: str, source: str) -> Graph:
    """Return the only graph of a data set of PyG."""
    from torch_geometric import datasets
    from torch_geometric.data import Data, Dataset

    title, _, argument = name.partition("/")
    known = [*datasets.__all__]
    kind = getattr(datasets, title, None) if title in known else None
    if not (isinstance(kind, type) and issubclass(kind, Dataset)):
        near = nearest(title, known)
        hint = f"; did you mean pyg:{near}?" if near else ", such as pyg:Planetoid/Cora."
        raise DataError(
            "UNKNOWN_DATASET", f"torch_geometric.datasets has no data set {title!r:.60}{hint}"
        )
    if not re.fullmatch(r"[\w.+() -]*", argument) or argument.startswith("."):
        raise DataError("UNKNOWN_DATASET", f"{argument!r:.60} is no name of a data set.")
    parameters = inspect.signature(kind.__init__).parameters
    given: dict[str, Any] = (
        {"root": str(data_home() / "pyg" / title)} if "root" in parameters else {}
    )
    if argument:
        given["name"] = argument
    takes = parameters.get("name")
    if bool(argument) != (takes is not None) and not (takes and takes.default is not takes.empty):
        wrong = (
            f"has no argument name: pyg:{title}" if argument else f"needs a name: pyg:{title}/NAME"
        )
        raise DataError("UNKNOWN_DATASET", f"torch_geometric.datasets.{title} {wrong}.")
    found = _guarded(source, lambda: [*_offline(kind, source)(**given)])
    other = next((data for data in found if not isinstance(data, Data)), None)
    if other is not None or not found:
        what = "no graph" if other is None else f"a {type(other).__name__}"
        raise DataError(
            "DATASET_KIND", f"{source} is {what}, not graphs of one kind of nodes and links."
        )
    return Graph.from_pyg(found[0] if len(found) == 1 else found, name=argument or title)


def _offline(kind: Any, source: str) -> Any:
    """Return a class of PyG whose downloads obey ``VGAE_OFFLINE``, and have one kind of error."""
    from torch_geometric.data import Dataset

    if kind.download is Dataset.download:  # it makes its graph itself
        return kind

    def download(self: Any) -> None:
        if os.environ.get("VGAE_OFFLINE", "0") not in ("", "0"):
            raise _absent(source, "VGAE_OFFLINE is set", getattr(self, "raw_dir", ""))
        try:
            kind.download(self)
        except Exception as error:
            raise _absent(source, brief(error), getattr(self, "raw_dir", "")) from error

    return type(kind.__name__, (kind,), {"download": download, "__module__": kind.__module__})


def _absent(source: str, why: str, folder: object) -> DataError:
    return DataError(
        "OFFLINE",
        f"{source} is not at hand and cannot be downloaded ({why}); put its raw files into"
        f" {folder}, or try again with a connection.",
    )


def _of_ogb(name: str, source: str) -> Graph:
    """Return the graph of a data set of OGB for nodes (``ogbn-``) or links (``ogbl-``)."""
    modules = {
        "ogbn": ("ogb.nodeproppred", "NodePropPredDataset"),
        "ogbl": ("ogb.linkproppred", "LinkPropPredDataset"),
    }
    kind = name.partition("-")[0]
    if kind not in modules:
        raise DataError(
            "UNKNOWN_DATASET", f"{source!r:.60}: it must be ogb:ogbn-NAME or ogb:ogbl-NAME."
        )
    module, title = modules[kind]
    if find_spec("ogb") is None:
        raise UsageError("MISSING_PACKAGE", "ogb is missing: pip install ogb.")
    load = getattr(import_module(module), title)
    root = data_home() / "ogb"
    is_there = (root / name.replace("-", "_")).exists()
    if not is_there and os.environ.get("VGAE_OFFLINE", "0") not in ("", "0"):
        raise _absent(source, "VGAE_OFFLINE is set", root)
    found = _guarded(source, lambda: load(name=name, root=str(root))[0])
    graph, labels = found if isinstance(found, tuple) else (found, None)
    if not isinstance(graph, dict) or "edge_index" not in graph:
        raise DataError("DATASET_KIND", f"{source} is not one graph of one kind of nodes.")
    y = None if labels is None else labels_of(np.asarray(labels), source)
    weight = graph.get("edge_weight")
    return Graph.from_edges(
        graph["edge_index"],
        edge_weight=None if weight is None else np.asarray(weight).reshape(-1),
        num_nodes=int(graph["num_nodes"]),
        x=graph.get("node_feat"),
        y=None if y is None else y.y,
        label_names=() if y is None else y.names,
        ordered=True,
        name=name,
    )


def _guarded(source: str, load: Callable[[], Any]) -> Any:
    """Call a library, and convert its exceptions."""
    try:
        return load()
    except VgaeError:
        raise
    except (AssertionError, KeyError) as error:
        raise DataError(
            "UNKNOWN_DATASET", f"{source}: its library has none of this name ({brief(error)})."
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(
            "LIBRARY", f"{source} cannot be loaded by its library ({brief(error)})."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    with Path(os.devnull).open("w") as sink, redirect_stderr(sink), redirect_stdout(sink):
        yield


@contextmanager
def _aside() -> Iterator[None]:
    """Write to stderr what a library prints; stdout is for results."""
    with redirect_stdout(sys.stderr):
        yield
