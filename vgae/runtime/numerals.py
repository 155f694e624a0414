"""Text as numbers, in ASCII."""

import re

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
