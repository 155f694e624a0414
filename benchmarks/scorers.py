"""What a peer of link prediction is once trained, and what training and scoring all share."""

import math
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import vgae
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import link_scores
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.kernels import SparseOperator
from vgae.recipes import Recipe

EVAL_EVERY = 10
MOST_PAIRS = 2**16  # that are decoded at once, where decoding them takes memory of its own


class Scorer(Protocol):
    """A trained peer; one training serves every choice of message edges.

    A scorer may also have ``rows(z, nodes)``, a faster way to what :func:`all_scores` returns.
    """

    def embed(self, edge_index: Tensor) -> Tensor:
        """Return what is known of each node, shape ``(N, d)``, dense or sparse.

        Args:
            edge_index: Edges that messages travel on, both directions, shape ``(2, E)``.
        """
        ...

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return a score per pair, the higher the likelier a link, shape ``(P,)``.

        Args:
            z: What ``embed`` returned.
            pairs: Shape ``(2, P)``.
        """
        ...


class Train(Protocol):
    """Trains a peer on the training links; its weights are those that rank validation best.

    Test links and non-links are never looked at. Without ``epochs`` there are as many as
    published.
    """

    def __call__(
        self, graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None
    ) -> Scorer:
        """Return the trained peer."""
        ...


class Ours:
    """A model of this package, trained by its recipe, as a scorer.

    Args:
        graph: Nodes and features.
        split: Training links, and those by which an epoch is chosen.
        seed: Seed of weights, noise and sampled pairs.
        model: Name of the model, ``"vgae"`` or ``"gae"``.
        recipe: Settings.
    """

    def __init__(
        self, graph: Graph, split: LinkSplit, seed: int, *, model: str, recipe: Recipe
    ) -> None:
        kind: Any = model
        result = vgae.fit(graph, split, model=kind, recipe=recipe, seed=seed, progress=False)
        self.model, self.graph = result.model, graph

    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the posterior means."""
        self.scorer = PairScorer(self.model, self.graph, edge_index)
        return self.scorer.z

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the logits of pairs."""
        return self._of(z).logits(pairs)

    def rows(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the logits of some nodes with all."""
        return self._of(z).logits_of(nodes)

    def _of(self, z: Tensor) -> PairScorer:
        scorer = copy(self.scorer)
        scorer.z = z
        return scorer


def all_scores(scorer: Scorer, z: Tensor, nodes: Tensor) -> Tensor:
    """Return the scores of some nodes with every node, shape ``(len(nodes), N)``.

    Memory beyond that of the result is bounded, but for an embedding that is sparse.
    """
    rows = getattr(scorer, "rows", None)
    if rows is not None:
        return rows(z, nodes)
    parts = torch.arange(z.shape[0]).split(MOST_PAIRS)

    def row(node: Tensor) -> Tensor:
        pairs = (torch.stack([node.expand(len(part)), part]) for part in parts)
        return torch.cat([scorer.logits(z, part) for part in pairs])

    return torch.stack([row(node) for node in nodes])


@dataclass(frozen=True)
class InnerProduct:
    """A scorer whose logit is the inner product of two latent vectors.

    Attributes:
        encoder: Latent vectors, shape ``(N, d)``, from the edges that carry messages.
    """

    encoder: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the latent vectors, shape ``(N, d)``."""
        return self.encoder(edge_index)

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the inner product of each pair, shape ``(P,)``."""
        return (z[pairs[0]] * z[pairs[1]]).sum(dim=1)

    def rows(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the inner products of some nodes with all, shape ``(len(nodes), N)``."""
        return z[nodes] @ z.T


def fit(
    model: nn.Module, scorer: Scorer, step: Callable[[], object], split: LinkSplit, epochs: int
) -> None:
    """Train, and leave the model as it ranked the validation links best, by AUC + AP.

    Args:
        model: What learns; brought to evaluation mode whenever it is looked at.
        scorer: Scores as the model is at the time.
        step: One epoch.
        split: Messages travel on its training links only.
        epochs: How many; every tenth and the last are looked at.
    """
    best, kept = -math.inf, {}
    pairs, labels = split.val.edge_label_index, split.val.edge_label
    for number in range(1, epochs + 1):
        model.train()
        step()
        if number % EVAL_EVERY and number < epochs:
            continue
        model.eval()
        z = scorer.embed(split.message_edge_index)
        quality = sum(link_scores(scorer.logits(z, pairs), labels))
        if quality > best:
            best, kept = quality, deepcopy(model.state_dict())
    model.load_state_dict(kept)
    model.eval()


class FeatureProduct(nn.Module):
    """``X W``, with constant X that is sparse or, without features, the identity (never built).

    Args:
        x: Features, shape ``(N, F)``.
        weight: Initial W, shape ``(F, k)``; without features F is N.
    """

    def __init__(self, x: Tensor | None, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.x = None if x is None else SparseOperator.scalable(as_csr(x))

    def forward(self, p: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """Return the product, shape ``(N, k)``, after each entry of X was dropped by chance p."""
        if self.x is None:
            if not p:
                return self.weight
            # The identity has an entry per node: what is dropped is a whole row of W.
            return dropped(torch.ones(len(self.weight), 1), p, generator) * self.weight
        if not p:
            return self.x @ self.weight
        return self.x.scaled(dropped(torch.ones(self.x.matrix._nnz()), p, generator)) @ self.weight


def dropped(values: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Set each value to 0 by chance p and divide the others by 1 - p, as ``nn.Dropout`` does."""
    return values * torch.rand(values.shape, generator=generator).ge_(p).div_(1 - p)


def dense_layer(in_features: int, out_features: int, generator: torch.Generator) -> nn.Linear:
    """Return ``nn.Linear`` with weights as torch draws them, but from a generator."""
    layer = nn.Linear(in_features, out_features)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(in_features**-0.5), in_features**-0.5, generator=generator)
    return layer


def as_csr(x: Tensor) -> Tensor:
    """Return features as sparse CSR."""
    return x if x.layout == torch.sparse_csr else x.to_sparse_csr()


def csr_parts(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return row starts, columns and values of a sparse CSR matrix."""
    return matrix.crow_indices(), matrix.col_indices(), matrix.values()


def entry_rows(crow: Tensor) -> Tensor:
    """Return the row of each entry of a sparse CSR matrix, from where its rows begin."""
    return torch.arange(len(crow) - 1).repeat_interleave(crow.diff().long())
