r"""Exact sum over all pairs on an NVIDIA GPU: one Triton kernel, one pass for value and gradient.

With logits :math:`s_{ij} = z_i \cdot z_j + b` and :math:`e = \exp(-|s|)`,

.. math::
    \mathrm{softplus}(s) = \max(s, 0) + \log(1 + e), \quad
    \sigma(s) = (1 \text{ if } s \ge 0 \text{ else } e) \, / \, (1 + e)

A program keeps a block of rows and loops over all columns, tile by tile. Each row has its own
sums, so the order of summation is fixed. Three measures keep the precision:

* Tensor cores multiply bfloat16 exactly and directly from registers, while float32 would have to
  move between threads first. So z is split into bfloat16 pieces that add up to it, largest first;
  three hold all 24 bits. Products of two small pieces are left out.
* The factors 1 + e are multiplied as the product minus one, :math:`q \leftarrow q + e + q e`, and
  sigma is not computed as a half plus half a tanh. Both keep their relative precision for very
  negative logits, the usual ones of a sparse graph.
* Long sums are added in steps: over a tile, over a chunk of tiles, over the row. With more than
  one piece, only the first step uses the tensor cores, whose sums truncate instead of rounding.

For few rows, several programs split the columns. Memory is O(N d).
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vgae.kernels._all_pairs import Precision, Sweep, Wanted

_INTERPRETED = triton.knobs.runtime.interpret
# The interpreter cannot multiply bfloat16: the first piece is float32, the others are zero.
_PIECE = torch.float32 if _INTERPRETED else torch.bfloat16
_PIECES = {"high": 3, "tf32": 2, "bf16": 1}
# Columns of a tile, and tiles of a chunk, which is the number of factors per logarithm.
_COLUMNS, _TILES = (16, 2) if _INTERPRETED else (32, 32)
# Rows of a block and pipeline stages. Each has 16 rows per warp and the same tiles, hence the same
# order of each row's sums: the result does not depend on which one the autotuner picks.
_BLOCKS = [(32, 1)] if _INTERPRETED else [(64, 2), (64, 3), (128, 2), (128, 3)]
# Rows are padded to whole blocks, so that no load needs a mask.
_PADDING = max(rows for rows, _ in _BLOCKS)
# Enough programs to balance the last round, but none with too few columns.
_PROGRAMS_PER_PROCESSOR, _FEWEST_COLUMNS = 8, 256


def sweep(z: Tensor, bias: Tensor, wanted: Wanted, *, precision: Precision = "high") -> Sweep:
    """Pass over all pairs once; unwanted results are zero.

    Against float64, the relative errors of the sum and of its gradients stay below 1e-6 and 1e-5
    (``high``). For logits of order one they stay below 1e-5 and 5e-4 (``tf32``), or 1e-4 and 4e-3
    (``bf16``, averaged over hundreds of nodes); a logit's error grows with its size.

    The first call for a kind of input compiles and tunes the kernel, cached on disk by Triton.
    Later calls never make the host wait, so a CUDA graph can be captured.

    Args:
        z: float32, on a GPU of compute capability 8.0 or more, shape ``(N, d)`` with d at most
            256, none of which is checked. From d = 65 on, registers are short and it is slower.
        bias: float32, on the same device, shape ``()``.
        wanted: Results to compute.
        precision: Number of pieces of ``z`` that are multiplied: three, two or one.
    """
    num_nodes, width = z.shape
    pieces, dim = _PIECES[precision], max(16, triton.next_power_of_2(width))
    padded = triton.cdiv(num_nodes, _PADDING) * _PADDING
    splits = _splits(num_nodes, z.device)
    span = triton.cdiv(triton.cdiv(num_nodes, splits), _PADDING) * _PADDING
    split_z = torch.empty((pieces, padded, dim), dtype=_PIECE, device=z.device)
    grad_z = z.new_empty((splits if wanted.grad_z else 0, padded, dim))
    sums = torch.zeros((2, splits, padded), dtype=torch.float64, device=z.device)
    # The default of enable_fp_fusion differs between versions of Triton.
    options = {"PIECES": pieces, "D": dim, "enable_fp_fusion": True}
    with torch.cuda.device_of(z):
        _split_kernel[(padded // 16,)](
            *(z.contiguous(), split_z, num_nodes, width, padded), ROWS=16, **options
        )
        _pairs_kernel[lambda meta: (padded // meta["ROWS"], splits)](
            *(split_z, bias, grad_z, sums, num_nodes, padded, span),
            size_class=min(max(num_nodes.bit_length(), 12), 17),
            VALUE=wanted.value,
            GRAD_Z=wanted.grad_z,
            GRAD_BIAS=wanted.grad_bias,
            COLUMNS=_COLUMNS,
            TILES=_TILES,
            **options,
        )
    total, grad_bias = sums[:, :, :num_nodes].sum(dim=(1, 2))
    grad_z = grad_z[:, :num_nodes, :width].sum(dim=0)
    return Sweep(total, grad_z, grad_bias.to(bias.dtype))


def _splits(num_nodes: int, device: torch.device) -> int:
    """Return the number of programs per block of rows; several let a small graph fill a GPU."""
    if device.type != "cuda":
        return 1
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    blocks = max(triton.cdiv(num_nodes, _BLOCKS[0][0]), 1)
    splits = triton.cdiv(_PROGRAMS_PER_PROCESSOR * processors, blocks)
    return max(min(splits, num_nodes // _FEWEST_COLUMNS), 1)


@triton.jit(do_not_specialize=["num_nodes", "width"])
def _split_kernel(
    z_ptr: tl.tensor,
    pieces_ptr: tl.tensor,
    num_nodes: tl.tensor,
    width: tl.tensor,
    padded: tl.tensor,
    PIECES: tl.constexpr,
    D: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Write z in pieces, padded with rows and columns of zeros."""
    row = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    column = tl.arange(0, D)[None, :]
    inside = (row < num_nodes) & (column < width)
    rest = tl.load(z_ptr + row * width + column, mask=inside, other=0.0)
    for k in tl.static_range(PIECES):
        piece = rest.to(pieces_ptr.dtype.element_ty)
        tl.store(pieces_ptr + (k * padded.to(tl.int64) + row) * D + column, piece)
        rest -= piece.to(tl.float32)


@triton.autotune(
    configs=[
        triton.Config({"ROWS": rows}, num_warps=rows // 16, num_stages=stages)
        for rows, stages in _BLOCKS
    ],
    key=["size_class", "PIECES", "D", "VALUE", "GRAD_Z", "GRAD_BIAS"],
    cache_results=True,
)
@triton.jit(do_not_specialize=["num_nodes", "size_class"])
def _pairs_kernel(  # noqa: PLR0913
    pieces_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    grad_ptr: tl.tensor,
    sums_ptr: tl.tensor,
    num_nodes: tl.tensor,
    padded: tl.tensor,
    span: tl.tensor,
    size_class: tl.tensor,  # noqa: ARG001
    PIECES: tl.constexpr,
    D: tl.constexpr,
    VALUE: tl.constexpr,
    GRAD_Z: tl.constexpr,
    GRAD_BIAS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
) -> None:
    """Sum over a block of rows and ``span`` columns; write each row's sums."""
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    columns, dims = tl.arange(0, COLUMNS), tl.arange(0, D)
    stride = padded.to(tl.int64) * D
    bias = tl.load(bias_ptr)
    x0, x1, x2 = _load(pieces_ptr + rows[:, None] * D + dims[None, :], stride, PIECES)
    tile_ptr = pieces_ptr + columns[:, None] * D + dims[None, :]
    left = tl.program_id(1) * span
    right = tl.minimum(left + span, num_nodes)
    grad = tl.zeros([ROWS, D], tl.float32)
    value, mass = tl.zeros([ROWS], tl.float64), tl.zeros([ROWS], tl.float64)
    for start in range(left, right, COLUMNS * TILES):
        q = tl.zeros([ROWS, COLUMNS], tl.float32)
        positive, chunk_mass = tl.zeros([ROWS], tl.float32), tl.zeros([ROWS], tl.float32)
        chunk_grad = tl.zeros([ROWS, D], tl.float32)
        for j in range(start, tl.minimum(start + COLUMNS * TILES, right), COLUMNS):
            y0, y1, y2 = _load(tile_ptr + tl.cast(j, tl.int64) * D, stride, PIECES)
            s = _logits(x0, x1, x2, y0, y1, y2, PIECES) + bias
            if j + COLUMNS > num_nodes:
                # Subtracting the padding at the end would cost a small graph its precision.
                s = tl.where((j + columns < num_nodes)[None, :], s, float("-inf"))
            e = tl.exp2(tl.abs(s) * -1.4426950408889634)  # log2(e)
            if VALUE:
                q = tl.fma(q, e, q + e)
                positive += tl.sum(tl.maximum(s, 0.0), 1)
            root = tl.rsqrt(1.0 + e)  # one instruction, where a division takes six
            p = tl.where(s >= 0, 1.0, e) * (root * root)
            # In this order p in float32 is no longer needed when its pieces need the registers.
            if GRAD_BIAS:
                chunk_mass += tl.sum(p, 1)
            if GRAD_Z:
                chunk_grad += _weighted_sum(p, y0, y1, PIECES)
        grad += chunk_grad
        mass += chunk_mass.to(tl.float64)
        value += (tl.sum(_log1p(q), 1) + positive).to(tl.float64)
    split = tl.program_id(1).to(tl.int64)
    if VALUE:
        tl.store(sums_ptr + split * padded + rows, value)
    if GRAD_BIAS:
        tl.store(sums_ptr + (tl.num_programs(1) + split) * padded + rows, mass)
    if GRAD_Z:
        # s_ij and s_ji both contain z_i, hence the factor two.
        tl.store(grad_ptr + (split * padded + rows)[:, None] * D + dims[None, :], 2 * grad)


@triton.jit
def _load(ptr: tl.tensor, stride: tl.tensor, PIECES: tl.constexpr) -> tuple:
    """Return three pieces of a block; the first replaces those that do not exist."""
    z0 = tl.load(ptr)
    z1 = tl.load(ptr + stride) if PIECES > 1 else z0
    z2 = tl.load(ptr + 2 * stride) if PIECES > 2 else z0
    return z0, z1, z2


@triton.jit
def _logits(x0, x1, x2, y0, y1, y2, PIECES: tl.constexpr) -> tl.tensor:  # noqa: ANN001
    """Return ``x @ y.T`` of two blocks in pieces, the smallest terms added first."""
    s = tl.zeros([x0.shape[0], y0.shape[0]], tl.float32)
    if PIECES > 2:
        s = tl.dot(x1, tl.trans(y1), s)
        s = tl.dot(x0, tl.trans(y2), s)
        s = tl.dot(x2, tl.trans(y0), s)
    if PIECES > 1:
        s = tl.dot(x0, tl.trans(y1), s)
        s = tl.dot(x1, tl.trans(y0), s)
    return tl.dot(x0, tl.trans(y0), s)


@triton.jit
def _weighted_sum(p, y0, y1, PIECES: tl.constexpr) -> tl.tensor:  # noqa: ANN001
    """Return ``p @ y``; p is split in two if y is split."""
    total = tl.zeros([p.shape[0], y0.shape[1]], tl.float32)
    if PIECES == 1:
        return tl.dot(p.to(y0.dtype), y0, total)
    # A float32 rounded to the upper half of its bits is a bfloat16; a conversion is slower.
    p0 = ((p.to(tl.int32, bitcast=True) + 0x8000) & -0x10000).to(tl.float32, bitcast=True)
    p1 = (p - p0).to(y0.dtype)
    if PIECES > 2:
        total = tl.dot(p1, y1, total)
    total = tl.dot(p1, y0, total)
    total = tl.dot(p0.to(y0.dtype), y1, total)
    return tl.dot(p0.to(y0.dtype), y0, total)


@triton.jit
def _log1p(q: tl.tensor) -> tl.tensor:
    """Return ``log(1 + q)``, corrected for the rounding of the sum."""
    u = 1.0 + q
    return tl.log(u) + (q - (u - 1.0)) / u
