"""GraphML, GEXF and GML, parsed by networkx.

XML is parsed by defusedxml first, so that no entity or DTD reaches the parser of networkx.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vgae.data.attributed import Document, graph_of_document
from vgae.data.packed import whole
from vgae.data.reading import Reading
from vgae.errors import DataError, ResourceError, UsageError, VgaeError
from vgae.graphs.graph import Graph
from vgae.runtime.reading import brief


def read_graphml(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a GraphML file; see :mod:`vgae.data.attributed`.

    Raises:
        DataError: ``XML_UNSAFE`` for a DTD or an entity; ``GRAPHML_CORRUPT``; ``FILE_SIZE``; or
            as :func:`vgae.data.attributed.graph_of_document`.
    """
    import networkx as nx

    return _parsed(path, "GRAPHML", reading, name, lambda text: nx.read_graphml(_checked(text)))


def read_gexf(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a GEXF file, as Gephi writes it; see :mod:`vgae.data.attributed`.

    Raises:
        DataError: ``XML_UNSAFE`` for a DTD or an entity; ``GEXF_CORRUPT``; ``FILE_SIZE``; or as
            :func:`vgae.data.attributed.graph_of_document`.
    """
    import networkx as nx

    return _parsed(path, "GEXF", reading, name, lambda text: nx.read_gexf(_checked(text)))


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


def _checked(content: bytes) -> io.BytesIO:
    """Return XML that declares no entities, or raise."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            "XML_UNSAFE",
            f"it has a DTD or entities ({brief(error)}), which are not read; delete its <!DOCTYPE"
            " ...> and what uses it.",
        ) from None
    return io.BytesIO(content)


def _parsed(
    path: Path, title: str, reading: Reading, name: str, parse: Callable[[bytes], Any]
) -> Graph:
    content = whole(path)
    try:
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
            f"{title}_CORRUPT", f"it is not {title} that networkx reads ({brief(error)})."
        ) from None
    return graph_of_document(document, reading, name)


def _document(path: Path, graph: Any, *, is_gml: bool) -> Document:
    ids = list(graph.nodes)
    place = {node: k for k, node in enumerate(ids)}
    edges = list(graph.edges(data=True))
    return Document(
        path,
        ids,
        [graph.nodes[node] for node in ids],
        [(place[u], place[v]) for u, v, _ in edges],
        [{k: v for k, v in data.items() if k not in ("id", "networkx_key")} for *_, data in edges],
        directed=graph.is_directed(),
        name_attribute="label" if is_gml else None,
    )
