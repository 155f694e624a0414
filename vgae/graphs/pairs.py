"""Pairs of nodes from users, in one form: int64, ``(2, P)``, ordered as the grid stores them."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.errors import ArtifactError, DataError
from vgae.graphs.arrays import dense_array
from vgae.graphs.grid import Grid

log = logging.getLogger(__name__)


class LabelledPairs(NamedTuple):
    """Held-out links and non-links, each pair once, as the grid stores it.

    Attributes:
        pos: Links, int64, shape ``(2, P)``.
        neg: Non-links, int64, shape ``(2, Q)``.
        per_link: K if each link has K non-links of its own, which it is ranked among, with
            ``Q = P * K``: those of link i are ``neg[:, i * K : (i + 1) * K]``. 0 if all links
            have the same non-links.
    """

    pos: Tensor
    neg: Tensor
    per_link: int = 0

    @property
    def edge_label_index(self) -> Tensor:
        """All pairs to be scored, links first, shape ``(2, P + Q)``."""
        return torch.cat([self.pos, self.neg], dim=1)

    @property
    def edge_label(self) -> Tensor:
        """1 for each link and 0 for each non-link, float32, shape ``(P + Q,)``."""
        return torch.cat([torch.ones(self.pos.shape[1]), torch.zeros(self.neg.shape[1])])


def checked_pairs(pairs: Any, name: str, grid: Grid) -> Tensor:
    """Return pairs of shape ``(2, P)`` as int64 on the CPU, each as it is stored, in their order.

    Args:
        pairs: Integers of any dtype.
        name: Name of the pairs in messages.
        grid: The pairs that may be links.

    Raises:
        DataError: ``EDGE_INDEX_SHAPE``, ``EDGE_INDEX_DTYPE`` or ``INDEX_RANGE``.
    """
    num_nodes, array = grid.num_nodes, dense_array(pairs, name, "EDGE_INDEX_SHAPE")
    if array.size == 0 and array.ndim <= 3:
        return torch.empty(2, 0, dtype=torch.int64)
    if array.ndim != 2 or array.shape[0] != 2:
        shape = _shape(array, pairs)
        raise DataError("EDGE_INDEX_SHAPE", f"{name} must have shape (2, P), got {shape}.")
    if array.dtype.kind not in "iu":
        hint = "; names of nodes belong into text files, for vgae.read_split"
        raise DataError(
            "EDGE_INDEX_DTYPE",
            f"{name} must be numbers of nodes, integers from 0 to N - 1 in the order of graph.ids,"
            f" got {array.dtype}{hint * (array.dtype.kind in 'USO')}.",
        )
    bad = ((array < 0) | (array >= num_nodes)).any(axis=0)
    if bad.any():
        u, v = array[:, bad.argmax()].tolist()
        from_one = array.min() == 1 and array.max() == num_nodes
        hint = ", from 0 on; subtract 1" if from_one else ""
        raise DataError(
            "INDEX_RANGE",
            f"{name} must hold numbers of nodes in [0, {num_nodes}), got {u} - {v} as pair"
            f" {bad.argmax()}, counted from 0; numbers are places in graph.ids{hint}.",
        )
    u, v = array.astype(np.int64, copy=False)
    swapped = grid.are_swapped(u, v)
    if isinstance(pairs, Tensor) and not swapped.any():
        return pairs.to("cpu", torch.int64)
    return torch.from_numpy(np.stack([np.where(swapped, v, u), np.where(swapped, u, v)]))


def ascending_pairs(pairs: Any, name: str, grid: Grid) -> Tensor:
    """Return :func:`checked_pairs` in ascending order."""
    found = checked_pairs(pairs, name, grid)
    codes = pair_codes(found, grid.num_nodes)
    if (codes[1:] >= codes[:-1]).all():
        return found
    return found[:, torch.from_numpy(codes.argsort(kind="stable"))]


def checked_part(part: LabelledPairs, name: str, grid: Grid) -> LabelledPairs:
    """Return a held-out part in its one form, or raise ``DataError``."""
    pos = checked_pairs(part.pos, f"{name}.pos", grid)
    neg = checked_pairs(part.neg, f"{name}.neg", grid)
    if part.per_link < 0 or (part.per_link and neg.shape[1] != part.per_link * pos.shape[1]):
        raise DataError(
            "SPLIT_PARTS",
            f"{name}.neg must hold per_link = {part.per_link} non-links for each of"
            f" {pos.shape[1]} links, got {neg.shape[1]}.",
        )
    return LabelledPairs(pos, neg, part.per_link)


def given_pairs(pairs: Any, name: str, grid: Grid) -> Tensor:
    """Return :func:`checked_pairs` of pairs of shape ``(2, P)`` or ``(P, 2)``.

    Two pairs, of shape ``(2, 2)``, are read as ``(2, P)``.
    """
    array = dense_array(pairs, name, "EDGE_INDEX_SHAPE")
    if array.size and (array.ndim != 2 or 2 not in array.shape):
        rule = f"{name} must have shape (2, P) or (P, 2)"
        raise DataError("EDGE_INDEX_SHAPE", f"{rule}, got {_shape(array, pairs)}.")
    return checked_pairs(array if array.shape[0] == 2 else array.T, name, grid)


def given_links(links: Any, name: str, grid: Grid) -> Tensor:
    """Return :func:`given_pairs` without self-pairs, each once, ascending."""
    return _distinct(given_pairs(links, name, grid), name, grid)[0]


def given_part(links: Any, non_links: Any, name: str, grid: Grid) -> LabelledPairs:
    """Return the links of a held-out part, each once, ascending, and its non-links.

    Args:
        links: Shape ``(2, P)`` or ``(P, 2)``; ``None`` for a part without links.
        non_links: Likewise, or ``(P, K, 2)`` for K non-links of each link; ``None`` for none.
        name: Name of the part in messages.
        grid: The pairs that may be links.
    """
    if links is None and non_links is not None:
        rule = f"{name}_neg needs {name}, the links that the non-links are compared with"
        raise DataError("SPLIT_PARTS", f"{rule}; give both or neither.")
    given = given_pairs([] if links is None else links, name, grid)
    pos, first = _distinct(given, name, grid)
    if non_links is None:
        return LabelledPairs(pos, pos[:, :0])
    array = dense_array(non_links, f"{name}_neg", "EDGE_INDEX_SHAPE")
    if array.ndim != 3:
        pairs = given_pairs(array, f"{name}_neg", grid)
        return LabelledPairs(
            pos, pairs[:, pair_codes(pairs, grid.num_nodes).argsort(kind="stable")]
        )
    if array.shape[0] != given.shape[1] or array.shape[2] != 2 or array.shape[1] == 0:
        raise DataError(
            "EDGE_INDEX_SHAPE",
            f"{name}_neg must have shape (P, K, 2) with the K non-links of each of the"
            f" {given.shape[1]} links of {name}, got {array.shape}.",
        )
    own = array[first].reshape(-1, 2).T
    return LabelledPairs(pos, checked_pairs(own, f"{name}_neg", grid), array.shape[1])


def pair_codes(pairs: Tensor, num_nodes: int) -> np.ndarray:
    """Return one number per ordered pair, int64, shape ``(P,)``."""
    u, v = pairs.numpy()
    return u * num_nodes + v


@contextmanager
def reading_split(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise ``SPLIT_CORRUPT`` for what the content of a file of another kind raises."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        what = f"{path} is not a readable link split: {reason}."
        raise ArtifactError("SPLIT_CORRUPT", what) from None


def _shape(array: np.ndarray, given: Any) -> str:
    """Return the shape for a message, or the type of what numpy takes for one object."""
    if array.ndim or isinstance(given, Tensor | np.ndarray):
        return str(array.shape)
    return f"a {type(given).__name__}; give list(...) of pairs, an array or a tensor"


def _distinct(pairs: Tensor, name: str, grid: Grid) -> tuple[Tensor, np.ndarray]:
    """Return the distinct pairs, ascending, without self-pairs, and the first place of each."""
    places = np.flatnonzero((pairs[0] != pairs[1]).numpy())
    first = places[np.unique(pair_codes(pairs, grid.num_nodes)[places], return_index=True)[1]]
    dropped = {
        "self-pairs dropped": pairs.shape[1] - len(places),
        "repeated pairs merged": len(places) - len(first),
    }
    if told := ", ".join(f"{count:,} {what}" for what, count in dropped.items() if count):
        log.info("%s: %s", name, told)
    return pairs[:, torch.from_numpy(first)], first
