"""Adapter of an encoder of this package for ``torch_geometric.nn.VGAE`` and ``GAE``."""

from typing import Any

from torch import Tensor, nn

from vgae.gaussian import DiagGaussian
from vgae.vae import Encoder


class PyGEncoder(nn.Module):
    r"""Encoder that returns the outputs that PyG's auto-encoders expect instead of a posterior.

    For ``torch_geometric.nn.VGAE`` these are :math:`(\mu, \log \sigma)`, where this package has
    log sigma squared; for ``torch_geometric.nn.GAE`` and a :class:`~vgae.PointMass`, mu.

    Args:
        encoder: Encoder such as :class:`vgae.GCNEncoder`; it is shared, not copied.

    Example:
        >>> import torch
        >>> from torch_geometric.nn import VGAE
        >>> from vgae import GCNEncoder
        >>> model = VGAE(PyGEncoder(GCNEncoder(3, 8, 2)))
        >>> model.encode(torch.rand(4, 3), torch.tensor([[0, 1], [1, 0]])).shape
        torch.Size([4, 2])
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, *inputs: Any) -> Tensor | tuple[Tensor, Tensor]:
        """Infer mean and log deviation of every node, each of shape ``(N, d)``.

        Args:
            inputs: Arguments of the encoder, such as ``(x, edge_index)``.
        """
        q = self.encoder(*inputs)
        return (q.mu, 0.5 * q.logvar) if isinstance(q, DiagGaussian) else q.mu
