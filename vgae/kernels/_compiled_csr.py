r"""Sparse CSR matrices on a CPU in machine code compiled by numba: product, and sums over entries.

As in ``_triton_csr``, a row adds its entries in their order, so that results depend neither on
the number of threads nor on their speed. The threads take the next of some chunks of rows with
about as many entries each. Nothing of the size of the entries is allocated.

Rows of a dense matrix are read as vectors of 16 numbers that stay in registers. numba's own loops
over so few columns would not be vectorised and take more than twice as long; torch's sparse
products take 2 to 3 times as long.
"""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor
from torch.nn.functional import pad

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels._compiled import ONE, ZERO, exp_minus_abs, jit, on_threads

LANES = 16  # numbers of a vector; a width is rounded up to whole vectors
# Entries whose logits are in the cache at once, and numbers of the rows that they need.
_MOST_OF_TILE, _NUMBERS = 256, 1 << 13
_CHUNK, _MOST = 1 << 16, 256  # entries of a chunk, about, and the most chunks
_BYTES = np.int64(4)  # of a number
_TWO = np.float32(2)
# log(1 + e) = 2 artanh(e / (2 + e)), up to 1e-8 for e in [0, 1].
_SERIES = np.array([2 / (2 * k + 1) for k in range(9)], np.float32)
_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8 = _SERIES


class Entries(NamedTuple):
    """Rows of a sparse matrix; one of some rows only has a slice of ``crow``.

    Attributes:
        crow: Start of each row in ``col``, int32 or int64, shape ``(n + 1,)``.
        col: Column of each entry, int32, shape ``(nnz,)``.
        values: Value of each entry, float32; shape ``(nnz,)``, or ``(1,)`` if all are equal.
    """

    crow: np.ndarray
    col: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, crow: Tensor, col: Tensor, values: Tensor) -> "Entries":
        """Share the memory of tensors; values that are one number, expanded, stay one."""
        equal = values.numel() > 0 and not values.stride(0)
        values = values[:1] if equal else values.contiguous()
        return cls(*(tensor.detach().numpy() for tensor in (crow, col, values)))

    def chunks(self) -> np.ndarray:
        """Return the first row of each chunk, and the number of rows."""
        crow = self.crow
        first, last = int(crow[0]), int(crow[-1])
        number = min(max((last - first) // _CHUNK, 1), _MOST)
        inner = np.linspace(first, last, number + 1)[1:-1].astype(crow.dtype)
        return np.concatenate([[0], np.searchsorted(crow, inner), [len(crow) - 1]])


def csr_product(crow: Tensor, col: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    """Return the product of a sparse CSR matrix and a dense one, shape ``(n, k)``.

    Args:
        crow: Start of each row, int32 or int64, shape ``(n + 1,)``; not checked, like ``col``.
        col: Column of each entry, int32, in any order within a row, shape ``(nnz,)``.
        values: Value of each entry, float32, shape ``(nnz,)``.
        dense: float32, shape ``(m, k)``. All are on the CPU.
    """
    width, y = dense.shape[1], _whole_vectors(dense)
    found = y.new_empty(len(crow) - 1, y.shape[1])
    entries, given = Entries.of(crow, col, values), (y.numpy(), found.numpy())
    _each_chunk(entries, lambda first, last: _multiply(*entries, *given, first, last))
    return found if width == y.shape[1] else found[:, :width].contiguous()


def edge_sweep(
    z: Tensor,
    bias: Tensor | None,
    crow: Tensor,
    col: Tensor,
    weight: Tensor,
    beta: float,
    wanted: Wanted,
    columns: Tensor | None = None,
) -> Sweep:
    r"""Pass once over the entries of a CSR pattern, as ``_triton_csr.edge_sweep`` does on a GPU.

    Args:
        z: float32, shape ``(n, d)``; fewer rows than ``columns`` if ``crow`` is a slice.
        bias: float32, shape ``()``; zero if None.
        crow: Start of each row in ``col``, int32 or int64, shape ``(n + 1,)``.
        col: Column of each entry, int32, shape ``(nnz,)``; not checked, like ``crow``.
        weight: w, float32, shape ``(nnz,)``, or one number expanded to it. All are on the CPU.
        beta: Weight of the second cost; there :math:`\alpha_k = w_k - \beta`.
        wanted: Results to compute.
        columns: Vectors of the columns, float32, shape ``(m, d)``; those of the rows by default.
    """
    width, x = z.shape[1], _whole_vectors(z)
    y = x if columns is None else _whole_vectors(columns)
    grad = torch.empty_like(x) if wanted.grad_z else x[:0]
    entries = Entries.of(crow, col, weight)
    vectors = tuple(tensor.numpy() for tensor in (x, y, grad))
    numbers = np.array([0 if bias is None else bias.item(), beta], np.float32)
    value, needs_grad = wanted.value, wanted.grad_z

    def visit(first: int, last: int) -> tuple[float, float]:
        return _sweep(*entries, vectors, numbers, first, last, value, needs_grad)

    totals, slopes = zip(*_each_chunk(entries, visit), strict=True)
    grad = grad[:, :width] if wanted.grad_z else torch.zeros_like(z)
    return Sweep(
        z.new_tensor(sum(totals), dtype=torch.float64),
        grad.contiguous(),
        z.new_tensor(sum(slopes)),
    )


def _whole_vectors(dense: Tensor) -> Tensor:
    missing = -dense.shape[1] % LANES
    return (pad(dense, (0, missing)) if missing else dense).detach().contiguous()


def _each_chunk(entries: Entries, visit: Callable[[int, int], Any]) -> list[Any]:
    """Call ``visit`` with the ends of each chunk of rows, on as many threads as torch has."""
    starts = entries.chunks()
    number = len(starts) - 1
    found, following = [None] * number, count()

    def work(_: int) -> None:
        for chunk in following:
            if chunk >= number:
                return
            found[chunk] = visit(starts[chunk], starts[chunk + 1])

    on_threads(work, min(torch.get_num_threads(), number))
    return found


_NUMBER, _INT, _LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_NUMBER, LANES)
_ANY_ORDER = ("reassoc", "contract", "nsz", "arcp")


def _vector_at(builder: Any, address: Any, index: int) -> Any:
    """Return a pointer to the vector of that index behind an address."""
    address = builder.add(address, _LONG(4 * LANES * index))
    return builder.inttoptr(address, _VECTOR.as_pointer())


def _load(builder: Any, address: Any, index: int) -> Any:
    found = builder.load(_vector_at(builder, address, index))
    found.align = 4
    return found


def _row_of(builder: Any, col: Any, entry: Any, dense: Any, stride: Any) -> Any:
    """Return the address of the row of a dense matrix that an entry has as its column."""
    place = builder.add(col, builder.shl(entry, _LONG(2)))
    column = builder.load(builder.inttoptr(place, _INT.as_pointer()))
    return builder.add(dense, builder.mul(builder.sext(column, _LONG), stride))


def _adder(vectors: int) -> Any:
    """Return a function that adds to some columns of a row the multiples of other rows."""

    @intrinsic
    def add(
        context: Any,  # noqa: ARG001
        target: Any,  # noqa: ARG001
        dense: Any,  # noqa: ARG001
        stride: Any,  # noqa: ARG001
        col: Any,  # noqa: ARG001
        factors: Any,  # noqa: ARG001
        step: Any,  # noqa: ARG001
        number: Any,  # noqa: ARG001
    ) -> Any:
        def codegen(context: Any, builder: Any, _: Any, args: Any) -> Any:
            target, dense, stride, col, factors, step, number = args
            sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)]
            for k, total in enumerate(sums):
                builder.store(_load(builder, target, k), total)
            with cgutils.for_range(builder, number) as loop:
                row = _row_of(builder, col, loop.index, dense, stride)
                place = builder.add(factors, builder.mul(loop.index, step))
                factor = builder.load(builder.inttoptr(place, _NUMBER.as_pointer()))
                none = ir.Constant(_VECTOR, ir.Undefined)
                first = ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
                factor = builder.insert_element(none, factor, _INT(0))
                factor = builder.shuffle_vector(factor, none, first)
                for k, total in enumerate(sums):
                    term = builder.fmul(_load(builder, row, k), factor, _ANY_ORDER)
                    builder.store(builder.fadd(builder.load(total), term, _ANY_ORDER), total)
            for k, total in enumerate(sums):
                stored = builder.store(builder.load(total), _vector_at(builder, target, k))
                stored.align = 4
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), codegen

    return add


def _scorer(vectors: int) -> Any:
    """Return a function that adds products of some columns of a row and other rows to logits."""

    @intrinsic
    def score(
        context: Any,  # noqa: ARG001
        target: Any,  # noqa: ARG001
        row: Any,  # noqa: ARG001
        dense: Any,  # noqa: ARG001
        stride: Any,  # noqa: ARG001
        col: Any,  # noqa: ARG001
        number: Any,  # noqa: ARG001
    ) -> Any:
        def codegen(context: Any, builder: Any, _: Any, args: Any) -> Any:
            target, row, dense, stride, col, number = args
            own = [_load(builder, row, k) for k in range(vectors)]
            name = f"llvm.vector.reduce.fadd.v{LANES}f32"
            form = ir.FunctionType(_NUMBER, [_NUMBER, _VECTOR])
            reduce = cgutils.get_or_insert_function(builder.module, form, name)
            with cgutils.for_range(builder, number) as loop:
                other = _row_of(builder, col, loop.index, dense, stride)
                total = builder.fmul(own[0], _load(builder, other, 0), _ANY_ORDER)
                for k in range(1, vectors):
                    term = builder.fmul(own[k], _load(builder, other, k), _ANY_ORDER)
                    total = builder.fadd(total, term, _ANY_ORDER)
                place = builder.add(target, builder.shl(loop.index, _LONG(2)))
                place = builder.inttoptr(place, _NUMBER.as_pointer())
                found = builder.call(reduce, [builder.load(place), total], fastmath=_ANY_ORDER)
                builder.store(found, place)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), codegen

    return score


_add_1, _add_2, _add_4 = _adder(1), _adder(2), _adder(4)
_score_1, _score_2, _score_4 = _scorer(1), _scorer(2), _scorer(4)


@jit
def _add_rows(
    target: Any, dense: Any, width: Any, col: Any, factors: Any, step: Any, n: Any
) -> None:
    """Add n multiples of rows to a row of ``width`` columns; all but the last are addresses."""
    stride, done = width * _BYTES, np.int64(0)
    while done < width:
        offset, left = done * _BYTES, width - done
        if left >= 4 * LANES:
            _add_4(target + offset, dense + offset, stride, col, factors, step, n)
            done += 4 * LANES
        elif left >= 2 * LANES:
            _add_2(target + offset, dense + offset, stride, col, factors, step, n)
            done += 2 * LANES
        else:
            _add_1(target + offset, dense + offset, stride, col, factors, step, n)
            done += LANES


@jit
def _add_products(target: Any, row: Any, dense: Any, width: Any, col: Any, n: Any) -> None:
    """Add the products of a row and n others to logits; all but the last are addresses."""
    stride, done = width * _BYTES, np.int64(0)
    while done < width:
        offset, left = done * _BYTES, width - done
        if left >= 4 * LANES:
            _score_4(target, row + offset, dense + offset, stride, col, n)
            done += 4 * LANES
        elif left >= 2 * LANES:
            _score_2(target, row + offset, dense + offset, stride, col, n)
            done += 2 * LANES
        else:
            _score_1(target, row + offset, dense + offset, stride, col, n)
            done += LANES


@jit
def _multiply(
    crow: Any, col: Any, values: Any, dense: Any, found: Any, top: Any, bottom: Any
) -> None:
    """Compute some rows of a product."""
    width = np.int64(dense.shape[1])
    step = _BYTES if len(values) == len(col) else np.int64(0)
    cols, factors = np.int64(col.ctypes.data), np.int64(values.ctypes.data)
    target, source = np.int64(found.ctypes.data), np.int64(dense.ctypes.data)
    for i in range(top, bottom):
        first, last = np.int64(crow[i]), np.int64(crow[i + 1])
        found[i] = ZERO
        row = target + i * width * _BYTES
        place, factor = cols + first * _BYTES, factors + first * step
        _add_rows(row, source, width, place, factor, step, last - first)


@jit
def _sweep(
    crow: Any,
    col: Any,
    weight: Any,
    vectors: Any,
    numbers: Any,
    top: Any,
    bottom: Any,
    value: bool,  # noqa: FBT001
    grad_z: bool,  # noqa: FBT001
) -> tuple[float, float]:
    """Visit the entries of some rows; return the sums of their costs and of their slopes."""
    x, y, grad = vectors
    bias, beta = numbers
    width = np.int64(x.shape[1])
    equal = len(weight) != len(col)
    tile = max(min(_NUMBERS // width, _MOST_OF_TILE), 64)
    s, w = np.empty(tile, np.float32), np.empty(tile, np.float32)
    if len(weight):
        w[:] = weight[0]
    cols, logits = np.int64(col.ctypes.data), np.int64(s.ctypes.data)
    rows, others = np.int64(x.ctypes.data), np.int64(y.ctypes.data)
    target = np.int64(grad.ctypes.data)
    total, mass = 0.0, 0.0
    i = top
    while i < bottom:
        # The rows of a tile, whose costs are computed together; or one row of several tiles.
        start, j = np.int64(crow[i]), i + 1
        while j < bottom and crow[j + 1] - start <= tile:
            j += 1
        if grad_z:
            grad[i:j] = ZERO
        end = np.int64(crow[j])
        for first in range(start, end, tile):
            last = min(first + tile, end)
            n = last - first
            s[:n] = bias
            for r in range(i, j):
                a, b = max(np.int64(crow[r]), first), min(np.int64(crow[r + 1]), last)
                row, place = rows + r * width * _BYTES, cols + a * _BYTES
                _add_products(logits + (a - first) * _BYTES, row, others, width, place, b - a)
            if not equal:
                w[:n] = weight[first:last]
            found = _costs(s[:n], w[:n], beta, value)
            total += found[0]
            mass += found[1]
            for r in range(i, j if grad_z else i):
                a, b = max(np.int64(crow[r]), first), min(np.int64(crow[r + 1]), last)
                row, place = target + r * width * _BYTES, cols + a * _BYTES
                _add_rows(row, others, width, place, logits + (a - first) * _BYTES, _BYTES, b - a)
        i = j
    return total, mass


@jit
def _costs(s: Any, w: Any, beta: Any, value: bool) -> tuple[float, float]:  # noqa: FBT001
    """Turn logits into twice their slopes; return the sums of the costs and of the slopes."""
    total, mass = 0.0, 0.0
    if value:
        for k in range(len(s)):
            x, alpha = s[k], w[k] - beta
            e = exp_minus_abs(x)
            t = e / (_TWO + e)
            q = t * t
            series = _A4 + q * (_A5 + q * (_A6 + q * (_A7 + q * _A8)))
            log = t * (_A0 + q * (_A1 + q * (_A2 + q * (_A3 + q * series))))
            total += np.float64(alpha * (log + (ZERO if x > ZERO else -x)) - beta * x)
    for k in range(len(s)):
        x, alpha = s[k], w[k] - beta
        e = exp_minus_abs(x)
        p = ONE / (ONE + e)
        # s_ij and s_ji both contain z_i, hence the factor two.
        slope = -alpha * (e * p if x >= ZERO else p) - beta
        mass += np.float64(slope)
        s[k] = _TWO * slope
    return total, mass
