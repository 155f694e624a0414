"""Graphs in JSON: node-link of networkx and d3, Cytoscape, graphology, JSON Graph Format."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from vgae.data.attributed import Document, graph_of_document
from vgae.data.graph_tables import labelled, labels_in_text, links_within
from vgae.data.messages import few_messages
from vgae.data.packed import unpacked_name, whole
from vgae.data.reading import Reading
from vgae.errors import DataError, printable
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.runtime.reading import brief, parsed_json

log = logging.getLogger(__name__)

_ID = ("id", "key")
_ENDS = (("source", "target"), ("from", "to"))
_JSON_LINES = (
    "; if each line is an object: import pandas;"
    " pandas.read_json(%r, lines=True).to_csv('links.csv', index=False)"
)
LINES = (".jsonl", ".ndjson")
"""Suffixes of lines of JSON with a graph in each."""

_GRAPH = {"nodes", "links", "edges", "adjacency", "elements"}
_INNER = ("data", "attributes", "metadata")


def read_json_graph(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a JSON file; see :mod:`vgae.data.attributed`.

    It has a list ``nodes``, each with an ``id`` (or ``key``; or a name alone), and a list
    ``links`` or ``edges``, each with ``source`` and ``target`` (or ``from`` and ``to``), which are
    ids; or, if nodes have no ids, each a ``name`` or a place in ``nodes``. They may be in
    ``elements``, with the attributes in ``data`` (Cytoscape), or in ``graph`` (JSON Graph Format).
    Without ``nodes``, the nodes are the ends of the edges; a list of pairs is a list of edges. A
    list of graphs, also as ``graphs`` in an object, makes a collection; so do lines of JSON with a
    graph in each (``.jsonl``, ``.ndjson``). Their names are ``name`` or ``id``, their labels
    ``label`` or ``y``, of the graph or of its object ``graph``.

    Raises:
        DataError: ``JSON_CORRUPT``; ``JSON_GRAPH`` if it holds no such graph; ``FILE_SIZE``; or as
            :func:`vgae.data.attributed.graph_of_document`.
    """
    is_lines = unpacked_name(path).suffix.lower() in LINES
    content = _lines(path) if is_lines else _parsed(path, whole(path))
    if (graphs := _graphs_in(content, is_lines=is_lines)) is not None:
        return _collection(path, graphs, reading, name)
    return _graph(path, content, reading, name)


def _parsed(path: Path, content: bytes, line: int = 0) -> Any:
    """Return parsed JSON, or raise."""
    where = f"{path}, line {line}" if line else f"{path}"
    try:
        return parsed_json(content)
    except UnicodeError as error:
        raise DataError("ENCODING", f"{where}: JSON is in UTF-8; {brief(error)}.") from None
    except DataError:
        raise
    except ValueError as error:
        hint = _JSON_LINES % path.name if str(error).startswith("Extra data") else ""
        what = f"it is not JSON ({brief(error)}){hint}"
        raise DataError("JSON_CORRUPT", f"{where}: {what}.") from None


def _lines(path: Path) -> list[Any]:
    """Return the content of each line that is not blank."""
    lines = whole(path).splitlines()
    return [_parsed(path, line, number) for number, line in enumerate(lines, 1) if line.strip()]


def _graphs_in(content: Any, *, is_lines: bool) -> dict[str, Any] | list[Any] | None:
    """Return several graphs, by name if they have one; ``None`` for another content."""
    if isinstance(content, dict) and isinstance(content.get("graphs"), list | dict):
        return content["graphs"]
    is_list = isinstance(content, list) and (is_lines or bool(content))
    are_graphs = is_list and all(
        isinstance(item, dict) and _GRAPH & item.keys() for item in content
    )
    return content if are_graphs or is_lines else None


def _collection(path: Path, graphs: Any, reading: Reading, name: str) -> GraphCollection:
    """Return the collection of several graphs."""
    links_within(reading)
    names = [*graphs] if isinstance(graphs, dict) else None
    items = list(graphs.values()) if isinstance(graphs, dict) else graphs
    inner = replace(reading, sides="none")
    with few_messages(len(items)) as begin:
        made, labels, own = [], [], []
        for number, item in enumerate(items):
            begin()
            if not isinstance(item, dict):
                _refuse(path, f"graph {number} is no object")
            try:
                made.append(_graph(path, item, inner, f"{name}, {number}"))
            except DataError as error:
                what = str(error).removeprefix(f"{path}: ")
                raise DataError(error.code, f"{path}, graph {number}: {what}") from None
            meta = item.get("graph")
            every = {**item, **(meta if isinstance(meta, dict) else {})}
            found = [every.get(key) for key in ("name", "id", "label", "y")]
            own.append(
                next((str(v) for v in found[:2] if isinstance(v, str | int) and v != ""), "")
            )
            label = next((v for v in found[2:] if isinstance(v, str | int | float)), "")
            labels.append(str(label))
    if names is None and all(own) and len({*own}) == len(own):
        names = own
    graphs = GraphCollection.from_graphs(made, names=names or (), name=name)
    return labelled(graphs, labels_in_text(labels, str(path)))


def _graph(path: Path, content: Any, reading: Reading, name: str) -> Graph:
    """Return the graph of parsed JSON."""
    nodes, edges, directed = _parts(path, content)
    ids, attributes, numbered = _nodes(path, nodes)
    ends = [_ends(path, place, edge) for place, edge in enumerate(edges)]
    if nodes is None:
        ids = list(dict.fromkeys(end for pair in ends for end in pair))
        attributes = [{} for _ in ids]
    name_attribute = _name_attribute(attributes) if numbered else None
    if name_attribute and _are_texts(ends):
        ids, numbered = [own[name_attribute] for own in attributes], False
    place_of: dict[Any, int] = {node: place for place, node in enumerate(ids)}
    if len(place_of) < len(ids):
        _refuse(path, "two nodes have the same id")
    if not numbered and ends and all(type(end) is int for pair in ends for end in pair):
        place_of = _of_numbers(path, ids, place_of, ends)
    return graph_of_document(
        Document(
            path,
            ids,
            attributes,
            [_places(path, k, pair, place_of) for k, pair in enumerate(ends)],
            [_link_attributes(edge) for edge in edges],
            directed=directed,
            name_attribute=name_attribute,
        ),
        reading,
        name,
    )


def _parts(path: Path, content: Any) -> tuple[Any, Sequence[Any], bool | None]:
    """Return nodes, edges and whether they are directed, ``None`` if it is not stated."""
    if isinstance(content, list):
        if content and all(isinstance(item, dict) and "data" in item for item in content):
            content = {"elements": content}
        else:
            return None, content, None
    if not isinstance(content, dict):
        _refuse(path, "it is neither an object nor a list")
    directed = _direction(content)
    inner = content.get("elements", content.get("graph"))
    if isinstance(inner, list) and "elements" in content:
        edges = [item for item in inner if isinstance(item, dict) and _end_keys(item)]
        nodes = [item for item in inner if isinstance(item, dict) and not _end_keys(item)]
        return nodes, edges, directed
    if isinstance(inner, dict) and {"nodes", "edges", "links"} & inner.keys():
        content = inner
        own = _direction(content)
        directed = own if directed is None else bool(directed or own)
    if isinstance(content.get("adjacency"), list) and isinstance(content.get("nodes"), list):
        return content["nodes"], _of_adjacency(path, content), directed
    edges = next((content[key] for key in ("links", "edges") if key in content), None)
    if not isinstance(edges, list):
        _refuse(path, f"it has {printable(', '.join(map(str, content)))[:100] or 'nothing'}")
    return content.get("nodes"), edges, directed


def _direction(content: Mapping[str, Any]) -> bool | None:
    """Return whether an object states that the edges are directed; ``None`` if it does not."""
    options = content.get("options")  # of graphology
    kind = options.get("type") if isinstance(options, dict) else content.get("type")
    if content.get("directed") is True or kind in ("directed", "mixed"):
        return True
    return False if content.get("directed") is False or kind == "undirected" else None


def _of_adjacency(path: Path, content: Mapping[str, Any]) -> list[Any]:
    """Return the edges of ``networkx.adjacency_data``."""
    edges = []
    for node, row in zip(content["nodes"], content["adjacency"], strict=False):
        if not isinstance(node, dict) or not isinstance(row, list):
            _refuse(path, "its adjacency is not a list of lists")
        for other in row:
            if not isinstance(other, dict):
                _refuse(path, "its adjacency is not a list of lists of nodes")
            attributes = {key: value for key, value in other.items() if key != "id"}
            edges.append({**attributes, "source": node.get("id"), "target": other.get("id")})
    return edges


def _nodes(path: Path, nodes: Any) -> tuple[list[Any], list[dict[str, Any]], bool]:
    """Return id and attributes of each node, and whether the ids are their places."""
    if nodes is None:
        return [], [], False
    if isinstance(nodes, dict):
        nodes = [
            {**(value if isinstance(value, dict) else {}), "id": k} for k, value in nodes.items()
        ]
    if not isinstance(nodes, list):
        _refuse(path, "its nodes are not a list")
    attributes, ids = [], []
    for node in nodes:
        own = _attributes(node) if isinstance(node, dict) else {"id": node}
        attributes.append(own)
        ids.append(next((own[key] for key in _ID if own.get(key) is not None), None))
    if nodes and all(node is None for node in ids):
        return list(range(len(ids))), attributes, True
    for place, node in enumerate(ids):
        if isinstance(node, bool) or not isinstance(node, str | int):
            _refuse(path, f"the id of node {place} must be text or an integer, got {node!a:.40}")
    if len({*map(type, ids)}) > 1:
        ids = [str(node) for node in ids]
    return ids, attributes, False


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a node or edge, also those in an object of their own."""
    inner = [item[key] for key in _INNER if isinstance(item.get(key), dict)]
    own = {key: value for key, value in item.items() if not isinstance(value, dict)}
    for part in inner:
        own.update(part)
    return own


def _link_attributes(edge: Any) -> dict[str, Any]:
    own = _attributes(edge) if isinstance(edge, dict) else {}
    ends = {*_ID, *(key for keys in _ENDS for key in keys)}
    return {key: value for key, value in own.items() if key not in ends}


def _end_keys(edge: Mapping[str, Any]) -> tuple[str, str] | None:
    own = _attributes(edge).keys() | edge.keys()
    return next((keys for keys in _ENDS if own.issuperset(keys)), None)


def _ends(path: Path, place: int, edge: Any) -> tuple[Any, Any]:
    """Return the ids of the ends of an edge."""
    if isinstance(edge, dict) and (keys := _end_keys(edge)):
        found = {**edge, **_attributes(edge)}
        pair = [found[key] for key in keys]
    elif isinstance(edge, list) and len(edge) == 2:
        pair = edge
    else:
        _refuse(path, f"edge {place} has no source and target, it is {edge!a:.60}")
    # The simulation of d3 replaces ids by the nodes.
    ends = [end.get("id", end.get("index")) if isinstance(end, dict) else end for end in pair]
    for end in ends:
        if isinstance(end, bool) or not isinstance(end, str | int):
            _refuse(path, f"an end of edge {place} must be text or an integer, got {end!a:.40}")
    return ends[0], ends[1]


def _places(
    path: Path, number: int, pair: tuple[Any, Any], place_of: Mapping[Any, int]
) -> tuple[int, int]:
    found = [place_of.get(end, place_of.get(str(end))) for end in pair]
    if None in found:
        _refuse(path, f"edge {number} leads to {pair[found.index(None)]!a:.60}, which is no node")
    return found[0], found[1]  # pyright: ignore[reportReturnType]


def _name_attribute(attributes: Sequence[Mapping[str, Any]]) -> str | None:
    keys = ("name", "label")
    return next((k for k in keys if all(isinstance(own.get(k), str) for own in attributes)), None)


def _of_numbers(
    path: Path, ids: Sequence[Any], place_of: dict[Any, int], ends: Sequence[tuple[Any, Any]]
) -> dict[Any, int]:
    """Return the place of each node by what edges with numbers as ends call it."""
    if any(isinstance(node, int) for node in ids):
        return place_of
    if all(str(end) in place_of for pair in ends for end in pair):
        return {int(node): place for node, place in place_of.items() if _is_digits(node)}
    log.info("%s: ends of the edges are places in the list of nodes", path)
    return {place: place for place in range(len(ids))}


def _are_texts(ends: Sequence[tuple[Any, Any]]) -> bool:
    return any(isinstance(end, str) for pair in ends for end in pair)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _refuse(path: Path, what: str) -> NoReturn:
    raise DataError(
        "JSON_GRAPH",
        f"{path}: {what}; a graph in JSON has 'nodes' with 'id', and 'links' or 'edges' with"
        " 'source' and 'target', as networkx.node_link_data writes it.",
    )
