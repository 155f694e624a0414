"""Proposed links of a run, their evaluation, and the map of the nodes."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.evaluation.simple_scores import SimpleScores, path_name
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.prediction.link_table import LinkTable
from vgae.prediction.links import predict_links
from vgae.report.node_columns import (
    DEGREE,
    LABEL,
    NodeClasses,
    column_names,
    label_classes,
    node_column,
    shown_ends,
)
from vgae.report.pages.clusters import cluster_colours
from vgae.report.pages.frame import Cell, Column, Table, numeric, packed, shown
from vgae.report.pages.maps import maps
from vgae.runs.graphs import Run

log = logging.getLogger(__name__)

_PER_NODE = 6  # proposals of a node
_SAMPLES = 100  # of the posterior
_TESTED = (10, 50, 200)  # numbers of best pairs
_MAP_NODES = 20_000  # more make a page too large; of these, the map has a part
_MOST_COLUMNS = 30  # features that the map may be coloured by
_DRAWN, _MAP_PART = 1000, 8000  # nodes drawn at random, and all nodes of the part


def best_links(run: Run, calibration: Calibration | None, count: int) -> LinkTable:
    """Return the best pairs of the whole graph, messages over all links.

    With fitted intervals, their probabilities are averaged over samples of the posterior.
    """
    samples = _SAMPLES if calibration is not None and calibration.intervals else 0
    options: Any = {"calibration": calibration, "samples": samples, "progress": False}
    return predict_links(run, run.graph, count, per_node=False, **options)


class TopPairs(NamedTuple):
    """Number of best pairs, of held-out links among them, and mean predicted probability."""

    num_pairs: int
    num_links: int
    probability: float | None

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the fraction of held-out links, by Wilson's method."""
        ends = binomtest(self.num_links, self.num_pairs).proportion_ci(method="wilson")
        return float(ends.low), float(ends.high)


def evaluate_proposals(run: Run, calibration: Calibration | None) -> list[TopPairs]:
    """Propose links from the training links, and count the held-out links among them.

    The counts show whether the probabilities hold for the best of all pairs, which few held-out
    links that a calibration is fitted to are among.
    """
    graph, train = run.graph, run.split.message_links
    if graph.num_links == train.shape[1]:
        return []
    seen = replace(graph, **graph.links_at(link_positions(train, graph.links, graph.grid)))
    scorer = PairScorer(run, seen, run.split.message_edge_index)
    found = predict_links(
        scorer, seen, _TESTED[-1], per_node=False, calibration=calibration, progress=False
    )
    pairs = torch.stack([found.source, found.target])
    is_link = link_positions(pairs, graph.links, graph.grid) >= 0
    rows = []
    for count in sorted({min(k, len(found)) for k in _TESTED}):
        best = found.probability
        mean = None if best is None else float(best[:count].mean())
        rows.append(TopPairs(count, int(is_link[:count].sum()), mean))
    return rows


def true_sentence(found: LinkTable) -> str:
    """Return how many of the proposed links come true; empty without standard errors."""
    if found.come_true is None:
        return ""
    expected, low, high, num_pairs, level = found.come_true
    return (
        f"Of these {num_pairs:,} pairs, about {expected:.1f} are missing links, with a"
        f" {100 * level:g} % interval of {low:,} to {high:,}, if as many are missing as were held"
        " out."
    )


def evaluation_rows(tested: Sequence[TopPairs]) -> list[list[str]]:
    """Return the evaluation of the best pairs as rows of a table."""
    return [
        [
            f"first {row.num_pairs:,}",
            f"{row.num_links:,}",
            f"{100 * row.num_links / row.num_pairs:.1f}",
            " – ".join(f"{100 * end:.1f}" for end in row.interval()),
            "" if row.probability is None else f"{100 * row.probability:.1f}",
        ]
        for row in tested
    ]


def proposal_table(found: LinkTable, graph: Graph) -> Table:
    """Return proposed links with their probability, score, degrees and common neighbours.

    The degrees of a directed graph are those out of the source and into the target. Paths of two
    links replace common neighbours in a directed graph, and of three in a two-sided one.
    """
    pairs, simple = (
        torch.stack([found.source, found.target]),
        SimpleScores(graph.links, graph.grid),
    )
    degree, shared = simple.degrees(pairs), simple.shortest_paths(pairs)
    rows = []
    for i, (u, v) in enumerate(found.names()):
        counts = *degree[:, i], shared[i]
        row: list[Cell] = [(str(i + 1), i + 1), shown(u), shown(v), probability_cell(found, i)]
        row += _interval(found, i)
        row += [] if found.probability is None else [_score(found, i)]
        rows.append([*row, *((f"{int(n):,}", int(n)) for n in counts)])
    columns = [Column("rank"), *map(Column, ends_of(graph))]
    columns += [] if found.probability is None else [numeric("probability")]
    if found.interval is not None:
        note = (
            "of the raw posterior"
            if found.raw
            else "holds the true one of that fraction of all pairs"
        )
        columns.append(numeric(f"{100 * found.interval:g} % interval", note))
    columns += [
        numeric("score", "logit of the model: it only ranks pairs"),
        numeric("links out of it" if graph.directed else "links of the first"),
        numeric("links into it" if graph.directed else "links of the second"),
        numeric(path_name(graph.grid)),
    ]
    caption = "Proposed links of the whole graph, the most probable first"
    return Table(caption, columns, rows, sortable=True)


def ends_of(graph: Graph) -> tuple[str, str]:
    """Return what the two nodes of a proposed link are."""
    if graph.directed:
        return "from", "to"
    if graph.sides is None:
        return "node", "node"
    first, second = graph.side_names or ("first side", "second side")
    return shown(first), shown(second)


def probability_cell(found: LinkTable, i: int) -> tuple[str, float]:
    """Return the probability of a row as text and number, or its score without one."""
    if found.probability is None:
        return _score(found, i)
    value = float(found.probability[i])
    return percent(value), float(f"{value:.6g}")


def _interval(found: LinkTable, i: int) -> list[Cell]:
    """Return the credible interval of a row, sorted by its lower end, if there is one."""
    if found.low is None or found.high is None:
        return []
    low, high = float(found.low[i]), float(found.high[i])
    return [(f"{percent(low)} – {percent(high)}", float(f"{low:.6g}"))]


def _score(found: LinkTable, i: int) -> tuple[str, float]:
    score = float(found.score[i])
    return f"{score:.3f}", float(f"{score:.6g}")


def percent(value: float) -> str:
    """Return a probability in per cent, never as 0 or 100 %."""
    if value > 0.999:
        return "> 99.9 %"
    return f"{100 * value:.1f} %" if value >= 0.001 else "< 0.1 %"


def map_data(
    run: Run, calibration: Calibration | None, first: int, clusters: np.ndarray | None = None
) -> dict[str, Any]:
    """Return the data of the map of the nodes, for ``graph.js``; ``first`` is selected at first.

    ``clusters`` has the cluster of each node, if there are some; they may be the colours. The
    model receives all links, as it proposes new ones. The map of a very large graph has nodes
    that are drawn at random, their best partners and linked nodes, and the links among all these.
    """
    graph = run.graph
    scorer = PairScorer(run, graph, graph.edge_index)
    q, drawn = scorer.q, _drawn(graph)
    found = predict_links(
        scorer,
        graph,
        min(_PER_NODE, graph.num_nodes),
        nodes=[graph.ids[i] for i in drawn.tolist()],
        calibration=calibration,
        progress=False,
    )
    nodes = _nodes_shown(graph, drawn, torch.stack([found.source, found.target]))
    place = torch.full((graph.num_nodes,), -1)
    place[nodes] = torch.arange(len(nodes))
    log.info("projecting %s nodes into the plane", f"{len(nodes):,}")
    planes = maps(q.mu[nodes].double().numpy())
    degree = torch.bincount(graph.links.flatten(), minlength=graph.num_nodes)
    content: dict[str, Any] = {
        "names": [shown(graph.ids[i]) for i in nodes.tolist()],
        "degree": packed(degree[nodes].int().numpy()),
        "planes": {name: packed(plane.flatten()) for name, plane in planes.items()},
        "num_nodes": graph.num_nodes,
        "num_drawn": len(drawn),
        "first": max(int(place[first]), 0),
        "has_probabilities": calibration is not None,
        "directed": graph.directed,
        **_labels(graph, nodes),
        "columns": _columns(graph, nodes),
        **_sides(graph, nodes),
        **({} if clusters is None else cluster_colours(clusters, nodes.numpy())),
    }
    if isinstance(q, DiagGaussian) and not isinstance(q, PointMass):
        deviation = (0.5 * q.logvar[nodes]).exp().mean(dim=1)
        content["uncertainty"] = packed(deviation.float().numpy())
    inside = (place[graph.links] >= 0).all(dim=0)
    links = graph.links[:, inside]
    logits = scorer.logits(links)
    # Probabilities are those of pairs that are not known as links: known links have scores.
    content["links"] = _pairs(place[links], logits, None)
    ends = place[torch.stack([found.source, found.target])]
    inside = (ends >= 0).all(dim=0)
    content["proposals"] = _pairs(ends[:, inside], found.score[inside], calibration)
    return content


def _drawn(graph: Graph) -> Tensor:
    """Return the nodes that get proposals: all, or of a large graph a random sample."""
    if graph.num_nodes <= _MAP_NODES:
        return torch.arange(graph.num_nodes)
    drawn = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(0))
    return drawn[:_DRAWN].sort().values


def _nodes_shown(graph: Graph, drawn: Tensor, proposed: Tensor) -> Tensor:
    """Return the drawn nodes, their proposed partners, and nodes that they are linked to."""
    if len(drawn) == graph.num_nodes:
        return drawn
    shown, is_drawn = torch.zeros(2, graph.num_nodes, dtype=torch.bool)
    is_drawn[drawn] = True
    shown[drawn] = shown[proposed.flatten()] = True
    near = graph.links[:, is_drawn[graph.links].any(dim=0)].unique()
    near = near[~shown[near]]
    order = torch.randperm(len(near), generator=torch.Generator().manual_seed(1))
    shown[near[order[: max(0, _MAP_PART - int(shown.sum()))]]] = True
    return shown.nonzero()[:, 0]


def _labels(graph: Graph, nodes: Tensor) -> dict[str, Any]:
    """Return the index of the class of each node, and the names of the classes.

    Nodes without a known class have the last index.
    """
    if graph.y is None:
        return {}
    return _coded(label_classes(graph), nodes, "label", "label_names")


def _coded(column: NodeClasses, nodes: Tensor, code: str, names: str) -> dict[str, Any]:
    found = column.code[nodes.numpy()]
    unknown = bool((found < 0).any())
    found = np.where(found < 0, len(column.names), found).astype(np.int32)
    shown_names = [shown(name) for name in column.names] + ["unknown"] * unknown
    return {code: packed(found), names: shown_names, "unknown": unknown}


def _columns(graph: Graph, nodes: Tensor) -> list[dict[str, Any]]:
    """Return the columns that the nodes may be coloured by, if they are few."""
    names = [name for name in column_names(graph) if name not in (LABEL, DEGREE)]
    found: list[dict[str, Any]] = []
    for name in names if len(names) <= _MOST_COLUMNS else []:
        column, about = node_column(graph, name), {"name": shown(name)}
        if isinstance(column, NodeClasses):
            found.append({**about, **_coded(column, nodes, "code", "names")})
            continue
        value = column.value[nodes.numpy()].astype(np.float32)
        ends = shown_ends(column)
        found.append({**about, "value": packed(value), "ends": ends, "is_date": column.is_date})
    return found


def _sides(graph: Graph, nodes: Tensor) -> dict[str, Any]:
    """Return the side of each node, and the names of the sides."""
    if graph.sides is None:
        return {}
    side = graph.sides[nodes].int().numpy()
    return {"side": packed(side), "side_names": list(ends_of(graph))}


def _pairs(pairs: Tensor, logits: Tensor, calibration: Calibration | None) -> dict[str, Any]:
    """Return pairs with their probabilities or, without a calibration, their scores."""
    value = logits if calibration is None else calibration.probability(logits)
    return {"pairs": packed(pairs.T.int().numpy()), "value": packed(value.float().numpy())}
