"""Layout of text for terminals."""

from collections.abc import Sequence


def columns(lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return aligned columns, one line for each sequence of cells, all of one length.

    ``right`` has the indices of the right-aligned columns.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if k in right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def p_text(p: float) -> str:
    """Return a p-value as text."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
