r"""Exact sum over all pairs on an NVIDIA GPU: one Triton kernel, one pass for value and gradient.

With logits :math:`s_{ij} = z_i \cdot z_j + b` and :math:`e = \exp(-|s|)`,

.. math::
    \mathrm{softplus}(s) = \max(s, 0) + \log(1 + e), \quad
    \sigma(s) = (1 \text{ if } s \ge 0 \text{ else } e) \, / \, (1 + e)

A program keeps a block of rows and loops over columns, tile by tile. Each row has its own sums,
so the order of summation is fixed. Four measures keep the precision:

* Tensor cores multiply bfloat16 exactly and directly from registers, while float32 would have to
  move between threads first. So z is split into bfloat16 pieces that add up to it; three hold all
  24 bits. Products of two small pieces are left out.
* The factors 1 + e are multiplied as the product minus one, :math:`q \leftarrow q (1 + e) + e`,
  and sigma is not computed as a half plus half a tanh. Both keep their relative precision for
  very negative logits, the usual ones of a sparse graph.
* Without the value, :math:`\sigma(s) = 1 / (1 + \exp(-s))` is shorter, and as precise down to the
  smallest float32: a sum that overflows has the reciprocal zero.
* Long sums are added in steps: over a tile, over a chunk of tiles (value and bias) and over a row.
  With more than one piece, only the first step uses the tensor cores, which truncate.

The kernel is bound by the instructions per pair (``benchmarks/compiled.py`` counts them). So z is
scaled by the root of log2(e), which turns the exponential into a single instruction.

For few rows, several programs split the columns. Memory is O(N d). Two sets of vectors take a pass
for the gradient of each; a signature multiplies the rows. With blocks, a program loops over the
columns of all blocks that its rows are in, and each row has bounds beyond which its logits are
minus infinity.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from vgae.kernels._all_pairs import Precision, Sweep, Wanted
from vgae.kernels._triton_math import (
    INTERPRETED,
    joined,
    log1p,
    reciprocal,
    times_if_negative,
    two_pieces,
)
from vgae.kernels.blocks import Blocks

# The interpreter cannot multiply bfloat16: the first piece is float32, the others are nearly zero.
_PIECE = torch.float32 if INTERPRETED.value else torch.bfloat16
_PIECES = {"high": 3, "tf32": 2, "bf16": 1}
# Rows of a block, 16 per warp. Rows are padded to whole blocks, so that no load needs a mask.
_ROWS = 32 if INTERPRETED.value else 64
# Enough programs that the last round is short, none with few columns, and none with so many that
# its float32 sum over the tiles loses digits.
_PROGRAMS_PER_PROCESSOR, _FEWEST_TILES, _MOST_TILES = 32, 4, 4096

_LOG2E = tl.constexpr(1 / math.log(2))
_LOG2 = tl.constexpr(math.log(2))
# Scale of z, and what float32 leaves of it.
_SCALE = tl.constexpr(float(torch.tensor(math.log(2) ** -0.5)))
_REST = tl.constexpr(math.log(2) ** -0.5 - _SCALE.value)
_TWICE = tl.constexpr(2 * math.log(2) ** 0.5)


def sweep(
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
    *,
    precision: Precision = "high",
    blocks: Blocks | None = None,
) -> Sweep:
    """Pass over all pairs once, or twice for two sets of vectors; unwanted results are zero.

    Against float64, the relative errors of the sum and of its gradients stay below 1e-6 and 1e-5
    (``high``). For logits of order one they stay below 1e-5 and 5e-4 (``tf32``), or 1e-4 and 4e-3
    (``bf16``, averaged over hundreds of nodes); a logit's error grows with its size.

    The first call for a kind of input compiles the kernel, cached on disk by Triton. Nothing is
    tuned: the result depends on the input and on the number of processors only. Later calls never
    make the host wait, so a CUDA graph can be captured.

    Args:
        z: float32, on a GPU of compute capability 8.0 or more, shape ``(N, d)`` with d at most
            256, none of which is checked. From d = 65 on, registers are short and it is slower.
        bias: float32, on the same device, shape ``()``; ``None`` for zero, which is faster.
        wanted: Results to compute. The gradient of a bias that is ``None`` is zero, in float64.
        w: float32, on the same device, shape ``(m, d)``.
        signature: float32, on the same device, shape ``(d,)``.
        precision: Number of pieces of ``z`` that are multiplied: three, two or one.
        blocks: Rows that are in pairs with each other only.
    """
    rows = z if signature is None else z * signature
    split_rows = _pieces(rows, precision, blocks)
    split_z = split_rows if signature is None else _pieces(z, precision, blocks)
    if w is None:
        found = _pass(rows, split_rows, split_z, len(z), bias, wanted, blocks)
        grad_z = found.grad_z if signature is None else found.grad_z * signature
        return found._replace(grad_z=grad_z)
    split_w = _pieces(w, precision, blocks)
    found, grad_w = _pass(z, split_z, split_w, len(w), bias, wanted, blocks), w * 0
    if wanted.grad_z:
        others = Wanted(False, True, False)  # noqa: FBT003
        grad_w = _pass(w, split_w, split_z, len(z), bias, others, blocks).grad_z
    return found._replace(grad_z=torch.cat([found.grad_z, grad_w]) / 2)


block_sweep = sweep


def _pieces(z: Tensor, precision: Precision, blocks: Blocks | None) -> Tensor:
    """Return z in pieces, shape ``(padded, pieces, D)``."""
    num_nodes, width = z.shape
    pieces, dim = _PIECES[precision], max(16, triton.next_power_of_2(width))
    # The tiles of a block may begin at any column.
    padded = (triton.cdiv(num_nodes, _ROWS) + (blocks is not None)) * _ROWS
    split_z = torch.empty((padded, pieces, dim), dtype=_PIECE, device=z.device)
    options = {"PIECES": pieces, "D": dim, "ROWS": 16, "enable_fp_fusion": True}
    with torch.cuda.device_of(z):
        _split_kernel[(padded // 16,)](z.contiguous(), split_z, num_nodes, width, **options)
    return split_z


def _pass(
    z: Tensor,
    rows: Tensor,
    columns: Tensor,
    num_columns: int,
    bias: Tensor | None,
    wanted: Wanted,
    blocks: Blocks | None,
) -> Sweep:
    """Sum over rows and columns in pieces; the gradient is twice that of the rows z."""
    num_nodes, width = z.shape
    padded, pieces, dim = rows.shape
    major, processors = _hardware(z.device)
    chosen = configuration(dim, major)
    bounds = None if blocks is None else blocks.bounds(padded)
    longest = num_columns if blocks is None else int(blocks.sizes.max(initial=0))
    tiles = triton.cdiv(longest, chosen["COLUMNS"])
    splits = num_splits(num_nodes, tiles, processors)
    grad_z = z.new_empty((splits if wanted.grad_z else 0, padded, dim))
    sums = torch.empty((2, splits, padded), dtype=torch.float64, device=z.device)
    # The default of enable_fp_fusion differs between versions of Triton.
    options = {"PIECES": pieces, "D": dim, "enable_fp_fusion": True}
    with torch.cuda.device_of(z):
        _pairs_kernel[(padded // _ROWS, splits)](
            *(rows, columns, bias, bounds, grad_z, sums, num_columns, padded),
            *(tiles // splits, tiles % splits),
            VALUE=wanted.value,
            GRAD_Z=wanted.grad_z,
            GRAD_BIAS=wanted.grad_bias and bias is not None,
            **options,
            **chosen,
        )
    total, grad_bias = sums[:, :, :num_nodes].sum(dim=(1, 2))
    grad_z = grad_z[:, :num_nodes, :width]
    grad_z = grad_z[0] if splits == 1 and wanted.grad_z else grad_z.sum(dim=0)
    return Sweep(total, grad_z, grad_bias if bias is None else grad_bias.to(bias.dtype))


def trial(device: torch.device, width: int) -> None:
    """Compile and run the kernel for ``width`` columns; raise if it fails or sums wrongly."""
    z = torch.zeros(1, width, dtype=torch.float32, device=device)
    found = sweep(z, None, Wanted(grad_bias=False)).total.item()
    if not math.isclose(found, math.log(2), rel_tol=1e-6):
        raise RuntimeError(f"a sum of known value {math.log(2):.7f} was computed as {found:.7f}")


def configuration(dim: int, major: int) -> dict[str, int]:
    """Return sizes and launch options for ``dim`` columns of z, on compute capability ``major``.

    The widest tile whose pairs stay in the registers: 64 columns have half the instructions per
    pair of 32. Hopper's tensor cores read z from shared memory, the others from registers.
    Chunks have 15 tiles, since one logarithm is taken of 8 x 15 factors: 2^120 < 2^128.
    """
    wide = dim <= (64 if major == 9 else 32)
    sizes = (_ROWS, 16, 2) if INTERPRETED.value else (_ROWS, 64 if wide else 32, 15)
    launch = {"num_warps": 4, "num_stages": 2}
    return dict(zip(("ROWS", "COLUMNS", "TILES"), sizes, strict=True)) | launch


def num_splits(num_nodes: int, tiles: int, processors: int) -> int:
    """Return the number of programs per block of rows; several let a small graph fill a GPU."""
    blocks = max(triton.cdiv(num_nodes, _ROWS), 1)
    splits = triton.cdiv(_PROGRAMS_PER_PROCESSOR * processors, blocks)
    return max(min(splits, tiles // _FEWEST_TILES), triton.cdiv(tiles, _MOST_TILES), 1)


def _hardware(device: torch.device) -> tuple[int, int]:
    """Return the compute capability and the number of processors; the interpreter is one."""
    if device.type != "cuda":
        return 0, 1
    properties = torch.cuda.get_device_properties(device)
    return properties.major, properties.multi_processor_count


@triton.jit(do_not_specialize=["num_nodes", "width"])
def _split_kernel(
    z_ptr: tl.tensor,
    pieces_ptr: tl.tensor,
    num_nodes: tl.tensor,
    width: tl.tensor,
    PIECES: tl.constexpr,
    D: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Write scaled z in pieces side by side, padded with rows and columns of zeros.

    Three pieces, largest first, have the order 2, 0, 1: two neighbours are multiplied at once.
    """
    row = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    column = tl.arange(0, D)[None, :]
    inside = (row < num_nodes) & (column < width)
    z = tl.load(z_ptr + row * width + column, mask=inside, other=0.0)
    rest = z * _SCALE
    lost = tl.fma(z, _SCALE, -rest) + z * _REST
    for k in tl.static_range(PIECES):
        piece = rest.to(pieces_ptr.dtype.element_ty)
        place = (k + PIECES // 3) % PIECES
        tl.store(pieces_ptr + (row * PIECES + place) * D + column, piece)
        rest = rest - piece.to(tl.float32) + lost
        lost = tl.zeros_like(lost)


@triton.jit
def first_tile(split: tl.tensor, tiles: tl.tensor, extra: tl.tensor) -> tl.tensor:
    """Return the first tile of a program that gets ``tiles``, or one more if among ``extra``."""
    return split * tiles + tl.minimum(split, extra)


@triton.jit(do_not_specialize=["num_columns", "tiles", "extra"])
def _pairs_kernel(  # noqa: C901, PLR0913
    rows_ptr: tl.tensor,
    columns_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    bounds_ptr: tl.tensor,
    grad_ptr: tl.tensor,
    sums_ptr: tl.tensor,
    num_columns: tl.tensor,
    padded: tl.tensor,
    tiles: tl.tensor,
    extra: tl.tensor,
    PIECES: tl.constexpr,
    D: tl.constexpr,
    VALUE: tl.constexpr,
    GRAD_Z: tl.constexpr,
    GRAD_BIAS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
) -> None:
    """Sum over a block of rows and some tiles of columns; write each row's sums."""
    top, split = tl.program_id(0) * ROWS, tl.program_id(1)
    rows, columns, dims = tl.arange(0, ROWS), tl.arange(0, COLUMNS), tl.arange(0, D)
    # Two pieces at once halve the waits for the tensor cores, but need memory and registers.
    PAIRED: tl.constexpr = PIECES > 1 and D <= 16
    W: tl.constexpr = PIECES * D
    row_ptr = rows_ptr + top.to(tl.int64) * W + rows[:, None] * W
    x0, x1, x2 = _load_rows(row_ptr, PIECES, D, PAIRED)
    begin, end = 0, num_columns
    if bounds_ptr is not None:
        low, high = tl.load(bounds_ptr + top + rows), tl.load(bounds_ptr + padded + top + rows)
        begin, end = tl.min(tl.where(low < high, low, num_columns)), tl.max(high)
        first, last = tl.max(low), tl.min(high)  # columns within the bounds of all rows
        tiles = tl.cdiv(tl.maximum(end - begin, 0), COLUMNS)
        tiles, extra = tiles // tl.num_programs(1), tiles % tl.num_programs(1)
    left = begin + first_tile(split, tiles, extra) * COLUMNS
    right = tl.minimum(begin + first_tile(split + 1, tiles, extra) * COLUMNS, end)
    tile_ptr = columns_ptr + left.to(tl.int64) * W
    if bias_ptr is not None:
        bias = (tl.load(bias_ptr).to(tl.float64) * _LOG2E).to(tl.float32)
    grad = tl.zeros([ROWS, D], tl.float32)
    value, mass = tl.zeros([ROWS], tl.float64), tl.zeros([ROWS], tl.float64)
    # Without disable_licm, addresses that are hoisted out of a loop take registers within it.
    for start in tl.range(left, right, COLUMNS * TILES, disable_licm=True):
        q = tl.zeros([ROWS, COLUMNS], tl.float32)
        positive, chunk_mass = tl.zeros([ROWS, 4], tl.float32), tl.zeros([ROWS, 4], tl.float32)
        for j in tl.range(
            start, tl.minimum(start + COLUMNS * TILES, right), COLUMNS, disable_licm=D > 64
        ):
            y0, y1, y2 = _load_columns(tile_ptr + columns[:, None] * W, PIECES, D, PAIRED)
            tile_ptr += COLUMNS * W
            s = _logits(x0, x1, x2, y0, y1, y2, PIECES, PAIRED)  # in units of log(2)
            if bias_ptr is not None:
                s += bias
            if bounds_ptr is not None:
                if (j < first) | (j + COLUMNS > last):
                    at = (j + columns)[None, :]
                    s = tl.where((at >= low[:, None]) & (at < high[:, None]), s, float("-inf"))
            elif j + COLUMNS > num_columns:
                # Subtracting the padding at the end would cost a small graph its precision.
                s = tl.where((j + columns < num_columns)[None, :], s, float("-inf"))
            if VALUE:
                e = tl.exp2(-tl.abs(s))
                q = tl.fma(q, 1.0 + e, e)
                positive += _lanes(tl.maximum(s, 0.0))
                p = times_if_negative(s, reciprocal(1.0 + e), e)
            else:
                p = reciprocal(1.0 + tl.exp2(-s))
            if GRAD_BIAS:
                chunk_mass += _lanes(p)
            if GRAD_Z:
                grad += _weighted_sum(p, y0, y1, PIECES, D, PAIRED)
        mass += tl.sum(chunk_mass, 1).to(tl.float64)
        if VALUE:
            q = tl.reduce(tl.reshape(q, [ROWS, COLUMNS // 8, 8]), 1, joined)
            value += (tl.sum(log1p(q), 1) + tl.sum(positive, 1) * _LOG2).to(tl.float64)
    at = split.to(tl.int64) * padded + top
    tl.store(sums_ptr + at + rows, value)
    tl.store(sums_ptr + tl.num_programs(1).to(tl.int64) * padded + at + rows, mass)
    if GRAD_Z:
        # s_ij and s_ji both contain z_i, hence the factor two.
        tl.store(grad_ptr + at * D + rows[:, None] * D + dims[None, :], grad * _TWICE)


@triton.jit
def _load_rows(ptr, PIECES: tl.constexpr, D: tl.constexpr, PAIRED: tl.constexpr) -> tuple:  # noqa: ANN001
    """Return the three factors of a block of rows; the last replaces those that do not exist."""
    FIRST: tl.constexpr = PIECES // 3 * D
    if PAIRED:
        k = tl.arange(0, 2 * D)[None, :]
        x0 = tl.load(ptr + FIRST + k % D)
        x1 = tl.load(ptr + FIRST + D + k % D)
        x2 = tl.load(ptr + (k + D) % (2 * D)) if PIECES > 2 else x1
    else:
        k = tl.arange(0, D)[None, :]
        x0 = tl.load(ptr + FIRST + k)
        x1 = tl.load(ptr + FIRST + D + k) if PIECES > 1 else x0
        x2 = tl.load(ptr + k) if PIECES > 2 else x1
    return x0, x1, x2


@triton.jit
def _load_columns(ptr, PIECES: tl.constexpr, D: tl.constexpr, PAIRED: tl.constexpr) -> tuple:  # noqa: ANN001
    """Return the three factors of a tile; the last replaces those that do not exist."""
    FIRST: tl.constexpr = PIECES // 3 * D
    if PAIRED:
        k = tl.arange(0, 2 * D)[None, :]
        y0 = tl.load(ptr + FIRST + k)
        y1 = y0
        y2 = tl.load(ptr + k) if PIECES > 2 else y0
    else:
        k = tl.arange(0, D)[None, :]
        y0 = tl.load(ptr + FIRST + k)
        y1 = tl.load(ptr + FIRST + D + k) if PIECES > 1 else y0
        y2 = tl.load(ptr + k) if PIECES > 2 else y1
    return y0, y1, y2


@triton.jit
def _logits(x0, x1, x2, y0, y1, y2, PIECES: tl.constexpr, PAIRED: tl.constexpr) -> tl.tensor:  # noqa: ANN001
    """Return ``x @ y.T`` of two blocks in pieces, the smallest terms added first."""
    s = tl.zeros([x0.shape[0], y0.shape[0]], tl.float32)
    if PIECES > 2:
        if PAIRED:
            s = tl.dot(x2, tl.trans(y2), s)
        else:
            s = tl.dot(x1, tl.trans(y1), s)
            s = tl.dot(x0, tl.trans(y2), s)
            s = tl.dot(x2, tl.trans(y0), s)
    if PIECES > 1:
        if not PAIRED:
            s = tl.dot(x0, tl.trans(y1), s)
        s = tl.dot(x1, tl.trans(y0), s)
    return tl.dot(x0, tl.trans(y0), s)


@triton.jit
def _weighted_sum(p, y0, y1, PIECES: tl.constexpr, D: tl.constexpr, PAIRED: tl.constexpr):  # noqa: ANN001, ANN202
    """Return ``p @ y``; p is split in two if y is split."""
    total = tl.zeros([p.shape[0], y0.shape[1]], tl.float32)
    if PIECES == 1:
        total = tl.dot(p.to(y0.dtype), y0, total)
    else:
        p0, p1 = two_pieces(p, y0)
        if PIECES > 2 and not PAIRED:
            total = tl.dot(p1, y1, total)
        total = tl.dot(p1, y0, total)
        if not PAIRED:
            total = tl.dot(p0, y1, total)
        total = tl.dot(p0, y0, total)
    if PAIRED:
        total = tl.sum(tl.reshape(total, [p.shape[0], 2, D]), 1)
    return total


@triton.jit
def _lanes(x: tl.tensor) -> tl.tensor:
    """Return four sums of each row, of the columns that one thread holds: nobody waits."""
    return tl.sum(tl.sum(tl.reshape(x, [x.shape[0], x.shape[1] // 8, 4, 2]), 3), 1)
