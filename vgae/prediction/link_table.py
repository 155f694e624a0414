"""Tables of pairs of nodes with their scores and probabilities."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from vgae.evaluation.calibration import Prior
from vgae.evaluation.expected import ExpectedTrue
from vgae.graphs.canonical import NodeId
from vgae.runtime.preview import MOST_ROWS, Preview
from vgae.runtime.tables import optional_module, write_table

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


RAW = (
    "the intervals are those of the raw posterior, which hold the true probability less often than"
    " they state; calibrate(..., intervals=True) (vgae calibrate RUN --intervals) fits them"
)
"""Note on intervals that are not fitted."""


@dataclass(frozen=True, eq=False, repr=False)
class LinkTable:
    """Pairs of nodes with their scores, one row per pair.

    Attributes:
        source: Numbers of the first nodes, the sources in a directed graph, int64, ``(P,)``.
        target: Numbers of the second nodes, int64, shape ``(P,)``.
        score: Logits of the decoder, or cosines with that metric; float32, shape ``(P,)``.
        probability: Calibrated probability of a link, float64, shape ``(P,)``; ``None`` without a
            calibration. The sigmoid of a logit is no substitute: it is 0.5 for a pair without
            evidence. In :meth:`columns` and files it is called ``balanced_probability`` if it
            refers to as many non-links as links.
        rank: Rank from 1, the best, among the partners of a node or among all rows; int64.
        ids: Name of each node of the graph, by number.
        known: Whether the pair is a link of the graph, bool; ``None`` for proposals, which never
            are.
        prior: Prior of ``probability``: ``"density"``, ``"graph"`` or ``"balanced"``; see
            :func:`vgae.calibrate`.
        directed: Whether rows are links from source to target.
        low: Lower end of the credible interval of ``probability``, float64, shape ``(P,)``; called
            ``probability_low`` in :meth:`columns`. ``None`` without samples.
        high: Its upper end, ``probability_high``.
        interval: Probability of the interval, such as 0.8.
        raw: Whether the interval is that of the raw posterior, which is too narrow, as none was
            fitted; see :func:`vgae.calibrate`.
        further: Further columns by name, arrays of length P; see
            :mod:`vgae.prediction.link_columns`. Proposals in one list have ``expected_true``: how
            many of the pairs up to a row come true.
        graphs: Name of the graph of each pair in a collection; ``None`` otherwise. In
            :meth:`columns` and files it is the first column, ``graph``.
        recall: Fraction of the exact best partners that an approximate search found for a sample
            of nodes, in [0, 1]; ``None`` for an exact search and for given pairs.
        come_true: How many of the proposed pairs are links that are missing from the graph, if as
            many are missing as were held out, with an interval. ``None`` for given pairs, with
            samples, without a calibration by a spline, and at another prior than ``"density"``.
    """

    source: Tensor
    target: Tensor
    score: Tensor
    probability: Tensor | None
    rank: Tensor
    ids: Sequence[NodeId]
    known: Tensor | None = None
    prior: Prior = "density"
    directed: bool = False
    low: Tensor | None = None
    high: Tensor | None = None
    interval: float | None = None
    raw: bool = False
    further: Mapping[str, Tensor] = field(default_factory=dict)
    graphs: Sequence[NodeId] | None = None
    recall: float | None = None
    come_true: ExpectedTrue | None = None

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return self._preview(f"LinkTable({len(self)} links)").text()

    def _repr_html_(self) -> str:
        meaning = [] if self.probability is None else [f"{self.probability_name}: {self.meaning}."]
        return self._preview(f"{len(self):,} pairs of nodes", meaning).html()

    def _preview(self, title: str, notes: Sequence[str] = ()) -> Preview:
        """Return the first rows."""
        k, tensors = MOST_ROWS, ("source", "target", "score", "rank")
        given = ("probability", "known", "low", "high", "graphs")
        names = [*tensors, *(name for name in given if getattr(self, name) is not None)]
        parts: dict[str, Any] = {name: getattr(self, name)[:k] for name in names}
        further = {name: column[:k] for name, column in self.further.items()}
        first = replace(self, **parts, further=further)
        return Preview.of_columns(title, first.columns(), len(self), notes)

    @property
    def probability_name(self) -> str:
        """Name of the column of probabilities, by their prior."""
        return "balanced_probability" if self.prior == "balanced" else "probability"

    @property
    def meaning(self) -> str:
        """What the probabilities are of, by their prior, in words."""
        return {
            "density": "that the pair is a missing link, if as many are missing as were held out",
            "graph": "that the pair is linked, in a graph as dense as this one",
            "balanced": "that the pair is linked, if half of all pairs were",
        }[self.prior]

    def names(self) -> list[tuple[NodeId, NodeId]]:
        """Return the names of source and target of each row."""
        pairs = zip(self.source.tolist(), self.target.tolist(), strict=True)
        return [(self.ids[u], self.ids[v]) for u, v in pairs]

    def columns(self) -> dict[str, Any]:
        """Return the columns by name, without those that are ``None``.

        ``graph``, ``source`` and ``target`` are lists of names; ``score``, ``probability`` (or
        ``balanced_probability``), ``probability_low``, ``probability_high``, ``rank``, ``known``
        and the further ones are arrays.
        """
        source, target = ([self.ids[n] for n in e.tolist()] for e in (self.source, self.target))
        others = {
            "score": self.score,
            self.probability_name: self.probability,
            f"{self.probability_name}_low": self.low,
            f"{self.probability_name}_high": self.high,
            "rank": self.rank,
            "known": self.known,
            **self.further,
        }
        arrays = {name: column.numpy() for name, column in others.items() if column is not None}
        graph = {} if self.graphs is None else {"graph": list(self.graphs)}
        return {**graph, "source": source, "target": target, **arrays}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the columns to a file with :func:`vgae.runtime.tables.write_table`."""
        write_table(path, self.columns())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: one dict per row under ``"links"``."""
        columns = self.columns()
        lists = (c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values())
        rows = zip(*lists, strict=True)
        return {"links": [dict(zip(columns, row, strict=True)) for row in rows]}

    def to_pandas(self) -> "pd.DataFrame":
        """Return the columns as a data frame; without pandas raise ``UsageError``."""
        return optional_module("pandas", "pandas").DataFrame(self.columns())

    def to_networkx(self) -> "nx.Graph":
        """Return the pairs as edges between names, with the other columns except ``rank``.

        A pair proposed by both of its ends is one edge; nodes without a pair are omitted. Links of
        a directed graph make a ``networkx.DiGraph``.
        """
        import networkx as nx

        graph = nx.DiGraph() if self.directed else nx.Graph()
        for row in self.to_dict()["links"]:
            del row["rank"]
            graph.add_edge(row.pop("source"), row.pop("target"), **row)
        return graph
