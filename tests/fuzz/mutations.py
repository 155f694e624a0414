"""Hostile bytes: valid files that were cut, flipped, spliced or given extreme values."""

import copy
import json
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

EXTREMES = [
    *(0, 1, 7, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1),
    *(2**48, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
]
TEXTS = [
    *(b"-1", b"0", b"1e999", b"nan", b"-inf", b"99999999999999999999", b"1" * 5000, b"1_0"),
    *(b'"', b"'", b"\n", b"\r", b"\t", b"\0", b",", b";", b"{", b"[", b"[" * 3000, b"(" * 300),
    *(
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x1f\x8b",
        b"PK\3\4",
        b"\x93NUMPY",
        b"\xc3",
        b"\xe2\x80\xae",
    ),
    *(b"|O", b"<f8", b">i4", b"<U9", b"<V8", b"True", b"None", b"=cmd|' /C calc'!A0", b"../../x"),
    *(
        "\u0661\u0662".encode(),
        b"\x1b[2J",
        b"(2,)",
        b"()",
        b"c__builtin__\neval\n",
        b"R",
        b"b.",
        b"0",
    ),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, -(2**63), 0.5, -0.0, 1e308),
    *(
        float("nan"),
        float("inf"),
        "",
        "x",
        "\0",
        "\n",
        "../../x",
        "/dev/zero",
        "\ud800",
        "float64",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [-1],
        [2**62, 4],
        [2**40] * 3,
        [0],
        {"a": 1},
        "1",
        "object",
        "complex64",
    ),
    *("x" * 300, "\x1b[2J", [0.5], ["x"], -5, 7, 3, "bool"),
]
_SIZES = (("<B", 1), ("<H", 2), ("<I", 4), (">I", 4), ("<Q", 8), (">Q", 8))
_place = st.integers(0, 2**16)


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy: a seed after one to four changes, at times random bytes."""
    changes = st.lists(
        st.tuples(st.sampled_from(CHANGES), _place, _place, st.sampled_from(seeds)),
        min_size=1,
        max_size=4,
    )
    strategies = [st.tuples(st.sampled_from(seeds), changes).map(lambda drawn: changed(*drawn))]
    if documents := [seed for seed in seeds if _document(seed) is not None]:
        picked = st.lists(
            st.tuples(_place, st.sampled_from(VALUES), st.integers(0, 2)), min_size=1, max_size=3
        )
        edits = st.tuples(st.sampled_from(documents), picked).map(lambda drawn: edited(*drawn))
        strategies = [edits, edits, edits, *strategies]
    return st.one_of(*strategies, *strategies, st.binary(max_size=64))


def changed(seed: bytes, changes: Sequence[tuple[Callable[..., bytes], int, int, bytes]]) -> bytes:
    for change, a, b, other in changes:
        seed = change(seed, a, b, other)
    return seed


def _flip(data: bytes, a: int, b: int, _: bytes) -> bytes:
    if not data:
        return data
    k = a % len(data)
    return data[:k] + bytes([data[k] ^ 1 << b % 8]) + data[k + 1 :]


def _cut(data: bytes, a: int, b: int, _: bytes) -> bytes:
    return data[: a % (len(data) + 1)]


def _drop(data: bytes, a: int, b: int, _: bytes) -> bytes:
    k = a % (len(data) + 1)
    return data[:k] + data[k + 1 + b % 16 :]


def _splice(data: bytes, a: int, b: int, other: bytes) -> bytes:
    return data[: a % (len(data) + 1)] + other[b % (len(other) + 1) :]


def _repeat(data: bytes, a: int, b: int, _: bytes) -> bytes:
    k, length = a % (len(data) + 1), 1 + b % 64
    return data[:k] + data[k : k + length] * (2 + b % 7) + data[k + length :]


def _number(data: bytes, a: int, b: int, _: bytes) -> bytes:
    kind, size = _SIZES[b % len(_SIZES)]
    if len(data) < size:
        return data
    # Half of them near the start, where headers are.
    k = (a // 2) % (min(len(data), 64) if a % 2 else len(data))
    k = min(k, len(data) - size)
    value = EXTREMES[(b // len(_SIZES)) % len(EXTREMES)] % 256**size
    return data[:k] + struct.pack(kind, value) + data[k + size :]


def _digits(data: bytes, a: int, b: int, _: bytes) -> bytes:
    """Replace one number that is written in digits."""
    found = [*re.finditer(rb"\d+", data)]
    if not found:
        return data
    start, end = found[a % len(found)].span()
    values = [*TEXTS[:8], *(str(value).encode() for value in EXTREMES)]
    return data[:start] + values[b % len(values)] + data[end:]


def _insert(data: bytes, a: int, b: int, _: bytes) -> bytes:
    k, text = a % (len(data) + 1), TEXTS[b % len(TEXTS)]
    return data[:k] + text + data[k + (len(text) if b & 1 else 0) :]


CHANGES = [_flip, _flip, _cut, _drop, _splice, _repeat, _number, _number, _digits, _insert]


def edited(seed: bytes, edits: Sequence[tuple[int, Any, int]]) -> bytes:
    """Return a JSON document, or lines of them, with values put in, taken out or nested."""
    document, lines = _document(seed)  # pyright: ignore
    for place, value, kind in edits:
        slots = [*_slots(document)]
        if not slots:
            break
        holder, key = slots[place % len(slots)]
        if kind == 0:
            holder[key] = copy.deepcopy(value)
        elif kind == 1 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = [holder[key]]
    texts = [json.dumps(part) for part in document] if lines else [json.dumps(document)]
    return "\n".join(texts).encode()


def _document(seed: bytes) -> tuple[Any, bool] | None:
    try:
        return json.loads(seed), False
    except ValueError:
        pass
    try:
        rows = [json.loads(line) for line in seed.splitlines()]
    except ValueError:
        return None
    return (rows, True) if rows and all(isinstance(row, dict) for row in rows) else None


def _slots(document: Any) -> Any:
    """Yield each place of a value: what holds it and its key."""
    items = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for key, value in [*items]:
        yield document, key
        yield from _slots(value)
