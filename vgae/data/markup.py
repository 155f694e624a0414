"""GraphML, GEXF and GML, parsed by networkx.

XML is parsed by defusedxml first, so that no entity or DTD reaches the parser of networkx.
"""

import io
import logging
import re
import warnings
from collections.abc import Callable, Collection
from copy import deepcopy
from pathlib import Path
from typing import Any

from vgae.data.attributed import Document, graph_of_document
from vgae.data.packed import whole
from vgae.data.reading import Reading
from vgae.errors import DataError, ResourceError, UsageError, VgaeError
from vgae.graphs.graph import Graph
from vgae.runtime.reading import brief

log = logging.getLogger(__name__)


def read_graphml(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a GraphML file; see :mod:`vgae.data.attributed`.

    Raises:
        DataError: ``XML_UNSAFE`` for a DTD or an entity; ``GRAPHML_CORRUPT``; ``FILE_SIZE``; or
            as :func:`vgae.data.attributed.graph_of_document`.
    """
    import networkx as nx

    def parse(content: bytes) -> Any:
        return nx.read_graphml(_checked(content, "GRAPHML", path, reading))

    return _parsed(path, "GRAPHML", reading, name, parse)


def read_gexf(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a GEXF file, as Gephi writes it; see :mod:`vgae.data.attributed`.

    Raises:
        DataError: ``XML_UNSAFE`` for a DTD or an entity; ``GEXF_CORRUPT``; ``FILE_SIZE``; or as
            :func:`vgae.data.attributed.graph_of_document`.
    """
    import networkx as nx

    def parse(content: bytes) -> Any:
        return nx.read_gexf(_checked(content, "GEXF", path, reading))

    return _parsed(path, "GEXF", reading, name, parse)


def read_gml(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a GML file; see :mod:`vgae.data.attributed`.

    The names of the nodes are their labels if these are unique, else their ids.

    Raises:
        DataError: ``GML_CORRUPT``; ``ENCODING``; ``FILE_SIZE``; or as
            :func:`vgae.data.attributed.graph_of_document`.
        UsageError: ``ENCODING`` if there is no such encoding.
    """
    import networkx as nx

    def parse(content: bytes) -> Any:
        text = decoded(content, reading)
        # networkx refuses an edge that is there twice unless the graph states this.
        if not re.search(r"(?m)^\s*multigraph\s", text):
            text = re.sub(r"(?m)^(\s*graph\s*\[)", r"\1 multigraph 1 ", text, count=1)
        return nx.parse_gml(text, label="id")

    return _parsed(path, "GML", reading, name, parse)


def decoded(content: bytes, reading: Reading) -> str:
    """Return the text of a document in the encoding ``reading.encoding``.

    Raises:
        DataError: ``ENCODING`` if it is in another one.
        UsageError: ``ENCODING`` if there is no such encoding.
    """
    try:
        return content.decode(reading.encoding).removeprefix("\ufeff")
    except LookupError:
        what = f"encoding must name a codec of Python, got {reading.encoding!r:.60}"
        raise UsageError("ENCODING", f"{what}.") from None
    except ValueError as error:
        hint = "give its encoding, such as encoding='latin-1' (--encoding latin-1)"
        raise DataError("ENCODING", f"{brief(error)}; {hint}.") from None


def _checked(content: bytes, title: str, path: Path, reading: Reading) -> io.BytesIO:
    """Return XML that declares no entities, and holds one graph as networkx reads it, or raise."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring, tostring

    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            "XML_UNSAFE",
            f"it has a DTD or entities ({brief(error)}), which are not read; delete its <!DOCTYPE"
            " ...> and what uses it.",
        ) from None
    graphs = [child for child in root if _local(child) == "graph"]
    if len(graphs) > 1:
        what = f"it holds {len(graphs)} graphs; delete all but one"
        raise DataError(f"{title}_CORRUPT", f"{what}, or save them apart.")
    changed = _flatten(graphs[0], path) if graphs and title == "GRAPHML" else False
    changed |= _one_direction(graphs[0], title, path, reading) if graphs else False
    _check_ends(graphs[0] if graphs else root, title)
    return io.BytesIO(tostring(root) if changed else content)


def _local(element: Any) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _flatten(graph: Any, path: Path) -> bool:
    """Move nodes and edges of graphs within nodes into the graph around them."""
    nodes = [child for child in graph if _local(child) == "node"]
    count = 0
    for node in nodes:
        for inner in [child for child in node if _local(child) == "graph"]:
            node.remove(inner)
            node.attrib.pop("yfiles.foldertype", None)
            graph.extend(inner)
            nodes.extend(child for child in inner if _local(child) == "node")
            count += 1
    if count:
        log.info("%s: nodes and links of %d nested graphs are those of the graph", path, count)
    return count > 0


def _one_direction(graph: Any, title: str, path: Path, reading: Reading) -> bool:
    """Make all edges of a graph with both kinds directed, and the ids of edges different.

    If the direction is kept, an undirected edge becomes one in each direction.
    """
    default, key, states = {
        "GRAPHML": ("edgedefault", "directed", {"true": True, "false": False}),
        "GEXF": ("defaultedgetype", "type", {"directed": True, "undirected": False}),
    }[title]
    edges = [edge for edge in graph.iter() if _local(edge) == "edge"]
    usual = graph.get(default) == "directed"
    kinds = {states.get(edge.get(key), usual) for edge in edges}
    if mixed := len(kinds) > 1:
        log.info("%s: it has directed and undirected edges", path)
        if reading.directed == "keep":
            _add_reverse(graph, {e for e in edges if not states.get(e.get(key), usual)})
            edges = [edge for edge in graph.iter() if _local(edge) == "edge"]
        graph.set(default, "directed")
        for edge in edges:
            if edge.get(key) in states:
                del edge.attrib[key]
    elif edges and kinds != {usual}:
        graph.set(default, "undirected" if usual else "directed")
        mixed = True
    # An edge with the id of another one between the same nodes would replace it.
    if repeated := len({edge.get("id") for edge in edges}) < len(edges):
        for edge in edges:
            edge.attrib.pop("id", None)
    return mixed or repeated


def _add_reverse(graph: Any, edges: Collection[Any]) -> None:
    """Add edges in the other direction, each beside its own."""
    for parent in list(graph.iter()):
        for edge in [child for child in parent if child in edges]:
            reverse = deepcopy(edge)
            reverse.set("source", edge.get("target"))
            reverse.set("target", edge.get("source"))
            parent.append(reverse)


def _check_ends(graph: Any, title: str) -> None:
    """Raise if two nodes have one id, or if an edge leads to an id that no node has."""
    ids, ends, hyper = [], [], 0
    for element in graph.iter():
        kind = _local(element)
        if kind == "node":
            ids.append(element.get("id"))
        elif kind == "edge":
            ends += [element.get("source"), element.get("target")]
        hyper += kind == "hyperedge"
    known, seen = {*ids}, set()
    if hyper:
        what = "it has hyperedges; write each as edges between two nodes"
    elif len(known) < len(ids):
        twice = next(name for name in ids if name in seen or seen.add(name))
        what = f"two nodes have the id {twice!a:.60}; give each its own"
    elif unknown := [end for end in ends if end not in known]:
        what = f"an edge leads to {unknown[0]!a:.60}, and no node has this id; add the node"
    else:
        return
    raise DataError(f"{title}_CORRUPT", f"{what}.")


def _parsed(
    path: Path, title: str, reading: Reading, name: str, parse: Callable[[bytes], Any]
) -> Graph:
    content = whole(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of ports, and of keys without a type
            document = _document(path, parse(content), is_gml=title == "GML")
    except VgaeError:
        raise
    except MemoryError:
        raise ResourceError(
            "OUT_OF_MEMORY", f"{path} does not fit into the memory; save its links as .csv."
        ) from None
    # networkx raises a dozen kinds of exceptions.
    except Exception as error:
        raise DataError(
            f"{title}_CORRUPT",
            f"it is not {title.replace('GRAPHML', 'GraphML')} that networkx reads"
            f" ({brief(error)});"
            " write it again by another program, or save its links as .csv.",
        ) from None
    return graph_of_document(document, reading, name)


def _document(path: Path, graph: Any, *, is_gml: bool) -> Document:
    ids = list(graph.nodes)
    place = {node: k for k, node in enumerate(ids)}
    edges = list(graph.edges(data=True))
    usual, usual_link = (graph.graph.get(f"{kind}_default") or {} for kind in ("node", "edge"))
    return Document(
        path,
        ids,
        [{**usual, **graph.nodes[node]} for node in ids],
        [(place[u], place[v]) for u, v, _ in edges],
        [
            {k: v for k, v in {**usual_link, **own}.items() if k not in ("id", "networkx_key")}
            for *_, own in edges
        ],
        directed=graph.is_directed(),
        name_attribute="label" if is_gml else None,
    )
