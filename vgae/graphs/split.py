"""Link splits: held-out links, sampled non-links, and an audit of their invariants."""

import math
import operator
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.errors import ArtifactError, DataError, LeakageError, UsageError
from vgae.graphs.arrays import sha256
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION
from vgae.graphs.graph import Graph, both_directions
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.runtime.streams import stream

if TYPE_CHECKING:
    from torch_geometric.data import Data

"""Default fractions of the links for validation and test."""

_FORMAT = "vgae-split-1"
_PARTS = ("train", "val_pos", "val_neg", "test_pos", "test_neg")
_INVARIANTS = {
    "S1": "training, validation and test links are the links of the graph, each once",
    "S3": "no held-out link is trained on or carries messages, in either direction",
    "S4": "non-links are pairs u < v of nodes, links of no part, all different",
    "S5": "each held-out part has as many non-links as links",
    "S6": "there are links to train on",
    "S12": "the split was made from the links of this graph",
}


class LabelledPairs(NamedTuple):
    """Held-out links and as many non-links, each pair once with ``u < v``, shape ``(2, P)``."""

    pos: Tensor
    neg: Tensor

    @property
    def edge_label_index(self) -> Tensor:
        """All pairs to be scored, links first, shape ``(2, 2P)``."""
        return torch.cat([self.pos, self.neg], dim=1)

    @property
    def edge_label(self) -> Tensor:
        """1 for each link and 0 for each non-link, float32, shape ``(2P,)``."""
        return torch.cat([torch.ones(self.pos.shape[1]), torch.zeros(self.neg.shape[1])])


class Check(NamedTuple):
    """One invariant of a split: its number, its statement, and the count of violations."""

    invariant: str
    statement: str
    violations: int


@dataclass(frozen=True, eq=False)
class LinkSplit:
    """Links of a graph in three parts, two of them with non-links.

    Attributes:
        num_nodes: N.
        train: Training links, which alone carry messages, ``u < v``, shape ``(2, M_train)``.
        val: Validation links and non-links, for the choice of a model.
        test: Test links and non-links, for its final evaluation.
        fingerprint: :attr:`vgae.Graph.link_fingerprint` of the graph, independent of features.
        seed: Seed of the split.
    """

    num_nodes: int
    train: Tensor
    val: LabelledPairs
    test: LabelledPairs
    fingerprint: str
    seed: int

    @cached_property
    def message_edge_index(self) -> Tensor:
        """Both directions of the training links, which carry messages, ``(2, 2M_train)``."""
        return both_directions(self.train)

    @cached_property
    def train_digest(self) -> str:
        """SHA-256 of the number of nodes and of the training links, in hexadecimal.

        Models store it, so that they are not evaluated on links that they have seen.
        """
        return sha256(f"vgae-links-1 {self.num_nodes}", self.train.numpy())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the graph and of the pairs of all parts, in hexadecimal."""
        parts = [part.numpy() for part in self._parts().values()]
        sizes = [part.shape[1] for part in parts]
        return sha256(f"vgae-split-1 {self.fingerprint} {self.num_nodes} {sizes}", *parts)

    def audit(self, graph: Graph) -> list[Check]:
        """Check that the split belongs to ``graph`` and that no held-out link leaks.

        S2, messages on the training links only, needs no check: it holds by construction.

        Returns:
            The invariants, each with 0 violations.

        Raises:
            LeakageError: If an invariant is violated; the message lists all that are.
        """
        checks = _checks(self, graph)
        if broken := [c for c in checks if c.violations]:
            listed = "; ".join(f"{c.invariant} ({c.statement}): {c.violations}" for c in broken)
            raise LeakageError(
                "SPLIT_LEAKS",
                f"the split breaks {listed} violations; make a new one with split_links(graph).",
            )
        return checks

    def to_pyg(self, graph: Graph) -> tuple["Data", "Data", "Data"]:
        """Return train, val and test as PyG ``Data``, as ``RandomLinkSplit`` does.

        All three hold the training links only, whereas ``RandomLinkSplit`` adds the validation
        links to the test graph. The labelled pairs of train are links only, as with
        ``add_negative_train_samples=False``.
        """
        from torch_geometric.data import Data

        if graph.link_fingerprint != self.fingerprint:
            raise DataError("SPLIT_MISMATCH", f"the split was not made from {graph!r}.")
        parts = (LabelledPairs(self.train, self.train.new_empty(2, 0)), self.val, self.test)
        weight = graph.weights_of(self.message_edge_index)
        given = {"x": graph.dense_x, "y": graph.y, "num_nodes": self.num_nodes}
        given |= {"edge_index": self.message_edge_index}
        given |= {} if weight is None else {"edge_weight": weight}
        train, val, test = (
            Data(**given, edge_label_index=part.edge_label_index, edge_label=part.edge_label)
            for part in parts
        )
        return train, val, test

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the split as npz, atomically; :meth:`load` reads it back exactly."""
        head = {name: getattr(self, name) for name in ("num_nodes", "seed", "fingerprint")}
        content = {"format": _FORMAT, **head} | {k: v.numpy() for k, v in self._parts().items()}
        write_arrays(path, {name: np.asarray(value) for name, value in content.items()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "LinkSplit":
        """Read a split written by :meth:`save`.

        Raises:
            ArtifactError: If the file is missing, damaged or of another kind.
        """
        try:
            content = read_arrays(path)
            if str(content["format"]) != _FORMAT:
                raise ValueError(f"format is {content['format']}, expected {_FORMAT}")
            num_nodes, seed = operator.index(content["num_nodes"]), operator.index(content["seed"])
            fingerprint = str(content["fingerprint"])
            train, *held = (_pairs(content[name], num_nodes) for name in _PARTS)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
            what = f"{path} is not a readable link split: {reason}."
            raise ArtifactError("SPLIT_CORRUPT", what) from None
        val, test = LabelledPairs(*held[:2]), LabelledPairs(*held[2:])
        return cls(num_nodes, train, val, test, fingerprint, seed)

    def _parts(self) -> dict[str, Tensor]:
        values = (self.train, self.val.pos, self.val.neg, self.test.pos, self.test.neg)
        return dict(zip(_PARTS, values, strict=True))

    def __repr__(self) -> str:
        train, val, test = (p.shape[1] for p in (self.train, self.val.pos, self.test.pos))
        return (
            f"LinkSplit(seed={self.seed}: {train} links to train on, {val} for validation, {test}"
            " for test, each held-out part with as many non-links)"
        )


def split_links(
    graph: Graph, *, val: float = VAL_FRACTION, test: float = TEST_FRACTION, seed: int = 0
) -> LinkSplit:
    """Hold out a fraction of the links, and draw as many non-links to rank them against.

    Both directions of a held-out link leave the training graph. Non-links are pairs of different
    nodes, links of no part, each in one part. The result depends on graph and seed alone.

    Source: Kipf & Welling (2016), section 2 (5 % validation, 10 % test).

    Args:
        graph: Graph whose links are split; all parts keep its nodes and features.
        val: Fraction of the M links for validation, in ``[0, 1)``; the count is rounded down.
        test: Fraction for test, likewise; ``val + test < 1``.
        seed: Seed of the stream ``"split"``; see :func:`vgae.runtime.streams.stream`.

    Raises:
        UsageError: If the fractions are out of range.
        DataError: If there are too few links for a part, or too few non-links.
    """
    num_val, num_test = _part_sizes(graph, val, test)
    generator = stream(seed, "split")
    order = torch.randperm(graph.num_links, generator=generator)
    sizes = [num_test, num_val, graph.num_links - num_test - num_val]
    held_test, held_val, rest = order.split(sizes)
    neg = sample_non_links(graph.links, graph.num_nodes, num_test + num_val, generator)
    return LinkSplit(
        num_nodes=graph.num_nodes,
        train=graph.links[:, rest.sort().values],
        val=LabelledPairs(graph.links[:, held_val], neg[:, num_test:]),
        test=LabelledPairs(graph.links[:, held_test], neg[:, :num_test]),
        fingerprint=graph.link_fingerprint,
        seed=seed,
    )


def sample_non_links(
    links: Tensor, num_nodes: int, num_samples: int, generator: torch.Generator
) -> Tensor:
    """Draw distinct non-links, each set of them equally likely, shape ``(2, num_samples)``.

    ``links`` holds each link once, shape ``(2, M)``; in all pairs, ``u < v``. Distinct numbers of
    non-links are drawn, and a binary search among the links turns each into its pair. No draw is
    rejected, so a dense graph takes no longer than a sparse one.

    Raises:
        DataError: If fewer non-links exist.
    """
    available = num_nodes * (num_nodes - 1) // 2 - links.shape[1]
    if num_samples > available:
        raise DataError(
            "NO_NEGATIVES",
            f"the graph has {available} pairs without a link, but {num_samples} are needed to"
            " rank the held-out links against; hold fewer out (val, test), or none to train only.",
        )
    rank = _distinct(available, num_samples, generator)
    # Pair (u, v), u < v, has the number v (v - 1) / 2 + u among all pairs.
    u, v = links
    code = (v * (v - 1) // 2 + u).sort().values
    non_links_before = code - torch.arange(len(code))
    code_drawn = rank + torch.searchsorted(non_links_before, rank, right=True)
    # The square root may be off by one for numbers of more than 53 bits.
    v = ((1 + (1 + 8 * code_drawn.double()).sqrt()) / 2).long()
    v = torch.where(v * (v - 1) // 2 > code_drawn, v - 1, v)
    v = torch.where((v + 1) * v // 2 <= code_drawn, v + 1, v)
    return torch.stack([code_drawn - v * (v - 1) // 2, v])


def _distinct(population: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` different integers from ``[0, population)``, in random order."""
    if population <= 4 * count:
        return torch.randperm(population, generator=generator)[:count]
    drawn = torch.empty(0, dtype=torch.int64)
    while len(drawn) < count:
        # randint uses a 32-bit remainder, which favours low numbers of a large population.
        more = torch.randint(2**62, (2 * count,), generator=generator)
        more = more[more < 2**62 // population * population] % population
        drawn = torch.cat([drawn, more])
        first = np.unique(drawn.numpy(), return_index=True)[1]
        drawn = drawn[torch.from_numpy(np.sort(first))]
    return drawn[:count]


def _part_sizes(graph: Graph, val: float, test: float) -> tuple[int, int]:
    """Return the numbers of validation and test links, or raise."""
    for name, fraction in {"val": val, "test": test, "val + test": val + test}.items():
        if not 0 <= fraction < 1:
            what = f"{name} must be a fraction of the links in [0, 1), got {fraction}."
            raise UsageError("SPLIT_SHARE", what)
    if graph.num_links == 0:
        dropped = graph.notes.get("self_loops", 0)
        raise DataError(
            "NO_EDGES",
            f"{graph.name} has no links to predict ({dropped} self-loops were dropped); for"
            " features alone use other methods, such as PCA.",
        )
    sizes = {}
    for name, fraction in {"val": val, "test": test}.items():
        # The tiny factor undoes rounding: 100 * 0.29 is 28.999999999999996.
        sizes[name] = math.floor(graph.num_links * fraction * (1 + 1e-12))
        if fraction > 0 and sizes[name] == 0:
            raise DataError(
                "SPLIT_TOO_SMALL",
                f"{fraction:.3g} of {graph.num_links} links is less than one; {name} needs at"
                f" least {1 / fraction:.6g} links, a larger fraction, or 0 for none.",
            )
    if sum(sizes.values()) >= graph.num_links:
        raise DataError(
            "SPLIT_TOO_SMALL",
            f"val and test take all {graph.num_links} links and leave none to train on; use"
            " smaller fractions.",
        )
    return sizes["val"], sizes["test"]


def _code(pairs: Tensor, num_nodes: int) -> np.ndarray:
    """Return one number per ordered pair."""
    u, v = pairs.numpy()
    return u * num_nodes + v


def _count_in(values: np.ndarray, among: np.ndarray) -> int:
    """Return how many values are in a sorted array; np.isin would sort it each time."""
    place = np.searchsorted(among, values)
    return int((among.take(place, mode="clip") == values).sum()) if among.size else 0


def _checks(split: LinkSplit, graph: Graph) -> list[Check]:
    """Count the violations of each invariant."""
    n = split.num_nodes
    train, val, val_neg, test, test_neg = (_code(p, n) for p in split._parts().values())
    held, neg = np.concatenate([val, test]), np.concatenate([val_neg, test_neg])
    links = np.sort(_code(graph.links, n))
    messages = np.sort(_code(split.message_edge_index, n))
    held_reversed = _code(torch.cat([split.val.pos, split.test.pos], dim=1).flip(0), n)
    u, v = torch.cat([split.val.neg, split.test.neg], dim=1).numpy()
    parts = np.sort(np.concatenate([train, held]))
    # Both are sorted: a correct split needs a comparison only.
    differ = 0
    if not np.array_equal(parts, links):
        differ = len(np.setxor1d(parts, links)) + len(parts) - len(np.unique(parts))
    counts = {
        "S1": differ,
        "S3": _count_in(np.concatenate([held, held_reversed]), messages),
        "S4": _count_in(neg, links)
        + int(((u < 0) | (u >= v) | (v >= n)).sum())
        + (len(neg) - len(np.unique(neg))),
        "S5": abs(len(val) - len(val_neg)) + abs(len(test) - len(test_neg)),
        "S6": int(len(train) == 0),
        "S12": int(split.fingerprint != graph.link_fingerprint or n != graph.num_nodes),
    }
    return [Check(name, _INVARIANTS[name], count) for name, count in counts.items()]


def _pairs(array: np.ndarray, num_nodes: int) -> Tensor:
    """Return a stored part as a tensor, or raise: its numbers index memory later."""
    if array.ndim != 2 or array.shape[0] != 2 or array.dtype != np.int64:
        raise ValueError(f"a part has shape {array.shape} of {array.dtype}, expected (2, P) int64")
    if array.size and (array.min() < 0 or array.max() >= num_nodes):
        raise ValueError(f"a part names nodes outside [0, {num_nodes})")
    return torch.from_numpy(array)
