"""GCNEncoder: two graph convolutions."""

import torch
from torch import Tensor, nn

from vgae.encoders._convolution import (
    Edges,
    Features,
    convolved,
    glorot,
    posterior_of,
    prepared,
)
from vgae.gaussian import DiagGaussian, PointMass


class GCNEncoder(nn.Module):
    r"""Two-layer graph convolutional network that infers a posterior for every node.

    .. math::
        H = \mathrm{relu}(\hat A X W_0 + b_0), \quad
        (\mu, \log \sigma) = \hat A H W_1 + b_1, \quad
        \hat A = D^{-1/2} (A + I) D^{-1/2}

    For node i: :math:`h_i = \mathrm{relu}(W_0^T \sum_{j \in N(i) \cup i} x_j /
    \sqrt{d_i d_j} + b_0)`, where d counts the neighbours and the node itself. With equal weights
    it equals two ``torch_geometric.nn.GCNConv`` layers.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, section 1; Kipf & Welling (2017), `Semi-Supervised
    Classification with Graph Convolutional Networks <https://arxiv.org/abs/1609.02907>`_,
    equation 9.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        hidden_channels: Width of the hidden layer.
        latent_channels: Width d of the latent vectors.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder.
        bias: Whether the layers learn the offsets b (PyG does, the paper's code does not).
        generator: Where the initial weights come from; torch's default if not given.

    Example:
        >>> encoder = GCNEncoder(1433, 32, 16)
        >>> q = encoder(torch.rand(3, 1433), torch.tensor([[0, 1], [1, 0]]))
        >>> q.mu.shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 32,
        latent_channels: int = 16,
        *,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        heads = posterior.num_heads
        self.posterior = posterior
        self.latent_channels = latent_channels
        self.weight0 = glorot(in_channels, hidden_channels, 1, generator)
        # One product for all heads: mu and log sigma stand side by side.
        self.weight1 = glorot(hidden_channels, latent_channels, heads, generator)
        self.bias0 = nn.Parameter(torch.zeros(hidden_channels)) if bias else None
        self.bias1 = nn.Parameter(torch.zeros(heads * latent_channels)) if bias else None

    def prepare(self, x: Tensor | None, edge_index: Tensor) -> tuple[Features, Edges]:
        """Bring the arguments of :meth:`forward` into their fastest form, once before training.

        Args:
            x: As for :meth:`forward`.
            edge_index: Both directions of every edge, shape ``(2, E)``.
        """
        return prepared(x, edge_index, self.weight0)

    def forward(
        self, x: Features, edge_index: Edges, edge_weight: Tensor | None = None
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node.

        Args:
            x: Node features, shape ``(N, in_channels)``: dense, sparse CSR, or ``None`` for none
                at all (the identity, which is never built).
            edge_index: Both directions of every edge, shape ``(2, E)``; self-loops are added. Or
                the adjacency as a sparse matrix, whose row i gathers from its columns (PyG's
                ``adj_t``); or what :meth:`prepare` returned, which is normalised already.
            edge_weight: One per column of ``edge_index``, not negative, shape ``(E,)``.

        Returns:
            The posterior; ``.mu`` of shape ``(N, latent_channels)`` is the embedding.

        Raises:
            DataError: If ``x`` is not as wide as ``in_channels``.
        """
        h, adj_norm = convolved(x, edge_index, edge_weight, self.weight0)
        h = (h if self.bias0 is None else h + self.bias0).relu()
        return posterior_of(adj_norm @ (h @ self.weight1), self.bias1, self.posterior)

    def extra_repr(self) -> str:
        """Return the widths, for ``repr``."""
        in_channels, hidden_channels = self.weight0.shape
        return f"{in_channels} -> {hidden_channels} -> {self.latent_channels}"
