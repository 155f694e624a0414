r"""Sparse CSR matrices on an NVIDIA GPU: product with a dense matrix, and sums over edges.

A program adds the entries of one row, tile by tile: one sum per place in the tile, and the sum of
these at the end. Nothing is added atomically, so the order depends on the shapes and the pattern
alone and the result is deterministic.

A single program would be slow for a hub of 1e5 entries. So the entries are cut into chunks of
equal size. A first launch sums the chunks that lie within one row. In the second, a row adds these
sums and its entries outside such chunks, fewer than two chunks. Numbers of programs depend on
shapes alone, and the host never waits, so a CUDA graph can be captured. If no row can be long,
there is one launch.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted

_INTERPRETED = triton.knobs.runtime.interpret
# Entries of a chunk; rows are cut if one of that many entries is possible.
_CHUNK, _LONG = (32, 48) if _INTERPRETED else (512, 4096)
# Fewest and most entries of a tile, its most columns and elements.
_FEWEST, _MOST = (8, 16) if _INTERPRETED else (32, 256)
_WIDEST, _LARGEST = 128, 8192


def csr_product(crow: Tensor, col: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    """Return the product of a sparse CSR matrix and a dense one, shape ``(n, k)``.

    Args:
        crow: Start of each row, int32 or int64, shape ``(n + 1,)``; not checked, like ``col``.
        col: Column of each entry, in any order within a row, shape ``(nnz,)``.
        values: Value of each entry, float32, shape ``(nnz,)``.
        dense: float32, shape ``(m, k)``. All are on the same GPU.
    """
    num_rows, width = len(crow) - 1, dense.shape[1]
    product = dense.new_empty((num_rows, width))
    if not product.numel():
        return product
    # Rows may lie apart, like those of some columns of a wider matrix.
    dense = dense if dense.stride(1) == 1 else dense.contiguous()
    chunks = _chunks(len(col), len(dense))
    parts = dense.new_empty((chunks, width))
    tile = min(triton.next_power_of_2(width), _WIDEST)
    tiles = triton.cdiv(width, tile)
    matrix, options = (crow, col, values.contiguous()), _options(num_rows, len(col), tile)
    with torch.cuda.device_of(dense):
        for size, target, launch in _launches(chunks, num_rows, parts, product):
            _product_kernel[(size, tiles)](
                *(*matrix, dense, parts, target, num_rows, width, dense.stride(0)),
                PASS=launch,
                **options,
            )
    return product


def edge_sweep(
    z: Tensor,
    bias: Tensor | None,
    crow: Tensor,
    col: Tensor,
    alpha: Tensor,
    beta: float,
    wanted: Wanted,
    columns: Tensor | None = None,
) -> Sweep:
    r"""Pass once over the entries of a CSR pattern; unwanted results are zero.

    The pattern is symmetric unless there are vectors of the columns, which replace :math:`z_j`.
    Entry k in row i and column j has the logit :math:`s_k = z_i \cdot z_j + b`, and

    .. math::
        \mathrm{total} = \sum_k \alpha_k \, \mathrm{softplus}(-s_k) - \beta s_k, \quad
        g_k = \alpha_k (\sigma(s_k) - 1) - \beta

    The gradients are :math:`2 \sum_{k \in \mathrm{row}\ i} g_k z_{j(k)}`, also for vectors of the
    columns, and :math:`\sum_k g_k`.
    Against float64, the relative errors of the sum and of the gradients stay below 1e-6 and 1e-5,
    plus those that rounded logits cause.

    Args:
        z: float32, shape ``(N, d)`` with d at most 256.
        bias: float32, shape ``()``; zero if None.
        crow: Start of each row, int32 or int64, shape ``(N + 1,)``; not checked, like ``col``.
        col: Column of each entry, shape ``(nnz,)``.
        alpha: Weight of each entry, float32, equal for both directions, shape ``(nnz,)``. All
            are on the same GPU.
        beta: Weight of the logits; a new value compiles nothing.
        wanted: Results to compute.
        columns: float32, shape ``(m, d)``.
    """
    num_nodes, width = z.shape
    y = z.contiguous() if columns is None else columns.contiguous()
    chunks, dim = _chunks(len(col), len(y)), triton.next_power_of_2(max(width, 1))
    grad_z = z.new_empty(z.shape) if wanted.grad_z else z.new_zeros(z.shape)
    parts = z.new_empty((chunks, width))
    sums = torch.empty((2, num_nodes + chunks), dtype=torch.float64, device=z.device)
    inputs = (z.contiguous(), y, bias, crow, col, alpha.contiguous(), float(beta))
    options = _options(num_nodes, len(col), dim)
    with torch.cuda.device_of(z):
        for size, target, launch in _launches(chunks, num_nodes, parts, grad_z):
            _sweep_kernel[(size,)](
                *(*inputs, parts, target, sums, num_nodes, chunks, width),
                PASS=launch,
                VALUE=wanted.value,
                GRAD_Z=wanted.grad_z,
                GRAD_BIAS=wanted.grad_bias,
                **options,
            )
    total, grad_bias = sums.sum(dim=1)
    return Sweep(total, grad_z, grad_bias.to(z.dtype))


def trial(device: torch.device) -> None:
    """Compile and run a small product; raise if that fails or the result is wrong."""
    crow, col = torch.tensor([[0, 2, 3], [0, 1, 1]], dtype=torch.int32, device=device)
    values = torch.tensor([1, 2, 3], dtype=torch.float32, device=device)
    unit = torch.eye(2, dtype=torch.float32, device=device)
    found = csr_product(crow, col, values, unit).tolist()
    if found != [[1.0, 2.0], [0.0, 3.0]]:
        raise RuntimeError(f"a product of known result was computed as {found}")


def _chunks(num_entries: int, num_columns: int) -> int:
    """Return the number of chunks, none if no row can be long; an entry occurs once in a row."""
    return num_entries // _CHUNK if min(num_entries, num_columns) >= _LONG else 0


def _launches(chunks: int, num_rows: int, parts: Tensor, result: Tensor) -> list[tuple]:
    """Return the number of programs, the target and the ``PASS`` of each launch."""
    first = [(chunks, parts, 1)] if chunks else []
    return [*first, (num_rows, result, 2 if chunks else 0)] if num_rows else []


def _options(num_rows: int, num_entries: int, width: int) -> dict[str, int | bool]:
    """Return the constants of a kernel: tiles about as long as the mean row."""
    mean = triton.next_power_of_2(max(num_entries // max(num_rows, 1), 1))
    entries = max(min(mean, _MOST, _LARGEST // width), _FEWEST)
    # More entries or elements per warp would not fit in its registers.
    warps = max(entries // 64, entries * width // 1024, 1)
    return {
        "CHUNK": _CHUNK,
        "ENTRIES": entries,
        "WIDTH": width,
        "num_warps": warps,
        "num_stages": 1,
        # Its default differs between versions of Triton.
        "enable_fp_fusion": True,
    }


@triton.jit(do_not_specialize=["num_rows"])
def _product_kernel(  # noqa: PLR0913
    crow_ptr: tl.tensor,
    col_ptr: tl.tensor,
    values_ptr: tl.tensor,
    dense_ptr: tl.tensor,
    parts_ptr: tl.tensor,
    out_ptr: tl.tensor,
    num_rows: tl.tensor,
    width: tl.tensor,
    stride: tl.tensor,
    PASS: tl.constexpr,
    CHUNK: tl.constexpr,
    ENTRIES: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Write a row or the sum of a chunk, some columns of it."""
    _, first, last, head, gap = _entries_of(crow_ptr, num_rows, PASS, CHUNK)
    columns = (tl.program_id(1) * WIDTH + tl.arange(0, WIDTH))[None, :]
    total = tl.zeros([ENTRIES, WIDTH], tl.float32)
    for start in range(first, last - gap, ENTRIES):
        entry = start + tl.arange(0, ENTRIES)
        inside = entry < last - gap
        entry += tl.where(entry >= head, gap, 0)
        col = tl.load(col_ptr + entry, mask=inside, other=0).to(tl.int64)[:, None]
        value = tl.load(values_ptr + entry, mask=inside, other=0.0)[:, None]
        mask = inside[:, None] & (columns < width)
        total += value * tl.load(dense_ptr + col * stride + columns, mask=mask, other=0.0)
    if PASS == 2:
        total = _add_parts(total, parts_ptr, head, gap, columns, width, CHUNK)
    place = tl.program_id(0).to(tl.int64) * width + columns
    tl.store(out_ptr + place, tl.sum(total, 0)[None, :], mask=columns < width)


@triton.jit(do_not_specialize=["beta", "num_rows", "chunks"])
def _sweep_kernel(  # noqa: PLR0913
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    crow_ptr: tl.tensor,
    col_ptr: tl.tensor,
    alpha_ptr: tl.tensor,
    beta: tl.tensor,
    parts_ptr: tl.tensor,
    grad_ptr: tl.tensor,
    sums_ptr: tl.tensor,
    num_rows: tl.tensor,
    chunks: tl.tensor,
    width: tl.tensor,
    PASS: tl.constexpr,
    VALUE: tl.constexpr,
    GRAD_Z: tl.constexpr,
    GRAD_BIAS: tl.constexpr,
    CHUNK: tl.constexpr,
    ENTRIES: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Write the sums of a row or of a chunk."""
    row, first, last, head, gap = _entries_of(crow_ptr, num_rows, PASS, CHUNK)
    columns = tl.arange(0, WIDTH)[None, :]
    x = tl.load(x_ptr + row * width + columns, mask=columns < width, other=0.0)
    grad = tl.zeros([ENTRIES, WIDTH], tl.float32)
    value, mass = tl.zeros([ENTRIES], tl.float64), tl.zeros([ENTRIES], tl.float64)
    for start in range(first, last - gap, ENTRIES):
        entry = start + tl.arange(0, ENTRIES)
        inside = entry < last - gap
        entry += tl.where(entry >= head, gap, 0)
        col = tl.load(col_ptr + entry, mask=inside, other=0).to(tl.int64)[:, None]
        alpha = tl.load(alpha_ptr + entry, mask=inside, other=0.0)
        mask = inside[:, None] & (columns < width)
        y = tl.load(y_ptr + col * width + columns, mask=mask, other=0.0)
        s = tl.sum(x * y, 1)
        if bias_ptr is not None:
            s += tl.load(bias_ptr)
        e = tl.exp2(tl.abs(s) * -1.4426950408889634)  # log2(e)
        if VALUE:
            cost = alpha * (tl.maximum(-s, 0.0) + _log1p(e))
            term = cost.to(tl.float64) - s.to(tl.float64) * beta
            value += tl.where(inside, term, 0.0)
        slope = -alpha * (tl.where(s >= 0, e, 1.0) / (1.0 + e)) - beta
        slope = tl.where(inside, slope, 0.0)
        if GRAD_BIAS:
            mass += slope.to(tl.float64)
        if GRAD_Z:
            grad += slope[:, None] * y
    place = tl.program_id(0).to(tl.int64)
    if GRAD_Z:
        if PASS == 2:
            grad = _add_parts(grad, parts_ptr, head, gap, columns, width, CHUNK)
        # s_ij and s_ji both contain z_i, hence the factor two.
        result = tl.sum(grad, 0)[None, :] * (1.0 if PASS == 1 else 2.0)
        tl.store(grad_ptr + place * width + columns, result, mask=columns < width)
    if PASS == 1:
        place += num_rows
    tl.store(sums_ptr + place, tl.sum(value, 0))
    tl.store(sums_ptr + chunks + num_rows + place, tl.sum(mass, 0))


@triton.jit
def _entries_of(
    crow_ptr: tl.tensor, num_rows: tl.tensor, PASS: tl.constexpr, CHUNK: tl.constexpr
) -> tuple:
    """Return the row of a program, its first and last entry, and start and length of a gap.

    ``PASS`` is 1 for a chunk, 2 for a row without its whole chunks, 0 for a row without a gap.
    """
    index = tl.program_id(0).to(tl.int64)
    gap = tl.zeros([], tl.int64)
    if PASS == 1:
        first = index * CHUNK
        row, after = gap, gap + num_rows
        while after - row > 1:  # crow[row] <= first < crow[after]
            middle = (row + after) // 2
            is_before = tl.load(crow_ptr + middle) <= first
            row, after = tl.where(is_before, middle, row), tl.where(is_before, after, middle)
        end = first + CHUNK
        last = tl.where(tl.load(crow_ptr + row + 1) >= end, end, first)
        head = last
    else:
        row = index
        first = tl.load(crow_ptr + row).to(tl.int64)
        last = tl.load(crow_ptr + row + 1).to(tl.int64)
        head = last
        if PASS == 2:
            head = (first + CHUNK - 1) // CHUNK * CHUNK
            gap = tl.maximum(last // CHUNK * CHUNK - head, 0)
    return row, first, last, head, gap


@triton.jit
def _add_parts(total, parts_ptr, head, gap, columns, width, CHUNK: tl.constexpr) -> tl.tensor:  # noqa: ANN001
    """Add the sums of the chunks in a gap to the sums of the places of a tile."""
    right = (head + gap) // CHUNK
    for start in range(head // CHUNK, right, total.shape[0]):
        part = (start + tl.arange(0, total.shape[0]))[:, None]
        mask = (part < right) & (columns < width)
        total += tl.load(parts_ptr + part * width + columns, mask=mask, other=0.0)
    return total


@triton.jit
def _log1p(e: tl.tensor) -> tl.tensor:
    """Return ``log(1 + e)`` for e in [0, 1] as a series of artanh(e / (2 + e)), up to 1e-8."""
    t = e / (2.0 + e)
    square = t * t
    series = tl.full(e.shape, 1 / 17, tl.float32)
    for k in tl.static_range(7, -1, -1):
        series = tl.fma(series, square, 1.0 / (2 * k + 1))
    return 2.0 * t * series
