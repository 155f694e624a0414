"""Table of the nodes of a run: their attributes as they were read, joined with the embedding."""

from pathlib import Path
from typing import Any

from vgae.data.attributes import read_node_table
from vgae.data.node_features import is_table
from vgae.data.text import normalised
from vgae.graphs.graph import NodeId
from vgae.runs.folder import understood
from vgae.runs.graphs import GRAPHS, Run
from vgae.runtime.numerals import is_integer, is_number
from vgae.runtime.tables import Column


def node_columns(run: Run) -> dict[str, Column]:
    """Return the table of nodes that a run was trained with, joined with its embedding.

    Returns:
        One row per node of the graph, in its order: the columns of the table, or ``id`` without a
        table; and ``z_0`` ..., of the embedding (``vgae_z_0`` ... beside columns of this name).
        Attributes of a node without a row are None.
    """
    with understood(run.folder):
        source = GRAPHS.located(run.folder, run.config)
    columns: dict[str, Column] = {"id": run.graph.ids}
    if is_table(source.features):
        columns = _attributes(Path(source.features), source.reading, run.graph.ids)
    z = [f"z_{k}" for k in range(run.embedding.shape[1])]
    while columns.keys() & {*z}:
        z = [f"vgae_{name}" for name in z]
    return {**columns, **dict(zip(z, run.embedding.numpy().T, strict=True))}


def _attributes(path: Path, reading: Any, ids: Any) -> dict[str, Column]:
    """Return the columns of a table for these nodes."""
    table = read_node_table(path, reading, numeric=False)
    # As text, as where features were joined.
    names = map(str, normalised(table.names, reading.normalize))
    row_of = {name: row for row, name in enumerate(names)}
    rows = [row_of.get(str(node)) for node in ids]
    columns: dict[str, Column] = {}
    for name, cells in table.columns.items():
        columns[name] = [None if row is None else _plain(cells[row]) for row in rows]
    return {**columns, table.id_column: ids}


def _plain(cell: Any) -> NodeId | float | None:
    """Return a cell as a number, if a table would take its text for a formula, or as it is."""
    if isinstance(cell, str) and cell[:1] in ("+", "-") and is_number(cell):
        return int(cell) if is_integer(cell) else float(cell)
    if isinstance(cell, float):
        return None if cell != cell else int(cell) if cell.is_integer() else float(cell)
    return cell
