"""Ranks of held-out links among all nodes, known links excluded."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, NumericalError
from vgae.kernels.csr import checked_edges

_BLOCK = 1 << 24  # largest number of scores held at once, if at least 2 N


def link_ranks(
    scores: Callable[[Tensor], Tensor], links: Tensor, graph_links: Tensor, num_nodes: int
) -> Tensor:
    r"""Rank the far end of each link among all nodes without a known link to its near end.

    .. math:: r(u \to v) = 1 + \#\{w \in C : s_{uw} > s_{uv}\}
        + \tfrac{1}{2} \#\{w \in C : s_{uw} = s_{uv}\}

    The candidates C are all nodes except u, v and the neighbours of u in ``graph_links``. Other
    true links thus do not worsen a rank ("filtered"). Equal scores get the mean of their ranks, so
    that a constant score gains nothing. No candidates are sampled: the result is exact.

    Source: Bordes et al. (2013), `Translating Embeddings for Modeling Multi-relational Data
    <https://papers.nips.cc/paper/5071>`_, section 4.2 (filtered ranks); Berrendorf et al. (2020),
    `On the Ambiguity of Rank-Based Evaluation <https://arxiv.org/abs/2002.06914>`_, section 3
    (realistic ranks, the mean over ties).

    Args:
        scores: Function from nodes of shape ``(B,)``, distinct and ascending, to the scores of
            all nodes as their partners, shape ``(B, N)``; any monotone function of the
            probability, possibly infinite. Its result is not modified.
        links: Held-out links to rank, shape ``(2, P)``.
        graph_links: All known links, of training, validation and test, in either or both
            directions, shape ``(2, M)``, with or without the ranked links.
        num_nodes: N.

    Returns:
        Ranks from 1, the best, to the number of candidates plus 1, float64, shape ``(2, P)``:
        first ``links[1]`` among the candidates of ``links[0]``, then the reverse.

    Raises:
        DataError: If an index is out of range, or the scores have another shape.
        NumericalError: If a score is NaN.
    """
    near = checked_edges(links, num_nodes).flatten()
    far = links.long().flip(0).flatten()
    excluded = known_pairs(graph_links, num_nodes)
    ranks = torch.ones(len(near), dtype=torch.float64, device=links.device)
    # Equal ends are adjacent, so that a node is scored once; its scores are copied for each end.
    order = near.argsort(stable=True)
    for ends in order.split(max(1, _BLOCK // (2 * num_nodes))) if len(order) else ():
        nodes, place = near[ends].unique(return_inverse=True)
        block = _checked(scores(nodes), len(nodes), num_nodes)[place]
        ranks[ends] = _ranks(block, far[ends], excluded[near[ends].cpu().numpy()]).to(ranks)
    return ranks.view(2, -1)


def known_pairs(links: Tensor, num_nodes: int) -> sp.csr_array:
    """Return a symmetric int32 matrix (N, N), positive at links and on the diagonal.

    ``links`` of shape ``(2, M)`` may have both directions and repeats; an index that is out of
    range raises ``DataError``.
    """
    u, v = checked_edges(links, num_nodes).cpu().numpy()
    nodes = np.arange(num_nodes)
    row, column = np.concatenate([u, v, nodes]), np.concatenate([v, u, nodes])
    entries = (np.ones(len(row), dtype=np.int32), (row, column))
    return sp.coo_array(entries, shape=(num_nodes, num_nodes)).tocsr()


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
