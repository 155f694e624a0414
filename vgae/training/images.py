"""Training of an image model on the images of a data set."""

import logging
import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vgae.data.images import Images, binarised
from vgae.errors import DataError, UsageError
from vgae.evaluation.images import elbo_terms
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.embedding import embed_images
from vgae.models.images import ImageModelName, build_image_model
from vgae.recipes.images import ImageRecipe, default_recipe
from vgae.runtime.devices import Compute
from vgae.runtime.processes import ALONE, Team, team
from vgae.runtime.streams import Rows, stream
from vgae.training.health import ImageHealth
from vgae.training.loop import Summed
from vgae.training.own_model import check_model
from vgae.training.prepared import PreparedTraining, Problem
from vgae.training.trainer import FitResult, OnRow
from vgae.vae import VAE

log = logging.getLogger(__name__)

_STEPS = 2000  # of an epoch that is recorded as one CUDA graph


class ImageBatches:
    """Batches of all images, in a new order in each epoch.

    Args:
        batch_size: Images per step; the last batch of an epoch may have fewer.
        generator: Source of the order and of drawn pixels, on the device of the images.
        draw: Whether pixels are drawn each time, 0 or 1 with their grey value as probability.
        us: Processes that divide each batch, into parts that are equal but for one image.

    Attributes:
        rows: Images of the current batch, and those of this process.
    """

    def __init__(
        self, batch_size: int, generator: torch.Generator, *, draw: bool = False, us: Team = ALONE
    ) -> None:
        self.batch_size, self.generator, self.draw, self.us = batch_size, generator, draw, us
        self.rows = Rows(0, range(0))

    def __call__(self, inputs: Sequence[Any], target: Tensor) -> "_Epoch":  # noqa: ARG002
        """Return the batches of one epoch, each ``((x,), x)``.

        Args:
            inputs: Inputs of the encoder; not used, as the images are its target too.
            target: All images, shape ``(n, c, h, w)``.
        """
        order = torch.randperm(len(target), generator=self.generator, device=target.device)
        parts = order.split(self.batch_size)
        return _Epoch(target, parts, self)


@dataclass(frozen=True, eq=False)
class _Epoch(Sequence[tuple[tuple[Tensor], Tensor]]):
    pixels: Tensor
    parts: Sequence[Tensor]
    batches: ImageBatches

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: Any) -> Any:
        part, batches = self.parts[index], self.batches
        rows = batches.rows
        rows.count, rows.own = len(part), batches.us.share(len(part))
        own = slice(rows.own.start, rows.own.stop)
        if batches.draw:  # for all, so that all processes draw alike
            x = binarised(self.pixels.index_select(0, part), batches.generator)[own]
        else:
            x = self.pixels.index_select(0, part[own])
        return (x,), x


def fit_images(
    images: Images,
    *,
    model: ImageModelName | VAE = "vae",
    recipe: ImageRecipe | None = None,
    seed: int = 0,
    device: str | Compute = "auto",
    on_row: OnRow | None = None,
    progress: bool | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
) -> FitResult:
    """Train on the training images of a data set, and validate on its validation images.

    On a CPU, the same arguments and thread count give the same weights, bit for bit. The result is
    checked at the end (``FitResult.health``): what went wrong is a warning with the setting that
    helps.

    In a process group (``torch.distributed``), all processes of which call it with the same
    arguments, each trains on its part of every batch. All get the same weights, those of one
    process but for rounding; see :func:`vgae.fit`.

    Args:
        images: From :func:`vgae.load_images` or :meth:`vgae.Images.from_arrays`, with grey pixels:
            ``binarize`` of the recipe draws them as 0 or 1.
        model: ``"vae"``, or ``"ae"`` for a plain auto-encoder, built with fresh weights; or a
            :class:`~vgae.VAE` of your own, which is trained in place.
        recipe: Settings, such as :data:`vgae.recipes.images.KINGMA2013`; those of
            :func:`vgae.recipes.images.default_recipe` if not given.
        seed: Seed of the initial weights, noise, order of the images and drawn pixels.
        device: As for :func:`vgae.fit`. On a GPU, products and convolutions are in float32; see
            :class:`vgae.runtime.devices.Compute`.
        on_row: Called with each row of the history.
        progress: As for :func:`vgae.fit`.
        checkpoints: As for :func:`vgae.fit`.

    Returns:
        As for :func:`vgae.fit`; the best epoch is that of the highest validation ELBO.

    Raises:
        DataError: If there are no images to train on.
        ResourceError: If the device is not there.
        NumericalError: If the loss is no longer finite.
        UsageError: If ``model`` is no :class:`~vgae.VAE`, or its encoder returns no posterior.
    """
    prepared = prepare(images, model=model, recipe=recipe, seed=seed, device=device)
    return prepared.train(on_row=on_row, progress=progress, checkpoints=checkpoints)


def prepare(
    images: Images,
    *,
    model: ImageModelName | VAE = "vae",
    recipe: ImageRecipe | None = None,
    seed: int = 0,
    device: str | Compute = "auto",
) -> PreparedTraining:
    """Build the model and the data of a training; see :func:`fit_images`."""
    if not isinstance(model, str):
        check_model(model, "decoder of images")
    if len(images.train) == 0:
        raise DataError("NO_IMAGES", f"{images.name} has no image to train on.")
    compute = Compute.of(device)
    recipe = recipe or default_recipe(len(images.train))
    if not isinstance(recipe, ImageRecipe):
        message = f"recipe must be one of vgae.recipes.images, got {recipe!r:.60}."
        raise UsageError("RECIPE", message)
    images, named = images.binarised(recipe.binarize, seed), isinstance(model, str)
    torch_device = compute.resolved()
    if isinstance(model, str):
        model = build_image_model(model, images.shape, recipe, stream(seed, "init"))
    else:
        embed_images(model, images.train[:1])  # checks the encoder
    model.to(torch_device)
    pixels, val = images.train.to(torch_device), images.val.to(torch_device)
    order = stream(seed, "batches", torch_device)
    us, summed = team(), None
    divided = _divided(model, pixels[:4], named=named) if us.size > 1 else []
    steps = ImageBatches(
        recipe.batch_size, order, draw=recipe.binarize == "dynamic", us=us if divided else ALONE
    )
    if divided:
        summed = Summed(us, divided, terms=True, rows=steps.rows)
    problem = Problem(
        (pixels,),
        pixels,
        num_items=len(pixels),
        steps=steps,
        summed=summed,
        evaluate=partial(_mean_elbo, images=val, seed=seed) if len(val) else None,
        recordable=("epoch",) if named and len(pixels) <= _STEPS * recipe.batch_size else (),
    )
    return PreparedTraining(
        model=model,
        problem=problem,
        recipe=recipe,
        seed=seed,
        compute=compute,
        identity={"images": images.fingerprint},
        health=ImageHealth(pixels, recipe, named=named),
    )


def _divided(model: VAE, pixels: Tensor, *, named: bool) -> list[nn.Parameter]:
    """Return the parameters that are trained, if each image has a posterior and score of its own.

    Otherwise every process has to train on whole batches, which is logged. Of a model of the
    caller, a copy is tried on few images and on some of them, which may be none.
    """
    weights = {k: v for k, v in model.named_parameters() if v.requires_grad}
    if named:
        return [*weights.values()]
    tried, device = deepcopy(model).train(), pixels.device
    parts = (pixels, pixels[:1], pixels[1:], pixels[:0])
    draws = any(hasattr(part, "generator") for part in model.modules())
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        before = _random_states(device)
        try:
            posteriors = [tried.encoder(x) for x in parts]
            pairs = zip(posteriors, parts, strict=True)
            nats = [tried.decoder.log_prob(q.mu, x).sum() for q, x in pairs]
            (nats[0] + sum(part.sum() for part in vars(posteriors[0]).values())).backward()
            found = torch.cat([q.mu for q in posteriors[1:]])
            apart = torch.allclose(found, posteriors[0].mu, rtol=1e-4, atol=1e-6)
            apart &= torch.allclose(torch.stack(nats[1:]).sum(), nats[0], rtol=1e-4)
        except (RuntimeError, ValueError, IndexError):
            apart = False
        else:
            apart &= all(type(q) in (DiagGaussian, PointMass) for q in posteriors)
        apart &= all(a.equal(b) for a, b in zip(before, _random_states(device), strict=True))
    apart &= all(a.equal(b) for a, b in zip(model.buffers(), tried.buffers(), strict=True))
    if draws or not apart:
        log.warning(
            "in this model images of a batch depend on each other or on random numbers, as with"
            " BatchNorm or dropout: every process trains on all of them, which is no faster"
        )
        return []
    used = {name for name, weight in tried.named_parameters() if weight.grad is not None}
    return [weight for name, weight in weights.items() if name in used]


def _random_states(device: torch.device) -> list[Tensor]:
    more = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *more]


def _mean_elbo(model: VAE, *, images: Tensor, seed: int) -> dict[str, Tensor]:
    """Estimate the ELBO of the validation images, always with the same noise."""
    noise = stream(seed, "evaluation", images.device)
    log_likelihood, kl = elbo_terms(model, images, generator=noise)
    return {"val_elbo": (log_likelihood - kl).mean()}
