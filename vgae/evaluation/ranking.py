"""link_ranks: where each held-out link stands among all nodes, known links left out."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, NumericalError
from vgae.kernels.csr import checked_edges


def link_ranks(
    scores: Callable[[Tensor], Tensor],
    links: Tensor,
    graph_links: Tensor,
    num_nodes: int,
    *,
    max_entries: int = 1 << 24,
) -> Tensor:
    r"""Rank the far end of each link among all nodes that its near end is not known to link to.

    .. math:: r(u \to v) = 1 + \#\{w \in C : s_{uw} > s_{uv}\}
        + \tfrac{1}{2} \#\{w \in C : s_{uw} = s_{uv}\}

    The candidates C are all nodes but u, v and the nodes that ``graph_links`` links to u. Links
    that are known to be true are thus never counted against the one that is ranked ("filtered").
    Equal scores share the mean of their places, so that a constant score gains nothing.

    The result is exact: no candidates are sampled. It does not depend on ``max_entries``.

    Source: Bordes et al. (2013), `Translating Embeddings for Modeling Multi-relational Data
    <https://papers.nips.cc/paper/5071>`_, section 4.2 (filtered ranks); Berrendorf et al. (2020),
    `On the Ambiguity of Rank-Based Evaluation <https://arxiv.org/abs/2002.06914>`_, section 3
    (realistic ranks, the mean over ties).

    Args:
        scores: Given nodes of shape ``(B,)``, distinct and ascending, returns the score of every
            node as partner of each, shape ``(B, N)``; any monotone function of the probability.
            Infinite scores are ranked like others. What it returns is left as it is.
        links: Held-out links to be ranked, shape ``(2, P)``.
        graph_links: All known links, of training, validation and test, in either or both
            directions, shape ``(2, M)``. It need not hold the links that are ranked.
        num_nodes: N.
        max_entries: Most scores held at once, if it is at least ``2 N``.

    Returns:
        Ranks from 1, the best, to the number of candidates plus 1, float64, shape ``(2, P)``:
        first that of ``links[1]`` among the candidates of ``links[0]``, then the reverse.

    Raises:
        DataError: If an index is out of range, or the scores have another shape.
        NumericalError: If a score is NaN.
    """
    near = checked_edges(links, num_nodes).flatten()
    far = links.long().flip(0).flatten()
    excluded = known_pairs(graph_links, num_nodes)
    ranks = torch.ones(len(near), dtype=torch.float64, device=links.device)
    # Ends of one node stand together, so that it is scored once; its scores are copied per end.
    order = near.argsort(stable=True)
    for ends in order.split(max(1, max_entries // (2 * num_nodes))) if len(order) else ():
        nodes, place = near[ends].unique(return_inverse=True)
        block = _checked(scores(nodes), len(nodes), num_nodes)[place]
        ranks[ends] = _ranks(block, far[ends], excluded[near[ends].cpu().numpy()]).to(ranks)
    return ranks.view(2, -1)


def known_pairs(links: Tensor, num_nodes: int) -> sp.csr_array:
    """Return what no node is asked for: itself and the nodes it is known to be linked to.

    Args:
        links: Links in either or both directions, repeats allowed, shape ``(2, M)``.
        num_nodes: N.

    Returns:
        Symmetric matrix, positive at such pairs and on the diagonal, int32, shape ``(N, N)``.

    Raises:
        DataError: If an index is out of range.
    """
    u, v = checked_edges(links, num_nodes).cpu().numpy()
    nodes = np.arange(num_nodes)
    row, column = np.concatenate([u, v, nodes]), np.concatenate([v, u, nodes])
    entries = (np.ones(len(row), dtype=np.int32), (row, column))
    return sp.coo_array(entries, shape=(num_nodes, num_nodes)).tocsr()


def _ranks(block: Tensor, far: Tensor, excluded: sp.csr_array) -> Tensor:
    """Return the rank of one node in each row, shape ``(B,)``; ``block`` is overwritten.

    Args:
        block: Scores without NaN, shape ``(B, N)``.
        far: The node to be ranked in each row, shape ``(B,)``.
        excluded: Positive where a node is no candidate, shape ``(B, N)``.
    """
    far = far.to(block.device)[:, None]
    own = block.gather(1, far)
    rows, columns = (torch.from_numpy(i).long().to(block.device) for i in excluded.nonzero())
    # NaN is neither above nor equal to any score; -inf would tie with a score of -inf.
    block[rows, columns] = torch.nan
    block.scatter_(1, far, torch.nan)
    above = (block > own).sum(dim=1)
    return 1 + above + (block == own).sum(dim=1).double() / 2


def _checked(scores: Tensor, num_rows: int, num_nodes: int) -> Tensor:
    """Return scores as floating point without gradient, or raise if they cannot be ranked."""
    if scores.shape != (num_rows, num_nodes):
        raise DataError(
            "SCORES_SHAPE",
            f"scores must return one row per node it is given and one column per node, shape"
            f" ({num_rows}, {num_nodes}), got {tuple(scores.shape)}.",
        )
    scores = scores.detach()
    if not scores.is_floating_point():
        scores = scores.double()
    if bool(scores.isnan().any()):
        raise NumericalError(
            "SCORES_NONFINITE", f"{int(scores.isnan().sum())} scores are NaN and have no rank."
        )
    return scores
