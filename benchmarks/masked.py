"""MaskGAE: predict links that were hidden from the encoder, by a perceptron on pairs.

Source: Li et al. (2023), `What's Behind the Mask: Understanding Masked Graph Modeling for Graph
Autoencoders <https://arxiv.org/abs/2205.10053>`_, in the variant that masks edges, with the
settings of ``EdisonLeeeee/MaskGAE``, ``train_linkpred.py --bn --mask Edge``.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scorers import FeatureProduct, Scorer, dense_layer, dropped, fit
from torch import Tensor, nn

from vgae.graphs.graph import Graph
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LinkSplit
from vgae.kernels import SparseOperator
from vgae.kernels.csr import gcn_norm
from vgae.runtime.streams import stream

CHANNELS, DECODER_CHANNELS = 128, 64
MASKED = 0.7
FEATURES_DROPPED = 0.8
FEATURES_DROPPED_OF = {"pubmed": 0.2}  # the authors' command for it
HIDDEN_DROPPED = 0.2  # in both decoders
DEGREE_WEIGHT = 0.003
LR, WEIGHT_DECAY, GRADIENT_NORM = 0.01, 5e-5, 1.0
EPOCHS = 500


class MaskedAutoEncoder(nn.Module):
    """One graph convolution, a decoder for pairs, and one for the number of masked links.

    Args:
        graph: Nodes and features.
        seed: Of the weights, and of what is dropped.
    """

    def __init__(self, graph: Graph, seed: int) -> None:
        super().__init__()
        init = stream(seed, "init")
        weight = torch.empty(graph.num_features or graph.num_nodes, CHANNELS)
        self.features = FeatureProduct(graph.x, nn.init.xavier_uniform_(weight, generator=init))
        self.bias = nn.Parameter(torch.zeros(CHANNELS))
        self.norm = nn.BatchNorm1d(CHANNELS)
        self.pair_hidden = dense_layer(CHANNELS, DECODER_CHANNELS, init)
        self.pair_out = dense_layer(DECODER_CHANNELS, 1, init)
        self.degree_hidden = dense_layer(CHANNELS, DECODER_CHANNELS, init)
        self.degree_out = dense_layer(DECODER_CHANNELS, 1, init)
        self.p = FEATURES_DROPPED_OF.get(graph.name, FEATURES_DROPPED)
        self.noise = stream(seed, "noise")

    def forward(self, edge_index: Tensor) -> Tensor:
        """Return ``elu(norm(A X W + b))``, with A normalised, shape ``(N, 128)``."""
        h = self.features(self.p if self.training else 0.0, self.noise)
        adj_norm = SparseOperator.symmetric(gcn_norm(edge_index, len(h)))
        return F.elu(self.norm(adj_norm @ h + self.bias))

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the perceptron of the entrywise product of two nodes, shape ``(P,)``."""
        h = self._dropped(z[pairs[0]] * z[pairs[1]])
        return self.pair_out(self.pair_hidden(h).relu())[:, 0]

    def degrees(self, z: Tensor) -> Tensor:
        """Return how many masked edges are believed to end in each node, shape ``(N,)``."""
        h = self._dropped(self.degree_hidden(z)).relu()
        return self.degree_out(h).relu()[:, 0]

    def _dropped(self, h: Tensor) -> Tensor:
        return dropped(h, HIDDEN_DROPPED, self.noise) if self.training else h


@dataclass(frozen=True)
class MaskedScorer:
    """The scorer of a model that is in evaluation mode."""

    model: MaskedAutoEncoder

    @torch.no_grad()
    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the latent vectors, shape ``(N, 128)``."""
        return self.model(edge_index)

    @torch.no_grad()
    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the logits of pairs, shape ``(P,)``."""
        return self.model.logits(z, pairs)


def train_maskgae(
    graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None
) -> Scorer:
    """Mask edges anew in each epoch, and tell them from as many sampled non-links."""
    model = MaskedAutoEncoder(graph, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, fused=True)
    generator = stream(seed, "pairs")

    def step() -> None:
        messages, masked = mask(split.train, generator)
        count = masked.shape[1]
        others = sample_non_links(split.train, graph.grid, count, generator)
        optimizer.zero_grad()
        z = model(messages)
        s = model.logits(z, torch.cat([masked, others], dim=1))
        degree = torch.bincount(masked[1], minlength=graph.num_nodes).float()
        loss = F.softplus(-s[:count]).mean() + F.softplus(s[count:]).mean()
        loss = loss + DEGREE_WEIGHT * F.mse_loss(model.degrees(z), degree)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimizer.step()

    scorer = MaskedScorer(model)
    fit(model, scorer, step, split, epochs or EPOCHS)
    return scorer


def mask(links: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mask each direction of each link by itself, as the released code does.

    A link carries messages, both ways, if either direction is left: about half of all do. A link
    with one direction masked is predicted although the encoder sees it.

    Returns:
        The edges that carry messages, both directions of each, and those to be predicted.
    """
    there, back = torch.rand(2, links.shape[1], generator=generator) < MASKED
    left = links[:, ~(there & back)]
    masked = torch.cat([links[:, there], links.flip(0)[:, back]], dim=1)
    return torch.cat([left, left.flip(0)], dim=1), masked
