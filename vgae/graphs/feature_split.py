"""Split of the entries of the features: some are held out, to be predicted."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from vgae.errors import DataError, UsageError, check_choice
from vgae.graphs.missing import entries_of, filled, known_values, marked_entries
from vgae.runtime.streams import stream

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph

By = Literal["entries", "nodes"]
_MOST = 2**28  # held-out entries, which take 28 bytes each


class FeatureEntries(NamedTuple):
    """Known entries of the features.

    Attributes:
        rows: Node of each entry, ascending, int64, shape ``(K,)``.
        columns: Column of each entry, int64, shape ``(K,)``.
        values: Its value, float32, shape ``(K,)``.
    """

    rows: Tensor
    columns: Tensor
    values: Tensor


class FeatureSplit(NamedTuple):
    """Graph without the held-out entries of its features, and these entries.

    Attributes:
        graph: The graph, in which the held-out entries are missing too: neither an encoder nor a
            loss has them.
        val: Entries for the choice of a model.
        test: Entries for its final evaluation.
    """

    graph: "Graph"
    val: FeatureEntries
    test: FeatureEntries


def split_features(
    graph: "Graph", *, val: float = 0.0, test: float = 0.1, seed: int = 0, by: By = "entries"
) -> FeatureSplit:
    """Hold out a random fraction of the known entries of the features.

    Args:
        graph: Graph with features.
        val: Fraction for validation, in ``[0, 1)``; the count is rounded down.
        test: Fraction for test; ``val + test < 1``.
        seed: Same seed, same entries.
        by: ``"entries"`` draws single ones; ``"nodes"`` all entries of that fraction of the
            nodes, which then have links only.

    Raises:
        DataError: ``NO_FEATURES``; ``SPLIT_TOO_SMALL`` if a part would be empty.
        UsageError: If a fraction is out of range, or there would be too many entries.
    """
    check_choice("by", by, By)
    if graph.x is None:
        raise DataError("NO_FEATURES", f"{graph.name} has no features to hold out.")
    for name, fraction in {"val": val, "test": test, "val + test": val + test}.items():
        if not 0 <= fraction < 1:
            what = f"{name} must be a fraction of the features in [0, 1), got {fraction}."
            raise UsageError("SPLIT_SHARE", what)
    num_rows, num_columns = graph.x.shape
    gaps = entries_of(graph.missing)
    known = num_rows * num_columns - gaps.shape[1]
    if (val + test) * known > _MOST:
        raise UsageError(
            "SPLIT_SHARE",
            f"val and test of {known:,} entries are more than {_MOST:,}; use smaller fractions.",
        )
    generator = stream(seed, "parts")
    gap_codes = gaps[0] * num_columns + gaps[1]
    count = num_rows if by == "nodes" else known
    sizes = {"val": int(count * val * (1 + 1e-12)), "test": int(count * test * (1 + 1e-12))}
    for name, fraction in {"val": val, "test": test}.items():
        if fraction and not sizes[name]:
            raise DataError(
                "SPLIT_TOO_SMALL",
                f"{fraction:.3g} of {count} {by} is less than one; {name} needs a larger fraction,"
                " or 0 for none.",
            )
    if by == "nodes":
        nodes = torch.randperm(num_rows, generator=generator)
        parts = nodes[: sum(sizes.values())].split([*sizes.values()])
        all_columns = torch.arange(num_columns)
        parts = [(part[:, None] * num_columns + all_columns).flatten() for part in parts]
        parts = [part[~torch.isin(part, gap_codes)] for part in parts]
    else:
        drawn = _drawn(num_rows * num_columns, sum(sizes.values()), gap_codes, generator)
        parts = drawn.split([*sizes.values()])
    found = [_entries(graph.x, part.sort().values, num_columns) for part in parts]
    rows = torch.cat([gaps[0], *(part.rows for part in found)])
    columns = torch.cat([gaps[1], *(part.columns for part in found)])
    missing = marked_entries(rows, columns, (num_rows, num_columns))
    hidden = replace(graph, x=filled(graph.x, missing), missing=missing)
    return FeatureSplit(hidden, *found)


def _drawn(total: int, count: int, excluded: Tensor, generator: torch.Generator) -> Tensor:
    """Draw different numbers below ``total``, but for the excluded ones, in a random order."""
    found = torch.zeros(0, dtype=torch.int64)
    while len(found) < count:
        more = torch.randint(total, (2 * count,), generator=generator)
        found = torch.cat([found, more]).unique()
        found = found[~torch.isin(found, excluded)]
    return found[torch.randperm(len(found), generator=generator)[:count]]


def _entries(x: Tensor, codes: Tensor, num_columns: int) -> FeatureEntries:
    rows, columns = codes // num_columns, codes % num_columns
    return FeatureEntries(rows, columns, known_values(x, rows, columns))
