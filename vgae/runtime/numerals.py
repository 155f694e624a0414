"""Text as numbers, in ASCII."""

import re
from collections.abc import Sequence
from itertools import pairwise

_MISSING = {"", "na", "n/a", "nan", "none", "null", "-", "?"}
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


def parse_number(text: str) -> float:
    """Return the number that a text writes in ASCII, without underscores, or ``ValueError``."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def is_number(text: str) -> bool:
    """Return whether :func:`parse_number` accepts a text."""
    try:
        parse_number(text)
    except ValueError:
        return False
    return True


def is_integer(text: str) -> bool:
    """Return whether a text is the canonical form of a 64-bit integer, in ASCII digits."""
    return bool(_INTEGER.fullmatch(text)) and -(2**63) <= int(text) < 2**63


def is_running(values: Sequence[str], *, strict: bool = True) -> bool:
    """Return whether texts are integers, each one more than that before (or at all more)."""
    if not values or not all(map(is_integer, values)):
        return False
    steps = [int(b) - int(a) for a, b in pairwise(values)]
    return all(step == 1 or (step > 0 and not strict) for step in steps)


def is_decimal(text: str) -> bool:
    """Return whether a text is a number, perhaps with a decimal comma."""
    return is_number(text) or _DECIMAL_COMMA.fullmatch(text) is not None


def is_missing(text: str) -> bool:
    """Return whether a text stands for a missing number."""
    return text.casefold() in _MISSING
