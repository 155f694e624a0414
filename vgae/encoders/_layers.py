"""What the image encoders share: the check of what they are given, and the last layer."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.layers import Activation, Shape, dense

Sigma = Literal["exp", "softplus"]
Kind = type[DiagGaussian] | type[PointMass]
MIN_SIGMA = 1e-6  # of softplus, which underflows to zero, whose logarithm has no gradient


def check_images(x: Tensor, shape: Shape) -> None:
    """Raise ``DataError`` unless ``x`` holds images of that shape."""
    if x.shape[-3:] != shape:
        raise DataError(
            "IMAGE_SHAPE",
            f"images must have shape (..., c, h, w) with (c, h, w) = {shape}, "
            f"got {tuple(x.shape)}; resize them or build a model of their shape.",
        )


class PosteriorHead(nn.Module):
    """The last layer of an image encoder: mu and, for a Gaussian, sigma.

    Args:
        in_features: Width of what goes in.
        latent_channels: Width d of the latent vectors.
        sigma: How sigma is made from its head.
        posterior: :class:`~vgae.DiagGaussian` or :class:`~vgae.PointMass`.
        activation: Of the network.
        generator: Where the initial weights come from.
    """

    def __init__(
        self,
        in_features: int,
        latent_channels: int,
        *,
        sigma: Sigma,
        posterior: Kind,
        activation: Activation,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        if sigma not in ("exp", "softplus"):
            raise ValueError(f"sigma must be 'exp' or 'softplus', got {sigma!r}.")
        self.sigma: Sigma = sigma
        self.posterior = posterior
        # One product for all heads: mu and the head of sigma stand side by side.
        self.heads = dense(
            in_features, latent_channels, activation, generator, heads=posterior.num_heads
        )

    def forward(self, h: Tensor) -> DiagGaussian | PointMass:
        """Return the posterior that the last hidden layer, shape ``(*, in_features)``, gives."""
        mu, *others = self.heads(h).chunk(self.posterior.num_heads, dim=-1)
        if self.sigma == "softplus":
            others = [(F.softplus(s) + MIN_SIGMA).log() for s in others]
        return self.posterior.from_heads(mu, *others)
