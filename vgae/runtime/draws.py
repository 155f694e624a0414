"""Random numbers of some entries of a tensor, equal to those of the whole tensor."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

Fill = Callable[[Tensor, torch.Generator | None], object]

_AT_ONCE = 2**18
_GROUP = 16  # numbers that torch draws together on a CPU


def normal(tensor: Tensor, generator: torch.Generator | None) -> None:
    """Fill a tensor from the standard normal distribution."""
    tensor.normal_(generator=generator)


@cache
def bernoulli(p: float) -> Fill:
    """Return the function that fills a tensor with 1 with probability ``p``, else 0.

    On a CPU, p in (0, 1) is rounded to a multiple of 2^-16: one number of 64 bits makes four
    draws, ten times as fast as torch, which takes two of 32 bits for each.
    """
    below = min(max(round(p * 2**16), 1), 2**16 - 1) - 2**15

    def fill(tensor: Tensor, generator: torch.Generator | None) -> None:
        if tensor.device.type != "cpu" or not tensor.is_contiguous():
            tensor.bernoulli_(p, generator=generator)
            return
        count = tensor.numel()
        drawn = torch.empty(-(-count // 4), dtype=torch.int64, device="cpu")
        bits = drawn.random_(-(2**63), None, generator=generator).view(torch.int16)
        torch.lt(bits[:count].view(tensor.shape), below, out=tensor)

    return fill


def part_of_draw(
    total: int, part: range, like: Tensor, fill: Fill, generator: torch.Generator | None
) -> Tensor:
    """Return the entries ``part`` of a flat tensor of ``total`` entries that ``fill`` fills.

    The whole tensor is drawn, so that the generator ends where it would without parts, but only
    some of its entries are in memory at a time. A GPU draws it at once, as does a version of torch
    whose draws depend on the size of the tensor.

    Args:
        total: Number of entries of the whole tensor.
        part: Consecutive entries.
        like: Tensor of the dtype and the device of the result.
        fill: Function that fills a tensor with independent numbers from a generator.
        generator: Source of the numbers; torch's default if not given.

    Returns:
        Shape ``(len(part),)``.
    """
    if like.device.type != "cpu" or not _divisible(fill):
        whole = like.new_empty(total, requires_grad=False)
        fill(whole, generator)
        return whole[part.start : part.stop].clone()
    found = like.new_empty(len(part), requires_grad=False)
    start = 0
    buffer = like.new_empty(min(total, _AT_ONCE + _GROUP), requires_grad=False)
    while start < total:
        left = total - start
        size = left if left < _AT_ONCE + _GROUP else _AT_ONCE
        fill(buffer[:size], generator)
        low, high = max(start, part.start), min(start + size, part.stop)
        if low < high:
            found[low - part.start : high - part.start] = buffer[low - start : high - start]
        start += size
    return found


def rows_of_draw(rows: Any, like: Tensor, fill: Fill, generator: torch.Generator | None) -> Tensor:
    """Return own rows of a tensor that ``fill`` fills; see :func:`part_of_draw`.

    Args:
        rows: Object with the number of all rows, ``count``, and the range of the ``own`` ones.
        like: Tensor of the shape, the dtype and the device of the result.
        fill: As there.
        generator: As there.
    """
    width = like.shape[1:].numel()
    part = range(rows.own.start * width, rows.own.stop * width)
    return part_of_draw(rows.count * width, part, like, fill, generator).view(like.shape)


@cache
def _divisible(fill: Fill) -> bool:
    """Return whether this torch draws the same numbers one part after another as at once."""
    size = 8 * _GROUP
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    whole, parts = torch.empty(size), torch.empty(size)
    fill(whole, generators[0])
    for part in parts.split(size // 2):
        fill(part, generators[1])
    return torch.equal(whole, parts)
