"""Evaluation of models of images: ELBO, log p(x) and active latent dimensions."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation.posterior import active_dimensions
from vgae.evaluation.shown import image_evaluation_preview
from vgae.gaussian import DiagGaussian
from vgae.models.embedding import evaluating, parameter_like
from vgae.runtime.progress import showing
from vgae.runtime.streams import stream
from vgae.vae import VAE

# 16 MiB in float32; decoding more pixels at once is no faster.
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
    """Result of :func:`evaluate_images`; values in nats are means over the images.

    Standard errors of a mean cover other images and other draws, for the same model; they are
    ``None`` for a single image.

    Attributes:
        elbo: ``log_likelihood - kl``, in nats per image. For a plain auto-encoder, whose posterior
            is a point, it equals ``log_likelihood`` and is not a bound.
        elbo_error: Standard error of ``elbo``.
        log_likelihood: log p(x | z), one sample of the posterior per image.
        kl: KL divergence of the posterior to the prior; 0 for a plain auto-encoder.
        log_marginal: Estimate of log p(x), see :func:`log_marginal`; ``None`` unless the posterior
            is a :class:`~vgae.DiagGaussian`.
        log_marginal_error: Standard error of ``log_marginal``.
        num_samples: Samples per image of ``log_marginal``; 0 without it.
        num_images: Number of images.
        active_units: Number of active latent dimensions; see :func:`active_units`.
        latent_channels: Number of latent dimensions.
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

    def _repr_html_(self) -> str:
        return image_evaluation_preview(self.to_dict()).html()


def evaluate_images(
    model: VAE,
    pixels: Tensor,
    *,
    num_samples: int = 500,
    seed: int = 0,
    progress: bool | None = None,
) -> ImageEvaluation:
    """Evaluate a model on held-out images.

    Args:
        model: A trained model.
        pixels: Values in [0, 1], shape ``(n, c, h, w)``; binarise them as in the results to which
            the figures are compared.
        num_samples: Samples per image for :func:`log_marginal`, at least 1; published figures use
            5,000.
        seed: Seed of all noise, which is drawn from the stream ``"evaluation"``.
        progress: Whether to show progress on stderr; see :func:`vgae.fit`.

    Raises:
        DataError: If ``pixels`` is empty or not 4-dimensional.
        NumericalError: If a likelihood is NaN or infinite.
        UsageError: If ``num_samples`` is less than 1 or ``seed`` is out of range.
    """
    _check_samples(num_samples)
    generator = stream(seed, "evaluation", parameter_like(model).device)
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
    """Estimate both terms of the evidence lower bound of each image from one posterior sample.

    The model runs in evaluation mode without gradients, and keeps its mode.

    Args:
        model: The model.
        pixels: Values in [0, 1], on any device, shape ``(n, c, h, w)``.
        generator: Generator of the noise, on the device of the model; used batch by batch.
        batch_size: Largest number of images at once; fewer if they exceed 2^22 pixels.

    Raises:
        DataError: If ``pixels`` is empty or not 4-dimensional.
        NumericalError: If a term is NaN or infinite.
        ValueError: If ``batch_size`` is less than 1, or the decoder does not score each image.
    """
    log_likelihood, kl = [], []
    with evaluating(model):
        for x in _batches(model, pixels, batch_size):
            q = model.encoder(x)
            log_likelihood.append(_log_likelihood(model, q.rsample(generator), x))
            kl.append(q.kl().double())
    return ImageTerms(_finite(torch.cat(log_likelihood).cpu()), _finite(torch.cat(kl).cpu()))


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

    The result is in nats, float64 on the CPU, shape ``(n,)``.

    .. math:: \log p(x) \approx \log \frac{1}{k} \sum_{j=1}^k
        \frac{p(x \mid z_j) \, p(z_j)}{q(z_j \mid x)}, \qquad z_j \sim q(z \mid x)

    The mean of the weights is unbiased, its logarithm is biased downwards: its expectation is the
    ELBO for k = 1, never decreases with k, and tends to log p(x).

    Memory does not grow with k. At most ``max_pixels`` pixels are decoded at once (those of one
    image if it has more): 16 MiB for 2^22 pixels in float32, times the few such tensors that the
    decoder holds, including its hidden layers. The weights are summed in float64.

    Noise is drawn batch by batch, and within a batch sample by sample. The number of samples
    decoded at once changes only the rounding. Another ``batch_size``, or a ``max_pixels`` below
    the pixels of a batch, assigns the draws to other images: another estimate of the same quality.

    Source: Burda, Grosse & Salakhutdinov (2016), `Importance Weighted Autoencoders
    <https://arxiv.org/abs/1509.00519>`_, equation 8.

    Args:
        model: The model, whose posterior is a :class:`~vgae.DiagGaussian`.
        pixels: Values in [0, 1], on any device, shape ``(n, c, h, w)``.
        num_samples: k, at least 1.
        generator: Generator of the samples, on the device of the model.
        batch_size: Largest number of images at once.
        max_pixels: Largest number of pixels decoded at once.
        show: Called with the number of images done.

    Raises:
        DataError: If ``pixels`` is empty or not 4-dimensional.
        NumericalError: If an estimate is NaN or infinite.
        UsageError: If ``num_samples`` is less than 1.
        ValueError: If ``batch_size`` or ``max_pixels`` is less than 1, the posterior is no
            ``DiagGaussian``, or the decoder does not score each image.
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
            prior = DiagGaussian(torch.zeros_like(q.mu), torch.zeros_like(q.logvar))
            log_sum = torch.full((len(x),), -math.inf, dtype=torch.float64, device=q.mu.device)
            at_once = max(max_pixels // max(x.numel(), q.mu.numel()), 1)
            for start in range(0, num_samples, at_once):
                count = min(at_once, num_samples - start)
                # One call per sample, so that its noise does not depend on the chunk.
                z = torch.stack([q.rsample(generator) for _ in range(count)])
                log_weight = _log_likelihood(model, z, x) + (prior.log_prob(z) - q.log_prob(z))
                log_sum = torch.logaddexp(log_sum, log_weight.logsumexp(dim=0))
            estimates.append((log_sum - math.log(num_samples)).cpu())
            done += len(x)
            show(done)
    return _finite(torch.cat(estimates))


def active_units(model: VAE, pixels: Tensor, threshold: float = 1e-2) -> int:
    """Count the latent dimensions whose posterior mean varies between images.

    See :func:`vgae.evaluation.posterior.active_dimensions`.

    Args:
        model: The model.
        pixels: Values in [0, 1], on any device, shape ``(n, c, h, w)``.
        threshold: Variance above which a dimension is active.

    Raises:
        DataError: If ``pixels`` is empty or not 4-dimensional.
    """
    with evaluating(model):
        means = [model.encoder(x).mu.double().cpu() for x in _batches(model, pixels, 1000)]
    return active_dimensions(torch.cat(means), threshold)


def _batches(
    model: VAE, pixels: Tensor, batch_size: int, max_pixels: int = _MAX_PIXELS
) -> Iterator[Tensor]:
    """Yield batches of limited size, on the device and in the dtype of the model."""
    if pixels.ndim != 4 or pixels.numel() == 0:
        rule = "pixels must have shape (n, c, h, w), none of them zero"
        got = f"got {tuple(pixels.shape)}; a single image is pixels[None]"
        raise DataError("IMAGE_SHAPE", f"{rule}, {got}.")
    if batch_size < 1 or max_pixels < 1:
        got = f"got {batch_size} and {max_pixels}"
        raise ValueError(f"batch_size and max_pixels must be at least 1, {got}.")
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


def _check_samples(num_samples: int) -> None:
    if num_samples < 1:
        raise UsageError("NUM_SAMPLES", f"num_samples must be at least 1, got {num_samples}.")


def _finite(values: Tensor) -> Tensor:
    """Return the values of the images, or raise an error if one is NaN or infinite."""
    if broken := int((~values.isfinite()).sum()):
        got = f"the likelihood of {broken} of {len(values)} images is not finite"
        hint = "look for NaN in the weights of the model and in the pixels"
        raise NumericalError("LIKELIHOOD_NONFINITE", f"{got}; {hint}.")
    return values


def _standard_error(values: Tensor) -> float | None:
    """Return the standard error of the mean of independent values, or None for one value."""
    return None if len(values) < 2 else values.std().item() / math.sqrt(len(values))
