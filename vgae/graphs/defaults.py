"""Options of graphs that need no library, and fractions of links that are held out by default."""

from typing import Any, Literal

from vgae.errors import UsageError

Merge = Literal["mean", "sum", "max", "first"]
Directed = Literal["symmetrize", "error", "keep"]
Sides = Literal["auto", "columns", "none"]
Task = Literal["general", "biased", "bidirectional"]
MissingFeatures = Literal["refuse", "zero", "mean", "impute"]

VAL_FRACTION, TEST_FRACTION = 0.05, 0.10


def sides_option(sides: Any, *, two_sided: bool) -> Any:
    """Return the option ``sides``, given its synonym ``two_sided`` for ``"columns"`` too.

    Raises:
        UsageError: ``SIDES`` if both are given.
    """
    if not two_sided:
        return sides
    if not (isinstance(sides, str) and sides in ("auto", "columns")):
        raise UsageError(
            "SIDES",
            "two_sided=True (--two-sided) means sides='columns'; leave it out beside another sides"
            " (--sides).",
        )
    return "columns"
