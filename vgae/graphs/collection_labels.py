"""Labels of the graphs of a collection, and of their nodes."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from vgae.errors import DataError
from vgae.graphs.arrays import label_tensor
from vgae.graphs.frame_kinds import is_frame, is_series
from vgae.graphs.values import coded_labels, is_missing

log = logging.getLogger(__name__)


class GraphLabels(NamedTuple):
    """Labels of graphs.

    Attributes:
        codes: Label of each graph, int64, -1 if unknown, shape ``(G,)``; ``None`` without.
        names: Name of each label; empty if they are numbers from 0 on.
    """

    codes: np.ndarray | None = None
    names: tuple[str, ...] = ()


def graph_labels(y: Any, names: Sequence[Any], label_names: Sequence[Any] = ()) -> GraphLabels:
    """Return a label for each graph; see :meth:`vgae.GraphCollection.from_graphs`.

    Raises:
        DataError: ``LABELS`` if there is not one for each graph, or they are of another type;
            ``COLLECTION`` for names of no graphs.
    """
    if y is None or isinstance(y, GraphLabels):
        return y or GraphLabels()
    values = _values(y, names)
    if len(values) != len(names):
        raise DataError(
            "LABELS",
            f"there are {len(names)} graphs and labels of {len(values)}; give one for each graph,"
            " -1 where it is unknown.",
        )
    if label_names:
        codes = label_tensor(np.asarray(values), "y", len(names), "graph").numpy()
        if codes.max(initial=-1) >= len(label_names):
            what = f"labels of graphs must lie below the number of their names, {len(label_names)}"
            raise DataError("LABELS", f"{what}, got {codes.max()}.")
        return GraphLabels(codes, tuple(map(str, label_names)))
    codes, found = coded_labels(values)
    known = np.array([not is_missing(value) for value in values], bool)
    return GraphLabels(codes, found) if found else coded_integers(codes, known)


def coded_integers(
    codes: np.ndarray, known: np.ndarray | None = None, *, compact: bool = False
) -> GraphLabels:
    """Return integer labels from 0 on, those with other values by name.

    Args:
        codes: Labels; -1 is unknown unless they are -1 and 1, which are two classes.
        known: Whether each label is known at all, bool, shape ``(G,)``.
        compact: Whether labels get names unless they are all of 0 to C - 1.
    """
    is_known = np.ones(len(codes), bool) if known is None else known
    values = np.unique(codes[is_known])
    is_signed = values.tolist() == [-1, 1] or values.min(initial=0) < -1
    is_known = is_known & (is_signed | (codes >= 0))
    values = values if is_signed else values[values >= 0]
    if not is_signed and not (compact and values.tolist() != list(range(len(values)))):
        return GraphLabels(np.where(is_known, codes, -1))
    if is_signed:
        log.info("labels of graphs are %s: each is a class", ", ".join(map(str, values[:8])))
    places = np.searchsorted(values, codes)
    return GraphLabels(np.where(is_known, places, -1), tuple(map(str, values.tolist())))


def coded_numbers(values: np.ndarray, what: str, *, compact: bool = False) -> GraphLabels:
    """Return labels of numbers, none, with a message, if they are no classes.

    Args:
        values: Numbers, NaN where unknown, shape ``(G,)`` or ``(G, 1)``; of more columns, or with
            fractions, they are targets of regression.
        what: Name of the labels in the message.
        compact: As for :func:`coded_integers`.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    is_known, why = np.ones(len(values), bool), ""
    if values.ndim != 1:
        why = f"it has shape {values.shape}, not one number for each graph"
    elif values.dtype.kind == "f":
        is_known = ~np.isnan(values)
        known = values[is_known]
        if (known != np.floor(known)).any() or (np.abs(known) > 2**53).any():
            why = "numbers with fractions are targets of regression, not classes"
    elif values.dtype.kind not in "iub":
        why = f"it has {values.dtype}"
    if why:
        log.warning("%s is left out as label of the graphs: %s", what, why)
        return GraphLabels()
    codes = np.where(is_known, values, -1).astype(np.int64)
    return coded_integers(codes, is_known, compact=compact)


def _values(y: Any, names: Sequence[Any]) -> Sequence[Any]:
    """Return the values of labels in the order of the graphs."""
    if is_frame(y):
        import narwhals as nw

        from vgae.graphs.frame_columns import frame_of

        frame: nw.DataFrame[Any] = frame_of(y, "labels")
        if len(frame.columns) != 2:
            rule = "labels must have two columns, names of graphs and labels"
            raise DataError("LABELS", f"{rule}, got {', '.join(frame.columns):.200}.")
        first, second = (frame[name].to_list() for name in frame.columns)
        y = _by_name(first, second)
    elif is_series(y):
        import narwhals as nw

        from vgae.graphs.frame_columns import index_names

        own = index_names(y, "labels of graphs")
        values = nw.from_native(y, series_only=True).to_list()
        y = values if own is None else _by_name(own, values)
    if not isinstance(y, Mapping):
        values: Any = y.tolist() if hasattr(y, "tolist") else y
        return values if isinstance(values, list) else list(values)
    known = {str(name): value for name, value in y.items()}
    texts = [str(name) for name in names]
    if unknown := known.keys() - {*texts}:
        shown, count = sorted(unknown)[0], f"{len(unknown)} of {len(known)}"
        if len(unknown) == len(known):
            what = f"none of the {count} labels is of a graph: {shown!r:.60} has a label"
            own = ", ".join(texts[:3])
            raise DataError("COLLECTION", f"{what}, and the graphs are {own:.100}, ...")
        log.warning("%s labels are of graphs without nodes, such as %.60s", count, shown)
    if absent := [text for text in texts if text not in known]:
        what = "%d of %d graphs have no label, such as %.60s"
        log.warning(what, len(absent), len(texts), absent[0])
    return [known.get(text) for text in texts]


def _by_name(names: Sequence[Any], values: Sequence[Any]) -> dict[Any, Any]:
    found = dict(zip(names, values, strict=True))
    if len(found) < len(names):
        seen: set[Any] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise DataError("LABELS", f"graph {twice!r:.60} has two labels; keep one of them.")
    return found


def node_labels(graphs: Sequence[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return labels of the nodes of each graph, and the names of the labels of all."""
    named = [graph for graph in graphs if graph.y is not None and (graph.y >= 0).any()]
    every = {graph.label_names for graph in named}
    values = [graph.y for graph in graphs]
    if len(every) > 1:
        if () in every:
            what = "labels of nodes have names in some graphs, and in others none"
            raise DataError("COLLECTION", f"{what}; give all or none of them label_names.")
        names = tuple(sorted({name for own in every for name in own}))
        number = {name: k for k, name in enumerate(names)}
        # A label of -1 leads to the last place.
        maps = {own: torch.tensor([*(number[name] for name in own), -1]) for own in every}
        values = [
            None if graph.y is None else maps.get(graph.label_names, torch.tensor([-1]))[graph.y]
            for graph in graphs
        ]
    else:
        names = next(iter(every), graphs[0].label_names)
    return values, names
