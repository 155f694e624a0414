"""Ranks of held-out links among all nodes, known links excluded."""

from collections.abc import Callable
from functools import partial

import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, NumericalError
from vgae.graphs.grid import Grid
from vgae.kernels.csr import checked_edges

_BLOCK = 1 << 24  # largest number of scores held at once, if at least 2 N


def link_ranks(
    scores: Callable[..., Tensor],
    links: Tensor,
    graph_links: Tensor,
    num_nodes: int,
    *,
    grid: Grid | None = None,
) -> Tensor:
    r"""Rank the far end of each link among all nodes without a known link to its near end.

    .. math:: r(u \to v) = 1 + \#\{w \in C : s_{uw} > s_{uv}\}
        + \tfrac{1}{2} \#\{w \in C : s_{uw} = s_{uv}\}

    The candidates C are all nodes except u, v and the neighbours of u in ``graph_links``; in a
    two-sided graph, those of the other side. Other true links thus do not worsen a rank
    ("filtered"). Equal scores get the mean of their ranks, so that a constant score gains nothing.
    No candidates are sampled: the result is exact.

    Source: Bordes et al. (2013), `Translating Embeddings for Modeling Multi-relational Data
    <https://papers.nips.cc/paper/5071>`_, section 4.2 (filtered ranks); Berrendorf et al. (2020),
    `On the Ambiguity of Rank-Based Evaluation <https://arxiv.org/abs/2002.06914>`_, section 3
    (realistic ranks, the mean over ties).

    Args:
        scores: Function from nodes of shape ``(B,)``, distinct and ascending, to the scores of
            all nodes as their partners, shape ``(B, N)``; any monotone function of the
            probability, possibly infinite. Its result is not modified. For a directed or
            two-sided graph it also takes ``reverse=True``, for the scores of all nodes as the
            first nodes of pairs with ``nodes``.
        links: Held-out links to rank, shape ``(2, P)``.
        graph_links: All known links, of training, validation and test, in either or both
            directions, shape ``(2, M)``, with or without the ranked links.
        num_nodes: N.
        grid: The pairs that may be links; by default those of an undirected graph.

    Returns:
        Ranks from 1, the best, to the number of candidates plus 1, float64, shape ``(2, P)``:
        first ``links[1]`` among the candidates of ``links[0]``, then the reverse.

    Raises:
        DataError: If an index is out of range, or the scores have another shape.
        NumericalError: If a score is NaN.
    """
    grid = grid or Grid(num_nodes)
    known, links = checked_edges(graph_links, num_nodes), checked_edges(links, num_nodes)
    if not grid.directed and grid.sides is None:
        ends = links.flatten(), links.flip(0).flatten()
        return _ranks_of(scores, *ends, grid.known(known), grid).view(2, -1)
    source, target = links
    backward = partial(scores, reverse=True)
    return torch.stack(
        [
            _ranks_of(scores, source, target, grid.known(known), grid),
            _ranks_of(backward, target, source, grid.known(known, reverse=True), grid),
        ]
    )


def _ranks_of(
    scores: Callable[..., Tensor], near: Tensor, far: Tensor, excluded: sp.csr_array, grid: Grid
) -> Tensor:
    """Return the rank of each far end among the partners of its near end."""
    num_nodes = grid.num_nodes
    ranks = torch.ones(len(near), dtype=torch.float64, device=near.device)
    # Equal ends are adjacent, so that a node is scored once; its scores are copied for each end.
    order = near.argsort(stable=True)
    for ends in order.split(max(1, _BLOCK // (2 * num_nodes))) if len(order) else ():
        nodes, place = near[ends].unique(return_inverse=True)
        block = _checked(scores(nodes), len(nodes), num_nodes)[place]
        if (others := grid.others(near[ends])) is not None:
            block[others.to(block.device)] = torch.nan
        ranks[ends] = _ranks(block, far[ends], excluded[near[ends].cpu().numpy()]).to(ranks)
    return ranks


def _ranks(block: Tensor, far: Tensor, excluded: sp.csr_array) -> Tensor:
    """Return the rank of the node ``far[i]`` in each row i of a block, which is overwritten."""
    far = far.to(block.device)[:, None]
    own = block.gather(1, far)
    rows, columns = (torch.from_numpy(i).long().to(block.device) for i in excluded.nonzero())
    # NaN is neither above nor equal to any score; -inf would tie with a score of -inf.
    block[rows, columns] = torch.nan
    block.scatter_(1, far, torch.nan)
    above = (block > own).sum(dim=1)
    return 1 + above + (block == own).sum(dim=1).double() / 2


def _checked(scores: Tensor, num_rows: int, num_nodes: int) -> Tensor:
    """Return scores as floating point without gradient, or raise an error for a wrong block."""
    if scores.shape != (num_rows, num_nodes):
        rule = f"scores must return a row per given node, shape ({num_rows}, {num_nodes})"
        raise DataError("SCORES_SHAPE", f"{rule}, got {tuple(scores.shape)}.")
    scores = scores.detach()
    if not scores.is_floating_point():
        scores = scores.double()
    if bad := int(scores.isnan().sum()):
        raise NumericalError("SCORES_NONFINITE", f"{bad} scores are NaN and have no rank.")
    return scores
