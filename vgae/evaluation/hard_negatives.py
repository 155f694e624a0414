"""Hard negatives: non-links that look like links, to rank each held-out link against (HeaRT)."""

from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import safe_sparse_dot
from torch import Tensor

from vgae.errors import DataError, UsageError, check_choice
from vgae.graphs.arrays import scipy_from_tensor
from vgae.graphs.grid import Grid
from vgae.kernels.csr import checked_edges

Rule = Literal["positive", "heart"]

_RESTART, _MOST_STEPS, _SMALLEST_CHANGE = 0.15, 50, 1e-6  # of PageRank
_BLOCK = 1 << 21  # largest size of a dense (nodes, N) matrix; about ten are held at once
_PER_LINK = 500  # of Li et al. (2023)


class Hard(NamedTuple):
    """Number of hard non-links of each link, 0 for none, and their rule."""

    per_link: int = 0
    rule: Rule = "positive"

    @classmethod
    def of(cls, hard: int | str) -> "Hard":
        """Return what ``500``, ``"heart"`` (500 by the rule ``"heart"``) or ``"heart:100"`` names.

        Raises:
            UsageError: ``HARD`` for anything else, an odd number among it.
        """
        rule, colon, number = str(hard).rpartition(":")
        if str(hard) == "heart":
            return cls(_PER_LINK, "heart")
        even = number.isdecimal() and int(number) % 2 == 0 and (int(number) > 0 or not colon)
        if even and (rule == "heart") == bool(colon):
            return cls(int(number), "heart" if colon else "positive")
        raise UsageError(
            "HARD",
            "hard (--hard) must be an even number, half for each end of a link, such as 500, or"
            f" heart or heart:100 for HeaRT's rule, got {hard!r:.60}.",
        )


def hard_negatives(
    graph_links: Tensor,
    held_out: Tensor,
    message_links: Tensor,
    x: Tensor | None,
    num_nodes: int,
    *,
    per_link: int = 500,
    generator: torch.Generator,
    grid: Grid | None = None,
    rule: Rule = "positive",
) -> Tensor:
    r"""Return the K non-links of each held-out link that heuristics score highest (HeaRT).

    Half of the K pairs of a link (u, v) keep u and half keep v. Their other ends are the
    candidates w of the lowest rank

    .. math:: r(w) = \min(r_{RA}(w), r_{PPR}(w), r_{cos}(w))

    under resource allocation, personalised PageRank and the cosine of the features. For a
    heuristic with scores s and largest score t, :math:`r(w) = 1 + \#\{w' : s_w \le s_{w'} < t\}`
    where :math:`s_w > 0`. Elsewhere it depends on the rule:

    - ``"positive"``: r(w) = N where :math:`s_w = 0`; a negative cosine counts as 0. Nodes for
      which all heuristics are 0 come last. No link of ``graph_links`` and no held-out link is a
      negative of any link.
    - ``"heart"``: with R the highest rank of a score above 0, or 0 if there are none, r(w) = R + 1
      where :math:`s_w = 0` and R + 2 where it is negative. :math:`|N(u) \cap N(w)| / d_w` takes
      the place of resource allocation, as HeaRT's code computes it. Since few nodes have a common
      neighbour, nearly all nodes tie near the front: on CiteSeer nine in ten negatives are
      arbitrary nodes. The negatives of a link are no links of ``graph_links`` and not the link
      itself; they may be other held-out links, for which a model is then penalised. HeaRT excludes
      the training links for validation, and those of training and validation for test.

    Equal ranks are ordered at random, and no node is drawn twice.

    Source: Li et al. (2023), `Evaluating Graph Neural Networks for Link Prediction
    <https://arxiv.org/abs/2306.10453>`_, section 4, and ``create_heart_negatives.py`` of their
    code (``Juanhui28/HeaRT``, ``--agg min``). The rule ``"heart"`` has the ranks of its published
    files where a node is the end of a held-out link for the first time. There the code overwrites
    the similarities of the node by their ranks, so that every second time the most similar nodes
    rank last, which this rule does not repeat. Other differences: ``torch.topk`` orders equal
    ranks; PageRank is a local push instead of a power iteration; nodes for which all heuristics
    are 0 may be drawn twice.

    In a directed graph the heuristics ignore direction, so that reversed links are among the
    hardest non-links. In a two-sided graph, w is of the side of the node that it replaces, and
    the paths of length 3 of Kovács et al. (2019), `Network-based prediction of protein
    interactions`, replace resource allocation, which is 0 across.

    Args:
        graph_links: All known links, of training, validation and test, shape ``(2, M)``; for the
            rule ``"heart"``, those known when the held-out links are to be predicted.
        held_out: Links to rank, shape ``(2, P)``.
        message_links: Training links, the only input of the heuristics beside x, each once, shape
            ``(2, M_train)``.
        x: Node features, dense or sparse CSR, shape ``(N, F)``; ``None`` omits the cosine.
        num_nodes: N.
        per_link: K, even.
        generator: Generator of the order of equal ranks.
        grid: The pairs that may be links; by default those of an undirected graph.
        rule: Which nodes are candidates, and their ranks at a score of 0.

    Returns:
        Source and target of each pair, int64, shape ``(2, P, K)``. ``[:, p, : K // 2]`` keep
        ``held_out[0, p]`` as source and the rest ``held_out[1, p]`` as target, best first.

    Raises:
        UsageError: If ``per_link`` is not even and positive, or there is no such rule.
        DataError: If an end has fewer than ``K / 2`` candidates, or the shapes do not match.
    """
    check_choice("rule", rule, Rule)
    if per_link < 2 or per_link % 2:
        raise UsageError("PER_LINK", f"per_link must be even and positive, got {per_link}.")
    if x is not None and (x.dim() != 2 or len(x) != num_nodes):
        got = f"got {tuple(x.shape)}"
        raise DataError("NODE_SET_MISMATCH", f"x must have shape ({num_nodes}, F), {got}.")
    grid = grid or Grid(num_nodes)
    heuristics = _Heuristics(message_links, x, grid, rule)
    held_out, half = checked_edges(held_out, num_nodes), per_link // 2
    known = torch.cat([graph_links, message_links], dim=1)
    if rule == "positive":
        known = torch.cat([known, held_out], dim=1)
    excluded = grid.known(checked_edges(known, num_nodes))
    if grid.directed:
        sources = grid.known(known, reverse=True)
        new_v, new_u = (
            _hardest(heuristics, pairs, matrix, half, generator)
            for pairs, matrix in ((held_out, excluded), (held_out.flip(0), sources))
        )
    else:
        both = torch.cat([held_out, held_out.flip(0)], dim=1)
        others = _hardest(heuristics, both, excluded, half, generator)
        new_v, new_u = others.view(2, -1, half)
    kept_u, kept_v = held_out[:, :, None].expand(-1, -1, half)
    return torch.stack([torch.cat([kept_u, new_u], dim=1), torch.cat([new_v, kept_v], dim=1)])


def _hardest(
    heuristics: "_Heuristics",
    pairs: Tensor,
    excluded: sp.csr_array,
    half: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the partners of the first node of each pair of the lowest rank, ``(P, half)``.

    The second node is no candidate either.
    """
    grid, (ends, partners) = heuristics.grid, pairs
    available = grid.num_nodes - np.diff(excluded.indptr)[ends.numpy()] - _num_others(grid, ends)
    if heuristics.rule == "heart":
        available -= np.asarray(excluded[tuple(pairs.numpy())]).ravel() == 0
    if available.size and (fewest := int(available.min())) < half:
        possible = f"at most {2 * fewest} are possible" if fewest else "no per_link is possible"
        end = f"an end of a held-out link has only {fewest} nodes it is not linked to"
        raise DataError("NO_NEGATIVES", f"per_link is {2 * half}, but {end}; {possible}.")
    found = torch.empty(len(ends), half, dtype=torch.int64)
    # Equal ends are adjacent, so that the heuristics of a node are computed once.
    order = ends.argsort(stable=True)
    for chunk in order.split(max(1, _BLOCK // grid.num_nodes)) if len(order) else ():
        nodes, place = ends[chunk].unique(return_inverse=True)
        rank = heuristics.ranks(nodes, excluded, place, partners[chunk])
        # Ranks are integers, so a random fraction orders equal ranks only.
        rank += torch.rand(rank.shape, generator=generator, dtype=rank.dtype)
        found[chunk] = rank.topk(half, largest=False).indices
    return found


def _num_others(grid: Grid, ends: Tensor) -> np.ndarray:
    """Return the number of nodes other than each end that may not be its partners."""
    counts = [torch.zeros(0, dtype=torch.int64)]
    for nodes in ends.split(max(1, _BLOCK // grid.num_nodes)):
        if (others := grid.others(nodes)) is None:
            return np.zeros(len(ends), dtype=int)
        counts.append(others.sum(dim=1) - others.gather(1, nodes[:, None])[:, 0].long())
    return torch.cat(counts).numpy()


class _Heuristics:
    """Scores of all nodes as partners of given nodes, from training links and features."""

    def __init__(
        self, links: Tensor, x: Tensor | None, grid: Grid, rule: Rule = "positive"
    ) -> None:
        adj = Grid(grid.num_nodes).known(checked_edges(links, grid.num_nodes))
        adj.setdiag(0)
        adj.eliminate_zeros()
        adj.data = np.ones(adj.nnz)
        self.adj, self.grid, self.num_nodes, self.rule = adj, grid, grid.num_nodes, rule
        self.transition = sp.csr_array(normalize(adj, "l1", axis=0))  # A D^-1
        local = self.shared_by_degree if rule == "heart" else self.resource_allocation
        if grid.sides is not None:
            local = self.three_paths
        self.scores = [local, self.pagerank]
        if x is not None:
            x = x.detach().cpu()
            rows = x.numpy() if x.layout == torch.strided else scipy_from_tensor(x)
            self.unit_x: Any = normalize(rows.astype(np.float64))
            self.scores.append(self.cosine)

    def ranks(
        self, ends: Tensor, excluded: sp.csr_array, place: Tensor, partners: Tensor
    ) -> Tensor:
        """Return the lowest rank of each candidate, infinite elsewhere, shape ``(P, N)``.

        Args:
            ends: Nodes, shape ``(B,)``.
            excluded: Known pairs, shape ``(N, N)``.
            place: Place in ``ends`` of the node of each pair, shape ``(P,)``.
            partners: Other node of each pair, which is no candidate of this pair, shape ``(P,)``.
        """
        nodes = ends.numpy()
        heart = self.rule == "heart"
        no_candidate = excluded[nodes].nonzero()
        if (others := self.grid.others(ends)) is not None:
            rows, columns = others.numpy().nonzero()
            no_candidate = tuple(map(np.append, no_candidate, (rows, columns)))
        lowest, unlikely = None, None
        for heuristic in self.scores:
            score = heuristic(nodes)
            score[no_candidate] = -1
            # In single precision, sums of the same terms in another order are equal.
            single = torch.from_numpy(score.astype(np.float32))
            if heart:
                single = single[place].scatter_(1, partners[:, None], -1)
            rank, zero = _rank_rows(single, heart=heart), single <= 0
            lowest = rank if lowest is None else torch.minimum(lowest, rank)
            unlikely = zero if unlikely is None else unlikely & zero
        assert lowest is not None
        if not heart:
            lowest[unlikely] = self.num_nodes + 1
            lowest[no_candidate] = torch.inf
            return lowest[place]
        candidate = torch.ones(len(nodes), self.num_nodes, dtype=torch.bool)
        candidate[no_candidate] = False
        candidate = candidate[place].scatter_(1, partners[:, None], value=False)
        return lowest.where(candidate, torch.inf)

    def resource_allocation(self, nodes: np.ndarray) -> np.ndarray:
        r"""Return :math:`\sum_{k \in N(u) \cap N(w)} 1 / d_k`, shape ``(B, N)``."""
        return (self.transition[nodes] @ self.adj).toarray()

    def shared_by_degree(self, nodes: np.ndarray) -> np.ndarray:
        r"""Return :math:`|N(u) \cap N(w)| / d_w`, shape ``(B, N)``."""
        return (self.adj[nodes] @ self.transition).toarray()

    def three_paths(self, nodes: np.ndarray) -> np.ndarray:
        r"""Return :math:`\sum_{k, l} A_{uk} A_{kl} A_{lw} / \sqrt{d_k d_l}`, shape ``(B, N)``."""
        scale = sp.diags_array(np.maximum(self.adj.sum(axis=1), 1) ** -0.5)
        return (self.adj[nodes] @ scale @ self.adj @ scale @ self.adj).toarray()

    def pagerank(self, nodes: np.ndarray) -> np.ndarray:
        r"""Return :math:`a \sum_{t \le 50} (1 - a)^t (A D^{-1})^t e_u`, shape ``(B, N)``.

        The sum for u ends before the first term whose entries are all below 1e-6.
        """
        term = np.zeros((self.num_nodes, len(nodes)))
        term[nodes, np.arange(len(nodes))] = _RESTART
        total = term.copy()
        for _ in range(_MOST_STEPS):
            term = (1 - _RESTART) * np.asarray(self.transition @ term)
            # Each column ends by itself, so that none depends on its block.
            term[:, term.max(axis=0) < _SMALLEST_CHANGE] = 0
            if not term.any():
                break
            total += term
        return np.ascontiguousarray(total.T)

    def cosine(self, nodes: np.ndarray) -> np.ndarray:
        """Return the cosine of the features, shape ``(B, N)``."""
        return safe_sparse_dot(self.unit_x[nodes], self.unit_x.T, dense_output=True)


def _rank_rows(scores: Tensor, *, heart: bool) -> Tensor:
    """Return the rank of each score within its row by a rule, float64."""
    ordered = torch.from_numpy(np.sort(scores.numpy(), axis=1))
    below = torch.searchsorted(ordered, scores, out_int32=True)
    ranks = torch.where(scores > 0, 1 + below.amax(dim=1, keepdim=True) - below, 0)
    others = scores.shape[1]
    if heart:
        others = ranks.amax(dim=1, keepdim=True) + 1 + (scores < 0)
    return torch.where(scores > 0, ranks, others).double()
