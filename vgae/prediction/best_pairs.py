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
        """Return finite, modifiable scores of nodes (B,) with nodes from ``first`` on."""
        ...


class InnerProducts:
    r"""Scores :math:`s_{uv} = a_u \cdot b_v`, the same for (u, v) and (v, u).

    Args:
        left: The vectors :math:`a_u`, shape ``(N, d)``.
        right: The vectors :math:`b_v`, shape ``(N, d)``.
    """

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left, self.right = left.double(), right.double()
        self._buffer = self.left.new_empty(0)

    def __call__(self, nodes: Tensor, first: int) -> Tensor:
        """Return float64 scores, shape ``(B, N - first)``, valid until the next call."""
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
        node: Numbers of the partners, shape ``(B, k)``.
        score: Scores, float32, shape ``(B, k)``; minus infinity where there are fewer than k.
    """

    node: Tensor
    score: Tensor


class Pairs(NamedTuple):
    """The best pairs of a graph, best first, equal scores by number.

    Attributes:
        nodes: Pairs ``(u, v)`` with ``u < v``, shape ``(2, P)``.
        score: Scores, float32, shape ``(P,)``.
    """

    nodes: Tensor
    score: Tensor


def best_partners(
    scores: Scores, known: sp.csr_array, nodes: Tensor, k: int, show: Show = lambda _: None
) -> Partners:
    """Find the k best partners of each node among those without a known link to it.

    Args:
        scores: Scores of all pairs.
        known: Matrix that is non-zero where a pair is no candidate, shape ``(N, N)``.
        nodes: Nodes that get partners, shape ``(B,)``, on the device of the scores.
        k: Number of partners, at most N.
        show: Called with the number of nodes done.
    """
    found = [Partners(nodes.new_empty(0, k), torch.empty(0, k, device=nodes.device))]
    done = 0
    for chunk in nodes.split(max(1, _PARTNERS_BLOCK // (len(known.indptr) - 1))):
        block = scores(chunk, 0)
        rows, columns = _entries(known, chunk)
        block[rows, columns] = -torch.inf
        found.append(_best_columns(block, k))
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
    code = torch.empty(0, dtype=torch.int64, device=device)
    score = torch.empty(0, device=device)
    least, most = -math.inf, k + max(k, _PAIRS_BLOCK)
    first = 0
    while first < num_nodes:  # each block of nodes is scored with itself and the nodes after it
        last = min(first + max(1, _PAIRS_BLOCK // (num_nodes - first)), num_nodes)
        nodes = torch.arange(first, last, device=device)
        block = scores(nodes, first)
        square = block[:, : len(nodes)]
        square.masked_fill_(torch.ones_like(square, dtype=torch.bool).tril(), -torch.inf)
        rows, columns = _entries(known, nodes)
        ahead = columns >= first
        block[rows[ahead], columns[ahead] - first] = -torch.inf
        # A later pair that ties with the worst kept pair loses by its number.
        if bool(block.amax() > least):
            rows, columns = (block > least).nonzero(as_tuple=True)
            score = torch.cat([score, block[rows, columns].float()])
            code = torch.cat([code, nodes[rows] * num_nodes + columns + first])
        if len(code) > most:
            kept = _highest(score[None], k)[0]
            code, score = code[kept], score[kept]
            least = float(score.min())
        first = last
        show(last)
    # Codes are ascending, so that the first of equal scores have the lowest numbers.
    score, order = score.sort(descending=True, stable=True)
    code = code[order[:k]]
    return Pairs(torch.stack([code // num_nodes, code % num_nodes]), score[:k])


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
            rows, columns = _entries(known, chunk)
            row_starts = torch.arange(len(chunk))[:, None] * num_nodes
            is_known = torch.isin(row_starts + found, rows * num_nodes + columns)
            best = _best_columns(score.masked_fill_(is_known, -torch.inf), k)
            partners.node[place], partners.score[place] = found.gather(1, best.node), best.score
            not_found = torch.from_numpy(near[:, -1]) + rounding[chunk]
            sure[place] = (best.score[:, -1] > not_found) | (size >= num_nodes)
            show(int(sure.sum()))
    unsure = (~sure).nonzero()[:, 0]
    partners.node[unsure], partners.score[unsure] = best_partners(
        scores, known, nodes[unsure], k, show=lambda done: show(len(nodes) - len(unsure) + done)
    )
    return partners


def partners_bytes(num_nodes: int, num_wanted: int, k: int) -> int:
    """Predict the memory of :func:`best_partners` beside the vectors and the known pairs."""
    block = min(max(_PARTNERS_BLOCK, num_nodes), num_nodes * num_wanted)
    return int(block * (8 + 80 * math.sqrt(k / num_nodes)) + 70 * num_wanted * k)


def pairs_bytes(num_nodes: int, k: int) -> int:
    """Predict the memory of :func:`best_pairs` beside the vectors and the known pairs."""
    block = min(max(_PAIRS_BLOCK, num_nodes), num_nodes**2)
    k = min(k, num_nodes**2)
    return 60 * block + 50 * (k + max(k, block))


def _entries(known: sp.csr_array, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns of the non-zero entries in the rows ``nodes``."""
    rows, columns = map(torch.from_numpy, known[nodes.cpu().numpy()].nonzero())
    return rows.long().to(nodes.device), columns.long().to(nodes.device)


def _best_columns(block: Tensor, k: int) -> Partners:
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
