"""HeaRT's benchmark: its files, its figures, and what has been published on them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from harness import CannotRun
from torch import Tensor

import vgae
from vgae.data.catalog import Features, data_home
from vgae.data.named import load_dataset
from vgae.evaluation.hard_negatives import hard_negatives
from vgae.evaluation.metrics import hits_at_k, link_scores, rank_scores, ranks_among
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.runtime.atomic import replacing
from vgae.runtime.streams import stream

PARTS = {"val": "valid", "test": "test"}
OWN_RANKS, SHARED_RANKS = (1, 3, 10, 20, 50, 100), (1, 3, 10, 100)
_ROWS = 512  # links that are ranked among all shared non-links at once


class Held(NamedTuple):
    """Held-out pairs of one part, in the order of the files.

    Attributes:
        pos: Links, shape ``(2, P)``.
        neg: Uniform non-links, shared by all links, shape ``(2, Q)``.
        own: Hard non-links of each link, shape ``(2, P, K)``; ``None`` if there are none.
    """

    pos: Tensor
    neg: Tensor
    own: Tensor | None

    def pairs(self) -> dict[str, Tensor]:
        """Return the pairs to score, by name, each of shape ``(2, any)``."""
        own = {} if self.own is None else {"own": self.own.flatten(1)}
        return {"pos": self.pos, "neg": self.neg} | own


class Data(NamedTuple):
    """Graph, split and pairs of one data set.

    Attributes:
        graph: Nodes, features and all links.
        split: Training links; held-out links with the uniform non-links.
        held: ``"val"`` and ``"test"``.
        origin: Where split and non-links come from, in words.
    """

    graph: Graph
    split: LinkSplit
    held: dict[str, Held]
    origin: str


def read_data(dataset: str, features: Features, folder: Path) -> Data:
    """Read HeaRT's files of a data set or, without them, make a split and non-links by its rule.

    Args:
        dataset: Name in the catalogue; HeaRT's files are in ``$VGAE_DATA/heart/DATASET``.
        features: ``"raw"`` or ``"none"``.
        folder: Where a split and non-links that are made here are stored.
    """
    graph = load_dataset(dataset, features=features)
    theirs = data_home() / "heart" / dataset
    return (
        _read(theirs, graph) if theirs.is_dir() else _made(graph, folder, f"{dataset}-{features}")
    )


def _read(folder: Path, graph: Graph) -> Data:
    """Read the files of HeaRT, and check that their training links are all others."""
    links = {name: _pairs(folder / f"{name}_pos.txt") for name in ("train", *PARTS.values())}
    held = {}
    for part, name in PARTS.items():
        path = folder / f"heart_{name}_samples.npy"
        own = torch.from_numpy(np.load(path)).permute(2, 0, 1) if path.is_file() else None
        held[part] = Held(links[name], _pairs(folder / f"{name}_neg.txt"), own)
    split = split_of(graph, held, train=links["train"])
    numbers = graph.grid.numbers
    rest = ~torch.isin(numbers(graph.links), numbers(torch.cat([h.pos for h in held.values()], 1)))
    if not torch.equal(numbers(graph.links[:, rest]), numbers(split.train)):
        raise CannotRun(f"the training links in {folder} are not all others of {graph.name}")
    return Data(graph, split, held, "HeaRT's split and non-links")


def _made(graph: Graph, folder: Path, name: str) -> Data:
    """Return a split of seed 0, with hard non-links by HeaRT's rule."""
    split = vgae.split_links(graph, seed=0)
    held, known = {}, split.train
    for part in PARTS:
        pos, neg, _ = getattr(split, part)
        path = folder / f"{name}-heart-{part}.npy"
        if not path.exists():
            own = hard_negatives(
                known,
                pos,
                split.train,
                graph.x,
                graph.num_nodes,
                generator=stream(0, "hard-negatives"),
                rule="heart",
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                np.save(temporary.open("wb"), own.int().numpy())
        held[part] = Held(pos, neg, torch.from_numpy(np.load(path)).long())
        known = torch.cat([known, pos], dim=1)
    return Data(graph, split, held, "OUR split of seed 0, non-links by HeaRT's rule: not theirs")


def split_of(graph: Graph, held: Mapping[str, Held], *, train: Tensor) -> LinkSplit:
    """Return the audited split of given links with their uniform non-links."""
    given = {}
    for part, pairs in held.items():
        given |= {part: pairs.pos, f"{part}_neg": pairs.neg}
    return LinkSplit.from_pairs(graph, train=train, **given)


def with_own(data: Data) -> LinkSplit:
    """Return the split whose epochs are chosen by the hard non-links of validation links."""
    held = data.held["val"]
    if held.own is None:
        raise CannotRun("there are no hard non-links of validation links")
    test = data.held["test"]
    return LinkSplit.from_pairs(
        data.graph,
        train=data.split.train,
        val=held.pos,
        val_neg=held.own.permute(1, 2, 0),
        test=test.pos,
        test_neg=test.neg,
    )


def _pairs(path: Path) -> Tensor:
    """Return the pairs of a file, a pair a line, without pairs of a node with itself."""
    pairs = torch.from_numpy(np.loadtxt(path, dtype=np.int64, ndmin=2)).T
    return pairs[:, pairs[0] != pairs[1]]


def figures(logits: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the scores of one part, all in [0, 1], from the logits of :meth:`Held.pairs`.

    ``mrr`` and ``hits_at_K`` are of the ranks among hard non-links of each link's own, a tie at
    the mean of its best and worst rank (HeaRT's ``evalutors.eval_mrr``). ``existing_mrr`` has the
    same rule among all uniform non-links, and ``existing_hits_at_K`` that of OGB, where a tie with
    the K-th of them is no hit. ``auc`` and ``ap`` are of links and uniform non-links.
    """
    pos, neg = logits["pos"], logits["neg"]
    found: dict[str, float] = {}
    if "own" in logits:
        ranks = ranks_among(pos, logits["own"].view(len(pos), -1))
        found["mrr"] = rank_scores(ranks).mrr
        found |= {f"hits_at_{k}": float((ranks <= k).double().mean()) for k in OWN_RANKS}
    ranks = [ranks_among(some, neg.expand(len(some), -1)) for some in pos.split(_ROWS)]
    found["existing_mrr"] = rank_scores(torch.cat(ranks)).mrr
    found |= {f"existing_hits_at_{k}": hits_at_k(pos, neg, k) for k in SHARED_RANKS}
    label = torch.cat([torch.ones(len(pos)), torch.zeros(len(neg))])
    return found | link_scores(torch.cat([pos, neg]), label)._asdict()


EXISTING = "as reprinted by LPFormer's authors (Shomer et al. 2024), table of the existing setting"
"""Source of :data:`PUBLISHED_EXISTING`."""
PUBLISHED_EXISTING: dict[str, dict[str, float]] = {
    "cora": {"GCN": 32.50, "SAGE": 37.83, "GAE": 29.98, "NBFNet": 37.69}
    | {"BUDDY": 26.40, "NCN": 32.93, "NCNC": 29.01, "LPFormer": 39.42},
    "citeseer": {"GCN": 50.01, "SAGE": 47.84, "GAE": 63.33, "NBFNet": 38.17}
    | {"BUDDY": 59.48, "NCN": 54.97, "NCNC": 64.03, "LPFormer": 65.42},
    "pubmed": {"GCN": 19.94, "SAGE": 22.74, "GAE": 16.67, "NBFNet": 44.73}
    | {"BUDDY": 23.98, "NCN": 35.65, "NCNC": 25.70, "LPFormer": 40.17},
}
"""MRR among all uniform test non-links, in per cent, of the splits of HeaRT."""
RECALLED: dict[str, Mapping[str, tuple[float, float | None]]] = {
    "citeseer": {"Adamic-Adar": (10.82, 22.20), "MLP": (22.62, 48.02), "GCN": (21.09, 47.23)}
    | {"GAE": (25.25, 49.65), "SAGE": (21.09, 48.75), "SEAL": (13.16, 27.37)}
    | {"BUDDY": (22.84, 48.35), "Neo-GNN": (17.34, 41.74), "NCN": (28.65, 53.41)}
    | {"NCNC": (24.10, 53.72), "LPFormer": (26.34, None)},
}
"""MRR and Hits@10 among hard non-links, in per cent: recalled, not checked against a source."""
