r"""Content: latent dimensions that compare what the features of nodes and their neighbours say.

.. math:: C = l \, \hat A^2 \tilde X V, \quad
    \tilde x_{if} = w_f x_{if} \Big/ \sqrt{\textstyle\sum_g w_g^2 x_{ig}^2}, \quad
    w_f = \log (N / N_f)

where :math:`N_f` nodes have feature f (w is 0 if none has), and the columns of V are the first
right singular vectors of :math:`\hat A \tilde X`. A rare feature that two nodes share says more
than a common one; features that are no whole numbers are taken to be weighted already. The inner
product of two rows of C is nearly the cosine similarity of the features around two nodes, times
:math:`l^2`.

V is computed once, from features and training links, and not trained: training for random
non-links makes an encoder compare classes of features, and lose the single ones that tell a link
from a non-link that looks like one. The encoder is therefore trained without these dimensions, and
has them in evaluation mode; the logit of two nodes is the sum of two opinions.

Sources: Deerwester et al. (1990), `Indexing by Latent Semantic Analysis
<https://doi.org/10.1002/(SICI)1097-4571(199009)41:6%3C391::AID-ASI1%3E3.0.CO;2-9>`_, for V;
Spärck Jones (1972), `A Statistical Interpretation of Term Specificity
<https://doi.org/10.1108/eb026526>`_, for w; Hinton (2002), `Training Products of Experts by
Minimizing Contrastive Divergence <https://doi.org/10.1162/089976602760128018>`_, for the sum.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from vgae.encoders._features import Features, row_lengths, transformed
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.arrays import scipy_from_tensor
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.csr import gcn_norm
from vgae.kernels.partition import RowOperator
from vgae.runtime.mapped import row_blocks

HOPS = 2  # as far as the two layers of the encoder see
_LOGSTD = -3.0
_MOST_ENTRIES = 1 << 27  # of C: in graphs of more nodes it has fewer columns
_MOST_WEIGHTS = 1 << 24  # of V, whose singular vectors take minutes beyond
_MOST_ROWS = 1 << 15  # nodes whose features V is computed from


class Content(nn.Module):
    """Fixed linear map of the features, scaled to one length and averaged over the neighbours.

    Args:
        in_channels: Columns of X.
        width: p, the number of latent dimensions.
        norm: l, the length of the messages.

    Attributes:
        rarity: w, shape ``(in_channels,)``; zeros until they are loaded.
        weight: V with row f times :math:`w_f`, shape ``(in_channels, p)``.
    """

    def __init__(self, in_channels: int, width: int, norm: float) -> None:
        super().__init__()
        self.width, self.norm = width, norm
        self.rarity: Tensor
        self.weight: Tensor
        self.register_buffer("rarity", torch.zeros(in_channels))
        self.register_buffer("weight", torch.zeros(in_channels, width))

    def forward(
        self,
        heads: tuple[Tensor, ...],
        x: Features,
        adj_norm: SparseOperator | EdgeOperator | RowOperator,
    ) -> tuple[Tensor, ...]:
        """Return the heads of a posterior with the content as their first dimensions.

        Args:
            heads: Mean and, of a Gaussian, log sigma, shape ``(N, d)`` each.
            x: Node features, shape ``(N, in_channels)``.
            adj_norm: Messages.
        """
        mu, *others = heads
        length = row_lengths(x, self.rarity).clamp_min(1e-12)
        content = transformed(x, self.weight) * (self.norm / length)
        for _ in range(HOPS):
            content = adj_norm @ content
        spread = torch.full_like(content, _LOGSTD)
        return torch.cat([content, mu], dim=1), *(torch.cat([spread, o], dim=1) for o in others)


def content_weights(
    x: Tensor, edge_index: Tensor, width: int, self_loop_weight: float
) -> dict[str, Tensor]:
    r"""Return ``rarity`` and ``weight`` of :class:`Content`, float32.

    p is ``width``, or F if that is less, in which case V is the identity; graphs of more than
    262,144 nodes or 32,768 features have fewer columns. V is computed from the rows of at most
    32,768 nodes, and ignores the weights of links.

    Args:
        x: Features, dense or sparse CSR, shape ``(N, F)``.
        edge_index: Both directions of the training links, shape ``(2, E)``.
        width: Largest number of columns.
        self_loop_weight: c, the weight of the self-loops in the messages.
    """
    num_nodes, num_features = x.shape
    rarity = _rarity(x)
    width = most_columns(num_nodes, num_features, width)
    if num_features == width:
        return _named(rarity, np.eye(num_features))
    rows = np.arange(0, num_nodes, -(-num_nodes // _MOST_ROWS))
    adj_norm = gcn_norm(edge_index.cpu(), num_nodes, self_loop_weight=self_loop_weight)
    near = scipy_from_tensor(adj_norm)[rows]
    kept = np.unique(near.indices)  # the sampled nodes and their neighbours
    values = normalize(_rows(x, kept) @ sp.diags_array(rarity))
    averaged = sp.csr_array(near[:, kept] @ values)
    width = min(width, len(rows))
    options: Any = {"n_iter": 4, "random_state": 0}  # its stubs know "auto" alone
    *_, vectors = randomized_svd(averaged, width, **options)
    return _named(rarity, vectors.T)


def most_columns(num_nodes: int, num_features: int, width: int) -> int:
    """Return the largest p of a graph with so many nodes and features."""
    most = min(_MOST_ENTRIES // max(num_nodes, 1), _MOST_WEIGHTS // max(num_features, 1))
    return min(width, max(most, 16), num_features)


def trained_dimensions(encoder: Any, q: Any) -> Any:
    """Return a posterior of an encoder without its dimensions of content, if it has any."""
    content = getattr(encoder, "content", None)
    if not isinstance(content, Content) or not isinstance(q, DiagGaussian | PointMass):
        return q
    mu = q.mu[:, content.width :]
    if isinstance(q, PointMass):
        return PointMass(mu)
    return DiagGaussian(mu, q.logvar[:, content.width :])


def _rows(x: Tensor, nodes: np.ndarray) -> sp.csr_array:
    """Return rows of features in ascending order, float64; mapped ones are read in blocks."""
    if x.is_sparse_csr:
        return sp.csr_array(scipy_from_tensor(x)[nodes], dtype=np.float64)
    blocks = []
    for rows, block in row_blocks(x):
        first, last = np.searchsorted(nodes, (rows.start, rows.stop))
        own = block[torch.from_numpy(nodes[first:last] - rows.start)]
        blocks.append(sp.csr_array(own.double().numpy()))
    return sp.csr_array(sp.vstack(blocks))


def _named(rarity: np.ndarray, vectors: np.ndarray) -> dict[str, Tensor]:
    found = {"rarity": rarity, "weight": rarity[:, None] * vectors}
    return {name: torch.from_numpy(value).float() for name, value in found.items()}


def _rarity(x: Tensor) -> np.ndarray:
    """Return w of each feature, shape ``(F,)``: at least 0, or 0 and 1 if they are not whole."""
    if x.is_sparse_csr:
        values, columns = x.values(), x.col_indices().long()
        whole = bool((values == values.round()).all())
        count = torch.bincount(columns[values != 0], minlength=x.shape[1])
    else:
        whole, count = True, torch.zeros(x.shape[1], dtype=torch.int64)
        for _, block in row_blocks(x):
            whole = whole and bool((block == block.round()).all())
            count += block.count_nonzero(dim=0)
    weight = (len(x) / count.clamp(min=1).double()).log() if whole else torch.ones(len(count))
    return (weight * (count > 0)).cpu().double().numpy()
