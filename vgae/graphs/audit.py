"""Audit of link splits: leaks, which are refused, and deviations, which are stated."""

import weakref
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
from torch import Tensor

from vgae.errors import printable
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.graph import Graph
from vgae.graphs.pairs import pair_codes
from vgae.graphs.whole_graphs import TEST, TRAIN, VAL

if TYPE_CHECKING:
    from vgae.graphs.split import LabelledPairs, LinkSplit

Severity = Literal["leak", "scores", "note"]

_SHOWN = 3  # pairs in a message
_MANY = 1 << 16  # values
_STATEMENTS: dict[str, tuple[str, Severity]] = {
    "S1": ("links of every part are links of the graph, each once", "leak"),
    "S3": ("no held-out link is in another part or carries messages, in either direction", "leak"),
    "S4": ("no pair is both link and non-link", "leak"),
    "S5": ("each part with links has non-links", "leak"),
    "S6": ("there are links to train on", "leak"),
    "S7": ("no held-out link of a directed graph is the reverse of one of another part", "leak"),
    "S8": ("by whole graphs, no link of a held-out graph is a training link", "leak"),
    "S9": ("held-out pairs are of graphs of their part, context links of held-out graphs", "leak"),
    "S12": ("the split was made from the links of this graph", "leak"),
    "D1": ("every link of the graph is in a part", "note"),
    "D2": ("each held-out part has as many non-links as links", "scores"),
    "D3": ("non-links are links of no part", "scores"),
    "D4": ("non-links are pairs of different nodes", "scores"),
    "D5": ("each non-link is given once", "note"),
    "D6": ("no part has the non-links of another", "note"),
    "D8": ("non-links are pairs that may be links: across a two-sided graph", "scores"),
    "D7": ("all links of a part are ranked among the same non-links", "note"),
}
_BY_GRAPHS = ("S8", "S9")
_HINTS = {
    "S1": "leave them out, or add what is missing to the graph",
    "S3": "leave each of them in one part",
    "S4": "leave them out of the links or of the non-links",
    "S8": "leave them out of train, or change graph_part",
    "S9": "move them to the part of their graph, or change graph_part",
    "S7": "hold out both directions together, or give task='bidirectional' if that is the task",
}


class Check(NamedTuple):
    """One statement about a split, and what was found.

    Attributes:
        invariant: Its number.
        statement: What holds without violations.
        violations: Number of violations.
        finding: Description of the violations; empty without any.
        severity: ``"leak"`` if a violation is refused; otherwise it is a deviation from the splits
            of :func:`vgae.split_links`, which changes the meaning of ``"scores"`` or not.
    """

    invariant: str
    statement: str
    violations: int
    finding: str = ""
    severity: Severity = "leak"


# The last split and graph, their versions, and the checks. One command checks the same several
# times, which takes seconds for ten million links.
_last: tuple[Any, Any, list[int], list[Check]] | None = None


def checks_of(split: "LinkSplit", graph: Graph) -> list[Check]:
    """Return all checks of a split; of another graph's split that one alone which fails."""
    global _last
    tensors = (split.train, *split.val[:2], *split.test[:2], graph.links)
    versions = [t._version for t in tensors]  # torch counts changes in place
    if _last and _last[0]() is split and _last[1]() is graph and _last[2] == versions:
        return list(_last[3])
    checks = _all_checks(split, graph)
    _last = weakref.ref(split), weakref.ref(graph), versions, checks
    return list(checks)


def _all_checks(split: "LinkSplit", graph: Graph) -> list[Check]:
    if split.fingerprint != graph.link_fingerprint or split.num_nodes != graph.num_nodes:
        finding = (
            f"it was made from another graph, of {split.num_nodes:,} nodes; pass that graph, or"
            f" split {graph!r} again"
        )
        return [_check("S12", 1, finding)]
    if split.grid != graph.grid:
        finding = (
            f"its pairs are those of {split.grid!r}, and those of {graph.name} of {graph.grid!r};"
            " give grid=graph.grid, or make it with LinkSplit.from_pairs"
        )
        return [_check("S12", 1, finding)]
    found = _Leaks(split, graph).found() | _deviations(split, graph)
    names = [n for n in _STATEMENTS if split.graph_part is not None or n not in _BY_GRAPHS]
    return [_check(name, *found.get(name, (0, ""))) for name in names]


def _check(name: str, violations: int, finding: str = "") -> Check:
    statement, severity = _STATEMENTS[name]
    return Check(name, statement, violations, finding, severity)


class _Leaks:
    """Violations of the invariants of every split."""

    def __init__(self, split: "LinkSplit", graph: Graph) -> None:
        self.split, self.graph, self.num_nodes = split, graph, graph.num_nodes
        self.parts = {
            "train": pair_codes(split.train, self.num_nodes),
            "val": pair_codes(split.val.pos, self.num_nodes),
            "test": pair_codes(split.test.pos, self.num_nodes),
        }
        if split.graph_part is not None:
            self.parts["context"] = pair_codes(split.context, self.num_nodes)

    def found(self) -> dict[str, tuple[int, str]]:
        """Return count and description of the violations of each invariant that is broken."""
        broken = {"S1": self._not_links(), "S3": self._shared(), "S4": self._contradictions()}
        broken |= {"S7": self._reversed(), **self._between_graphs()}
        sizes = {name: len(part) for name, part in self.parts.items()}
        bare = [
            f"{name} has {sizes[name]:,} links and no non-links; LinkSplit.from_pairs draws them"
            for name, part in (("val", self.split.val), ("test", self.split.test))
            if sizes[name] and not part.neg.shape[1]
        ]
        broken["S5"] = [(1, text) for text in bare]
        broken["S6"] = [] if sizes["train"] else [(1, "no link is left; hold fewer links out")]
        return {
            name: (
                sum(count for count, _ in rows),
                "; ".join([*(text for _, text in rows), *filter(None, [_HINTS.get(name)])]),
            )
            for name, rows in broken.items()
            if rows
        }

    def _not_links(self) -> list[tuple[int, str]]:
        links, rows = pair_codes(self.graph.links, self.num_nodes), []
        for name, part in self.parts.items():
            foreign = part[~_in(part, links)]
            rows += self._row(foreign, f"of {name} are no links of {self.graph.name}")
            rows += self._row(_repeats(part), f"are given twice in {name}")
        return rows

    def _shared(self) -> list[tuple[int, str]]:
        train, val, test, *context = self.parts.values()
        rows = []
        for name, part in (("val", val), ("test", test)):
            rows += self._row(part[_in(part, train)], f"of {name} are training links too")
            for other in context:
                rows += self._row(part[_in(part, other)], f"of {name} are context links too")
        return rows + self._row(test[_in(test, np.sort(val))], "are both in val and in test")

    def _reversed(self) -> list[tuple[int, str]]:
        if not self.split.grid.directed or self.split.task == "bidirectional":
            return []
        train, val, test, *_ = self.parts.values()
        rows = []
        for name, part, others in (
            ("val", val, {"train": train}),
            ("test", test, {"train": train, "val": np.sort(val)}),
        ):
            source, target = np.divmod(part, self.num_nodes)
            for other, codes in others.items():
                found = part[_in(target * self.num_nodes + source, codes)]
                rows += self._row(found, f"of {name} are the reverse of links of {other}")
        return rows

    def _between_graphs(self) -> dict[str, list[tuple[int, str]]]:
        """Return the pairs that are in another part than their graph."""
        split, rows = self.split, {"S8": [], "S9": []}
        if split.graph_part is None:
            return rows
        part_of = split.graph_part[cast(BlockGrid, split.grid).batch].numpy()
        codes = {
            **{"train": self.parts["train"], "context": self.parts["context"]},
            **{"val": self.parts["val"], "test": self.parts["test"]},
            "non-links of val": pair_codes(split.val.neg, self.num_nodes),
            "non-links of test": pair_codes(split.test.neg, self.num_nodes),
        }
        for name, pairs in codes.items():
            ends = part_of[np.stack(np.divmod(pairs, self.num_nodes))]
            if name == "train":
                found = pairs[(ends != TRAIN).any(axis=0)]
                rows["S8"] += self._row(found, "training links are of held-out graphs")
                continue
            own = {"context": (VAL, TEST)}.get(name, (VAL,) if "val" in name else (TEST,))
            found = pairs[~np.isin(ends, own).all(axis=0)]
            rows["S9"] += self._row(found, f"of {name} are of graphs of another part")
        return rows

    def _contradictions(self) -> list[tuple[int, str]]:
        rows = []
        for name, part in (("val", self.split.val), ("test", self.split.test)):
            links, others = self.parts[name], pair_codes(part.neg, self.num_nodes)
            if part.per_link:
                # Another link of the part may be a hard non-link of this one.
                both = others[others == links.repeat(part.per_link)]
            else:
                both = others[_in(others, np.sort(links))]
            rows += self._row(both, f"are both links and non-links of {name}")
        return rows

    def _row(self, codes: np.ndarray, what: str) -> list[tuple[int, str]]:
        """Return count and description of pairs, the first ones by name."""
        if not len(codes):
            return []
        ids, shown = self.graph.ids, []
        sign = "->" if self.graph.directed else "-"
        for u, v in zip(*np.divmod(codes[:_SHOWN], self.num_nodes), strict=True):
            name = printable(f"{ids[u]} {sign} {ids[v]}")
            shown.append(name if self.graph.node_ids is None else f"{name:.60} (nodes {u}, {v})")
        first = "first " if len(codes) > _SHOWN else ""
        return [(len(codes), f"{len(codes):,} {what}: {first}{', '.join(shown)}")]


def _deviations(split: "LinkSplit", graph: Graph) -> dict[str, tuple[int, str]]:
    """Return count and description of the deviations from the splits of ``split_links``."""
    n, links = graph.num_nodes, pair_codes(graph.links, graph.num_nodes)
    held = {"val": split.val, "test": split.test}
    other = {name: pair_codes(part.neg, n) for name, part in held.items()}
    parts = (split.train, split.val.pos, split.test.pos, split.context)
    used = sum(part.shape[1] for part in parts)
    every, in_many = np.concatenate([*other.values()]), isinstance(graph.grid, BlockGrid)
    rows = {
        "D1": (
            len(links) - used,
            f"{len(links) - used:,} links of the graph are in no part: they carry no messages and"
            " are not scored",
        ),
        "D2": _ratios(held),
        "D3": _told(
            _in(every, links).sum(),
            "non-links are links of the graph: a model is scored"
            " as wrong where it ranks them high",
        ),
        "D4": _told((every // n == every % n).sum(), "non-links are pairs of a node with itself"),
        "D5": _told(
            sum(map(_num_repeats, held.values(), other.values())),
            "non-links are given more than once and count as often",
        ),
        "D6": _told(
            _in(np.unique(other["val"]), np.unique(other["test"])).sum(),
            "non-links are in validation and test",
        ),
        "D7": _own(held),
        "D8": _told(
            sum(_num_within(part.neg, graph) for part in held.values()),
            f"non-links join two nodes of {'two graphs' if in_many else 'one side'}, and can never"
            " be links: scores are too high",
        ),
    }
    return {name: row for name, row in rows.items() if row[0] > 0}


def _num_within(pairs: Tensor, graph: Graph) -> int:
    """Count the pairs of different nodes that are no pairs of the grid."""
    return int((~graph.grid.holds(pairs) & (pairs[0] != pairs[1])).sum())


def _told(count: int, what: str) -> tuple[int, str]:
    return int(count), f"{int(count):,} {what}"


def _ratios(held: "dict[str, LabelledPairs]") -> tuple[int, str]:
    """Compare the numbers of links and non-links of each part."""
    rows = [(name, part.pos.shape[1], part.neg.shape[1]) for name, part in held.items()]
    rows = [row for row in rows if row[1] != row[2]]
    listed = " and ".join(f"{name} has {b:,} non-links for {a:,} links" for name, a, b in rows)
    return (
        sum(abs(a - b) for _, a, b in rows),
        f"{listed}: AP and Hits@k are lower the more non-links there are",
    )


def _own(held: "dict[str, LabelledPairs]") -> tuple[int, str]:
    """Count the links that have non-links of their own."""
    own = {name: part for name, part in held.items() if part.per_link}
    listed = " and ".join(f"{part.per_link:,} in {name}" for name, part in own.items())
    return (
        sum(part.pos.shape[1] for part in own.values()),
        f"each link has non-links of its own, {listed}, and is ranked among them too",
    )


def _num_repeats(part: "LabelledPairs", codes: np.ndarray) -> int:
    """Count the non-links that are given again: within a part, or to the same link."""
    if part.per_link:
        rows = np.sort(codes.reshape(-1, part.per_link), axis=1)
        return int((rows[:, 1:] == rows[:, :-1]).sum())
    return len(_repeats(codes))


def _repeats(codes: np.ndarray) -> np.ndarray:
    """Return the values that have occurred before, ascending."""
    if (codes[1:] < codes[:-1]).any():  # stored links ascend
        codes = np.sort(codes)
    return codes[1:][codes[1:] == codes[:-1]]


def _in(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return whether each value is in a sorted array; np.isin would sort it each time."""
    if not among.size:
        return np.zeros(len(values), dtype=bool)
    if len(values) > _MANY and (values[1:] < values[:-1]).any():
        # In order, many values are found ten times as fast.
        order, found = values.argsort(), np.empty(len(values), bool)
        found[order] = _in(values[order], among)
        return found
    return among.take(np.searchsorted(among, values), mode="clip") == values
