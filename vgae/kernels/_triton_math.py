"""Functions of single numbers in Triton, some of them in machine code."""

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
def joined(q: tl.tensor, r: tl.tensor) -> tl.tensor:
    """Return ``(1 + q)(1 + r) - 1``."""
    return tl.fma(q, r, q + r)


@triton.jit
def log1p(q: tl.tensor) -> tl.tensor:
    """Return ``log(1 + q)``, corrected for the rounding of the sum."""
    u = 1.0 + q
    return tl.log(u) + (q - (u - 1.0)) / u


@triton.jit
def reciprocal(x: tl.tensor) -> tl.tensor:
    """Return ``1 / x`` by one instruction, where a division takes six."""
    if INTERPRETED:
        return 1.0 / x
    else:  # noqa: RET505
        return tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1
        )


@triton.jit
def times_if_negative(s: tl.tensor, x: tl.tensor, factor: tl.tensor) -> tl.tensor:
    """Return ``x`` where s >= 0, else ``x * factor``, without a selection after the product."""
    if INTERPRETED:
        return tl.where(s < 0, x * factor, x)
    else:  # noqa: RET505
        return tl.inline_asm_elementwise(
            "{ .reg .pred n; setp.lt.f32 n, $1, 0f00000000; mov.f32 $0, $2;"
            " @n mul.f32 $0, $2, $3; }",
            "=f,f,f,f",
            [s, x, factor],
            tl.float32,
            is_pure=True,
            pack=1,
        )


@triton.jit
def two_pieces(p: tl.tensor, like: tl.tensor) -> tuple:
    """Return p rounded, and what is left, rounded; both in the dtype of ``like``.

    Triton converts each number on its own, in the unit for special functions, which is busy.
    """
    if INTERPRETED:
        p0 = p.to(like.dtype)
        return p0, (p - p0.to(tl.float32)).to(like.dtype)
    else:  # noqa: RET505
        return tl.inline_asm_elementwise(
            "{ .reg .b32 a, b; cvt.rn.bf16x2.f32 $0, $3, $2;"
            " shl.b32 a, $0, 16; and.b32 b, $0, 0xffff0000;"
            " sub.f32 a, $2, a; sub.f32 b, $3, b; cvt.rn.bf16x2.f32 $1, b, a; }",
            "=r,=r,r,r",
            [p],
            (tl.bfloat16, tl.bfloat16),
            is_pure=True,
            pack=2,
        )
