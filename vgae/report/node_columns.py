"""Classes and features of nodes as colours: of figures and of the map of a page alike."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from vgae.errors import UsageError, did_you_mean, printable
from vgae.graphs.arrays import scipy_from_tensor
from vgae.graphs.graph import Graph

LABEL, DEGREE = "label", "degree"
_UNKNOWN = -1


class NodeClasses(NamedTuple):
    """A class of each node.

    Attributes:
        code: Number of the class of each node, from 0, or -1 if unknown, int32, ``(N,)``.
        names: Name of each class.
    """

    code: np.ndarray
    names: list[str]


class NodeValues(NamedTuple):
    """A number of each node.

    Attributes:
        value: The numbers, float64, NaN where missing, shape ``(N,)``.
        is_date: Whether they are days since 1970.
    """

    value: np.ndarray
    is_date: bool = False


def label_classes(graph: Graph) -> NodeClasses:
    """Return the labels of a graph that has some, in the order of their numbers."""
    label, names = np.asarray(graph.y), graph.label_names
    present = np.unique(label[label >= 0]).tolist()
    code = np.where(label >= 0, np.searchsorted(present, label), _UNKNOWN)
    shown = [printable(names[k]) if names else f"class {k}" for k in present]
    return NodeClasses(code.astype(np.int32), shown)


def column_names(graph: Graph) -> list[str]:
    """Return what the nodes of a graph can be coloured by: columns, label and degree."""
    names = [*_blocks(graph)]
    names += [LABEL] * (graph.y is not None and LABEL not in names)
    return names + [DEGREE] * (DEGREE not in names)


def node_column(graph: Graph, name: str) -> NodeClasses | NodeValues:
    """Return a column of the nodes, as the table had it that the features were encoded from.

    Args:
        graph: The graph.
        name: A column of a table that was encoded, or a feature; ``"label"``; or ``"degree"``.

    Raises:
        UsageError: ``FIGURE`` if there is no such column.
    """
    blocks = _blocks(graph)
    if name in blocks:
        return _decoded(graph, name, *blocks[name])
    if name == LABEL and graph.y is not None:
        return label_classes(graph)
    if name == DEGREE:
        degree = torch.bincount(graph.links.flatten(), minlength=graph.num_nodes)
        return NodeValues(degree.double().numpy())
    known = column_names(graph)
    shown = ", ".join(known[:20]) + f" and {len(known) - 20} more" * (len(known) > 20)
    what = f"there is no column {name!r:.60} to colour by; there are {shown}."
    raise UsageError("FIGURE", what + did_you_mean(name, known))


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Return the key that sorts ``"10"`` behind ``"9"``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text.casefold())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _blocks(graph: Graph) -> dict[str, tuple[slice, str]]:
    """Return the features and the kind of each column, by name."""
    if graph.x is None:
        return {}
    encoder = graph.feature_encoder
    if encoder is None or encoder.feature_names != graph.feature_names:
        return {name: (slice(i, i + 1), "") for i, name in enumerate(graph.feature_names)}
    found, start = {}, 0
    for column in encoder.columns:
        width = len(column.feature_names)
        if column.kind not in ("hash", "drop"):
            found[column.name] = slice(start, start + width), column.kind
        start += width
    return found


def _decoded(graph: Graph, name: str, block: slice, kind: str) -> NodeClasses | NodeValues:
    """Return the cells that some features were encoded from."""
    x = _dense(graph.x, block)
    if graph.missing is not None:
        x = np.where(_dense(graph.missing, block) > 0, np.nan, x)
    if kind == "category":
        return _categories(x, name, graph.feature_names[block])
    value = x[:, 0]
    if x.shape[1] > 1:
        value = np.where(x[:, 1] > 0, np.nan, value)
    if kind == "boolean":
        return NodeClasses(np.nan_to_num(value, nan=_UNKNOWN).astype(np.int32), ["no", "yes"])
    if kind:
        column = next(c for c in graph.feature_encoder.columns if c.name == name)  # pyright: ignore
        return NodeValues(value * column.scale + column.mean, kind.startswith("date"))
    present = np.unique(value[~np.isnan(value)])
    if len(present) == 2 and present.tolist() == [0, 1]:
        return NodeClasses(np.nan_to_num(value, nan=_UNKNOWN).astype(np.int32), ["0", "1"])
    return NodeValues(value)


def _categories(x: np.ndarray, column: str, features: Sequence[str]) -> NodeClasses:
    """Return the categories of zeros and ones, in the order of their names."""
    texts = [printable(one.removeprefix(f"{column}=")) for one in features]
    x = np.nan_to_num(x)
    found = np.where(x.max(axis=1) > 0, x.argmax(axis=1), _UNKNOWN)
    # The encoder marks missing cells at the end.
    order = sorted(range(len(texts) - (texts[-1] == "missing")), key=lambda k: _natural(texts[k]))
    code = np.full(len(x), _UNKNOWN, dtype=np.int32)
    for rank, k in enumerate(order):
        code[found == k] = rank
    return NodeClasses(code, [texts[k] for k in order])


def _dense(x: torch.Tensor | None, block: slice) -> np.ndarray:
    """Return some columns of a dense or sparse matrix, float64."""
    assert x is not None
    if x.layout == torch.strided:
        return x[:, block].double().numpy()
    return np.asarray(scipy_from_tensor(x).tocsc()[:, block].toarray(), dtype=float)


def shown_ends(values: NodeValues, fractions: Sequence[float] = (0.01, 0.99)) -> list[str]:
    """Return two quantiles of the known values as text, for the ends of a scale."""
    known = values.value[~np.isnan(values.value)]
    ends = np.quantile(known, fractions, method="nearest") if len(known) else np.zeros(2)
    if values.is_date:
        return [str(np.datetime64("1970-01-01") + int(end)) for end in ends]
    return [f"{end:.4g}" for end in ends]
