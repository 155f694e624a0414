"""Link splits: held-out links, their non-links, and an audit."""

import logging
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, LeakageError, UsageError, check_choice
from vgae.graphs.arrays import sha256
from vgae.graphs.audit import Check, checks_of
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION, Task
from vgae.graphs.directed_tasks import draw_parts
from vgae.graphs.graph import Graph
from vgae.graphs.grid import Grid
from vgae.graphs.kept import kept_while_used
from vgae.graphs.pairs import (
    LabelledPairs,
    ascending_pairs,
    checked_part,
    given_links,
    given_part,
    reading_split,
)
from vgae.graphs.split_files import described, fields_from, split_arrays, split_html, split_parts
from vgae.graphs.split_pyg import from_data, to_data
from vgae.graphs.whole_graphs import (
    HIDE,
    checked_part_of,
    draw_by_graphs,
    drawn_non_links,
    rest_of,
)
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.runtime.streams import stream

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from vgae.graphs.typed import TypedGraph
    from vgae.graphs.typed_split import TypedSplit

log = logging.getLogger(__name__)

By = Literal["links", "graphs"]


@dataclass(frozen=True, eq=False)
class LinkSplit:
    """Links of a graph in three parts, two of them with non-links.

    Pairs may be given in any integer dtype; they are int64 on the CPU, ordered as the grid stores
    them, and those of ``train`` ascend.

    Attributes:
        num_nodes: N.
        train: Training links, shape ``(2, M_train)``; only they carry messages in training.
        val: Validation links and non-links, for the choice of a model.
        test: Test links and non-links, for its final evaluation.
        fingerprint: :attr:`vgae.Graph.link_fingerprint` of the graph, independent of features.
        seed: Seed of the split.
        grid: The pairs that may be links; by default those of an undirected graph.
        task: What is to be predicted in a directed graph.
        graph_part: Part of each graph of a collection that is split by whole graphs: 0 train, 1
            val, 2 test, int8, shape ``(G,)``; ``None`` for a split by links.
        context: Links of held-out graphs that carry messages when those graphs are evaluated, and
            are neither trained on nor scored, shape ``(2, C)``.

    Raises:
        DataError: If a part is not of integers in ``[0, N)`` of shape ``(2, P)``, or the number
            of non-links is not ``per_link`` for each link, or ``graph_part`` not as described.
    """

    num_nodes: int
    train: Tensor
    val: LabelledPairs
    test: LabelledPairs
    fingerprint: str
    seed: int
    grid: Grid = None  # pyright: ignore[reportAssignmentType] - set below
    task: Task = "general"
    graph_part: Tensor | None = None
    context: Tensor = field(default_factory=lambda: torch.empty(2, 0, dtype=torch.int64))

    def __post_init__(self) -> None:
        vars(self)["grid"] = self.grid or Grid(self.num_nodes)
        for name in ("train", "context"):
            vars(self)[name] = ascending_pairs(getattr(self, name), name, self.grid)
        for name in ("val", "test"):
            vars(self)[name] = checked_part(getattr(self, name), name, self.grid)
        if self.graph_part is not None:
            vars(self)["graph_part"] = checked_part_of(self.graph_part, self.grid)
        elif self.context.shape[1]:
            raise DataError("SPLIT_PARTS", "context needs graph_part: a split by whole graphs.")

    @property
    def by(self) -> By:
        """Whether ``"links"`` or whole ``"graphs"`` are held out."""
        return "links" if self.graph_part is None else "graphs"

    @cached_property
    def message_links(self) -> Tensor:
        """Links that carry messages in evaluation: training and context links, ``(2, M)``."""
        return self.train if self.by == "links" else torch.cat([self.train, self.context], dim=1)

    @kept_while_used
    def message_edge_index(self) -> Tensor:
        """Edges of :attr:`message_links`, as :attr:`vgae.Graph.edge_index`."""
        return self.grid.message_edges(self.message_links)

    @kept_while_used
    def train_edge_index(self) -> Tensor:
        """Edges of the training links, the only ones that a training may use."""
        return self.grid.message_edges(self.train)

    @cached_property
    def train_digest(self) -> str:
        """SHA-256 of nodes, kind of graph and training links in hexadecimal; models store it."""
        return self.grid.digest(self.train)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the graph and of the pairs of all parts, in hexadecimal."""
        parts = [part.numpy() for part in self._parts().values()]
        sizes = [part.shape[1] for part in parts] + [self.val.per_link, self.test.per_link]
        task = "" if self.task == "general" else f" {self.task}"
        if self.graph_part is not None:
            parts, task = [*parts, self.graph_part.numpy()], f"{task} graphs"
        return sha256(f"vgae-split-1 {self.fingerprint} {self.num_nodes} {sizes}{task}", *parts)

    @property
    def former_identity(self) -> list[int]:
        """Seed and number of links of each part, by which the first checkpoints knew a split."""
        return [self.seed, *(p.shape[1] for p in (self.train, self.val.pos, self.test.pos))]

    def audit(self, graph: Graph) -> list[Check]:
        """Check that the split belongs to ``graph``, and that no held-out link leaks.

        Only leaks and contradictions are refused. Deviations from the splits of
        :func:`split_links`, such as another number of non-links or links of no part, are counted,
        and logged once: as warnings if they change the meaning of scores. That messages travel on
        training links only, and in held-out graphs on context links, (S2) holds by construction.

        Returns:
            All checks; those with violations are the deviations.

        Raises:
            LeakageError: If a check of severity ``"leak"`` has violations, with their first pairs.
        """
        checks = checks_of(self, graph)
        broken = [check for check in checks if check.violations]
        leaks = [check for check in broken if check.severity == "leak"]
        if listed := "; ".join(f"{c.invariant} ({c.statement}): {c.finding}" for c in leaks):
            raise LeakageError("SPLIT_LEAKS", f"the split breaks {listed}.")
        for check in () if vars(self).get("_is_logged") else broken:
            level = logging.WARNING if check.severity == "scores" else logging.INFO
            log.log(level, "split: %s", check.finding)
        vars(self)["_is_logged"] = True
        return checks

    @classmethod
    def from_pairs(
        cls,
        graph: Graph,
        *,
        val: Any = None,
        test: Any = None,
        train: Any = None,
        val_neg: Any = None,
        test_neg: Any = None,
        graph_part: Any = None,
        seed: int = 0,
        task: Task = "general",
    ) -> "LinkSplit":
        """Make a split from given pairs of nodes, and audit it.

        Pairs are numbers of nodes, 0 to N - 1 in the order of ``graph.ids``: tensors, arrays or
        lists of any integer dtype, of shape ``(2, P)`` or ``(P, 2)``, where two pairs, of shape
        ``(2, 2)``, are read as ``(2, P)``. Their direction matters in a directed graph alone.
        Self-pairs among links are dropped, repeats merged, and both are logged.

        Args:
            graph: Graph to split; links of no part carry no messages and are no non-links.
            val: Validation links.
            test: Test links.
            train: Training links; by default, all that are not held out.
            val_neg: Non-links of ``val``: any number, or K for each link in the order of
                ``val``, shape ``(P, K, 2)``. By default, as many as links are drawn.
            test_neg: Non-links of ``test``, likewise.
            graph_part: Part of each graph of a collection, for a split by whole graphs: 0 train, 1
                val, 2 test. Links of held-out graphs in no part are then context links, and only
                links of the others are training links by default.
            seed: Seed of the non-links that are drawn, and of the split.
            task: ``"bidirectional"`` if held-out links of a directed graph may be the reverse of
                training links, because that is what is to be predicted.

        Raises:
            DataError: If pairs have another shape or dtype, or name nodes that do not exist; if
                too few non-links exist to be drawn.
            LeakageError: As for :meth:`audit`.
        """
        grid = graph.grid
        given = {"val": (val, val_neg), "test": (test, test_neg)}
        parts = {name: given_part(*pairs, name, grid) for name, pairs in given.items()}
        held = torch.cat([part.pos for part in parts.values()], dim=1)
        training = None if train is None else given_links(train, "train", grid)
        by_graph = None if graph_part is None else checked_part_of(graph_part, grid)
        training, context = rest_of(graph, held, training, by_graph)
        bare = {name: part for name, part in parts.items() if given[name][1] is None}
        drawn = drawn_non_links(graph, bare, by_graph, stream(seed, "split"))
        for name, neg in drawn.items():
            if neg.shape[1]:
                parts[name] = parts[name]._replace(neg=neg)
                log.info("split: %s non-links of %s drawn", f"{neg.shape[1]:,}", name)
        split = cls(
            graph.num_nodes,
            training,
            **parts,
            fingerprint=graph.link_fingerprint,
            seed=seed,
            grid=grid,
            task=task,
            graph_part=by_graph,
            context=context,
        )
        split.audit(graph)
        return split

    @classmethod
    def from_pyg(
        cls,
        train: "Data",
        val: "Data",
        test: "Data",
        *,
        graph: Graph | None = None,
        seed: int = 0,
        task: Task = "general",
    ) -> "LinkSplit":
        """Make a split from the three ``Data`` of ``RandomLinkSplit(is_undirected=True)``.

        PyG's default, ``is_undirected=False``, leaves held-out links in train, reversed; for a
        directed ``graph`` it is right if no link is reciprocal, or that is the task. Training
        links are the ``edge_index`` of ``train`` and its pairs with a label above 0; its non-links
        are not used. Held-out pairs are ``edge_label_index`` with ``edge_label``, 0 for a
        non-link, or ``pos_edge_label_index`` and ``neg_edge_label_index``; without non-links, as
        many as links are drawn. Messages travel on training links only, whereas
        ``RandomLinkSplit`` adds the validation links to the messages of ``test``: scores differ
        from those over PyG's messages unless evaluated with ``messages="train+val"``.

        Args:
            train: First ``Data``.
            val: Second ``Data``.
            test: Third ``Data``.
            graph: ``Graph.from_pyg(data)`` of the whole graph; by default the graph of the links
                of the three parts, which is the same unless some are in no part.
            seed: As for :meth:`from_pairs`.
            task: Likewise.

        Raises:
            DataError: If a ``Data`` has no labelled pairs; and as for :meth:`from_pairs`.
            LeakageError: As for :meth:`audit`.
        """
        return from_data(cls, (train, val, test), graph, seed=seed, task=task)

    @classmethod
    def from_files(
        cls, path: str | os.PathLike[str], graph: Graph, *, seed: int = 0
    ) -> "LinkSplit":
        """Read a split from a file or folder; see :func:`vgae.read_split`."""
        return pkgutil.resolve_name("vgae.data.splits:read_split")(path, graph, seed=seed)

    def to_pyg(self, graph: Graph) -> tuple["Data", "Data", "Data"]:
        """Return train, val and test as PyG ``Data``, as ``RandomLinkSplit`` does.

        Messages travel on the training links and, in val and test by whole graphs, context links;
        ``RandomLinkSplit`` adds the validation links to the test graph.
        The labelled pairs of train are links only, as with ``add_negative_train_samples=False``.
        """
        if graph.link_fingerprint != self.fingerprint:
            raise DataError("SPLIT_MISMATCH", f"the split was not made from {graph!r}.")
        return to_data(self, graph)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`arrays` as npz, atomically; :meth:`load` reads them back exactly."""
        write_arrays(path, self.arrays())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of the file of :meth:`save`, by name."""
        return split_arrays(self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "LinkSplit":
        """Read a split written by :meth:`save`.

        Raises:
            ArtifactError: If the file is missing, damaged or of another kind.
        """
        with reading_split(path):
            return cls.from_arrays(read_arrays(path))

    @classmethod
    def from_arrays(cls, content: Mapping[str, Any]) -> "LinkSplit":
        """Make a split from :meth:`arrays`; within :func:`reading_split`."""
        return cls(**fields_from(content))

    _parts = split_parts
    __repr__, _repr_html_ = described, split_html


def check_kinds(graph: Any, split: Any) -> None:
    """Raise ``UsageError`` unless the arguments of these names are what they should be."""
    if not isinstance(graph, Graph):
        hint = "the graph comes before the split, and vgae.Graph.from_pyg(data) makes one"
        if hasattr(graph, "relations"):
            hint = "take one relation, graph.relations[name], or all, graph.untyped()"
        what = f"graph must be a vgae.Graph, got {type(graph).__name__}; {hint}."
        raise UsageError("ARGUMENTS", what)
    if not isinstance(split, LinkSplit):
        hint = f"got {type(split).__name__}; vgae.split_links(graph) makes one"
        raise UsageError("ARGUMENTS", f"split must be a vgae.LinkSplit, {hint}.")


@overload
def split_links(
    graph: Graph,
    *,
    val: float = ...,
    test: float = ...,
    seed: int = ...,
    task: Task = ...,
    by: "By | Any" = ...,
    hide: float = ...,
) -> LinkSplit: ...
@overload
def split_links(
    graph: "TypedGraph", *, val: float = ..., test: float = ..., seed: int = ..., task: Task = ...
) -> "TypedSplit": ...
def split_links(
    graph: Any,
    *,
    val: float = VAL_FRACTION,
    test: float = TEST_FRACTION,
    seed: int = 0,
    task: Task = "general",
    by: Any = "links",
    hide: float = HIDE,
) -> "LinkSplit | TypedSplit":
    """Hold out a fraction of the links, and draw as many non-links to rank them against.

    Both directions of a held-out link leave the training graph, also where they are two links of a
    directed graph. Non-links are pairs that may be links (:attr:`Graph.grid`), links of no part,
    each in one part. The result depends on graph and seed alone. Each relation of a typed graph is
    split; see :func:`vgae.graphs.typed_split.split_relations`.

    By whole graphs, ``val`` and ``test`` are fractions of the graphs of a collection. In a
    held-out graph some links are hidden, to be predicted against as many non-links of the same
    graph; messages travel on its other links, the context, but no training sees them. If graphs
    have labels, each label has its share of every part.

    Source: Kipf & Welling (2016), section 2 (5 % validation, 10 % test).

    Args:
        graph: Graph whose links are split; all parts keep its nodes and features.
        val: Fraction of the M links for validation, in ``[0, 1)``; the count is rounded down. By
            whole graphs it is a fraction of the graphs, and at least one.
        test: Fraction for test, likewise; ``val + test < 1``.
        seed: Seed of the stream ``"split"``; see :func:`vgae.runtime.streams.stream`.
        task: What is to be predicted in a directed graph. ``"general"``: as above. ``"biased"``:
            one-way links, the non-links of which are their reverses. ``"bidirectional"``: one
            direction of every reciprocal link, divided in the proportion of ``val`` and ``test``,
            against the reverses of one-way training links.
        by: ``"links"``, or ``"graphs"`` for a split of a collection by whole graphs; or the part
            of each graph, 0 train, 1 val or 2 test, shape ``(G,)``, in place of ``val`` and
            ``test``.
        hide: Fraction of the links of each held-out graph that are hidden, in ``(0, 1]``; the
            count is rounded, and at least one.

    Raises:
        UsageError: If the fractions are out of range, an undirected graph has another task, or a
            graph that is no collection is split by graphs.
        DataError: If there are too few links or graphs for a part, or too few non-links.
    """
    if hasattr(graph, "relations"):
        divide = pkgutil.resolve_name("vgae.graphs.typed_split:split_relations")
        return divide(graph, val=val, test=test, seed=seed, task=task)
    generator = stream(seed, "split")
    if not isinstance(by, str) or by == "graphs":
        parts = draw_by_graphs(graph, (val, test), by, hide, generator)
    else:
        check_choice("by", by, By)
        parts = draw_parts(graph, val, test, task, generator)
    named = parts._asdict() | {"fingerprint": graph.link_fingerprint, "seed": seed}
    return LinkSplit(graph.num_nodes, **named, grid=graph.grid, task=task)
