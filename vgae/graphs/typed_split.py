"""Splits of typed graphs: one of each relation, with an audit across relations."""

import logging
import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from vgae.errors import DataError, LeakageError, UsageError
from vgae.graphs.arrays import sha256
from vgae.graphs.audit import Check
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION, Task
from vgae.graphs.pairs import LabelledPairs, reading_split
from vgae.graphs.previews import typed_split_preview
from vgae.graphs.relations import Relation, link_codes
from vgae.graphs.split import LinkSplit, split_links
from vgae.graphs.typed import TypedGraph
from vgae.runtime.npz import read_arrays, write_arrays

log = logging.getLogger(__name__)

MOST_SHARED = 0.8
"""Fraction of the links of the smaller of two relations that may be links of the other one."""
_FORMAT = "vgae-typed-split-1"
_SHOWN = 10  # pairs of relations


@dataclass(frozen=True, eq=False)
class TypedSplit:
    """Split of the links of each relation of a typed graph.

    Attributes:
        parts: :class:`vgae.LinkSplit` of each relation by its name.
        fingerprint: :attr:`TypedGraph.link_fingerprint` of the graph.
        seed: Seed of the splits.
    """

    parts: Mapping[str, LinkSplit]
    fingerprint: str
    seed: int

    def __post_init__(self) -> None:
        vars(self)["parts"] = MappingProxyType(dict(self.parts))

    def __getstate__(self) -> dict[str, Any]:
        # Read-only views of dicts cannot be pickled.
        return {**self.__dict__, "parts": dict(self.parts)}

    @cached_property
    def train_digest(self) -> str:
        """SHA-256 of the training links of all relations, in hexadecimal."""
        return _digest("train", {name: part.train_digest for name, part in self.parts.items()})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the graph and of the pairs of all parts, in hexadecimal."""
        return _digest("split", {name: part.digest for name, part in self.parts.items()})

    def audit(self, graph: TypedGraph) -> dict[str, list[Check]]:
        """Audit the split of each relation, and compare the relations.

        A relation with nearly the links of another one, or their reverse, gives away what the
        other one holds out. Pairs that fewer links share are counted and logged, once.

        Returns:
            The checks of each relation; see :meth:`vgae.LinkSplit.audit`.

        Raises:
            LeakageError: ``SPLIT_LEAKS`` if a split leaks, is of another graph, or more than 80 %
                of the links of a relation are links of another one.
        """
        if self.fingerprint != graph.link_fingerprint or [*self.parts] != [*graph.relations]:
            raise LeakageError(
                "SPLIT_LEAKS",
                f"the split was made from another typed graph; pass that one, or split {graph!r}"
                " again.",
            )
        checks = {}
        for name, part in self.parts.items():
            try:
                checks[name] = part.audit(graph.relations[name])
            except LeakageError as error:
                raise LeakageError(error.code, f"relation {name!r:.60}: {error}") from None
        if not vars(self).get("_is_compared"):
            compare_relations(graph)
            vars(self)["_is_compared"] = True
        return checks

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the split as one npz, atomically; :meth:`load` reads it back exactly."""
        head: dict[str, Any] = {"format": _FORMAT, "fingerprint": self.fingerprint}
        head |= {"seed": self.seed, "relations": [*self.parts]}
        content = {name: np.asarray(value) for name, value in head.items()}
        for number, part in enumerate(self.parts.values()):
            content |= {f"{number}/{name}": array for name, array in part.arrays().items()}
        write_arrays(path, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TypedSplit":
        """Read a split written by :meth:`save`.

        Raises:
            ArtifactError: ``SPLIT_CORRUPT`` if the file is missing, damaged or of another kind.
        """
        with reading_split(path):
            content = read_arrays(path)
            if (found := str(content["format"])) != _FORMAT:
                raise ValueError(f"format is {found}, expected {_FORMAT}")
            names = content["relations"].tolist()
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError("its relations have no names")
            parts = {}
            for number, name in enumerate(names):
                prefix = f"{number}/"
                own = {k[len(prefix) :]: v for k, v in content.items() if k.startswith(prefix)}
                parts[name] = LinkSplit.from_arrays(own)
            seed = operator.index(content["seed"])
            return cls(parts, str(content["fingerprint"]), seed)

    def __repr__(self) -> str:
        counts = [
            sum(pairs.shape[1] for pairs in found)
            for found in zip(
                *((p.train, p.val.pos, p.test.pos) for p in self.parts.values()), strict=True
            )
        ]
        train, val, test = counts or (0, 0, 0)
        return (
            f"TypedSplit(seed={self.seed}, {len(self.parts)} relations: {train} links to train on,"
            f" {val} for validation, {test} for test)"
        )

    def _repr_html_(self) -> str:
        return typed_split_preview(self.parts, self.seed).html()


def split_relations(
    graph: TypedGraph,
    *,
    val: float = VAL_FRACTION,
    test: float = TEST_FRACTION,
    seed: int = 0,
    task: Task = "general",
) -> TypedSplit:
    """Hold out a fraction of the links of each relation; see :func:`vgae.split_links`.

    Each part is ``vgae.split_links(graph.relations[name], val=val, test=test, seed=seed)``. A
    relation with too few links for that has none held out, which is logged as a warning.

    Args:
        graph: Graph whose links are split.
        val: Fraction of the links of each relation for validation.
        test: Fraction for test.
        seed: Seed of all splits.
        task: ``"general"``; no other task is defined for several relations.

    Raises:
        UsageError: If the fractions are out of range, or ``task`` is another one.
        DataError: If no relation has enough links.
        LeakageError: As for :meth:`TypedSplit.audit`.
    """
    if task != "general":
        rule = f"task must be 'general' for a typed graph, got {task!r:.60}"
        raise UsageError("TASK", f"{rule}; split one relation alone: graph.relations[name].")
    parts, small, first = {}, [], None
    for name, relation in graph.relations.items():
        try:
            parts[name] = split_links(relation, val=val, test=test, seed=seed)
        except DataError as error:
            if error.code not in ("SPLIT_TOO_SMALL", "NO_EDGES"):
                raise DataError(error.code, f"relation {name!r:.60}: {error}") from None
            first = first or error
            small.append(name)
            parts[name] = _whole(relation, seed)
    if first is not None and len(small) == len(parts):
        raise first
    if small:
        log.warning(
            "relations with too few links to hold any out, which are all training links: %s",
            ", ".join(f"{name!r:.60} ({graph.relations[name].num_links:,})" for name in small),
        )
    split = TypedSplit(parts, graph.link_fingerprint, seed)
    split.audit(graph)
    return split


def compare_relations(graph: TypedGraph) -> None:
    """Log how many links relations share.

    Raises:
        LeakageError: ``SPLIT_LEAKS`` if they are more than 80 % of those of the smaller one, or
            the other relations together have more than 80 % of the links of one, beyond chance.
    """
    names, codes = [*graph.relations], [link_codes(r) for r in graph.relations.values()]
    sizes = np.array([len(own) for own in codes])
    known, column = np.unique(np.concatenate(codes), return_inverse=True)
    row = np.repeat(np.arange(len(codes)), sizes)
    links = sp.csr_array((np.ones(len(row), np.int64), (row, column)))
    shared: Any = sp.triu(links @ links.T, 1).tocoo()
    pairs = np.stack([shared.row, shared.col])
    pairs = np.take_along_axis(pairs, sizes[pairs].argsort(axis=0, kind="stable"), axis=0)
    order = (-shared.data / sizes[pairs[0]]).argsort(kind="stable")
    found = zip(pairs[:, order].T.tolist(), shared.data[order].tolist(), strict=True)
    for place, ((least, most), count) in enumerate(found):
        what = f"{count:,} of {sizes[least]:,} links of {names[least]!r:.60}"
        if count > MOST_SHARED * sizes[least]:
            raise LeakageError(
                "SPLIT_LEAKS",
                f"{what} are links of the relation {names[most]!r:.60} too, or their reverse, so"
                " that the one gives away what the other holds out; leave one of them out, as by"
                f" graph.only({names[most]!r:.60}).",
            )
        if place < _SHOWN:
            log.info("%s join pairs that %r joins too", what, names[most])
    if len(order) > _SHOWN:
        log.info("%d more pairs of relations have links in common", len(order) - _SHOWN)
    _compare_with_all_others(graph, links, known)


def _compare_with_all_others(graph: TypedGraph, links: sp.csr_array, codes: np.ndarray) -> None:
    """Raise ``LeakageError`` if the other relations together have nearly the links of one.

    Where many pairs are links of some relation, that alone gives nothing away: the fraction of
    links that others have counts as far as it exceeds that of the other pairs of the grid.

    Args:
        graph: The graph.
        links: Links of each relation, in rows; a column is a pair of nodes.
        codes: Number of the pair of each column; see :func:`vgae.graphs.relations.link_codes`.
    """
    sizes = links.sum(axis=1)
    elsewhere = links @ (links.sum(axis=0) > 1).astype(np.int64)
    pairs = torch.from_numpy(np.stack(np.divmod(codes, graph.num_nodes)))
    for number in np.flatnonzero(elsewhere > MOST_SHARED * sizes).tolist():
        (name, relation), size = [*graph.relations.items()][number], int(sizes[number])
        num_pairs = relation.grid.num_pairs // (1 + relation.directed) - size
        others = int(relation.grid.holds(pairs).sum()) - size
        by_chance = others / max(num_pairs, 1)
        if elsewhere[number] / size - by_chance <= MOST_SHARED:
            continue
        rest = ", ".join(repr(other) for other in graph.relations if other != name)
        raise LeakageError(
            "SPLIT_LEAKS",
            f"{elsewhere[number]:,} of {size:,} links of {name!r:.60} are links of other relations"
            " too, or their reverse, which give away what it holds out; leave it out, as by"
            f" graph.only({rest:.200}).",
        )


def check_typed(graph: Any, split: Any) -> None:
    """Raise ``UsageError`` unless these are a typed graph and a typed split."""
    for name, value, kind, how in (
        ("graph", graph, TypedGraph, "vgae.TypedGraph.from_pyg(data)"),
        ("split", split, TypedSplit, "vgae.split_links(graph)"),
    ):
        if not isinstance(value, kind):
            raise UsageError(
                "ARGUMENTS",
                f"{name} must be a {kind.__name__}, got {type(value).__name__}; {how} makes one.",
            )


def _whole(relation: Relation, seed: int) -> LinkSplit:
    """Return the split of a relation without held-out links."""
    none = LabelledPairs(torch.empty(2, 0, dtype=torch.int64), torch.empty(2, 0).long())
    return LinkSplit(
        num_nodes=relation.num_nodes,
        train=relation.links,
        val=none,
        test=none,
        fingerprint=relation.link_fingerprint,
        seed=seed,
        grid=relation.grid,
    )


def _digest(what: str, parts: Mapping[str, str]) -> str:
    return sha256(f"vgae-typed-{what}-1 {list(parts.items())}")
