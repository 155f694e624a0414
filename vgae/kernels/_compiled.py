r"""Exact sum over all pairs in machine code compiled by numba: float32 on the CPU.

The mathematics is that of ``_tiled``, but the logits of four nodes stay in the first-level cache
from their computation to their last use. softplus is

.. math:: \mathrm{softplus}(s) = \max(s, 0) + \log(1 + e^{-|s|})

and the factors of 64 rows are multiplied as the product minus one, :math:`q \leftarrow q + e (1 +
q)`, which keeps the precision of very negative logits, the usual ones of a sparse graph.

A signature multiplies the transpose of z. Two sets of vectors have n m logits; the larger set has
the rows, which the threads divide among them.

numba compiles once per machine, in seconds, and takes 0.7 times as long as the torch tiles;
``torch.compile`` takes 1.3 times as long (one thread, AVX-512, N = 9,728, d = 16).
"""

import ctypes
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from scipy.special import expit
from torch import Tensor
from torch.nn.functional import pad

from vgae.kernels._all_pairs import Sweep, Wanted

ROWS = 256  # of a tile
_STRIP = 1 << 16  # d times the columns of a tile: two strips of z and gradient stay in the cache
GROUP = 4  # rows of logits computed at once, and columns of z in registers at once
_LINE = 16  # float32 of a cache line
_IS_POSIX = os.name == "posix"
FACTORS = 64  # each at most 2, so that a product stays far below 2^128, the limit of float32

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
_LOG2E = np.float32(1 / math.log(2))
_LARGEST = np.float32(126)  # 2^-126 is the smallest normal float32
# 2^f on [-1/2, 1/2], relative error 8e-8: the polynomial through the Chebyshev nodes.
_NODES = np.cos(np.pi * (np.arange(6) + 0.5) / 6) / 2
_C0, _C1, _C2, _C3, _C4, _C5 = np.linalg.solve(
    np.vander(_NODES, 6, increasing=True), 2.0**_NODES
).astype(np.float32)


def sweep(
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
) -> Sweep:
    """Visit each tile once, of one set on or above the diagonal, on as many threads as torch has.

    All tensors are float32, on the CPU; unwanted results are zero.
    """
    if w is not None and len(w) > len(z):
        found = sweep(w, bias, wanted, z, signature)
        return found._replace(grad_z=found.grad_z.roll(len(z), 0))
    num_nodes, width = z.shape
    # Zeros pad both sizes to whole groups; their contribution is subtracted below.
    padded = _padded(z, -num_nodes % GROUP)
    right = padded if w is None else _padded(w, 0)
    num_padded, num_columns = len(padded), len(right)
    z_t = padded.new_empty(apart(padded.shape[1], num_columns))
    z_t[:, :num_columns] = right.T
    if signature is not None:
        z_t[:width] *= signature[:, None]
    grad = torch.zeros_like(padded)
    columns = min(max(_STRIP // padded.shape[1] // _LINE, 1) * _LINE, 1024)
    num_workers = min(torch.get_num_threads(), -(-num_padded // ROWS))
    # Each worker has its own gradient of the columns and its own work space. This thread allocates
    # them: a worker that calls torch would start threads of its own and slow down all others.
    grads_t = [torch.zeros_like(z_t) if wanted.grad_z else z_t for _ in range(num_workers)]
    rooms = zeros(num_workers, *apart(GROUP + 3, max(columns, ROWS)))
    bias_value = np.float32(0 if bias is None else bias.item())  # also the logit of a padded pair

    def visit(worker: int) -> tuple[float, float]:
        tensors = (padded, z_t, grad, grads_t[worker])
        arrays = (*(tensor.numpy() for tensor in tensors), rooms[worker])
        sizes = (num_columns, columns, w is None)
        return _visit_tiles(arrays, bias_value, sizes, worker, num_workers, wanted)

    totals, grad_biases = zip(*on_threads(visit, num_workers), strict=True)
    if wanted.grad_z and w is None:
        for grad_t in grads_t:
            found = grad_t[:, :num_padded].T
            grad += found if signature is None else found.mul_(_padded(signature[None], 0))
    if w is None:
        added = num_padded**2 - num_nodes**2
        grad = 2 * grad[:num_nodes, :width]  # s_ij and s_ji both contain z_i
    else:
        added = (num_padded - num_nodes) * num_columns
        grad_w = sum(grads_t) if wanted.grad_z else torch.zeros_like(z_t)
        grad = torch.cat([grad[:num_nodes, :width], grad_w[:width, :num_columns].T])
    total = sum(totals) - added * np.logaddexp(0, bias_value, dtype=np.float64)
    grad_bias = sum(grad_biases) - added * expit(np.float64(bias_value))
    return Sweep(
        z.new_tensor(total, dtype=torch.float64),
        grad,
        z.new_tensor(grad_bias),
    )


def _padded(z: Tensor, rows: int) -> Tensor:
    """Return z with zeros: columns up to a whole group, and some rows."""
    rounding = (0, -z.shape[1] % GROUP, 0, rows)
    return pad(z.detach(), rounding) if any(rounding) else z.detach().contiguous()


def on_threads(visit: Callable[[int], Any], num_workers: int) -> list[Any]:
    """Call ``visit`` with the number of each worker, on a thread of its own."""
    _stop_idle_threads()
    others = [_pool().submit(visit, worker) for worker in range(1, num_workers)]
    return [visit(0), *(other.result() for other in others)]


def zeros(*shape: int) -> np.ndarray:
    """Return zeros, float32, aligned to a cache line, which numpy does not promise."""
    array = torch.empty(shape, dtype=torch.float32, device="cpu").numpy()
    array.fill(0)
    return array


def apart(rows: int, columns: int) -> tuple[int, int]:
    """Return the shape with enough columns that a row is an odd number of cache lines long.

    Rows a multiple of 4096 bytes apart would map to the same few lines of the cache.
    """
    return rows, (-(-columns // _LINE) | 1) * _LINE


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="vgae-pairs")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _stop_idle_threads() -> None:
    """Stop torch's own threads, which busy-wait for milliseconds after an operation.

    The next parallel operation starts them again, in microseconds.
    """
    # OpenMP 5.0, section 3.6, from the symbols of this process; Windows has no such handle.
    pause = getattr(ctypes.CDLL(None), "omp_pause_resource_all", None) if _IS_POSIX else None
    if pause is not None:
        pause(1)  # omp_pause_soft


# Sums in any order and fused products allow vector instructions; NaN and infinity keep their
# meaning. Loops run over slices: numba would check a computed index for being negative.
jit = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"}
)


@intrinsic
def _as_float(typing_context: Any, bits: Any) -> Any:  # noqa: ARG001
    """Read the bits of an int32 as those of a float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@jit
def exp_minus_abs(x: Any) -> Any:
    """Return ``exp(-|x|)``, at least 2^-126."""
    t = min(abs(x) * _LOG2E, _LARGEST)
    n = np.int32(t + HALF)
    f = np.float32(n) - t
    power = _C0 + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * _C5))))
    return power * _as_float(np.int32((np.int32(127) - n) << np.int32(23)))


@jit
def _visit_tiles(
    arrays: Any, bias: Any, sizes: Any, worker: int, num_workers: int, wanted: Any
) -> tuple[float, float]:
    """Visit one worker's rows of tiles; return its parts of the value and the bias' gradient.

    ``arrays`` are z, the transpose of z or w, the gradients of both, and the work space; ``sizes``
    the number of columns, those of a tile, and whether the logits are symmetric. Earlier blocks of
    rows then have more tiles, so a worker gets the k-th and the k-th last of each 2
    ``num_workers``.
    """
    z, z_t, grad, grad_t, room = arrays
    num_rows = z.shape[0]
    num_columns, columns, symmetric = sizes
    value, grad_z, grad_bias = wanted
    s, lanes = room[:GROUP], room[GROUP:]
    sums = np.zeros((3, room.shape[1]), np.float64)
    total, total_p = 0.0, 0.0
    for block in range(-(-num_rows // ROWS)):
        if block % (2 * num_workers) not in (worker, 2 * num_workers - 1 - worker):
            continue
        top, bottom = block * ROWS, min((block + 1) * ROWS, num_rows)
        left = top if symmetric else 0
        while left < num_columns:
            diagonal = symmetric and left == top
            right = bottom if diagonal else min(left + columns, num_columns)
            width = right - left
            for i in range(top, bottom, GROUP):
                logits(z, z_t, i, left, right, bias, s)
                activate(s, lanes, width, value, grad_z or grad_bias)
                if grad_bias:
                    add_probabilities(s, lanes, width)
                if grad_z:
                    row_gradient(z_t, grad, i, left, right, s)
                    if not diagonal:
                        column_gradient(z, grad_t, i, left, right, s)
                if (i + GROUP - top) % FACTORS == 0 or i + GROUP == bottom:
                    flush(lanes, sums, width)
            # The tile on the diagonal holds both (i, j) and (j, i); the others count twice.
            weight = 2 if symmetric and not diagonal else 1
            for v in range(width):
                total += weight * (math.log1p(sums[0, v]) + sums[1, v])
                total_p += weight * sums[2, v]
            sums[:, :width] = 0
            left = right
    return total, total_p


@jit
def logits(z: Any, z_t: Any, i: int, left: int, right: int, bias: Any, s: Any) -> None:
    """Put the logits of rows i to i + 3 and some columns into ``s``."""
    w = right - left
    s0, s1, s2, s3 = s[0, :w], s[1, :w], s[2, :w], s[3, :w]
    for v in range(w):
        s0[v] = s1[v] = s2[v] = s3[v] = bias
    for k in range(0, z.shape[1], 4):
        t0, t1 = z_t[k, left:right], z_t[k + 1, left:right]
        t2, t3 = z_t[k + 2, left:right], z_t[k + 3, left:right]
        a0, a1, a2, a3 = z[i, k], z[i, k + 1], z[i, k + 2], z[i, k + 3]
        b0, b1, b2, b3 = z[i + 1, k], z[i + 1, k + 1], z[i + 1, k + 2], z[i + 1, k + 3]
        c0, c1, c2, c3 = z[i + 2, k], z[i + 2, k + 1], z[i + 2, k + 2], z[i + 2, k + 3]
        d0, d1, d2, d3 = z[i + 3, k], z[i + 3, k + 1], z[i + 3, k + 2], z[i + 3, k + 3]
        for v in range(w):
            x0, x1, x2, x3 = t0[v], t1[v], t2[v], t3[v]
            s0[v] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            s1[v] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
            s2[v] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
            s3[v] += d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3


@jit
def activate(s: Any, lanes: Any, width: int, value: bool, grad: bool) -> None:  # noqa: FBT001
    """Turn logits into probabilities, and multiply the factors of softplus into the lanes."""
    product, positive = lanes[0, :width], lanes[1, :width]
    for row in range(GROUP):
        r = s[row, :width]
        if value and grad:
            for v in range(width):
                x = r[v]
                e = exp_minus_abs(x)
                p = ONE / (ONE + e)
                r[v] = p if x >= ZERO else e * p
                q = product[v]
                product[v] = q + (e + q * e)
                positive[v] += ZERO if x < ZERO else x  # NaN stays NaN
        elif value:
            for v in range(width):
                x = r[v]
                e = exp_minus_abs(x)
                q = product[v]
                product[v] = q + (e + q * e)
                positive[v] += ZERO if x < ZERO else x
        elif grad:
            for v in range(width):
                x = r[v]
                e = exp_minus_abs(x)
                p = ONE / (ONE + e)
                r[v] = p if x >= ZERO else e * p


@jit
def add_probabilities(s: Any, lanes: Any, width: int) -> None:
    """Add the probabilities to their lane."""
    s0, s1, s2, s3 = s[0, :width], s[1, :width], s[2, :width], s[3, :width]
    added = lanes[2, :width]
    for v in range(width):
        added[v] += (s0[v] + s1[v]) + (s2[v] + s3[v])


@jit
def row_gradient(z_t: Any, grad: Any, i: int, left: int, right: int, s: Any) -> None:
    """Add ``p @ z`` of a tile to rows i to i + 3 of the gradient."""
    w = right - left
    s0, s1, s2, s3 = s[0, :w], s[1, :w], s[2, :w], s[3, :w]
    for k in range(0, z_t.shape[0], 4):
        t0, t1 = z_t[k, left:right], z_t[k + 1, left:right]
        t2, t3 = z_t[k + 2, left:right], z_t[k + 3, left:right]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = ZERO
        c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = ZERO
        for v in range(w):
            x0, x1, x2, x3 = t0[v], t1[v], t2[v], t3[v]
            p = s0[v]
            a0, a1, a2, a3 = a0 + p * x0, a1 + p * x1, a2 + p * x2, a3 + p * x3
            p = s1[v]
            b0, b1, b2, b3 = b0 + p * x0, b1 + p * x1, b2 + p * x2, b3 + p * x3
            p = s2[v]
            c0, c1, c2, c3 = c0 + p * x0, c1 + p * x1, c2 + p * x2, c3 + p * x3
            p = s3[v]
            d0, d1, d2, d3 = d0 + p * x0, d1 + p * x1, d2 + p * x2, d3 + p * x3
        _add_four(grad[i], k, a0, a1, a2, a3)
        _add_four(grad[i + 1], k, b0, b1, b2, b3)
        _add_four(grad[i + 2], k, c0, c1, c2, c3)
        _add_four(grad[i + 3], k, d0, d1, d2, d3)


@jit
def _add_four(row: Any, k: int, x0: Any, x1: Any, x2: Any, x3: Any) -> None:
    row[k] += x0
    row[k + 1] += x1
    row[k + 2] += x2
    row[k + 3] += x3


@jit
def column_gradient(z: Any, grad_t: Any, i: int, left: int, right: int, s: Any) -> None:
    """Add ``p.T @ z`` of a tile, whose rows are i to i + 3, to some columns of the transpose."""
    w = right - left
    s0, s1, s2, s3 = s[0, :w], s[1, :w], s[2, :w], s[3, :w]
    for k in range(0, z.shape[1], 4):
        u0, u1 = grad_t[k, left:right], grad_t[k + 1, left:right]
        u2, u3 = grad_t[k + 2, left:right], grad_t[k + 3, left:right]
        a0, a1, a2, a3 = z[i, k], z[i, k + 1], z[i, k + 2], z[i, k + 3]
        b0, b1, b2, b3 = z[i + 1, k], z[i + 1, k + 1], z[i + 1, k + 2], z[i + 1, k + 3]
        c0, c1, c2, c3 = z[i + 2, k], z[i + 2, k + 1], z[i + 2, k + 2], z[i + 2, k + 3]
        d0, d1, d2, d3 = z[i + 3, k], z[i + 3, k + 1], z[i + 3, k + 2], z[i + 3, k + 3]
        for v in range(w):
            p0, p1, p2, p3 = s0[v], s1[v], s2[v], s3[v]
            u0[v] += a0 * p0 + b0 * p1 + c0 * p2 + d0 * p3
            u1[v] += a1 * p0 + b1 * p1 + c1 * p2 + d1 * p3
            u2[v] += a2 * p0 + b2 * p1 + c2 * p2 + d2 * p3
            u3[v] += a3 * p0 + b3 * p1 + c3 * p2 + d3 * p3


@jit
def flush(lanes: Any, sums: Any, width: int) -> None:
    """Move the float32 lanes to the float64 sums; products are stored minus one."""
    for v in range(width):
        q, factor = sums[0, v], np.float64(lanes[0, v])
        sums[0, v] = q + (factor + q * factor)
        sums[1, v] += np.float64(lanes[1, v])
        sums[2, v] += np.float64(lanes[2, v])
    lanes[:, :width] = 0
