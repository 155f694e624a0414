"""Splits of a collection by whole graphs: which are held out, and which of their links."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.canonical import link_positions
from vgae.graphs.grid import Grid
from vgae.graphs.held_out import check_fractions
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.pairs import LabelledPairs

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph

TRAIN, VAL, TEST = range(3)
HIDE = 0.2


class GraphParts(NamedTuple):
    """Parts of a split by whole graphs; see :class:`vgae.LinkSplit`."""

    train: Tensor
    val: LabelledPairs
    test: LabelledPairs
    graph_part: Tensor
    context: Tensor


def draw_by_graphs(
    graphs: "Graph",
    fractions: tuple[float, float],
    by: Any,
    hide: float,
    generator: torch.Generator,
) -> GraphParts:
    """Hide some links of each held-out graph, and draw as many non-links of the same graph.

    Args:
        graphs: The collection.
        fractions: Fractions of the graphs for validation and test.
        by: ``"graphs"`` to draw the part of each graph, or the parts, as for
            :func:`checked_part_of`.
        hide: Fraction of the links of a held-out graph that are hidden, in (0, 1]; rounded, at
            least one, and at most the number of its non-links.
        generator: Source of graphs, links and non-links.

    Raises:
        UsageError: ``SPLIT_SHARE`` if a fraction is out of range; ``BY`` without a collection.
        DataError: ``SPLIT_TOO_SMALL`` if a part has no link to hide or to train on.
    """
    if not 0 < hide <= 1:
        rule = "hide must be a fraction of the links of a held-out graph in (0, 1]"
        raise UsageError("SPLIT_SHARE", f"{rule}, got {hide}.")
    if not isinstance(grid := graphs.grid, BlockGrid):
        raise UsageError(
            "BY",
            f"by='graphs' (--split-by graphs) is for collections, and {graphs.name} is one graph;"
            " leave it out, or make a collection with vgae.GraphCollection.from_graphs.",
        )
    if isinstance(by, str):
        part = _drawn(graphs, grid, *fractions, generator)
    else:
        part = checked_part_of(by, grid)
    places: dict[int, list[Tensor]] = {VAL: [], TEST: []}
    others: dict[int, list[Tensor]] = {VAL: [], TEST: []}
    for number, links in _links_of(graphs.links, grid, part > 0):
        num_links, kind = len(links), int(part[number])
        most = int(grid.sizes[number] * (grid.sizes[number] - 1) // 2) - num_links
        count = min(max(round(hide * num_links), 1), num_links, most)
        order = torch.randperm(num_links, generator=generator)
        places[kind].append(links[order[:count].sort().values])
        others[kind].append(_drawn_within(graphs.links[:, links], grid, number, count, generator))
    none = graphs.links[:, :0]
    held = {
        kind: LabelledPairs(
            graphs.links[:, torch.cat([none[0], *places[kind]])],
            torch.cat([none, *others[kind]], dim=1),
        )
        for kind in places
    }
    hidden = torch.cat([held[VAL].pos, held[TEST].pos], dim=1)
    train, context = rest_of(graphs, hidden, None, part)
    parts = GraphParts(train, held[VAL], held[TEST], part, context)
    _check_sizes(graphs, parts)
    return parts


def rest_of(
    graph: "Graph", held: Tensor, train: Tensor | None, part: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the training links and the context links, given the held-out ones.

    Args:
        graph: Graph that is split.
        held: Held-out links.
        train: Training links; ``None`` for all others, of training graphs only.
        part: Part of each graph; ``None`` in a split by links, which has no context.
    """
    place = link_positions(held, graph.links, graph.grid)
    rest = torch.ones(graph.num_links, dtype=torch.bool)
    rest[place[place >= 0]] = False
    if part is None:
        training = graph.links[:, rest] if train is None else train
        return training, training[:, :0]
    is_held = part[graph.grid.batch[graph.links[0]]] > 0  # pyright: ignore[reportAttributeAccessIssue]
    return graph.links[:, rest & ~is_held] if train is None else train, graph.links[
        :, rest & is_held
    ]


def drawn_non_links(
    graph: "Graph",
    parts: Mapping[str, LabelledPairs],
    part: Tensor | None,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Draw as many non-links as links of each part that has none, by whole graphs in each graph.

    Args:
        graph: Graph that is split.
        parts: Held-out pairs of the parts to draw for, by name.
        part: Part of each graph, or ``None``.
        generator: Source of the non-links.
    """
    if part is None:
        sizes = [pairs.pos.shape[1] for pairs in parts.values()]
        drawn = sample_non_links(graph.links, graph.grid, sum(sizes), generator)
        return dict(zip(parts, drawn.split(sizes, dim=1), strict=True))
    found, grid = {}, cast(BlockGrid, graph.grid)
    for name, pairs in parts.items():
        count = torch.bincount(grid.batch[pairs.pos[0]], minlength=len(grid.sizes))
        rows = [
            _drawn_within(graph.links[:, links], grid, number, int(count[number]), generator)
            for number, links in _links_of(graph.links, grid, count > 0)
        ]
        found[name] = torch.cat([graph.links[:, :0], *rows], dim=1)
    return found


def _links_of(links: Tensor, grid: BlockGrid, chosen: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of each chosen graph that has links, and the indices of its links."""
    batch = grid.batch[links[0]]
    order = batch.argsort(stable=True)
    counts = torch.bincount(batch, minlength=len(grid.sizes))
    own = order.split(counts.tolist())
    for number in (chosen & (counts > 0)).nonzero()[:, 0].tolist():
        yield number, own[number]


def _drawn_within(
    links: Tensor, grid: BlockGrid, number: int, count: int, generator: torch.Generator
) -> Tensor:
    """Draw non-links of one graph, given its links."""
    start = grid.ptr[number]
    return sample_non_links(links - start, Grid(int(grid.sizes[number])), count, generator) + start


def _check_sizes(graphs: "Graph", parts: GraphParts) -> None:
    """Raise ``DataError`` unless each part with graphs has links."""
    for name, number, pairs in (("val", VAL, parts.val.pos), ("test", TEST, parts.test.pos)):
        if (parts.graph_part == number).any() and not pairs.shape[1]:
            raise DataError(
                "SPLIT_TOO_SMALL",
                f"the graphs of {name} have no link to hide, or no pair without a link to compare"
                " it with; hold out more graphs, or split by links.",
            )
    if not parts.train.shape[1]:
        raise DataError(
            "SPLIT_TOO_SMALL",
            f"the graphs of {graphs.name} that are not held out have no links to train on; hold"
            " fewer graphs out (val, test).",
        )


def _drawn(
    graphs: "Graph", grid: BlockGrid, val: float, test: float, generator: torch.Generator
) -> Tensor:
    """Draw the part of each graph, int8, shape ``(G,)``: 0 train, 1 val, 2 test.

    The counts are rounded down, and at least one. With labels, each label has its share of every
    part, up to one graph.

    Raises:
        UsageError: ``SPLIT_SHARE`` if a fraction is out of range.
        DataError: ``SPLIT_TOO_SMALL`` if there are fewer than three graphs.
    """
    check_fractions(val, test)
    count = len(grid.sizes)
    sizes = [max(int(count * f * (1 + 1e-12)), 1) if f > 0 else 0 for f in (val, test)]
    if count < 3 or sum(sizes) >= count:
        raise DataError(
            "SPLIT_TOO_SMALL",
            f"{graphs.name} has {count} graphs, too few to hold out {sizes[0]} for validation and"
            f" {sizes[1]} for test; use other fractions (val, test), or split by links.",
        )
    rest = torch.randperm(count, generator=generator)
    if (label := getattr(graphs, "graph_y", None)) is not None:
        rest = rest[label[rest].argsort(stable=True)]
    part = torch.zeros(count, dtype=torch.int8)
    for number, size in ((TEST, sizes[1]), (VAL, sizes[0])):
        # Evenly spaced among the graphs in the order of their labels.
        start = torch.rand(1, generator=generator, dtype=torch.float64)
        chosen = ((torch.arange(size) + start) * len(rest) / max(size, 1)).long()
        part[rest[chosen]] = number
        rest = rest[part[rest] == TRAIN]
    return part


def checked_part_of(part: Any, grid: Grid) -> Tensor:
    """Return the part of each graph of a collection as int8, shape ``(G,)``.

    Raises:
        DataError: ``SPLIT_PARTS`` if the pairs are not those of a collection, or the values no 0,
            1 or 2 of each graph.
    """
    if not isinstance(grid, BlockGrid):
        raise DataError(
            "SPLIT_PARTS",
            "graph_part is for collections of graphs, and this is one graph; leave it out, or make"
            " a collection with vgae.GraphCollection.from_graphs.",
        )
    count, array = len(grid.sizes), np.asarray(part)
    if (
        array.shape != (count,)
        or array.dtype.kind not in "iu"
        or not np.isin(array, (0, 1, 2)).all()
    ):
        raise DataError(
            "SPLIT_PARTS",
            f"graph_part must have 0 (train), 1 (val) or 2 (test) for each of {count} graphs, got"
            f" {array.dtype} of shape {array.shape}.",
        )
    return torch.from_numpy(array.astype(np.int8))
