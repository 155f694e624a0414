"""Labels of the graphs of a collection."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from vgae.errors import DataError
from vgae.graphs.arrays import label_tensor
from vgae.graphs.frame_kinds import is_frame, is_series
from vgae.graphs.values import coded_labels

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
    if y is None:
        return GraphLabels()
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
    return GraphLabels(codes, found) if found else coded_integers(codes)


def coded_integers(codes: np.ndarray, *, compact: bool = False) -> GraphLabels:
    """Return integer labels from 0 on, those with other values by name.

    Args:
        codes: Labels; -1 is unknown unless they are -1 and 1, which are two classes.
        compact: Whether labels get names unless they are all of 0 to C - 1.
    """
    values = np.unique(codes)
    is_signed = values.tolist() == [-1, 1] or values.min(initial=0) < -1
    known = values if is_signed else values[values >= 0]
    if not is_signed and not (compact and known.tolist() != list(range(len(known)))):
        return GraphLabels(codes)
    if is_signed:
        log.info("labels of graphs are %s: each is a class", ", ".join(map(str, known[:8])))
    places = np.searchsorted(known, codes)
    return GraphLabels(
        places if is_signed else np.where(codes < 0, -1, places), tuple(map(str, known.tolist()))
    )


def classes_of(values: np.ndarray, what: str) -> np.ndarray | None:
    """Return numbers as integer labels, ``None``, with a message, if they are none.

    NaN is unknown, -1.

    Args:
        values: Numbers, shape ``(G,)`` or ``(G, 1)``; of more columns, or with fractions, they
            are targets of regression.
        what: Name of the labels in the message.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    why = ""
    if values.ndim != 1:
        why = f"it has shape {values.shape}, not one number for each graph"
    elif values.dtype.kind == "f":
        known = values[~np.isnan(values)]
        if (known != np.floor(known)).any() or (np.abs(known) > 2**53).any():
            why = "numbers with fractions are targets of regression, not classes"
        else:
            values = np.where(np.isnan(values), -1, values).astype(np.int64)
    elif values.dtype.kind not in "iub":
        why = f"it has {values.dtype}"
    if why:
        log.warning("%s is left out as label of the graphs: %s", what, why)
        return None
    return values.astype(np.int64)


def _values(y: Any, names: Sequence[Any]) -> Sequence[Any]:
    """Return the values of labels in the order of the graphs."""
    if is_frame(y):
        from vgae.graphs.frame_columns import frame_of

        frame: nw.DataFrame[Any] = frame_of(y, "labels")
        if len(frame.columns) != 2:
            rule = "labels must have two columns, names of graphs and labels"
            raise DataError("LABELS", f"{rule}, got {', '.join(frame.columns):.200}.")
        first, second = (frame[name].to_list() for name in frame.columns)
        y = _by_name(first, second)
    elif is_series(y):
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
