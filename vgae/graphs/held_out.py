"""Choice of the links that are held out."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph


def held_out(
    graph: "Graph", val: float, test: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the links of each part.

    Args:
        graph: Graph whose links are held out.
        val: Fraction of the M links for validation; the count is rounded down.
        test: Fraction for test, likewise.
        generator: Source of the order.

    Returns:
        Indices of the test, validation and training links; the latter ascend.

    Raises:
        UsageError: If the fractions are out of range.
        DataError: If there are too few links.
    """
    num_val, num_test = part_sizes(graph, val, test)
    order = torch.randperm(graph.num_links, generator=generator)
    test_links, val_links, rest = in_parts(graph, order, num_test, num_val)
    is_rest = torch.zeros(graph.num_links, dtype=torch.bool)
    is_rest[rest] = True
    return test_links, val_links, is_rest.nonzero().flatten()


def in_parts(graph: "Graph", order: Tensor, *sizes: int) -> Sequence[Tensor]:
    """Cut the links of a graph, in an order, into parts of these sizes and the rest.

    The two directions of a reciprocal link of a directed graph have the place of the first of
    them, and are in one part, which may have one link more for that.

    Args:
        graph: Graph with the links.
        order: Index of each link, shape ``(M,)``.
        sizes: Number of links of each part but the last.

    Returns:
        Indices of the links of each part.
    """
    if not graph.directed:  # each link is a group
        return order.tensor_split(np.cumsum(sizes).tolist())
    group = graph.grid.groups(graph.links)[order].numpy()
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    by_group = first[inverse].argsort(kind="stable")
    order, group = order[torch.from_numpy(by_group)], group[by_group]
    ends = [0]
    for size in sizes:
        end = ends[-1] + size
        ends.append(end + int(0 < end < len(group) and group[end - 1] == group[end]))
    return order.tensor_split(ends[1:])


def part_sizes(graph: "Graph", val: float, test: float) -> tuple[int, int]:
    """Return the numbers of validation and test links, or raise."""
    check_fractions(val, test)
    if graph.num_links == 0:
        dropped = graph.notes.get("self_loops", 0)
        raise DataError(
            "NO_EDGES",
            f"{graph.name} has no links to predict ({dropped} self-loops were dropped); for"
            " features alone use other methods, such as PCA.",
        )
    sizes = {}
    for name, fraction in {"val": val, "test": test}.items():
        # The tiny factor undoes rounding: 100 * 0.29 is 28.999999999999996.
        sizes[name] = math.floor(graph.num_links * fraction * (1 + 1e-12))
        if fraction > 0 and sizes[name] == 0:
            raise DataError(
                "SPLIT_TOO_SMALL",
                f"{fraction:.3g} of {graph.num_links} links is less than one; {name} needs at"
                f" least {1 / fraction:.6g} links, a larger fraction, or 0 for none.",
            )
    if sum(sizes.values()) >= graph.num_links:
        raise DataError(
            "SPLIT_TOO_SMALL",
            f"val and test take all {graph.num_links} links and leave none to train on; use"
            " smaller fractions.",
        )
    return sizes["val"], sizes["test"]


def check_fractions(val: float, test: float) -> None:
    """Raise ``UsageError`` unless both fractions and their sum lie in ``[0, 1)``."""
    for name, fraction in {"val": val, "test": test, "val + test": val + test}.items():
        if not 0 <= fraction < 1:
            what = f"{name} must be a fraction of the links in [0, 1), got {fraction}."
            raise UsageError("SPLIT_SHARE", what)
