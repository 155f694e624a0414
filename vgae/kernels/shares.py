r"""Sums over pairs, links and blocks divided among processes, each of which gets the whole sum.

Inside :func:`vgae.runtime.processes.sharing`, a process computes its share of a sum and of the
gradient, and one all-reduce of the gradient adds the shares. All shares are consecutive: of one
set of N vectors, process r of K has the pairs of the rows from :math:`a_r` on up to
:math:`a_{r+1}` with themselves and, counted twice, with all later rows. That is one sum over one
set and one over two sets, by any implementation, and keeps the factor two of the symmetry. With

.. math:: a_r = N - N \sqrt{1 - r / K}

all processes visit as many pairs.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted, plus
from vgae.kernels.blocks import Blocks, sweep_each
from vgae.kernels.patterns import EdgePattern, PairPattern
from vgae.runtime.processes import ALONE, Team, sharers

# Terms below which each process computes all of a sum: on a CPU that takes less than a
# millisecond, and on a GPU less than a tenth of one, which a message takes, too.
_FEWEST = {"cpu": 1 << 20, "cuda": 1 << 27}
_LARGEST = 2000  # rows of a block whose pairs belong to one process
_DIGITS = 3  # floats of 24 bits that hold one of 53


def sharers_of(num_terms: int, device: torch.device) -> Team:
    """Return the processes that divide a sum: this one alone, if the sum is small.

    The choice depends on sizes and on the kind of device only, as all processes must agree.
    """
    team = sharers()
    small = team.size > 1 and num_terms < _FEWEST.get(device.type, _FEWEST["cpu"])
    return ALONE if small else team


def added(share: Sweep, wanted: Wanted, team: Team) -> Sweep:
    """Return the sum of the shares of all processes, with equal bits in each, by one message.

    The total of each process has a place of its own in the message, in so many numbers that it
    keeps the precision of float64.
    """
    like = share.grad_z
    bias = share.grad_bias if wanted.grad_bias else share.total
    rest = torch.stack([share.total, bias.to(torch.float64)])
    places = like.new_zeros(team.size, _DIGITS, 2)
    for place in places[team.rank]:
        place.copy_(rest)
        rest = rest - place.double()
    size = like.numel() if wanted.grad_z else 0
    message = torch.cat([like.reshape(-1)[:size], places.view(-1)])
    team.sum_([message])
    total, grad_bias = message[size:].view_as(places).double().sum(dim=1).sum(dim=0)
    grad_z = message[:size].view(like.shape) if wanted.grad_z else like
    return Sweep(total, grad_z, grad_bias.to(bias.dtype))


def triangle(count: int, team: Team) -> tuple[slice, slice]:
    """Return the rows of this process, whose pairs are with these and all later ones, and those.

    The pairs of two of ``count`` rows, in no order, are divided equally.
    """
    left = (math.isqrt(count**2 * (team.size - team.rank - k) // team.size) for k in (0, 1))
    first, last = (count - rows for rows in left)
    return slice(first, last), slice(last, count)


def pairs_share(
    sweep: Callable[..., Sweep],
    team: Team,
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
) -> Sweep:
    """Return this process's share of the sum over all pairs.

    Args:
        sweep: Sum over all pairs of one set or of two sets of vectors, none of them empty.
        team: Processes.
        z: Vectors, shape ``(n, d)``.
        bias: Bias of the logits.
        wanted: Results to compute.
        w: Vectors of a second set, shape ``(m, d)``; the rows of the larger set are divided.
        signature: Factors of the dimensions, without ``w``.
    """
    if w is not None:
        found, of_w = _zero(torch.cat([z, w])), len(w) > len(z)
        part = rows_of(w if of_w else z, team)
        x, y = (z, w[part]) if of_w else (z[part], w)
        if len(x) and len(y):
            start = len(z) + (part.start if of_w else 0)
            rows = slice(0, len(x)) if of_w else part
            places = [rows, slice(start, start + len(y))]
            _add(found, sweep(x, bias, wanted, w=y), 1, places, wanted)
        return found
    found, (own, later) = _zero(z), triangle(len(z), team)
    x, y = z[own], z[later]
    options = {} if signature is None else {"signature": signature}
    if len(x):
        _add(found, sweep(x, bias, wanted, **options), 1, [own], wanted)
    if len(x) and len(y):
        across = sweep(x if signature is None else x * signature, bias, wanted, w=y)
        if signature is not None:
            across.grad_z[: len(x)] *= signature
        _add(found, across, 2, [own, later], wanted)
    return found


def blocks_share(
    block_sweep: Callable[..., Sweep],
    sweep: Callable[..., Sweep],
    team: Team,
    *given: Any,
    blocks: Blocks,
    **options: Any,
) -> Sweep:
    """Return this process's share of the sum over the pairs within blocks.

    Args:
        block_sweep: Sum over the pairs within blocks.
        sweep: Sum over all pairs, by which all processes divide each large block.
        team: Processes.
        given: Vectors, bias and wanted results, as for :func:`pairs_share`.
        blocks: Blocks.
        options: Vectors of a second set, and signature.
    """
    large, small = blocks.above(_LARGEST), blocks.up_to(_LARGEST).share(team)
    found = sweep_each(partial(pairs_share, sweep, team), large, *given, **options)
    if not small.num_pairs:
        return found
    return plus(found, block_sweep(*given, **options, blocks=small), 1, given[2])


class PatternShare(NamedTuple):
    """This process's share of a pattern: consecutive rows with about as many entries.

    Attributes:
        pattern: The whole pattern.
        rows: Rows, and their entries.
        rows_t: Those of the transpose, for the gradients of the columns; of an ``EdgePattern``,
            which is symmetric, they are the same.
    """

    pattern: EdgePattern | PairPattern
    rows: tuple[slice, slice]
    rows_t: tuple[slice, slice]

    @classmethod
    def of(cls, pattern: EdgePattern | PairPattern, team: Team) -> "PatternShare":
        """Choose the rows of this process."""
        rows = rows_t = _equal_rows(pattern.crow, team)
        if isinstance(pattern, PairPattern):
            rows_t = _equal_rows(pattern.crow_t, team)
        return cls(pattern, rows, rows_t)


def _equal_rows(crow: Tensor, team: Team) -> tuple[slice, slice]:
    """Return rows with an equal part of the entries, up to one row, and these entries."""
    count = int(crow[-1])
    ends = [count * (team.rank + k) // team.size for k in (0, 1)]
    rows = torch.searchsorted(crow, crow.new_tensor(ends))
    return slice(*rows.tolist()), slice(*crow[rows].tolist())


def rows_of(vectors: Tensor, team: Team) -> slice:
    """Return the rows of this process, one of equal consecutive parts."""
    part = team.share(len(vectors))
    return slice(part.start, part.stop)


def placed(grad: Tensor, like: Tensor, team: Team) -> Tensor:
    """Return the gradient of all vectors from that of :func:`rows_of`, zero for other rows."""
    if team.size == 1:
        return grad
    found = torch.zeros_like(like)
    found[rows_of(like, team)] = grad
    return found


def _zero(vectors: Tensor) -> Sweep:
    total = vectors.new_zeros((), dtype=torch.float64)
    return Sweep(total, torch.zeros_like(vectors), total.clone())


def _add(
    found: Sweep, part: Sweep, factor: float, places: Sequence[slice], wanted: Wanted
) -> None:
    """Add the sum over some pairs, whose vectors are these rows of all."""
    found.total.add_(part.total, alpha=factor)
    if wanted.grad_bias:
        found.grad_bias.add_(part.grad_bias, alpha=factor)
    if wanted.grad_z:
        grads = part.grad_z.split([place.stop - place.start for place in places])
        for place, grad in zip(places, grads, strict=True):
            found.grad_z[place].add_(grad, alpha=factor)
