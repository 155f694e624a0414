"""Collections of graphs in tables: a column with the graph of each row, labels of the graphs."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vgae.data.attributes import read_node_table
from vgae.data.extra_column import read_with_column
from vgae.data.joining import with_features
from vgae.data.node_features import NodeFeatures
from vgae.data.packed import unpacked_name
from vgae.data.parquet import read_parquet
from vgae.data.reading import Reading
from vgae.errors import DataError, UsageError
from vgae.graphs.cells import texts_of
from vgae.graphs.collection import GraphCollection
from vgae.graphs.collection_labels import GraphLabels, coded_numbers
from vgae.graphs.collection_parts import names_in_graphs
from vgae.graphs.column_names import key_of
from vgae.graphs.graph import Graph
from vgae.graphs.graph_nodes import GraphNodes, graph_texts
from vgae.graphs.values import coded_labels
from vgae.runtime.numerals import is_number
from vgae.runtime.reading import file_size, naming

log = logging.getLogger(__name__)

_GRAPHS = ("graph", "graphid", "graphname", "name", "id", "molid", "mol", "molecule")
_OF_NODES = ("x", "missing", "feature_names", "feature_encoder", "y", "label_names")
_LABELS = ("label", "graphlabel", "y", "class", "target")


def read_graph_table(path: Path, reading: Reading, name: str) -> GraphCollection:
    """Return the graphs of an edge list with the column ``reading.graph_column``.

    Raises:
        UsageError: ``OPTION`` for ``drop_zero`` and ``time``.
        DataError: ``GRAPH_COLUMN`` if there is no such column, or it has gaps; or as
            :func:`vgae.data.edge_lists.read_edge_list`.
    """
    column = str(reading.graph_column)
    if reading.time is not None or reading.drop_zero:
        option = "drop_zero" if reading.drop_zero else "time (--split-by-time)"
        rule = f"{option} is not for edge lists with a column of graphs"
        raise UsageError("OPTION", f"{rule}; leave it out, and such edges beforehand.")
    links = links_within(reading)
    inner = replace(reading, graph_column=None)
    if unpacked_name(path).suffix.lower() == ".parquet":
        source, target, *weight = reading.columns or (None, None)
        ends = {"source": source, "target": target, "name": name}
        ends["weight"] = reading.weight or (weight[0] if weight else None)
        return GraphCollection.from_pandas(read_parquet(path), graph=column, **ends, **links)
    found, cells = read_with_column(path, inner, column, "GRAPH_COLUMN")
    graphs = graph_texts(cells, "the edge list", column)
    table = GraphNodes()
    ends = [table.named(graphs, [found.names[k] for k in row]) for row in found.edges.tolist()]
    place = {node: k for k, node in enumerate(dict.fromkeys(ends[0] + ends[1]))}
    whole = Graph.from_edges(
        np.array([[place[node] for node in row] for row in ends], np.int64),
        edge_weight=found.weight,
        num_nodes=len(place),
        node_ids=[*place],
        ordered=found.ordered,
        name=name,
        **links,
    )
    return table.collection(GraphCollection, whole)


def links_within(reading: Reading) -> dict[str, Any]:
    """Return the arguments of :meth:`vgae.Graph.from_edges` on links of a collection.

    Raises:
        UsageError: ``OPTION`` if graphs should be directed or have two sides.
    """
    rule = "many graphs are read as undirected ones without sides"
    if reading.directed == "keep":
        raise UsageError("OPTION", f"{rule}; leave directed='keep' (--directed keep) out.")
    if reading.sides not in ("auto", "none"):
        raise UsageError("OPTION", f"{rule}; leave sides={reading.sides!r:.60} (--sides) out.")
    return reading.of_links() | {"sides": "none"}


def finished(
    graphs: Graph, rows: NodeFeatures | tuple | None, reading: Reading, path: Path
) -> Graph:
    """Return a collection with the labels and features of other files, and announce it.

    Raises:
        UsageError: ``GRAPH_COLUMN`` or ``GRAPH_LABELS`` if ``graphs`` is one graph.
    """
    if not isinstance(graphs, GraphCollection):
        for option in ("graph_column", "graph_labels"):
            if getattr(reading, option) is not None:
                flag = option.replace("_", "-")
                cure = "" if option == "graph_column" else "; graph_column (--graph-column) names"
                cure += " the column of an edge list that has the graph of each edge" * bool(cure)
                raise UsageError(
                    option.upper(),
                    f"{option} (--{flag}) is for many graphs, and {path} is one{cure}.",
                )
        return graphs
    if isinstance(rows, tuple):
        rule = "features of two sides (FILE,FILE) are for a two-sided graph"
        raise UsageError("SIDES", f"{rule}, and {path} is a collection; give one table.")
    if rows is not None:
        graphs = with_features_of_all(graphs, rows, reading)
    if reading.graph_labels is not None:
        graphs = with_labels(graphs, Path(reading.graph_labels), reading)
    log.info("%s", graphs.announcement)
    return graphs


def with_labels(graphs: GraphCollection, path: Path, reading: Reading) -> GraphCollection:
    """Return a collection with the labels in a table of graphs and labels.

    Raises:
        DataError: ``GRAPH_LABELS`` if the table has other columns; ``LABELS`` if a graph is in two
            rows; ``COLLECTION`` if no name is that of a graph.
    """
    file_size(path)
    with naming(path):
        names, cells = _labels_in(path, reading)
        if len({*names}) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError("LABELS", f"graph {twice!r:.60} is in two rows; keep one of them.")
        known = dict(zip(names, cells, strict=True))
        own = [known.pop(str(name), "") for name in graphs.graph_ids]
        if known and len(known) == len(names):
            first, shown = next(iter(known)), ", ".join(map(str, graphs.graph_ids[:3]))
            what = f"none of its {len(names)} names is that of a graph: {first!r:.60}"
            raise DataError("COLLECTION", f"{what}; the graphs are {shown:.100}, ...")
        if known:
            what = "%s: %d labels are of no graph, such as that of %.60s"
            log.warning(what, path, len(known), next(iter(known)))
        if missing := own.count(""):
            log.warning("%s: %d of %d graphs have no label", path, missing, len(own))
        return labelled(graphs, labels_in_text(own, str(path)))


def labelled(graphs: GraphCollection, labels: GraphLabels) -> GraphCollection:
    """Return a collection with these labels; the same one without."""
    if labels.codes is None:
        return graphs
    codes = torch.from_numpy(labels.codes.astype(np.int64))
    return replace(graphs, graph_y=codes, graph_label_names=labels.names)


def labels_in_text(cells: Sequence[str], what: str) -> GraphLabels:
    """Return labels of graphs in text, empty where unknown.

    Integers are numbered by value, others by name. Without labels, with a message, for numbers
    with fractions, which are targets of regression.
    """
    known = [cell for cell in cells if cell]
    if not known:
        return GraphLabels()
    if all(map(is_number, known)):
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
        return coded_numbers(numbers, what, compact=True)
    codes, names = coded_labels([cell or None for cell in cells])
    return GraphLabels(codes, names)


def _labels_in(path: Path, reading: Reading) -> tuple[list[str], list[str]]:
    """Return the names of graphs and their labels in a table."""
    plain = Reading(encoding=reading.encoding, comment=reading.comment)
    table = read_node_table(path, plain, numeric=False, announce=False)
    columns = [*table.columns]
    graph = reading.graph_column if reading.graph_column in columns else None
    keyed = [name for name in columns if key_of(name) in _GRAPHS]
    graph = graph or next(iter(keyed), table.id_column)
    others = [name for name in columns if name != graph]
    likely = [name for name in others if key_of(name) in _LABELS]
    chosen = others if len(others) == 1 else likely
    if len(chosen) != 1:
        shown = ", ".join(f"{name!r:.60}" for name in columns[:10])
        raise DataError(
            "GRAPH_LABELS",
            f"it must have two columns, graph and label (or one called label), got {shown}.",
        )
    log.info("%s: labels of graphs from column %r by %r", path, chosen[0], graph)
    found = ([_text(cell) for cell in texts_of(table.columns[name])] for name in (graph, *chosen))
    names, cells = found
    return names, cells


def _text(cell: Any) -> str:
    """Return a cell as text; a float that is whole, of parquet, as an integer."""
    text = "" if cell is None else str(cell)
    return text.removesuffix(".0") if is_number(text) else text


def with_features_of_all(
    graphs: GraphCollection, rows: NodeFeatures, reading: Reading
) -> GraphCollection:
    """Return a collection with features of its nodes, and with the nodes that only they have.

    Rows without names are in the order of the nodes.

    Raises:
        DataError: ``NODE_SET_MISMATCH``; see :func:`vgae.data.node_features.join_features`.
    """
    known = {str(node) for node in graphs.ids}
    if rows.names is None:
        x: Any = rows.x
        num_rows = 0 if x is None else x.shape[0]
        if num_rows != graphs.num_nodes:
            what = f"the features have {num_rows} rows and no names, and the graphs"
            cure = "save a table with columns graph and node, and name the first (--graph-column)"
            raise DataError("NODE_SET_MISMATCH", f"{what} {graphs.num_nodes} nodes; {cure}.")
        log.info("the rows of the features are in the order of the nodes of all graphs")
        rows = replace(rows, names=tuple(map(str, graphs.ids)))
    elif rows.graphs is not None:
        graphs = _extended(graphs, rows)
    elif other := [name for name in rows.names if str(name) not in known]:
        raise DataError(
            "NODE_SET_MISMATCH",
            f"{len(other)} of {len(rows.names)} rows of features are of no node, such as"
            f" {other[0]!r:.60}; nodes are {str(graphs.ids[0])!r:.60}, ...: name the column of the"
            " table with the graph of each row by graph_column='NAME' (--graph-column NAME).",
        )
    whole = Graph(**{f.name: getattr(graphs, f.name) for f in fields(Graph)})
    whole = with_features(whole, rows, missing=reading.missing_features, counted=True)
    return replace(graphs, **{name: getattr(whole, name) for name in _OF_NODES})


def _extended(graphs: GraphCollection, rows: NodeFeatures) -> GraphCollection:
    """Return a collection with the nodes that only a table of nodes has, without links."""
    known = {*graphs.ids}
    new = [k for k, name in enumerate(rows.names or ()) if name not in known]
    if not new or rows.graphs is None or rows.names is None:
        return graphs
    log.info("%d nodes are in the features only, and have no links", len(new))
    number = {str(name): k for k, name in enumerate(graphs.graph_ids)}
    of_new = [number.setdefault(rows.graphs[k], len(number)) for k in new]
    own = [str(rows.names[k]).removeprefix(f"{rows.graphs[k]}:") for k in new]
    whole = {f.name: getattr(graphs, f.name) for f in fields(Graph)}
    whole |= {"node_ids": None, "x": None, "missing": None}
    whole |= {"feature_names": (), "feature_encoder": None}
    if graphs.y is not None:
        whole["y"] = torch.cat([graphs.y, graphs.y.new_full((len(new),), -1)])
    y = graphs.graph_y
    if y is not None:
        y = torch.cat([y, y.new_full((len(number) - graphs.num_graphs,), -1)])
    found = GraphCollection.from_batch(
        Graph(**{**whole, "num_nodes": graphs.num_nodes + len(new)}),
        torch.cat([graphs.batch, torch.tensor(of_new)]),
        names=[*number],
        node_names=[*names_in_graphs(graphs), *own],
    )
    return replace(found, graph_y=y, graph_label_names=graphs.graph_label_names)
