"""Training of an image model on the images of a data set."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vgae.data.images import Images, binarised
from vgae.errors import DataError, UsageError
from vgae.evaluation.images import elbo_terms
from vgae.models.embedding import embed_images
from vgae.models.images import ImageModelName, build_image_model
from vgae.recipes.images import ImageRecipe, default_recipe
from vgae.runtime.devices import Compute
from vgae.runtime.streams import stream
from vgae.training.health import ImageHealth
from vgae.training.own_model import check_model
from vgae.training.prepared import PreparedTraining, Problem
from vgae.training.trainer import FitResult, OnRow
from vgae.vae import VAE

_STEPS = 2000  # of an epoch that is recorded as one CUDA graph


class ImageBatches:
    """Batches of all images, in a new order in each epoch.

    Args:
        batch_size: Images per step; the last batch of an epoch may have fewer.
        generator: Source of the order and of drawn pixels, on the device of the images.
        draw: Whether pixels are drawn each time, 0 or 1 with their grey value as probability.
    """

    def __init__(self, batch_size: int, generator: torch.Generator, *, draw: bool = False) -> None:
        self.batch_size, self.generator, self.draw = batch_size, generator, draw

    def __call__(self, inputs: Sequence[Any], target: Tensor) -> "_Epoch":  # noqa: ARG002
        """Return the batches of one epoch, each ``((x,), x)``.

        Args:
            inputs: Inputs of the encoder; not used, as the images are its target too.
            target: All images, shape ``(n, c, h, w)``.
        """
        order = torch.randperm(len(target), generator=self.generator, device=target.device)
        parts = order.split(self.batch_size)
        return _Epoch(target, parts, self.generator if self.draw else None)


@dataclass(frozen=True, eq=False)
class _Epoch(Sequence[tuple[tuple[Tensor], Tensor]]):
    pixels: Tensor
    parts: Sequence[Tensor]
    draw: torch.Generator | None

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: Any) -> Any:
        x = self.pixels.index_select(0, self.parts[index])
        x = x if self.draw is None else binarised(x, self.draw)
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
    problem = Problem(
        (pixels,),
        pixels,
        num_items=len(pixels),
        steps=ImageBatches(recipe.batch_size, order, draw=recipe.binarize == "dynamic"),
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


def _mean_elbo(model: VAE, *, images: Tensor, seed: int) -> dict[str, Tensor]:
    """Estimate the ELBO of the validation images, always with the same noise."""
    noise = stream(seed, "evaluation", images.device)
    log_likelihood, kl = elbo_terms(model, images, generator=noise)
    return {"val_elbo": (log_likelihood - kl).mean()}
