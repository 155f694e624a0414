"""MLPEncoder: images through fully connected layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vgae.encoders._layers import Kind, PosteriorHead, Sigma, check_images
from vgae.gaussian import DiagGaussian, PointMass
from vgae.layers import Activation, Shape, check_options, hidden_layers


class MLPEncoder(nn.Module):
    r"""Fully connected network that infers a posterior for every image.

    .. math::
        h_0 = x, \quad h_l = f(W_l h_{l-1} + b_l), \quad
        (\mu, s) = W h_L + b, \quad \sigma = \exp(s)

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, appendix C.2 (there the second head is log sigma^2).

    Args:
        shape: (c, h, w) of the images.
        hidden_channels: Widths of the hidden layers, from the image on; none at all makes the
            heads linear in the pixels.
        latent_channels: Width d of the latent vectors.
        activation: f. The initial weights are drawn to suit it: Glorot's for ``"tanh"``, He's for
            ``"relu"`` and ``"softplus"``; the offsets b start at zero.
        sigma: ``"exp"`` as above, or ``"softplus"``: :math:`\sigma = \log(1 + e^s) + 10^{-6}`,
            which grows no faster than s.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder, which has no head s.
        generator: Where the initial weights come from; torch's default if not given.

    Attributes:
        shape: (c, h, w) of the images.
        latent_channels: Width d of the latent vectors.

    Raises:
        ValueError: If an option is none of these.

    Example:
        >>> encoder = MLPEncoder((1, 28, 28), [400], 20)
        >>> encoder(torch.rand(3, 1, 28, 28)).mu.shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        shape: Shape,
        hidden_channels: Sequence[int],
        latent_channels: int,
        *,
        activation: Activation = "tanh",
        sigma: Sigma = "exp",
        posterior: Kind = DiagGaussian,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_options(shape, [*hidden_channels, latent_channels], activation)
        c, h, w = shape
        self.shape = (c, h, w)
        self.latent_channels = latent_channels
        self.channels, self.activation = [*hidden_channels], activation
        widths = [c * h * w, *hidden_channels]
        self.hidden = nn.Sequential(*hidden_layers(widths, activation, generator))
        self.head = PosteriorHead(
            widths[-1],
            latent_channels,
            sigma=sigma,
            posterior=posterior,
            activation=activation,
            generator=generator,
        )

    def forward(self, x: Tensor) -> DiagGaussian | PointMass:
        """Infer the posterior of every image.

        Args:
            x: Images, shape ``(*, c, h, w)``.

        Returns:
            The posterior; ``.mu`` of shape ``(*, latent_channels)`` is the embedding.

        Raises:
            DataError: If the images have another shape.
        """
        check_images(x, self.shape)
        return self.head(self.hidden(x.flatten(start_dim=-3)))
