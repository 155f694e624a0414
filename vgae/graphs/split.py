"""split_links: hold links out to be predicted, and prove that nothing leaks."""

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
from vgae.graphs.graph import Graph, both_directions
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.runtime.streams import stream

if TYPE_CHECKING:
    from torch_geometric.data import Data

_FORMAT = "vgae-split-1"


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
    """One invariant of a split: its number, what it says, and what was counted."""

    invariant: str
    statement: str
    violations: int


@dataclass(frozen=True, eq=False)
class LinkSplit:
    """Links of a graph in three parts, with non-links for two of them.

    Attributes:
        num_nodes: N.
        train: Links to learn from; the only ones that carry messages, ``u < v``, shape
            ``(2, M_train)``.
        val: Links and non-links for choosing a model.
        test: Links and non-links for judging it, once.
        fingerprint: :attr:`vgae.Graph.link_fingerprint` of the graph that was split; features may
            change without making it another split.
        seed: What the split was drawn with.
    """

    num_nodes: int
    train: Tensor
    val: LabelledPairs
    test: LabelledPairs
    fingerprint: str
    seed: int

    @cached_property
    def message_edge_index(self) -> Tensor:
        """Edges that messages travel on: the training links both ways, shape ``(2, 2M_train)``."""
        return both_directions(self.train)

    def audit(self, graph: Graph) -> list[Check]:
        """Prove that the split belongs to ``graph`` and that nothing held out leaks.

        That messages travel on the training links only (S2) needs no check: they are derived
        from nothing else.

        Returns:
            The invariants that hold, each with its count of violations, which is 0.

        Raises:
            LeakageError: If one does not hold; the message lists all that do not.
        """
        checks = _checks(self, graph)
        broken = [c for c in checks if c.violations]
        if broken:
            listed = "; ".join(f"{c.invariant} ({c.statement}): {c.violations}" for c in broken)
            raise LeakageError(
                "SPLIT_LEAKS",
                f"the split breaks {listed} violations; make a new one with split_links(graph).",
            )
        return checks

    def to_pyg(self, graph: Graph) -> tuple["Data", "Data", "Data"]:
        """Return train, val and test as PyG ``Data``, for code made for ``RandomLinkSplit``.

        ``edge_index`` holds the training links in all three, also where ``RandomLinkSplit`` adds
        the validation links to the test graph. ``edge_label_index`` and ``edge_label`` hold the
        pairs to be scored; those of train are all links, as with
        ``add_negative_train_samples=False``.
        """
        from torch_geometric.data import Data

        if graph.link_fingerprint != self.fingerprint:
            raise DataError("SPLIT_MISMATCH", f"the split was not made from {graph!r}.")
        nothing = self.train.new_empty(2, 0)
        parts = (LabelledPairs(self.train, nothing), self.val, self.test)
        weight = graph.weights_of(self.message_edge_index)
        train, val, test = (
            Data(
                x=graph.dense_x,
                edge_index=self.message_edge_index,
                **({} if weight is None else {"edge_weight": weight}),
                y=graph.y,
                num_nodes=self.num_nodes,
                edge_label_index=part.edge_label_index,
                edge_label=part.edge_label,
            )
            for part in parts
        )
        return train, val, test

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the split as npz, whole or not at all; :meth:`load` brings it back exactly."""
        # Given a name, numpy would add .npz to one that lacks it.
        head = {"num_nodes": self.num_nodes, "seed": self.seed, "fingerprint": self.fingerprint}
        head = {name: np.array(value) for name, value in {"format": _FORMAT, **head}.items()}
        parts = {name: part.numpy() for name, part in self._parts().items()}
        write_arrays(path, {**head, **parts})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "LinkSplit":
        """Read a split written by :meth:`save`.

        Raises:
            ArtifactError: If the file is missing, damaged or something else.
        """
        try:
            content = read_arrays(path)
            if str(content["format"]) != _FORMAT:
                raise ValueError(f"format is {content['format']}, expected {_FORMAT}")
            num_nodes, seed = operator.index(content["num_nodes"]), operator.index(content["seed"])
            fingerprint = str(content["fingerprint"])
            pairs = {name: _pairs(content[name], num_nodes) for name in _PARTS}
        except KeyError as error:
            raise ArtifactError(
                "SPLIT_CORRUPT", f"{path} is not a readable link split: it lacks {error}."
            ) from None
        except (TypeError, ValueError) as error:
            raise ArtifactError(
                "SPLIT_CORRUPT",
                f"{path} is not a readable link split: {str(error).rstrip('.')}.",
            ) from None
        return cls(
            num_nodes=num_nodes,
            train=pairs["train"],
            val=LabelledPairs(pairs["val_pos"], pairs["val_neg"]),
            test=LabelledPairs(pairs["test_pos"], pairs["test_neg"]),
            fingerprint=fingerprint,
            seed=seed,
        )

    def _parts(self) -> dict[str, Tensor]:
        values = (self.train, self.val.pos, self.val.neg, self.test.pos, self.test.neg)
        return dict(zip(_PARTS, values, strict=True))

    def __repr__(self) -> str:
        return (
            f"LinkSplit(seed={self.seed}: {self.train.shape[1]} links to train on,"
            f" {self.val.pos.shape[1]} for validation, {self.test.pos.shape[1]} for test,"
            " each held-out part with as many non-links)"
        )


_PARTS = ("train", "val_pos", "val_neg", "test_pos", "test_neg")


def split_links(
    graph: Graph, *, val: float = 0.05, test: float = 0.10, seed: int = 0
) -> LinkSplit:
    """Hide a share of the links, and draw as many non-links to rank them against.

    Both directions of a hidden link leave the training graph. Non-links are distinct, never
    self-pairs, never a link of *any* part, and no non-link stands in two parts. The result
    depends on the canonical graph and the seed alone.

    Source: Kipf & Welling (2016), section 2 (5 % validation, 10 % test).

    Args:
        graph: The graph; its links are split, its nodes and features are not.
        val: Share of the M links, in ``[0, 1)``; the count is rounded down. 0 leaves the part
            empty.
        test: Likewise; ``val + test < 1``.
        seed: Of the stream ``"split"``; see :func:`vgae.runtime.streams.stream`.

    Raises:
        UsageError: If the shares are out of range.
        DataError: If there are too few links for a part, or too few non-links.
    """
    num_val, num_test = _part_sizes(graph, val, test)
    generator = stream(seed, "split")
    order = torch.randperm(graph.num_links, generator=generator)
    held_test, held_val, rest = order.split(
        [num_test, num_val, graph.num_links - num_test - num_val]
    )
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
    """Draw distinct pairs of different nodes that are not linked, each set equally likely.

    The non-links are numbered from 0 on; distinct numbers are drawn and each is turned into its
    pair by a binary search among the links. Nothing is rejected for being a link, so a dense
    graph takes no longer than a sparse one.

    Args:
        links: Each link once with ``u < v``, no repeats, shape ``(2, M)``.
        num_nodes: N.
        num_samples: How many pairs to draw.
        generator: Where they come from.

    Returns:
        Pairs with ``u < v``, shape ``(2, num_samples)``.

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
    # The square root may be off by one once the number needs more than 53 bits.
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
        # randint takes a 32-bit remainder: of a large population, low numbers come too often.
        more = torch.randint(2**62, (2 * count,), generator=generator)
        more = more[more < 2**62 // population * population] % population
        drawn = torch.cat([drawn, more])
        first = np.unique(drawn.numpy(), return_index=True)[1]
        drawn = drawn[torch.from_numpy(np.sort(first))]
    return drawn[:count]


def _part_sizes(graph: Graph, val: float, test: float) -> tuple[int, int]:
    """Return how many links validation and test get, or say why that cannot be."""
    for name, share in {"val": val, "test": test, "val + test": val + test}.items():
        if not 0 <= share < 1:
            raise UsageError(
                "SPLIT_SHARE", f"{name} must be a share of the links in [0, 1), got {share}."
            )
    if graph.num_links == 0:
        dropped = graph.notes.get("self_loops", 0)
        raise DataError(
            "NO_EDGES",
            f"{graph.name} has no links ({dropped} self-loops were dropped), so there is nothing"
            " to predict; features alone are for other methods, such as PCA.",
        )
    sizes = {}
    for name, share in {"val": val, "test": test}.items():
        # The tiny factor undoes rounding: 100 * 0.29 is 28.999999999999996.
        sizes[name] = math.floor(graph.num_links * share * (1 + 1e-12))
        if share > 0 and sizes[name] == 0:
            raise DataError(
                "SPLIT_TOO_SMALL",
                f"{share:.3g} of {graph.num_links} links is less than one; {name} needs at least"
                f" {1 / share:.6g} links, or a larger share, or 0 to go without.",
            )
    if sum(sizes.values()) >= graph.num_links:
        raise DataError(
            "SPLIT_TOO_SMALL",
            f"val and test take all {graph.num_links} links and leave none to train on; take"
            " smaller shares.",
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
    """Count the violations of each invariant that can be read off a split and its graph."""
    n = split.num_nodes
    train, val, val_neg, test, test_neg = (_code(p, n) for p in split._parts().values())
    held, neg = np.concatenate([val, test]), np.concatenate([val_neg, test_neg])
    links = np.sort(_code(graph.links, n))
    messages = np.sort(_code(split.message_edge_index, n))
    held_reversed = _code(torch.cat([split.val.pos, split.test.pos], dim=1).flip(0), n)
    u, v = torch.cat([split.val.neg, split.test.neg], dim=1).numpy()
    parts = np.sort(np.concatenate([train, held]))
    return [
        Check(
            "S1",
            "training, validation and test links are the links of the graph, each once",
            # Both are sorted: a split as it should be needs no more than a look.
            0
            if np.array_equal(parts, links)
            else len(np.setxor1d(parts, links)) + len(parts) - len(np.unique(parts)),
        ),
        Check(
            "S3",
            "no held-out link is trained on or carries messages, in either direction",
            _count_in(np.concatenate([held, held_reversed]), messages),
        ),
        Check(
            "S4",
            "non-links are pairs u < v of nodes, links of no part, all different",
            _count_in(neg, links)
            + int(((u < 0) | (u >= v) | (v >= n)).sum())
            + (len(neg) - len(np.unique(neg))),
        ),
        Check(
            "S5",
            "each held-out part has as many non-links as links",
            abs(len(val) - len(val_neg)) + abs(len(test) - len(test_neg)),
        ),
        Check("S6", "there are links to train on", int(len(train) == 0)),
        Check(
            "S12",
            "the split was made from the links of this graph",
            int(split.fingerprint != graph.link_fingerprint or n != graph.num_nodes),
        ),
    ]


def _pairs(array: np.ndarray, num_nodes: int) -> Tensor:
    """Return a stored part as a tensor, or raise: it indexes memory later on."""
    if array.ndim != 2 or array.shape[0] != 2 or array.dtype != np.int64:
        raise ValueError(f"a part has shape {array.shape} of {array.dtype}, expected (2, P) int64")
    if array.size and (array.min() < 0 or array.max() >= num_nodes):
        raise ValueError(f"a part names nodes outside [0, {num_nodes})")
    return torch.from_numpy(array)
