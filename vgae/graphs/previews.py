"""Short tables of graphs and splits, for notebooks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from vgae.runtime.preview import Preview

if TYPE_CHECKING:
    from vgae.graphs.split import LinkSplit
    from vgae.graphs.typed import TypedGraph

_MOST_NAMES = 4
_MOST_LINKS = 2_000_000  # of a graph whose components are counted
_NOTES = {
    "self_loops": "self-loops left out",
    "repeats": "repeated edges merged",
    "both_ways": "links given in both directions",
    "one_way": "links given in one direction",
}


def graph_preview(graph: Any) -> Preview:
    """Return the counts of a graph or collection, with its first names and links."""
    facts = {"nodes": f"{graph.num_nodes:,}"} | _kind(graph)
    facts["links"] = f"{graph.num_links:,}{_values(graph)}"
    facts |= _named("features", graph.num_features, graph.feature_names)
    if graph.missing is not None:
        facts["features that are missing"] = f"{len(graph.missing.values()):,}"
    facts |= _classes("classes of nodes", graph.y, graph.label_names)
    facts["nodes without a link"] = f"{graph.num_isolated:,}" if graph.num_isolated else None
    if graph.num_links <= _MOST_LINKS:
        facts["components"] = f"{graph.num_components:,}"
    facts["first links"] = _first_links(graph)
    notes = [f"{count:,} {_NOTES[key]}" for key, count in graph.notes.items() if key in _NOTES]
    title = f"{type(graph).__name__} {graph.name}"
    return Preview.of_facts(title, facts, [f"{', '.join(notes)}."] if notes else [])


def typed_graph_preview(graph: "TypedGraph") -> Preview:
    """Return the relations of a typed graph with their links, and counts of its nodes."""
    found = graph.summary()
    types = ", ".join(f"{count:,} {name}" for name, count in found["node_types"].items())
    several = f" ({types})" if len(found["node_types"]) > 1 else ""
    others = f"{graph.num_links:,} links, {graph.num_features:,} features"
    notes = [f"{graph.num_nodes:,} nodes{several}, {others}."]
    columns = {
        "relation": list(found["relations"]),
        "links": list(found["relations"].values()),
        "directed": ["yes" if r.directed else "no" for r in graph.relations.values()],
    }
    title = f"TypedGraph {graph.name}"
    return Preview.of_columns(title, columns, len(graph.relations), notes)


def split_preview(split: "LinkSplit") -> Preview:
    """Return the number of links, non-links and graphs of each part."""
    parts = {"train": (split.train, None)}
    parts |= {name: (part.pos, part.neg) for name, part in _held_out(split).items()}
    rows = [[name, links.shape[1], _count(neg)] for name, (links, neg) in parts.items()]
    header = ["part", "links", "non-links"]
    if split.graph_part is not None:
        counts = torch.bincount(split.graph_part, minlength=3).tolist()
        rows = [[*row, count] for row, count in zip(rows, counts, strict=True)]
        header.append("graphs")
    return Preview(f"LinkSplit, seed {split.seed}", rows, header)


def typed_split_preview(parts: Mapping[str, "LinkSplit"], seed: int) -> Preview:
    """Return the number of links of each part of the split of each relation."""
    columns = {
        "relation": list(parts),
        "train": [part.train.shape[1] for part in parts.values()],
        "val": [part.val.pos.shape[1] for part in parts.values()],
        "test": [part.test.pos.shape[1] for part in parts.values()],
    }
    return Preview.of_columns(f"TypedSplit, seed {seed}", columns, len(parts))


def _held_out(split: "LinkSplit") -> dict[str, Any]:
    return {"val": split.val, "test": split.test}


def _count(pairs: Any) -> int | None:
    return None if pairs is None else pairs.shape[1]


def _kind(graph: Any) -> dict[str, Any]:
    if (num_graphs := getattr(graph, "num_graphs", None)) is not None:
        low, middle, high = (f"{size:,}" for size in graph.summary()["graph_sizes"])
        sizes = f"{low} nodes" if low == high else f"{low} to {high} nodes, median {middle}"
        text = f"{num_graphs:,} of {sizes}"
        return {"graphs": text} | _classes(
            "classes of graphs", graph.graph_y, graph.graph_label_names
        )
    if graph.sides is not None:
        names = graph.side_names or ("first side", "second side")
        sizes = zip(graph.summary()["sides"], names, strict=True)
        return {"sides": " and ".join(f"{count:,} {name}" for count, name in sizes)}
    return {"directed": "yes"} if graph.directed else {}


def _values(graph: Any) -> str:
    words = []
    if graph.link_weight is not None:
        low, high = float(graph.link_weight.min()), float(graph.link_weight.max())
        words.append(f"weights {low:.4g} to {high:.4g}")
    if graph.link_sign is not None:
        words.append(f"{int((graph.link_sign < 0).sum()):,} negative")
    if graph.link_attr is not None:
        words.append(f"{graph.link_attr.shape[1]:,} features each")
    return f", {', '.join(words)}" if words else ""


def _named(kind: str, count: int, names: Sequence[Any]) -> dict[str, str]:
    if not names or not count:
        return {kind: f"{count:,}"}
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return {kind: f"{count:,}: {', '.join(map(str, names[:_MOST_NAMES]))}{more}"}


def _classes(kind: str, y: Any, names: Sequence[Any]) -> dict[str, str]:
    if y is None:
        return {}
    count = len(names) or (int(y.max()) + 1 if len(y) else 0)
    return _named(kind, count, names)


def _first_links(graph: Any) -> str:
    ids, first = graph.ids, graph.links[:, : _MOST_NAMES - 1].T.tolist()
    arrow = "→" if graph.directed else "–"
    more = ", ..." if graph.num_links > len(first) else ""
    return ", ".join(f"{ids[u]!s:.20} {arrow} {ids[v]!s:.20}" for u, v in first) + more
