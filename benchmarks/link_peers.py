"""The peers of the link-prediction table; each learns from the training links of a split.

``s = PEERS[name](graph, split, seed)`` trains one, choosing its weights by the validation links.
``s.logits(s.embed(edge_index), pairs)`` then scores pairs with messages on any edges: those of
the training links, as in Kipf & Welling's code, or those of training and validation links, as
where PyG's ``RandomLinkSplit`` is used. ``all_scores`` ranks all nodes for some.

Everything is written from the papers; settings are those of the released code, cited with each.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from factors import train_block_model, train_nmf, train_node2vec, train_spectral
from heuristics import (
    CommonNeighbours,
    Degrees,
    pagerank,
    train_features,
    train_katz,
    untrained,
)
from masked import train_maskgae
from peers import descend, seed_all
from scorers import (
    FeatureProduct,
    InnerProduct,
    Scorer,
    Train,
    all_scores,
    as_csr,
    csr_parts,
    entry_rows,
    fit,
)
from torch import Tensor, nn
from torch_geometric.nn import ARGVA

from vgae.encoders.gcn import GCNEncoder
from vgae.graphs.graph import Graph
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LinkSplit
from vgae.kernels import SparseOperator
from vgae.kernels.csr import csr_tensor, gcn_norm
from vgae.runtime.streams import stream

__all__ = ["PEERS", "PUBLISHED", "Published", "Scorer", "Train", "all_scores"]


class NormalisedEncoder(nn.Module):
    r"""A linear layer scaled to a fixed length, then averaged over the neighbours.

    .. math:: \mu = \hat A \, (1.8 \, h_i / |h_i|)_i, \quad h = X W + b

    With two heads, :math:`\log \sigma` is another linear layer, averaged without scaling.

    Source: Ahn & Kim (2021), `Variational Graph Normalized Auto-Encoders
    <https://arxiv.org/abs/2108.08046>`_; ``SeongJinAhn/VGNAE``.

    Args:
        graph: Nodes and features, whose rows are made to sum to 1.
        heads: 1 for mu alone (GNAE), 2 with log sigma (VGNAE).
        generator: Where the initial weights come from.
    """

    channels, length = 128, 1.8

    def __init__(self, graph: Graph, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        x = None if graph.x is None else row_normalised(graph.x)
        in_channels = graph.num_features or graph.num_nodes
        bound = in_channels**-0.5  # as nn.Linear draws its weights
        shape = (in_channels + 1, heads * self.channels)
        drawn = nn.init.uniform_(torch.empty(shape), -bound, bound, generator=generator)
        self.features = FeatureProduct(x, drawn[:-1].clone())
        self.bias = nn.Parameter(drawn[-1].clone())

    def forward(self, adj_norm: SparseOperator) -> tuple[Tensor, Tensor | None]:
        """Return mu and log sigma, if it has a head, each of shape ``(N, 128)``."""
        mu, *logstd = (self.features() + self.bias).split(self.channels, dim=1)
        out = adj_norm @ torch.cat([self.length * F.normalize(mu, dim=1), *logstd], dim=1)
        mu, *logstd = out.split(self.channels, dim=1)
        return mu, logstd[0] if logstd else None


def train_gnae(
    graph: Graph, split: LinkSplit, seed: int, *, heads: int = 1, epochs: int | None = None
) -> Scorer:
    """Train GNAE or, with two heads, VGNAE, as released: 300 epochs, and no KL in either."""
    num_nodes = graph.num_nodes
    noise, pairs = stream(seed, "noise"), stream(seed, "pairs")
    model = NormalisedEncoder(graph, heads, stream(seed, "init"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005, fused=True)
    adj_norm = SparseOperator.symmetric(gcn_norm(split.message_edge_index, num_nodes))
    # Both directions of a link have one logit; each has a non-link of its own.
    num_others = 2 * split.train.shape[1]

    def loss() -> Tensor:
        z, logstd = model(adj_norm)
        if logstd is not None:
            eps = torch.randn(z.shape, generator=noise)
            z = z + eps * logstd.clamp(max=10).exp()
        others = sample_non_links(split.train, split.grid, num_others, pairs)
        return sampled_loss(z, split.train, others)

    def means(edge_index: Tensor) -> Tensor:
        return model(SparseOperator.symmetric(gcn_norm(edge_index, num_nodes)))[0]

    scorer = InnerProduct(means)
    fit(model, scorer, partial(descend, optimizer, loss), split, epochs or 300)
    return scorer


def sampled_loss(z: Tensor, links: Tensor, others: Tensor) -> Tensor:
    """Return the cross-entropy of inner products, a mean over links and one over non-links."""
    inner = InnerProduct(nn.Identity()).logits
    return F.softplus(-inner(z, links)).mean() + F.softplus(inner(z, others)).mean()


def row_normalised(x: Tensor) -> Tensor:
    """Divide rows by their sum, if that is above 1, as PyG's ``NormalizeFeatures`` does."""
    crow, col, values = csr_parts(as_csr(x))
    row = entry_rows(crow)
    total = values.new_zeros(x.shape[0]).index_add(0, row, values).clamp(min=1)
    return csr_tensor(crow, col, values / total[row], tuple(x.shape))


class LogStd(nn.Module):
    """The encoder of this package, answering with mu and log sigma as PyG's models expect it."""

    def __init__(self, encoder: GCNEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Any, edge_index: Any) -> tuple[Tensor, Tensor]:
        """Return mu and log sigma, each of shape ``(N, d)``; arguments as for the encoder."""
        q = self.encoder(x, edge_index)
        return q.mu, q.logvar / 2


def train_argva(graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None) -> Scorer:
    """Train PyG's ``ARGVA`` as its ``examples/argva_node_clustering.py`` does, but longer.

    The encoder, with equal weights that of the example, takes sparse features or none at all.
    Epochs are the 200 of the authors' code for link prediction; the example has 150.

    Source: Pan et al. (2018), `Adversarially Regularized Graph Autoencoder for Graph Embedding
    <https://arxiv.org/abs/1802.04407>`_.
    """
    # PyG draws weights of the discriminator, noise and non-links from the global generators.
    seed_all(seed)
    num_nodes, channels, hidden = graph.num_nodes, 32, 64
    in_channels = graph.num_features or num_nodes
    gcn = GCNEncoder(in_channels, channels, channels, generator=stream(seed, "init"))
    discriminator = nn.Sequential(
        *(nn.Linear(channels, hidden), nn.ReLU()),
        *(nn.Linear(hidden, hidden), nn.ReLU()),
        nn.Linear(hidden, channels),
    )
    model = ARGVA(LogStd(gcn), discriminator)
    optimizer = torch.optim.Adam(gcn.parameters(), lr=0.005)
    discriminating = torch.optim.Adam(discriminator.parameters(), lr=0.001)
    inputs = gcn.prepare(graph.x, split.message_edge_index)

    def loss() -> Tensor:
        z = model.encode(*inputs)
        for _ in range(5):
            descend(discriminating, lambda: model.discriminator_loss(z))
        recon = model.recon_loss(z, split.train)
        return recon + model.reg_loss(z) + model.kl_loss() / num_nodes

    scorer = InnerProduct(lambda edge_index: model.encode(*gcn.prepare(graph.x, edge_index)))
    fit(model, scorer, partial(descend, optimizer, loss), split, epochs or 200)
    return scorer


PEERS: dict[str, Train] = {
    "preferential-attachment": untrained(Degrees),
    "common-neighbours": untrained(lambda n: CommonNeighbours(n, np.ones_like)),
    "adamic-adar": untrained(lambda n: CommonNeighbours(n, lambda degree: 1 / np.log(degree))),
    "resource-allocation": untrained(lambda n: CommonNeighbours(n, np.reciprocal)),
    "katz": train_katz,
    "pagerank": untrained(pagerank),
    "spectral": train_spectral,
    "nmf": train_nmf,
    "block-model": train_block_model,
    "node2vec": train_node2vec,
    "features": train_features,
    "gnae": train_gnae,
    "vgnae": partial(train_gnae, heads=2),
    "argva": train_argva,
    "maskgae": train_maskgae,
}


class Published(NamedTuple):
    """What a paper reports with features, in [0, 1], and where it was read."""

    auc: float
    ap: float | None
    source: str


_KIPF = "Kipf & Welling (2016), as reprinted on the poster of SIG-VAE; train-only messages"
_ARGA = "Pan et al. (2018), as reprinted on the poster of MaskGAE; Kipf & Welling's split"
_GNAE = "Ahn & Kim (2021), as listed by Papers with Code; the released default is 80 / 7 / 13 %"
_MASK = "Li et al. (2023), their poster, masked edges; test messages over train + validation"

PUBLISHED: dict[tuple[str, str], Published] = {
    ("cora", "gae"): Published(0.910, 0.920, _KIPF),
    ("citeseer", "gae"): Published(0.895, 0.899, _KIPF),
    ("pubmed", "gae"): Published(0.964, 0.965, _KIPF),
    ("cora", "vgae"): Published(0.914, 0.926, _KIPF),
    ("citeseer", "vgae"): Published(0.908, 0.920, _KIPF),
    ("pubmed", "vgae"): Published(0.944, 0.947, _KIPF),
    ("cora", "argva"): Published(0.924, 0.926, _ARGA),
    ("citeseer", "argva"): Published(0.924, 0.930, _ARGA),
    ("pubmed", "argva"): Published(0.965, 0.968, _ARGA),
    ("cora", "gnae"): Published(0.956, None, _GNAE),
    ("citeseer", "gnae"): Published(0.965, None, _GNAE),
    ("pubmed", "gnae"): Published(0.975, None, _GNAE),
    ("cora", "vgnae"): Published(0.954, None, _GNAE),
    ("citeseer", "vgnae"): Published(0.970, None, _GNAE),
    ("pubmed", "vgnae"): Published(0.976, None, _GNAE),
    ("cora", "maskgae"): Published(0.9642, 0.9591, _MASK),
    ("citeseer", "maskgae"): Published(0.9802, 0.9818, _MASK),
    ("pubmed", "maskgae"): Published(0.9875, 0.9866, _MASK),
}
