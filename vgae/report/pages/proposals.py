"""proposals: what a model makes of all pairs: the links it proposes, and those there are."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import binomtest

from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.models.embedding import embed
from vgae.prediction.links import LinkTable, predict_links
from vgae.report.pages.frame import Column, Table, numeric, packed, shown
from vgae.report.pages.maps import maps
from vgae.report.pages.scores import common_neighbours
from vgae.runs.graphs import Run

log = logging.getLogger(__name__)

_PER_NODE = 6  # proposals of a node
_TESTED = (10, 50, 200)  # best pairs that are put to the test
_MAP_NODES = 50_000  # more dots than these would make a page that nobody waits for


def best_links(run: Run, calibration: Calibration | None, count: int) -> LinkTable:
    """Return the pairs of all that the model would bet on most, messages over all links."""
    return predict_links(
        run, run.graph, count, per_node=False, calibration=calibration, progress=False
    )


class Bets(NamedTuple):
    """The best pairs of a model that knows the training links alone, held against the truth.

    Attributes:
        best: How many of the best pairs.
        hidden: Links among them that had been held out.
        claimed: Mean of their probabilities; ``None`` without a calibration.
    """

    best: int
    hidden: int
    claimed: float | None

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the share of hidden links, by Wilson's method."""
        ends = binomtest(self.hidden, self.best).proportion_ci(method="wilson")
        return float(ends.low), float(ends.high)


def put_to_test(run: Run, calibration: Calibration | None) -> list[Bets]:
    """Have a run propose links from its training links, and count which were hidden from it.

    A calibration is fitted to pairs drawn at random. The best of all pairs are not such: they are
    where the model is most likely to be too sure of itself, and this is where it shows.
    """
    graph, train = run.graph, run.split.train
    if graph.num_links == train.shape[1]:
        return []
    weight = graph.link_weight
    if weight is not None:
        weight = weight[link_positions(train, graph.links, graph.num_nodes)]
    found = predict_links(
        run,
        replace(graph, links=train, link_weight=weight),
        _TESTED[-1],
        per_node=False,
        edge_index=run.split.message_edge_index,
        calibration=calibration,
        progress=False,
    )
    pairs = torch.stack([found.source, found.target])
    is_link = link_positions(pairs, graph.links, graph.num_nodes) >= 0
    rows = []
    for count in sorted({min(k, len(found)) for k in _TESTED}):
        hidden = int(is_link[:count].sum())
        probability = found.probability
        claimed = None if probability is None else float(probability[:count].mean())
        rows.append(Bets(count, hidden, claimed))
    return rows


def bets_table(rows: Sequence[Bets]) -> Table:
    """Return what became of the best pairs that were put to the test."""
    columns = [
        Column("its best pairs"),
        numeric("hidden links among them"),
        numeric("share, %", "what came true"),
        numeric("95 % interval"),
        numeric("probability, %", "what it said, on average"),
    ]
    cells = [
        [
            f"first {row.best:,}",
            f"{row.hidden:,}",
            f"{100 * row.hidden / row.best:.1f}",
            " – ".join(f"{100 * end:.1f}" for end in row.interval()),
            "" if row.claimed is None else f"{100 * row.claimed:.1f}",
        ]
        for row in rows
    ]
    return Table("Proposals from the training links alone, put to the test", columns, cells)


def proposal_table(found: LinkTable, graph: Graph) -> Table:
    """Return proposed links with what one looks at to believe them."""
    degree = torch.bincount(graph.links.flatten(), minlength=graph.num_nodes)
    shared = common_neighbours(
        torch.stack([found.source, found.target]), graph.links, graph.num_nodes
    )
    names = found.names()
    rows = []
    for i, (u, v) in enumerate(names):
        counts = degree[found.source[i]], degree[found.target[i]], shared[i]
        row: list[str | tuple[str, float]] = [
            (str(i + 1), i + 1),
            shown(u),
            shown(v),
            chance(found, i),
            *([] if found.probability is None else [_score(found, i)]),
            *((f"{int(n):,}", int(n)) for n in counts),
        ]
        rows.append(row)
    columns = [
        Column("rank"),
        Column("node"),
        Column("node"),
        *([] if found.probability is None else [numeric("probability")]),
        numeric("score", "" if found.probability is None else "orders pairs of one probability"),
        numeric("links of the first"),
        numeric("of the second"),
        numeric("neighbours in common"),
    ]
    return Table(
        "Proposed links of the whole graph, the likeliest first", columns, rows, sortable=True
    )


def chance(found: LinkTable, i: int) -> tuple[str, float]:
    """Return the probability of a row as text and number; its score if there is none."""
    if found.probability is None:
        return _score(found, i)
    value = float(found.probability[i])
    return per_cent(value), float(f"{value:.6g}")


def _score(found: LinkTable, i: int) -> tuple[str, float]:
    score = float(found.score[i])
    return f"{score:.3f}", float(f"{score:.6g}")


def per_cent(value: float) -> str:
    """Return a probability as one reads it; nothing is certain."""
    if value > 0.999:
        return "> 99.9 %"
    return f"{100 * value:.1f} %" if value >= 0.001 else "< 0.1 %"


def map_data(run: Run, calibration: Calibration | None, first: int) -> dict[str, Any]:
    """Return what the map of the nodes is drawn from, for ``graph.js``.

    Positions, links and proposals are of the model that sees all links: it is asked for new ones.
    Of a very large graph it has a part of the nodes, drawn at random, and what lies among them.

    Args:
        run: A finished run.
        calibration: For the probabilities; scores are given without one.
        first: The node that is chosen to begin with.
    """
    graph = run.graph
    q = embed(run, graph)
    nodes = _nodes_shown(graph)
    place = torch.full((graph.num_nodes,), -1)
    place[nodes] = torch.arange(len(nodes))
    log.info("bringing %s nodes into the plane", f"{len(nodes):,}")
    planes = maps(q.mu[nodes].double().numpy())
    degree = torch.bincount(graph.links.flatten(), minlength=graph.num_nodes)
    content: dict[str, Any] = {
        "names": [shown(graph.ids[i]) for i in nodes.tolist()],
        "degree": packed(degree[nodes].int().numpy()),
        "planes": {name: packed(plane.flatten()) for name, plane in planes.items()},
        "num_nodes": graph.num_nodes,
        "first": max(int(place[first]), 0),
        "has_probabilities": calibration is not None,
        **_labels(graph, nodes),
    }
    if isinstance(q, DiagGaussian) and not isinstance(q, PointMass):
        deviation = (0.5 * q.logvar[nodes]).exp().mean(dim=1)
        content["uncertainty"] = packed(deviation.float().numpy())
    inside = (place[graph.links] >= 0).all(dim=0)
    links = graph.links[:, inside]
    logits = PairScorer(run.model, graph, graph.edge_index).logits(links)
    # A calibration is of pairs that are not known as links: these have their scores alone.
    content["links"] = _pairs(place[links], logits, None)
    chosen = None if len(nodes) == graph.num_nodes else [graph.ids[i] for i in nodes.tolist()]
    found = predict_links(
        run,
        graph,
        min(_PER_NODE, graph.num_nodes),
        nodes=chosen,
        calibration=calibration,
        progress=False,
    )
    ends = place[torch.stack([found.source, found.target])]
    inside = (ends >= 0).all(dim=0)
    content["proposals"] = _pairs(ends[:, inside], found.score[inside], calibration)
    return content


def _nodes_shown(graph: Graph) -> torch.Tensor:
    if graph.num_nodes <= _MAP_NODES:
        return torch.arange(graph.num_nodes)
    drawn = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(0))
    return drawn[:_MAP_NODES].sort().values


def _labels(graph: Graph, nodes: torch.Tensor) -> dict[str, Any]:
    """Return the class of each node, by number, and the names of the classes in order."""
    if graph.y is None:
        return {}
    label = graph.y[nodes].numpy()
    present = np.unique(label)
    present = present[np.argsort(present < 0, kind="stable")]  # what has none comes last
    rank = {int(value): i for i, value in enumerate(present)}
    names = ["unknown" if v < 0 else _label_name(graph, int(v)) for v in present]
    return {
        "label": packed(np.array([rank[int(v)] for v in label], dtype=np.int32)),
        "label_names": names,
    }


def _label_name(graph: Graph, label: int) -> str:
    return shown(graph.label_names[label] if graph.label_names else f"class {label}")


def _pairs(
    pairs: torch.Tensor, logits: torch.Tensor, calibration: Calibration | None
) -> dict[str, Any]:
    """Return pairs with their probability or, without a calibration, their score."""
    value = logits if calibration is None else calibration.probability(logits)
    return {
        "pairs": packed(pairs.T.int().contiguous().numpy()),
        "value": packed(value.float().numpy()),
    }
