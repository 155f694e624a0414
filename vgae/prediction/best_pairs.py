"""Search for the pairs of nodes of the highest scores, in blocks of the N x N scores.

Inner products are summed in float64 and rounded to float32, so that nodes with equal vectors tie
exactly, for any size of a block and any order of the sum.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.runtime.tables import optional_module

# Largest number of scores held at once, if at least N. The search for pairs also lists positions.
_PARTNERS_BLOCK, _PAIRS_BLOCK = 1 << 22, 1 << 20
_PRODUCTS_AT_ONCE, _FOUND_AT_ONCE = 1 << 17, 1 << 19
# torch uses one thread below this size. On busy cores, waiting for other threads takes longer than
# many small steps.
_ONE_THREAD = 1 << 15
_MOST_NEIGHBOURS = 1024  # requested of an index; nodes with more links are searched without it

Show = Callable[[int], object]


class Scores(Protocol):
    """A function that scores pairs block by block."""

    def __call__(self, nodes: Tensor, first: int) -> Tensor:
        """Return finite, modifiable scores of nodes (B,) with candidates from ``first`` on."""
        ...


class InnerProducts:
    r"""Scores :math:`s_{uv} = a_u \cdot b_v` of nodes u with candidates v.

    Args:
        left: The vectors :math:`a_u`, shape ``(N, d)``.
        right: The vectors :math:`b_v` of the m candidates, shape ``(m, d)``; often m = N.
    """

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left, self.right = left.double(), right.double()
        self._buffer = self.left.new_empty(0)

    def __call__(self, nodes: Tensor, first: int) -> Tensor:
        """Return float64 scores, shape ``(B, m - first)``, valid until the next call."""
        shape = len(nodes), len(self.right) - first
        size = math.prod(shape)
        if len(self._buffer) < size:
            # Reused, because the system zeroes the pages of every new allocation of this size.
            self._buffer = self.left.new_empty(size)
        out = self._buffer[:size].view(shape)
        return torch.mm(self.left.index_select(0, nodes), self.right[first:].T, out=out)

    def of_pairs(self, pairs: Tensor) -> Tensor:
        """Return the float32 scores of pairs of shape ``(2, P)``, shape ``(P,)``."""
        chunks = pairs.split(_PRODUCTS_AT_ONCE, dim=1)
        return torch.cat([(self.left[u] * self.right[v]).sum(1).float() for u, v in chunks])


class Partners(NamedTuple):
    """The best partners of nodes, best first, equal scores by number.

    Attributes:
        node: Places of the partners among the candidates, shape ``(B, k)``.
        score: Scores, float32, shape ``(B, k)``; minus infinity where there are fewer than k.
    """

    node: Tensor
    score: Tensor


class Pairs(NamedTuple):
    """The best pairs of a graph, best first, equal scores by number.

    Attributes:
        nodes: Pairs, shape ``(2, P)``.
        score: Scores, float32, shape ``(P,)``.
    """

    nodes: Tensor
    score: Tensor


def best_partners(
    scores: Scores, known: sp.csr_array, nodes: Tensor, k: int, show: Show = lambda _: None
) -> Partners:
    """Find the k best partners of each node among the candidates without a known link to it.

    Args:
        scores: Scores of all pairs.
        known: Matrix that is non-zero where a pair is no link to propose, shape ``(N, m)``.
        nodes: Nodes that get partners, shape ``(B,)``, on the device of the scores.
        k: Number of partners, at most m.
        show: Called with the number of nodes done.
    """
    found = [Partners(nodes.new_empty(0, k), torch.empty(0, k, device=nodes.device))]
    done = 0
    num_candidates: int = known.shape[1]  # pyright: ignore[reportOptionalSubscript]
    for chunk in nodes.split(max(1, _PARTNERS_BLOCK // num_candidates)):
        block = scores(chunk, 0)
        rows, columns = entries(known, chunk)
        block[rows, columns] = -torch.inf
        found.append(best_columns(block, k))
        done += len(chunk)
        show(done)
    return Partners(*map(torch.cat, zip(*found, strict=True)))


def best_pairs(
    scores: Scores, known: sp.csr_array, k: int, device: torch.device, show: Show = lambda _: None
) -> Pairs:
    """Find the k best pairs u < v without a known link.

    Pairs that cannot be among the k best are dropped at once: beside a block, about 2 k pairs are
    held.

    Args:
        scores: Scores of all pairs.
        known: Matrix that is non-zero where a pair is no candidate, shape ``(N, N)``.
        k: Number of pairs.
        device: Device of the scores.
        show: Called with the number of nodes done.
    """
    num_nodes = len(known.indptr) - 1
    best = _Best(k, device)
    first = 0
    while first < num_nodes:  # each block of nodes is scored with itself and the nodes after it
        last = min(first + max(1, _PAIRS_BLOCK // (num_nodes - first)), num_nodes)
        nodes = torch.arange(first, last, device=device)
        block = scores(nodes, first)
        square = block[:, : len(nodes)]
        square.masked_fill_(torch.ones_like(square, dtype=torch.bool).tril(), -torch.inf)
        rows, columns = entries(known, nodes)
        ahead = columns >= first
        block[rows[ahead], columns[ahead] - first] = -torch.inf
        best.add(block, nodes * num_nodes + first)
        first = last
        show(last)
    code, score = best.sorted()
    return Pairs(torch.stack([code // num_nodes, code % num_nodes]), score)


def best_pairs_between(
    scores: Scores,
    known: sp.csr_array,
    nodes: Tensor,
    candidates: Tensor,
    k: int,
    *,
    ordered: bool,
    show: Show = lambda _: None,
) -> Pairs:
    """Find the k best pairs of one of these nodes and a candidate, without a known link.

    Args:
        scores: Scores of nodes with candidates.
        known: Matrix that is non-zero where a pair is no link to propose, shape ``(N, m)``.
        nodes: First nodes of the pairs, ascending, on the device of the scores, shape ``(n,)``.
        candidates: Second nodes, ascending, shape ``(m,)``.
        k: Number of pairs.
        ordered: Whether (u, v) and (v, u) are different pairs; else each is found once.
        show: Called with the number of nodes done.
    """
    width = len(candidates)
    both = torch.isin(nodes, candidates), torch.isin(candidates, nodes)
    best = _Best(k, nodes.device)
    for places in torch.arange(len(nodes), device=nodes.device).split(
        max(1, _PAIRS_BLOCK // width)
    ):
        chunk = nodes[places]
        block = scores(chunk, 0)
        rows, columns = entries(known, chunk)
        block[rows, columns] = -torch.inf
        if not ordered:
            again = candidates < chunk[:, None]
            block.masked_fill_(again & both[0][places, None] & both[1], -torch.inf)
        best.add(block, places * width)
        show(int(places[-1]) + 1)
    code, score = best.sorted()
    return Pairs(torch.stack([nodes[code // width], candidates[code % width]]), score)


class _Best:
    """The k best pairs of blocks whose codes, which are numbers of pairs, ascend."""

    def __init__(self, k: int, device: torch.device) -> None:
        self.k, self.most = k, k + max(k, _PAIRS_BLOCK)
        self.code = torch.empty(0, dtype=torch.int64, device=device)
        self.score = torch.empty(0, device=device)
        self.least = -math.inf

    def add(self, block: Tensor, starts: Tensor) -> None:
        """Add the scores of a block, given the code of the first entry of each row."""
        # A later pair that ties with the worst kept pair loses by its number.
        if bool(block.amax() > self.least):
            rows, columns = (block > self.least).nonzero(as_tuple=True)
            self.score = torch.cat([self.score, block[rows, columns].float()])
            self.code = torch.cat([self.code, starts[rows] + columns])
        if len(self.code) > self.most:
            kept = _highest(self.score[None], self.k)[0]
            self.code, self.score = self.code[kept], self.score[kept]
            self.least = float(self.score.min())

    def sorted(self) -> tuple[Tensor, Tensor]:
        """Return the codes and scores of the k best pairs, best first."""
        # Codes are ascending, so that the first of equal scores have the lowest numbers.
        score, order = self.score.sort(descending=True, stable=True)
        return self.code[order[: self.k]], score[: self.k]


def indexed_partners(
    scores: InnerProducts, known: sp.csr_array, nodes: Tensor, k: int, show: Show = lambda _: None
) -> Partners:
    """Return the result of :func:`best_partners` by an exact index of FAISS, on the CPU.

    The index compares in float32. Where, within the error of a float32 sum, a node that it left
    out may be as good as those that it found, :func:`best_partners` decides.

    Raises:
        UsageError: If FAISS is not installed.
    """
    faiss = optional_module("faiss", "faiss")
    num_nodes, num_channels = scores.right.shape
    index = faiss.IndexFlatIP(num_channels)
    index.add(scores.right.float().numpy())
    # All known partners may be found first; one more bounds the scores of the nodes not found.
    wanted = 2 ** np.ceil(np.log2(k + np.diff(known.indptr)[nodes] + 1)).astype(np.int64)
    longest = scores.right.norm(dim=1).max()
    rounding = (num_channels + 4) * 2.0**-23 * scores.left.norm(dim=1) * longest
    partners = Partners(nodes.new_zeros(len(nodes), k), torch.zeros(len(nodes), k))
    sure = torch.zeros(len(nodes), dtype=torch.bool)
    for size in np.unique(wanted[wanted <= _MOST_NEIGHBOURS]).tolist():
        places = torch.from_numpy(np.flatnonzero(wanted == size))
        for place in places.split(_FOUND_AT_ONCE // size):
            chunk = nodes[place]
            near, found = index.search(scores.left[chunk].float().numpy(), min(size, num_nodes))
            found = torch.from_numpy(found).sort(dim=1).values
            pairs = torch.stack([chunk[:, None].expand_as(found), found]).flatten(1)
            score = scores.of_pairs(pairs).view_as(found)
            rows, columns = entries(known, chunk)
            row_starts = torch.arange(len(chunk))[:, None] * num_nodes
            is_known = torch.isin(row_starts + found, rows * num_nodes + columns)
            best = best_columns(score.masked_fill_(is_known, -torch.inf), k)
            partners.node[place], partners.score[place] = found.gather(1, best.node), best.score
            not_found = torch.from_numpy(near[:, -1]) + rounding[chunk]
            sure[place] = (best.score[:, -1] > not_found) | (size >= num_nodes)
            show(int(sure.sum()))
    unsure = (~sure).nonzero()[:, 0]
    partners.node[unsure], partners.score[unsure] = best_partners(
        scores, known, nodes[unsure], k, show=lambda done: show(len(nodes) - len(unsure) + done)
    )
    return partners


def partners_bytes(num_candidates: int, num_wanted: int, k: int) -> int:
    """Predict the memory of :func:`best_partners` beside the vectors and the known pairs."""
    block = min(max(_PARTNERS_BLOCK, num_candidates), num_candidates * num_wanted)
    return int(block * (8 + 80 * math.sqrt(k / num_candidates)) + 70 * num_wanted * k)


def pairs_bytes(num_nodes: int, num_candidates: int, k: int) -> int:
    """Predict the memory of the searches for pairs beside the vectors and the known pairs."""
    most = num_nodes * num_candidates
    block = min(max(_PAIRS_BLOCK, num_candidates), most)
    k = min(k, most)
    return 60 * block + 50 * (k + max(k, block))


def entries(known: sp.csr_array, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns of the non-zero entries in the rows ``nodes``."""
    rows, columns = map(torch.from_numpy, known[nodes.cpu().numpy()].nonzero())
    return rows.long().to(nodes.device), columns.long().to(nodes.device)


def best_columns(block: Tensor, k: int) -> Partners:
    """Return the k highest entries of each row, best first.

    They lie in the k groups of columns with the highest maxima, since those k maxima are at least
    as high as any entry of another group. So no row is sorted as a whole.
    """
    num_columns = block.shape[1]
    width = math.isqrt(num_columns // k)
    count = num_columns // width
    maxima = block[:, : count * width].unflatten(1, (count, width)).amax(2)
    size = len(block)
    if block.device.type == "cpu":
        size = max(1, _ONE_THREAD // max(count, (k + 1) * width))
    parts = zip(block.split(size), maxima.split(size), strict=True)
    found = [_best_of_groups(part, highest, k, width) for part, highest in parts]
    return Partners(*map(torch.cat, zip(*found, strict=True)))


def _best_of_groups(block: Tensor, maxima: Tensor, k: int, width: int) -> Partners:
    """Return the k highest entries of each row, given the maxima of groups of columns."""
    chosen = _highest(maxima.float(), k)
    columns = chosen[:, :, None] * width + torch.arange(width, device=block.device)
    rest = torch.arange(maxima.shape[1] * width, block.shape[1], device=block.device)
    columns = torch.cat([columns.flatten(1), rest.expand(len(block), -1)], dim=1)
    score = block.gather(1, columns).float()
    best = _highest(score, k)
    score, order = score.gather(1, best).sort(dim=1, descending=True, stable=True)
    return Partners(columns.gather(1, best).gather(1, order), score)


def _highest(values: Tensor, k: int) -> Tensor:
    """Return the columns of the k highest entries of each row, ascending; ties by column."""
    least = values.topk(k, sorted=False).values.amin(1, keepdim=True)
    above, equal = values > least, values == least
    missing = k - above.sum(1, keepdim=True)
    return (above | (equal & (equal.cumsum(1) <= missing))).nonzero()[:, 1].view(-1, k)
