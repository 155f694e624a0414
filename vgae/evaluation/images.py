"""evaluate_images: how likely images are under a model, and how many latent dimensions it uses."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vgae.errors import DataError, NumericalError, UsageError
from vgae.gaussian import DiagGaussian
from vgae.models.embedding import evaluating, parameter_like
from vgae.runtime.progress import showing
from vgae.runtime.streams import stream
from vgae.vae import VAE

# In float32 a tensor of so many fills 16 MiB; decoding more at once takes no less time.
_MAX_PIXELS = 1 << 22


class ImageTerms(NamedTuple):
    """The two terms of the evidence lower bound of each image, in nats, float64 on the CPU.

    Attributes:
        log_likelihood: log p(x | z) at one sample of the posterior, shape ``(n,)``.
        kl: KL divergence of the posterior to the prior, at least 0, shape ``(n,)``.
    """

    log_likelihood: Tensor
    kl: Tensor


@dataclass(frozen=True)
class ImageEvaluation:
    """What :func:`evaluate_images` says of a model; all values in nats are means over the images.

    An error is the standard error of its mean: how far the mean would move with other images and
    other draws, the model held fixed. A single image has none, which is ``None``.

    Attributes:
        elbo: ``log_likelihood - kl``, in nats per image. Of a plain auto-encoder, whose posterior
            is a point, it is ``log_likelihood`` and bounds nothing.
        elbo_error: Its standard error.
        log_likelihood: log p(x | z), one sample of the posterior per image.
        kl: KL divergence of the posterior to the prior; 0 for a plain auto-encoder.
        log_marginal: Estimate of log p(x), see :func:`log_marginal`; ``None`` for a posterior
            that is no :class:`~vgae.DiagGaussian`.
        log_marginal_error: Its standard error.
        num_samples: Samples per image behind ``log_marginal``; 0 if there is none.
        num_images: Images judged.
        active_units: Latent dimensions in use; see :func:`active_units`.
        latent_channels: Latent dimensions there are.
    """

    elbo: float
    elbo_error: float | None
    log_likelihood: float
    kl: float
    log_marginal: float | None
    log_marginal_error: float | None
    num_samples: int
    num_images: int
    active_units: int
    latent_channels: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def evaluate_images(
    model: VAE,
    pixels: Tensor,
    *,
    num_samples: int = 500,
    seed: int = 0,
    progress: bool | None = None,
) -> ImageEvaluation:
    """Judge a model by images that it has not seen.

    Args:
        model: A trained model.
        pixels: In [0, 1], shape ``(n, c, h, w)``; for figures that compare with others, binarised
            as theirs are.
        num_samples: Per image, for :func:`log_marginal`; at least 1. Published figures have 5,000.
        seed: Same seed, same figures: all noise is drawn from its stream ``"noise"``.
        progress: Whether to show progress on stderr; see :func:`vgae.fit`.

    Raises:
        DataError: If there are no images, or ``pixels`` has another number of dimensions.
        NumericalError: If a likelihood is NaN or infinite.
        UsageError: If ``num_samples`` is less than 1 or ``seed`` is out of range.
    """
    _check_samples(num_samples)
    generator = stream(seed, "noise", parameter_like(model).device)
    terms = elbo_terms(model, pixels, generator=generator)
    with evaluating(model):
        q = model.encoder(next(_batches(model, pixels, 1)))
    log_px = None
    if isinstance(q, DiagGaussian):
        with showing(len(pixels), "images", wanted=progress) as show:
            log_px = log_marginal(
                model,
                pixels,
                num_samples=num_samples,
                generator=generator,
                show=lambda done: show(done, lambda: f"log p(x), {num_samples:,} samples each"),
            )
    elbo = terms.log_likelihood - terms.kl
    return ImageEvaluation(
        elbo=elbo.mean().item(),
        elbo_error=_standard_error(elbo),
        log_likelihood=terms.log_likelihood.mean().item(),
        kl=terms.kl.mean().item(),
        log_marginal=None if log_px is None else log_px.mean().item(),
        log_marginal_error=None if log_px is None else _standard_error(log_px),
        num_samples=0 if log_px is None else num_samples,
        num_images=len(pixels),
        active_units=active_units(model, pixels),
        latent_channels=q.mu.shape[-1],
    )


def elbo_terms(
    model: VAE, pixels: Tensor, *, generator: torch.Generator, batch_size: int = 1000
) -> ImageTerms:
    """Estimate both terms of the evidence lower bound of each image, with one sample of each.

    The model is neither trained nor left in another mode, and no gradients are kept.

    Args:
        model: The model.
        pixels: In [0, 1], on any device, shape ``(n, c, h, w)``.
        generator: Where the noise comes from, batch by batch; on the device of the model.
        batch_size: Images at once, at most; fewer if they have more than 2^22 pixels together.

    Raises:
        DataError: If there are no images, or ``pixels`` has another number of dimensions.
        NumericalError: If a term is NaN or infinite.
        ValueError: If ``batch_size`` is less than 1, or the decoder does not score each image.
    """
    log_likelihood, kl = [], []
    with evaluating(model):
        for x in _batches(model, pixels, batch_size):
            q = model.encoder(x)
            log_likelihood.append(_log_likelihood(model, q.rsample(generator), x).cpu())
            kl.append(q.kl().double().cpu())
    return ImageTerms(_finite(torch.cat(log_likelihood)), _finite(torch.cat(kl)))


def log_marginal(
    model: VAE,
    pixels: Tensor,
    *,
    num_samples: int,
    generator: torch.Generator,
    batch_size: int = 500,
    max_pixels: int = _MAX_PIXELS,
    show: Callable[[int], None] = lambda _: None,
) -> Tensor:
    r"""Estimate log p(x) of each image by importance sampling from its posterior.

    .. math:: \log p(x) \approx \log \frac{1}{k} \sum_{j=1}^k
        \frac{p(x \mid z_j) \, p(z_j)}{q(z_j \mid x)}, \qquad z_j \sim q(z \mid x)

    The average under the logarithm has the right expectation, its logarithm is too low: in
    expectation it is the ELBO for k = 1, never falls as k grows, and tends to log p(x).

    Memory does not grow with k. The weights are added up in float64 while samples come and go, and
    at any time no more than ``max_pixels`` pixels are decoded (those of one image if it alone has
    more): 16 MiB for 2^22 of them in float32, times the few such tensors that the decoder holds,
    its hidden layers among them. 28 x 28 pixels then are decoded 5,349 at once.

    The draws go through the batches of images in turn, and in each through the samples. How many
    samples are decoded at once changes nothing but the rounding; another ``batch_size``, or
    ``max_pixels`` below the pixels of a batch, hands the draws to other images and gives another
    estimate of the same quality.

    Source: Burda, Grosse & Salakhutdinov (2016), `Importance Weighted Autoencoders
    <https://arxiv.org/abs/1509.00519>`_, equation 8.

    Args:
        model: The model, whose posterior is a :class:`~vgae.DiagGaussian`.
        pixels: In [0, 1], on any device, shape ``(n, c, h, w)``.
        num_samples: k, at least 1.
        generator: Where the samples come from; on the device of the model.
        batch_size: Images at once, at most.
        max_pixels: Pixels decoded at once, at most.
        show: Is told how many images are done.

    Returns:
        In nats, float64 on the CPU, shape ``(n,)``.

    Raises:
        DataError: If there are no images, or ``pixels`` has another number of dimensions.
        NumericalError: If an estimate is NaN or infinite.
        UsageError: If ``num_samples`` is less than 1.
        ValueError: If ``batch_size`` or ``max_pixels`` is less than 1, if the posterior is another
            one, or if the decoder does not score each image.
    """
    _check_samples(num_samples)
    estimates, done = [], 0
    with evaluating(model):
        for x in _batches(model, pixels, batch_size, max_pixels):
            q = model.encoder(x)
            if not isinstance(q, DiagGaussian):
                raise ValueError(
                    "log p(x) needs a posterior with a density, DiagGaussian, got"
                    f" {type(q).__name__}; elbo_terms gives its log-likelihood."
                )
            at_once = max(max_pixels // max(x.numel(), q.mu.numel()), 1)
            estimates.append(_log_mean_weight(model, q, x, num_samples, at_once, generator).cpu())
            done += len(x)
            show(done)
    return _finite(torch.cat(estimates))


def active_units(model: VAE, pixels: Tensor, threshold: float = 1e-2) -> int:
    r"""Count the latent dimensions whose posterior mean tells images apart.

    .. math:: \#\{u : \operatorname{Var}_x(\mu_u(x)) > threshold\}

    The others have collapsed onto the prior, or nearly so. The variance is that of the images at
    hand: divided by n.

    Source: Burda, Grosse & Salakhutdinov (2016), `Importance Weighted Autoencoders
    <https://arxiv.org/abs/1509.00519>`_, section 5, with the threshold 10^-2.

    Args:
        model: The model.
        pixels: In [0, 1], on any device, shape ``(n, c, h, w)``.
        threshold: Variance that an active dimension exceeds.

    Raises:
        DataError: If there are no images, or ``pixels`` has another number of dimensions.
    """
    with evaluating(model):
        means = [model.encoder(x).mu.double().cpu() for x in _batches(model, pixels, 1000)]
    return int((torch.cat(means).var(dim=0, correction=0) > threshold).sum())


def _batches(
    model: VAE, pixels: Tensor, batch_size: int, max_pixels: int = _MAX_PIXELS
) -> Iterator[Tensor]:
    """Yield the images in turn, on the device and in the precision of the model.

    At most ``batch_size`` at once, and fewer if they would have more than ``max_pixels`` pixels.
    """
    if pixels.ndim != 4 or pixels.numel() == 0:
        raise DataError(
            "IMAGE_SHAPE",
            "pixels must have shape (n, c, h, w), none of them zero, got"
            f" {tuple(pixels.shape)}; a single image is pixels[None].",
        )
    if batch_size < 1 or max_pixels < 1:
        raise ValueError(
            f"batch_size and max_pixels must be at least 1, got {batch_size} and {max_pixels}."
        )
    like = parameter_like(model)
    at_once = min(batch_size, max(max_pixels // pixels[0].numel(), 1))
    for batch in pixels.split(at_once):
        yield batch.to(device=like.device, dtype=like.dtype)


def _log_likelihood(model: VAE, z: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | z), z of shape ``(*k, B, d)``, as float64 of shape ``(*k, B)``."""
    log_likelihood = model.decoder.log_prob(z, x)
    if log_likelihood.shape != z.shape[:-1]:
        raise ValueError(
            "the decoder's log_prob must return one value per sample and image, shape"
            f" {tuple(z.shape[:-1])}, got {tuple(log_likelihood.shape)}."
        )
    return log_likelihood.double()


def _log_mean_weight(
    model: VAE,
    q: DiagGaussian,
    x: Tensor,
    num_samples: int,
    at_once: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the estimate of :func:`log_marginal` for one batch, float64, shape ``(B,)``."""
    prior = DiagGaussian(torch.zeros_like(q.mu), torch.zeros_like(q.logvar))
    log_sum = torch.full((len(x),), -math.inf, dtype=torch.float64, device=q.mu.device)
    for start in range(0, num_samples, at_once):
        count = min(at_once, num_samples - start)
        # One call per sample: what it draws then depends on no other sample of the chunk.
        z = torch.stack([q.rsample(generator) for _ in range(count)])
        log_weight = _log_likelihood(model, z, x) + (prior.log_prob(z) - q.log_prob(z))
        log_sum = torch.logaddexp(log_sum, log_weight.logsumexp(dim=0))
    return log_sum - math.log(num_samples)


def _check_samples(num_samples: int) -> None:
    if num_samples < 1:
        raise UsageError("NUM_SAMPLES", f"num_samples must be at least 1, got {num_samples}.")


def _finite(values: Tensor) -> Tensor:
    """Return values per image, or say how many of them are not numbers."""
    broken = int((~values.isfinite()).sum())
    if broken:
        raise NumericalError(
            "LIKELIHOOD_NONFINITE",
            f"the likelihood of {broken} of {len(values)} images is not finite; look for NaN in"
            " the weights of the model and in the pixels.",
        )
    return values


def _standard_error(values: Tensor) -> float | None:
    """Return the standard error of the mean of independent values, or None for a single one."""
    if len(values) < 2:
        return None
    return values.std().item() / math.sqrt(len(values))
