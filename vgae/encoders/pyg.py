"""Adapters between encoders of this package and of ``torch_geometric.nn.VGAE`` and ``GAE``."""

from typing import Any

from torch import Tensor, nn

from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.vae import Encoder, check_instance


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
        check_instance("encoder of PyGEncoder", encoder)
        self.encoder = encoder

    def forward(self, *inputs: Any) -> Tensor | tuple[Tensor, Tensor]:
        """Infer mean and log deviation of every node, each of shape ``(N, d)``.

        Args:
            inputs: Arguments of the encoder, such as ``(x, edge_index)``.
        """
        q = self.encoder(*inputs)
        return (q.mu, 0.5 * q.logvar) if isinstance(q, DiagGaussian) else q.mu


class PosteriorEncoder(nn.Module):
    r"""Encoder that returns a posterior instead of the outputs that PyG's auto-encoders expect.

    An encoder of ``torch_geometric.nn.VGAE`` returns :math:`(\mu, \log \sigma)`, which becomes
    a :class:`~vgae.DiagGaussian`; one of ``GAE`` returns mu, which becomes a
    :class:`~vgae.PointMass`. An encoder that returns log sigma **squared** is not one of these: it
    returns ``DiagGaussian(mu, logvar)`` itself.

    Args:
        encoder: Encoder, called with the same arguments; it is shared, not copied.

    Example:
        >>> import torch
        >>> from torch_geometric.nn import GCNConv
        >>> from vgae import VAE, InnerProductDecoder
        >>> model = VAE(PosteriorEncoder(GCNConv(3, 2)), InnerProductDecoder())
        >>> model.encoder(torch.rand(4, 3), torch.tensor([[0, 1], [1, 0]])).mu.shape
        torch.Size([4, 2])
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        check_instance("encoder of PosteriorEncoder", encoder)
        self.encoder = encoder

    def forward(self, *inputs: Any) -> DiagGaussian | PointMass:
        """Infer the posterior of every node.

        Args:
            inputs: Arguments of the encoder, such as ``(x, edge_index)``.

        Raises:
            UsageError: If the encoder returns neither mu nor two tensors of one shape.
        """
        heads = self.encoder(*inputs)
        if isinstance(heads, Tensor):
            return PointMass(heads)
        pair = isinstance(heads, (tuple, list)) and all(isinstance(h, Tensor) for h in heads)
        if not pair or len(heads) != 2 or heads[0].shape != heads[1].shape:
            raise UsageError(
                "ENCODER",
                f"{type(self.encoder).__name__} must return mu or (mu, logstd) of one shape for"
                f" PosteriorEncoder, got {type(heads).__name__}.",
            )
        return DiagGaussian.from_heads(*heads)
