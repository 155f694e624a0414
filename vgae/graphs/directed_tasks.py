"""Link prediction tasks of directed graphs: which links are held out, and against what.

Source: Salha, Limnios, Hennequin, Tran & Vazirgiannis (2019), `Gravity-Inspired Graph Autoencoders
for Directed Link Prediction <https://arxiv.org/abs/1905.09570>`_, section 4.1.
"""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from vgae.errors import DataError, UsageError, check_choice
from vgae.graphs.canonical import link_positions
from vgae.graphs.defaults import Task
from vgae.graphs.held_out import check_fractions, held_out, part_sizes
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.pairs import LabelledPairs

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph


class Parts(NamedTuple):
    """Parts of a split: training links, shape ``(2, M_train)``, and the held-out pairs."""

    train: Tensor
    val: LabelledPairs
    test: LabelledPairs


def draw_parts(
    graph: "Graph", val: float, test: float, task: Task, generator: torch.Generator
) -> Parts:
    """Draw the parts of a split; arguments and errors are those of :func:`vgae.split_links`."""
    check_choice("task", task, Task)
    if task != "general" and not graph.directed:
        raise UsageError(
            "TASK",
            f"task {task!r} is about the direction of links, and {graph.name} is undirected; read"
            " it with directed='keep' (--directed keep), or leave task (--task) out.",
        )
    draw = {"general": _general, "biased": _biased, "bidirectional": _bidirectional}[task]
    return draw(graph, val, test, generator)


def reciprocal(graph: "Graph") -> Tensor:
    """Return whether the reverse of each link is a link too, bool, shape ``(M,)``."""
    return link_positions(graph.links.flip(0), graph.links, graph.grid) >= 0


def _general(graph: "Graph", val: float, test: float, generator: torch.Generator) -> Parts:
    """Hold out random links, and draw random non-links."""
    held_test, held_val, rest = held_out(graph, val, test, generator)
    num_test, num_val = len(held_test), len(held_val)
    neg = sample_non_links(graph.links, graph.grid, num_test + num_val, generator)
    links = graph.links
    return Parts(
        links[:, rest],
        LabelledPairs(links[:, held_val], neg[:, num_test:]),
        LabelledPairs(links[:, held_test], neg[:, :num_test]),
    )


def _biased(graph: "Graph", val: float, test: float, generator: torch.Generator) -> Parts:
    """Hold out one-way links; their non-links are their reverses."""
    num_val, num_test = part_sizes(graph, val, test)
    one_way = (~reciprocal(graph)).nonzero()[:, 0]
    if num_val + num_test > len(one_way):
        raise DataError(
            "SPLIT_TOO_SMALL",
            f"task 'biased' holds out one-way links, and {graph.name} has {len(one_way):,} of"
            f" them for {num_val:,} validation and {num_test:,} test links; use smaller fractions"
            " (val, test), or another task.",
        )
    held = one_way[torch.randperm(len(one_way), generator=generator)[: num_val + num_test]]
    rest = torch.ones(graph.num_links, dtype=torch.bool)
    rest[held] = False
    held_test, held_val = (graph.links[:, part] for part in held.split([num_test, num_val]))
    return Parts(
        graph.links[:, rest],
        LabelledPairs(held_val, held_val.flip(0)),
        LabelledPairs(held_test, held_test.flip(0)),
    )


def _bidirectional(graph: "Graph", val: float, test: float, generator: torch.Generator) -> Parts:
    """Hold out one direction of each reciprocal link.

    Non-links are the reverses of as many one-way links, which stay in training.
    """
    check_fractions(val, test)
    both = reciprocal(graph)
    pairs = graph.links[:, both & (graph.links[0] < graph.links[1])]
    num_pairs, num_one_way = pairs.shape[1], int((~both).sum())
    num_test = round(num_pairs * test / (val + test)) if val + test else 0
    num_val = num_pairs - num_test if val + test else 0
    for name, fraction, size in (("val", val, num_val), ("test", test, num_test)):
        if fraction > 0 and size == 0:
            raise DataError(
                "SPLIT_TOO_SMALL",
                f"task 'bidirectional' holds out one direction of each reciprocal link, and"
                f" {graph.name} has {num_pairs:,}, which leaves none for {name}; use other"
                f" fractions (val, test), or another task.",
            )
    if num_val + num_test > num_one_way:
        raise DataError(
            "NO_NEGATIVES",
            f"task 'bidirectional' ranks {num_pairs:,} reciprocal links against the reverses of as"
            f" many one-way links, and {graph.name} has {num_one_way:,}; use another task.",
        )
    order = torch.randperm(num_pairs, generator=generator)[: num_val + num_test]
    swapped = torch.rand(len(order), generator=generator) < 0.5
    held = pairs[:, order]
    held = torch.where(swapped, held.flip(0), held)
    drawn = torch.randperm(num_one_way, generator=generator)[: len(order)]
    neg = graph.links[:, ~both][:, drawn].flip(0)
    rest = torch.ones(graph.num_links, dtype=torch.bool)
    rest[link_positions(held, graph.links, graph.grid)] = False
    sizes = [num_test, num_val]
    (test_pos, val_pos), (test_neg, val_neg) = held.split(sizes, dim=1), neg.split(sizes, dim=1)
    return Parts(
        graph.links[:, rest], LabelledPairs(val_pos, val_neg), LabelledPairs(test_pos, test_neg)
    )
