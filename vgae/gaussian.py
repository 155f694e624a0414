"""Approximate posteriors, the results of encoders."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vgae.errors import UsageError


class _Whole:
    """Base of posteriors, which other libraries take for tensors or pairs of tensors."""

    mu: Tensor
    rsample: Callable[..., Tensor]

    @property
    def mean(self) -> Tensor:
        """The mean ``mu``, by its name in ``torch.distributions``."""
        return self.mu

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Return :meth:`rsample` without gradients."""
        with torch.no_grad():
            return self.rsample(generator)

    def __getitem__(self, index: object) -> NoReturn:
        """Raise ``UsageError``: a posterior can be neither unpacked nor indexed."""
        self._refuse()

    @classmethod
    def __torch_function__(cls, *_: object, **__: object) -> NoReturn:
        """Raise ``UsageError``: a posterior is no argument of functions and layers of torch."""
        cls._refuse()

    @classmethod
    def _refuse(cls) -> NoReturn:
        raise UsageError(
            "POSTERIOR",
            f"a {cls.__name__} is neither a tensor nor (mu, logstd): give a layer its mean, q.mu,"
            " or a sample, q.rsample(); for torch_geometric.nn.VGAE and GAE wrap the encoder:"
            " VGAE(PyGEncoder(encoder)), from vgae.encoders.",
        )


@dataclass(frozen=True)
class DiagGaussian(_Whole):
    r"""Gaussian with a diagonal covariance, one per latent vector: :math:`N(\mu, \sigma^2)`.

    Args:
        mu: Mean, shape ``(*, d)``.
        logvar: Logarithm of the **variance**, :math:`\log \sigma^2`, shape ``(*, d)``.
    """

    mu: Tensor
    logvar: Tensor

    num_heads: ClassVar[int] = 2

    @classmethod
    def from_heads(cls, mu: Tensor, logstd: Tensor) -> Self:
        """Build from the two heads of an encoder, whose second one is log sigma."""
        # Kipf & Welling's second head is log sigma; the core stores log sigma^2.
        return cls(mu, 2 * logstd)

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        r"""Draw :math:`z = \mu + \sigma \epsilon`, :math:`\epsilon \sim N(0, 1)`.

        Gradients pass to ``mu`` and ``logvar``.

        Args:
            generator: Source of the noise, on the device of ``mu``.

        Returns:
            One sample per latent vector, shape ``(*, d)``.
        """
        return self.mu + self._noise(generator) * self.stddev

    @property
    def stddev(self) -> Tensor:
        r"""The standard deviation :math:`\sigma`, shape ``(*, d)``."""
        return (0.5 * self.logvar).exp()

    def rsample_with_kl(self, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return a sample as :meth:`rsample`, and the sum of :meth:`kl`, shape ``()``.

        Value and gradients of both take one pass, for a training step; a second derivative raises.
        """
        if self.mu.shape != self.logvar.shape:  # such as one variance for all vectors
            return self.rsample(generator), self.kl().sum()
        return _SampleAndKl.apply(self.mu, self.logvar, self._noise(generator))

    def _noise(self, generator: torch.Generator | None) -> Tensor:
        mu = self.mu
        if (normal := getattr(generator, "normal", None)) is not None:  # draws in its own way
            return normal(mu)
        return torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Return the log-density of given latent vectors, in nats.

        .. math:: \log q(z) =
            -\tfrac{1}{2} \sum_k (\log 2\pi + \log\sigma_k^2 + (z_k - \mu_k)^2 / \sigma_k^2)

        Args:
            z: Any number of samples of each latent vector, shape ``(*k, *, d)``.

        Returns:
            One value per sample and latent vector, shape ``(*k, *)``.
        """
        # Squared last: 1 / sigma^2 overflows long before (z - mu) / sigma does.
        eps = (z - self.mu) * (-0.5 * self.logvar).exp()
        return -0.5 * (math.log(2 * math.pi) + self.logvar + eps * eps).sum(dim=-1)

    def kl(self) -> Tensor:
        r"""Return the KL divergence to the standard normal prior, in nats.

        .. math:: KL(q \,\|\, p) = -\tfrac{1}{2} \sum_k (1 + \log\sigma_k^2 - \mu_k^2 - \sigma_k^2)

        Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
        <https://arxiv.org/abs/1312.6114>`_, appendix B.

        Returns:
            One value per latent vector, shape ``(*,)``, never negative.
        """
        # expm1 keeps the sum from going below zero by rounding when sigma is close to 1.
        return 0.5 * (self.mu * self.mu + self.logvar.expm1() - self.logvar).sum(dim=-1)


class _SampleAndKl(torch.autograd.Function):
    """Sample of a Gaussian and its KL divergence: ``apply(mu, logvar, eps)``."""

    @staticmethod
    def forward(ctx: Any, mu: Tensor, logvar: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        scaled = (0.5 * logvar).exp_().mul_(eps)
        excess = logvar.expm1()
        kl = torch.sub(excess, logvar).addcmul_(mu, mu).sum() * 0.5
        ctx.save_for_backward(mu, scaled, excess)
        return mu + scaled, kl

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor, None]:
        grad_z, grad_kl = grad_outputs
        mu, scaled, excess = ctx.saved_tensors
        # dz / dlogvar = sigma eps / 2, dKL / dlogvar = (sigma^2 - 1) / 2.
        grad_logvar = (grad_z * scaled).addcmul_(grad_kl, excess).mul_(0.5)
        return torch.addcmul(grad_z, grad_kl, mu), grad_logvar, None


@dataclass(frozen=True)
class PointMass(_Whole):
    """All probability on one point: the posterior of a plain auto-encoder.

    Args:
        mu: The point, shape ``(*, d)``.
    """

    mu: Tensor

    num_heads: ClassVar[int] = 1

    @classmethod
    def from_heads(cls, mu: Tensor) -> Self:
        """Build from the only head of an encoder."""
        return cls(mu)

    @property
    def stddev(self) -> Tensor:
        """Zeros, shape ``(*, d)``."""
        return torch.zeros_like(self.mu)

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002
        """Return the point itself, shape ``(*, d)``; the generator is not used."""
        return self.mu

    def kl(self) -> Tensor:
        """Return zero per latent vector, shape ``(*,)``: a plain auto-encoder has no KL term."""
        return self.mu.new_zeros(self.mu.shape[:-1])
