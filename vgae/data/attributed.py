"""Graphs whose nodes and edges have attributes: GraphML, GEXF, GML, JSON.

The names of the nodes are their ids, or the attribute ``Reading.id_column``. An attribute that is
a number at every node is a feature, unless it states a place, a size or a colour, or is computed
from the links (such as the ``modularity_class`` of Gephi), which would tell a model about hidden
links; nor are whole numbers whose name is one of classes. With ``Reading.encode``, attributes of
any kind are encoded. The weight of an edge is its attribute ``weight`` or ``value``, or
``Reading.weight``. The label of a node is the attribute ``Reading.label_column``. All other
attributes are left out, with a message that names them.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from vgae.data.array_graphs import Labels, labels_of
from vgae.data.reading import Reading
from vgae.data.text import normalised, typed_names
from vgae.errors import DataError, printable
from vgae.graphs.directions import refuse_undirected
from vgae.graphs.encoding import TableEncoder, encode_table
from vgae.graphs.graph import Graph, NodeId
from vgae.runtime.numerals import parse_number

log = logging.getLogger(__name__)

Attributes = Mapping[str, Any]

# In lower case, without blanks, hyphens and underscores.
_DRAWN = {
    *("id", "label", "name", "key", "sharedname", "viz", "x", "y", "z", "lat", "lon", "pos"),
    *("position", "size", "width", "height", "color", "colour", "r", "g", "b", "alpha", "shape"),
    *("selected", "degreelayout", "pid", "for", "start", "end", "index", "vx", "vy", "fx", "fy"),
    *("fixed", "suid", "graphics"),
}
# Whole numbers of these names are classes in the networks of Newman and in the examples of d3.
_CLASSES = {"value", "group", "class", "category", "club", "gt", "target", "block"}
_FROM_LINKS = {
    *("degree", "indegree", "outdegree", "weighteddegree", "weightedindegree", "pagerank"),
    *("weightedoutdegree", "pageranks", "modularityclass", "modularity", "eccentricity", "hub"),
    *("closnesscentrality", "closenesscentrality", "harmonicclosnesscentrality", "authority"),
    *("betweenesscentrality", "betweennesscentrality", "betweenness", "closeness", "clustering"),
    *("eigencentrality", "eigenvectorcentrality", "eigenvector", "componentnumber", "component"),
    *("strongcompnum", "weakcompnum", "clusteringcoefficient", "triangles", "coreness", "kcore"),
    *("harmoniccentrality", "harmonicclosenesscentrality", "averageshortestpathlength"),
    *("topologicalcoefficient", "neighborhoodconnectivity", "radiality", "stress", "community"),
    *("edgecount", "partnerofmultiedgednodepairs", "selfloops", "isolatednode", "numtriangles"),
}


@dataclass(frozen=True)
class Document:
    """Nodes and edges of a file.

    Attributes:
        path: The file, for messages.
        ids: Id of each node.
        nodes: Attributes of each node.
        edges: Places of the ends of each edge in ``ids``.
        links: Attributes of each edge.
        directed: Whether the edges have a direction; ``None`` if the file does not state it.
        name_attribute: Attribute with the names of the nodes, if it has a different one at each.
        sides: Whether each node is of the second of two sides; ``None`` if it is not stated.
    """

    path: Path
    ids: Sequence[Any]
    nodes: Sequence[Attributes]
    edges: Sequence[tuple[int, int]]
    links: Sequence[Attributes]
    directed: bool | None = False
    name_attribute: str | None = None
    sides: Sequence[bool] | None = None


def graph_of_document(document: Document, reading: Reading, name: str) -> Graph:
    """Return the graph of nodes and edges with attributes.

    Raises:
        DataError: ``GRAPH_EMPTY``; ``NODE_ID`` if a name is not text or an integer, or not unique;
            ``WEIGHT_COLUMN`` if no edge has the attribute ``reading.weight``; ``BAD_WEIGHT``,
            ``ZERO_WEIGHT``; or as :meth:`vgae.Graph.from_edges`.
    """
    if not document.ids:
        raise DataError("GRAPH_EMPTY", f"{document.path}: it has no nodes.")
    if reading.directed == "keep" and document.directed is False:
        refuse_undirected(f"{document.path}", "state in the file that it is directed")
    names = _names(document, reading)
    sides, of_sides = _sides(document, reading)
    edges = np.array(document.edges, np.int64).reshape(-1, 2).T
    weight = _weights(document, reading)
    if weight is not None and reading.drop_zero:
        edges, weight = edges[:, weight != 0], weight[weight != 0]
    x, feature_names, y, encoder = _columns(document, reading, of_sides)
    graph = Graph.from_edges(
        edges,
        edge_weight=weight,
        num_nodes=len(names),
        x=x,
        feature_names=feature_names,
        y=None if y is None else y.y,
        label_names=() if y is None else y.names,
        node_ids=normalised(names, reading.normalize),
        **reading.of_links() | {"sides": sides},
        ordered=bool(document.directed),
        name=name,
    )
    return replace(graph, feature_encoder=encoder)


def _sides(document: Document, reading: Reading) -> tuple[Any, str | None]:
    """Return the sides of the nodes, and the attribute that has them, if one has."""
    given = reading.sides
    if given == "auto" and reading.directed != "keep" and document.sides is not None:
        log.info("%s: it states two sides of nodes", document.path)
        return document.sides, None
    if given in ("columns", "none") or (given == "auto" and reading.directed == "keep"):
        return given, None
    key = "bipartite" if given == "auto" else given
    found = [node.get(key) for node in document.nodes]
    missing = found.count(None)
    if given == "auto" and (missing or len(set(map(str, found))) != 2):
        return given, None
    if missing:
        raise DataError(
            "SIDES",
            f"{document.path}: {missing} of {len(found)} nodes have no attribute {key!r:.60}"
            f" (sides, --sides); they have {_shown(_keys(document)) or 'none'}.",
        )
    log.info("%s: two sides by the attribute %r", document.path, key)
    return found, key


def _keys(document: Document) -> list[str]:
    """Return the names of all attributes of nodes."""
    return list(dict.fromkeys(key for node in document.nodes for key in node))


def _names(document: Document, reading: Reading) -> list[NodeId]:
    """Return the name of each node: integers if each is one, else text."""
    ids: list[Any] = list(document.ids)
    given = reading.id_column
    key = given or document.name_attribute
    if key is not None:
        found = [node.get(key) for node in document.nodes]
        if given and any(value is None for value in found):
            raise DataError(
                "NODE_ID",
                f"{document.path}: {found.count(None)} nodes have no attribute {given!r:.60}"
                f" (id_column, --id-column); they have {_shown(_keys(document)) or 'none'}.",
            )
        usable = all(isinstance(value, str | int) and value != "" for value in found)
        if given or (usable and len(set(map(str, found))) == len(found)):
            ids = found
            log.info("%s: names of the nodes from %r", document.path, key)
        elif any(value is not None for value in found):
            log.info("%s: names of the nodes are ids; %r is not unique", document.path, key)
    else:
        _tell_names(document)
    for value in ids:
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            what = f"names of nodes must be text or integers, got {value!r:.60}"
            raise DataError("NODE_ID", f"{document.path}: {what}.")
    if all(isinstance(value, int) for value in ids):
        return ids
    texts = [str(value) for value in ids]
    return list(typed_names(texts)) if all(isinstance(v, str) for v in ids) else [*texts]


def _tell_names(document: Document) -> None:
    """Log an attribute that may name the nodes."""
    for key in ("name", "label"):
        found = [node.get(key) for node in document.nodes]
        if all(isinstance(name, str) for name in found) and len({*found}) == len(found):
            what = "%s: names of the nodes are their ids; id_column=%r (--id-column %s) changes it"
            log.info(what, document.path, key, key)
            return


def _weights(document: Document, reading: Reading) -> np.ndarray | None:
    """Return the weight of each edge, ``None`` if they have none."""
    path, links = document.path, document.links
    if reading.weight == "none" or not links:
        return None
    keys = dict.fromkeys(key for link in links for key in link)
    key = reading.weight or next((key for key in ("weight", "value") if key in keys), None)
    if key is None:
        return None
    if key not in keys:
        raise DataError(
            "WEIGHT_COLUMN",
            f"{path}: no edge has an attribute {key!r:.60}; it may be one of"
            f" {_shown(keys) or 'none'} (--weight none ignores all).",
        )
    values, missing = np.ones(len(links)), 0
    for place, link in enumerate(links):
        value = link.get(key)
        if value is None:
            missing += 1
            continue
        values[place] = number = _number(value)
        if not math.isfinite(number):
            where = f"edge {place + 1}: {key} must be a finite number, got {value!r:.60}"
            raise DataError("BAD_WEIGHT", f"{path}, {where}; --weight none ignores it.")
        if number == 0 and not reading.drop_zero:
            hint = "drop_zero=True (--drop-zero) drops such edges"
            raise DataError(
                "ZERO_WEIGHT", f"{path}, edge {place + 1}: a weight must be positive; {hint}."
            )
    if key != "weight":
        log.info("%s: weights from %r", path, key)
    if missing:
        log.warning("%s: %d edges have no %s, which counts as 1", path, missing, key)
    return values


def _columns(
    document: Document, reading: Reading, of_sides: str | None
) -> tuple[np.ndarray | None, Sequence[str], Labels | None, TableEncoder | None]:
    """Return features, their names, labels, and the encoder, and log what is left out."""
    path, texts = document.path, dict[str, Sequence[str | None]]()
    features: dict[str, np.ndarray] = {}
    labels, used, classes = None, list[str](), list[str]()
    for key in _keys(document):
        values = [node.get(key) for node in document.nodes]
        plain = _plain(key)
        if key == reading.label_column:
            used.append(key)
            labels = labels_of(_label_array(values), path)
            continue
        column = _feature(values)
        is_wide = column is not None and column.shape[1] > 1
        is_name = key in (reading.id_column, document.name_attribute)
        if key == of_sides:
            used.append(key)
            continue
        if is_name or (plain in _DRAWN | _FROM_LINKS and not is_wide):
            continue
        if reading.encode != "none" and not is_wide:
            texts[key] = [None if value is None else str(value) for value in values]
        elif column is not None and plain in _CLASSES and not is_wide and _are_whole(column):
            classes.append(key)
        elif column is not None:
            used.append(key)
            names = [f"{key}_{k}" for k in range(column.shape[1])] if is_wide else [key]
            features.update(zip(names, column.T, strict=True))
    if "x" in used and labels is None and "y" in _keys(document) and not reading.label_column:
        # As Graph.to_networkx(features=True) writes them.
        used.append("y")
        labels = labels_of(_label_array([node.get("y") for node in document.nodes]), path)
    _tell(document, [*used, *texts], classes)
    if texts:
        table = {**texts, **features}
        encoded = encode_table(table, reading.encode)
        return encoded.x, encoded.feature_names, labels, encoded.encoder
    x = np.stack([*features.values()], axis=1) if features else None
    return x, [*features], labels, None


def _are_whole(column: np.ndarray) -> bool:
    return bool((column == np.floor(column)).all())


def _tell(document: Document, used: Sequence[str], classes: Sequence[str]) -> None:
    """Log which attributes are features, and which are left out."""
    path = document.path
    for key in classes:
        log.warning(
            "%s: the whole numbers %r may be classes, and are left out; label_column=%r"
            " (--label-column %s) takes them as labels, encode={%r: 'number'} (--encode %s=number)"
            " as a feature",
            *(path, key, key, key, key, key),
        )
    if used:
        log.info("%s: features and labels from %s", path, _shown(used))
    keys = _keys(document)
    rest = [key for key in keys if key not in used and key not in classes]
    if derived := [key for key in rest if _plain(key) in _FROM_LINKS]:
        log.info("%s: %s left out: computed from the links", path, _shown(derived))
    if others := [key for key in rest if _plain(key) not in _DRAWN | _FROM_LINKS]:
        log.info(
            "%s: %s left out: not a number at every node (encode='auto', --encode auto)",
            path,
            _shown(others),
        )


def _feature(values: list[Any]) -> np.ndarray | None:
    """Return an attribute that is a number, or equally many, at every node, as columns."""
    rows = [value if isinstance(value, list) else [value] for value in values]
    if len({*map(len, rows)}) != 1 or not rows[0]:
        return None
    cells = [cell for row in rows for cell in row]
    if not all(isinstance(cell, int | float) and abs(cell) < 1e38 for cell in cells):
        return None
    return np.array(cells, np.float64).reshape(len(rows), -1)


def _label_array(values: list[Any]) -> np.ndarray:
    """Return labels as integers if all known ones are, else as text, empty where unknown."""
    if all(value is None or isinstance(value, int) for value in values):
        return np.array([-1 if value is None else min(value, 2**62) for value in values], np.int64)
    return np.array(["" if value is None else str(value).rstrip("\0")[:200] for value in values])


def _number(value: Any) -> float:
    try:
        return parse_number(value) if isinstance(value, str) else float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace(" ", "").replace("-", "").replace(".", "")


def _shown(names: Any) -> str:
    found = list(cast(Sequence[str], [*names]))
    return printable(", ".join(found[:8])) + (", ..." if len(found) > 8 else "")
