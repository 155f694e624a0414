"""Base class of the image encoders, and their last layer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.layers import Activation, Shape, check_options, dense
from vgae.recipes.images import Sigma

Kind = type[DiagGaussian] | type[PointMass]
MIN_SIGMA = 1e-6  # of softplus, which underflows to zero, whose logarithm has no gradient


class PosteriorHead(nn.Module):
    """Last layer of an image encoder: mu and, for a Gaussian, sigma.

    Args:
        in_features: Width of the last hidden layer.
        latent_channels: Width d of the latent vectors.
        sigma: Function that makes sigma positive.
        posterior: :class:`~vgae.DiagGaussian` or :class:`~vgae.PointMass`.
        activation: Activation of the network.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        in_features: int,
        latent_channels: int,
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
        """Return the posterior, given the last hidden layer, shape ``(*, in_features)``."""
        mu, *others = self.heads(h).chunk(self.posterior.num_heads, dim=-1)
        if self.sigma == "softplus":
            others = [(F.softplus(s) + MIN_SIGMA).log() for s in others]
        return self.posterior.from_heads(mu, *others)


class ImageEncoder(nn.Module):
    """Image encoder: the layers of :meth:`features`, then the heads of the posterior."""

    head: PosteriorHead

    def __init__(
        self,
        shape: Shape,
        channels: Sequence[int],
        latent_channels: int,
        activation: Activation,
        *others: int,
    ) -> None:
        super().__init__()
        check_options(shape, [*channels, *others, latent_channels], activation)
        self.shape, self.latent_channels = tuple(shape), latent_channels
        self.channels, self.activation = [*channels], activation

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of images, shape ``(*, features)``."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> DiagGaussian | PointMass:
        """Infer the posterior of every image.

        Args:
            x: Images, shape ``(*, c, h, w)``.

        Returns:
            The posterior; ``.mu`` of shape ``(*, latent_channels)`` is the embedding.

        Raises:
            DataError: If the images have another shape.
        """
        if x.shape[-3:] != self.shape:
            raise DataError(
                "IMAGE_SHAPE",
                f"images must have shape (..., c, h, w) with (c, h, w) = {self.shape}, "
                f"got {tuple(x.shape)}; resize them or build a model of their shape.",
            )
        return self.head(self.features(x))
