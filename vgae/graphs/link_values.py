"""Values of links: weights, signs and features, checked, and merged where links repeat."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError
from vgae.graphs.arrays import dense_array
from vgae.graphs.defaults import Merge


def checked_values(edge_weight: Any, edges: np.ndarray, *, signed: bool) -> np.ndarray:
    """Return the values of edges as float32, shape ``(E,)``.

    Args:
        edge_weight: Weight of each edge; negative ones only if ``signed``.
        edges: The edges, shape ``(2, E)``, for messages.
        signed: Whether the sign of a value is that of its edge.

    Raises:
        DataError: ``BAD_WEIGHT``, ``NEGATIVE_WEIGHT`` or ``ZERO_WEIGHT`` with the first bad ones.
    """
    given = dense_array(edge_weight, "edge_weight", "BAD_WEIGHT")
    if given.shape != edges.shape[1:] or given.dtype.kind not in "biuf":
        raise DataError(
            "BAD_WEIGHT",
            f"edge_weight must be {edges.shape[1]} numbers, one per edge, got shape {given.shape}"
            f" of {given.dtype}.",
        )
    with np.errstate(over="ignore"):
        weight = given.astype(np.float32)
    negative = np.zeros(0, bool) if signed else weight < 0
    for code, bad, rule, cure in (
        ("BAD_WEIGHT", ~np.isfinite(weight), "must be finite in float32", ""),
        ("NEGATIVE_WEIGHT", negative, "must not be negative", f"; {SIGNED}"),
        ("ZERO_WEIGHT", weight == 0, "must not be zero in float32 (see --drop-zero)", ""),
    ):
        if bad.any():
            first = np.flatnonzero(bad)[:3]
            places = ", ".join(
                f"{u} - {v} ({value:g})"
                for (u, v), value in zip(edges[:, first].T.tolist(), given[first], strict=True)
            )
            what = f"edge_weight {rule}; got {bad.sum()} such, first {places}"
            raise DataError(code, f"{what}{cure}.")
    return weight


SIGNED = "signed=True (--signed) reads negative ones as links of sign -1"
"""Cure for negative weights in messages."""


def edge_features(edge_attr: Any, num_edges: int) -> np.ndarray:
    """Return a copy of the features of edges as float32, shape ``(E, K)``, one column at least.

    Raises:
        DataError: ``EDGE_ATTR`` if they are not finite numbers of this shape.
    """
    given = dense_array(edge_attr, "edge_attr", "EDGE_ATTR")
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2 or len(given) != num_edges or not given.shape[1]:
        raise DataError(
            "EDGE_ATTR",
            f"edge_attr must have a row for each of the {num_edges} edges, got shape"
            f" {given.shape}.",
        )
    if given.dtype.kind not in "biuf":
        raise DataError("EDGE_ATTR", f"edge_attr must be numbers, got dtype {given.dtype}.")
    with np.errstate(over="ignore"):
        values = given.astype(np.float32)
    if bad := np.count_nonzero(~np.isfinite(values)):
        row = int((~np.isfinite(values)).any(axis=1).argmax())
        raise DataError(
            "EDGE_ATTR",
            f"edge_attr must be finite in float32, got {bad} other values, the first at edge"
            f" {row}.",
        )
    return values


def merged(values: np.ndarray, starts: np.ndarray, merge: Merge) -> np.ndarray:
    """Return one value, or one row of them, per group, float32.

    Args:
        values: Values, float32, those of a group together and in the order given, ``(E, *)``.
        starts: Place of the first value of each group.
        merge: See :meth:`vgae.Graph.from_edges`; of values with signs, which may cancel.
    """
    if len(starts) in (0, len(values)):
        return values
    if merge == "first":
        return values[starts]
    values = values.astype(np.float64)
    if merge == "max":
        return np.maximum.reduceat(values, starts).astype(np.float32)
    total = np.add.reduceat(values, starts)
    if merge == "mean":
        counts = np.diff(starts, append=len(values))
        total /= counts.reshape(-1, *[1] * (values.ndim - 1))
    return total.astype(np.float32)


def magnitudes(
    value: np.ndarray, links: np.ndarray, *, signed: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Return weights above zero, ``None`` if all are 1, and signs, ``None`` unless ``signed``.

    Raises:
        DataError: ``ZERO_WEIGHT`` if the values of a repeated link cancel.
    """
    sign = None
    if signed:
        if (zero := value == 0).any():
            u, v = links[:, zero.argmax()].tolist()
            raise DataError(
                "ZERO_WEIGHT",
                f"{zero.sum()} links repeat with signs that cancel to 0, first {u} - {v} (counted"
                " from 0 in the order of the nodes); merge='first' or 'max' (--merge) takes one of"
                " the values, directed='keep' (--directed keep) keeps both directions.",
            )
        sign, value = torch.from_numpy(np.sign(value).astype(np.int8)), np.abs(value)
    return None if (value == 1).all() else torch.from_numpy(value), sign


def stored_values(weight: Tensor | None, sign: Tensor | None) -> Tensor | None:
    """Return sign times weight, float32; ``None`` without both."""
    if weight is None or sign is None:
        return weight if sign is None else sign.float()
    return weight * sign
