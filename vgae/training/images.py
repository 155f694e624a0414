"""fit_images: the training of vgae.training.loop on images."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vgae.data.images import Images, binarised
from vgae.errors import DataError, UsageError
from vgae.evaluation.images import elbo_terms
from vgae.models.images import ImageModelName, build_image_model
from vgae.recipes.images import ImageRecipe, default_recipe
from vgae.runtime.devices import Compute
from vgae.runtime.streams import stream
from vgae.training.prepared import FitResult, OnRow, PreparedTraining, Problem
from vgae.vae import VAE


class ImageBatches:
    """All images once, in a new order each epoch, some at a time.

    Args:
        batch_size: Images a step; the last one of an epoch may have fewer.
        generator: Where the order comes from, on the device of the images; and pixels, if drawn.
        draw: Whether to draw pixels anew each time, 0 or 1 with their grey value as probability.
    """

    def __init__(self, batch_size: int, generator: torch.Generator, *, draw: bool = False) -> None:
        self.batch_size, self.generator, self.draw = batch_size, generator, draw

    def __call__(self, inputs: Sequence[Any], target: Tensor) -> "_Epoch":  # noqa: ARG002
        """Return the batches of one epoch, each ``((x,), x)``.

        Args:
            inputs: Of the encoder; the images are its target too.
            target: All images, shape ``(n, c, h, w)``.
        """
        order = torch.randperm(len(target), generator=self.generator, device=target.device)
        parts = order.split(self.batch_size)
        return _Epoch(target, parts, self.generator if self.draw else None)


class _Epoch(Sequence[tuple[tuple[Tensor], Tensor]]):
    def __init__(
        self, pixels: Tensor, parts: Sequence[Tensor], draw: torch.Generator | None
    ) -> None:
        self.pixels, self.parts, self.draw = pixels, parts, draw

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

    On a CPU, the same arguments and thread count give the same weights, bit for bit.

    Args:
        images: From :func:`vgae.load_images` or :meth:`vgae.Images.from_arrays`, as they are: the
            recipe says whether their pixels are drawn as 0 or 1.
        model: ``"vae"``, or ``"ae"`` for a plain auto-encoder, built with fresh weights; or a
            :class:`~vgae.VAE` of your own, which is trained in place.
        recipe: Settings, such as :data:`vgae.recipes.images.KINGMA2013`; those of
            :func:`vgae.recipes.images.default_recipe` if not given.
        seed: Seed of the initial weights, the noise, the order of the images and drawn pixels.
        device: As for :func:`vgae.fit`, without CUDA graphs.
        on_row: Called with each row of the history.
        progress: As for :func:`vgae.fit`.
        checkpoints: As for :func:`vgae.fit`.

    Returns:
        As for :func:`vgae.fit`; the best epoch is that of the highest validation ELBO.

    Raises:
        DataError: If there are no images to train on.
        ResourceError: If the device is not there.
        NumericalError: If the loss is no longer finite.
        UsageError: If ``device`` asks for a CUDA graph.
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
    if len(images.train) == 0:
        raise DataError("NO_IMAGES", f"{images.name} has no image to train on.")
    compute = Compute.of(device)
    if compute.cuda_graph:
        raise UsageError("CUDA_GRAPH", "cuda_graph is for graphs: batches of images vary in size.")
    recipe = recipe or default_recipe(len(images.train))
    images = images.binarised(recipe.binarize, seed)
    torch_device = compute.resolved()
    if isinstance(model, str):
        model = build_image_model(model, images.shape, recipe, stream(seed, "init"))
    model.to(torch_device)
    pixels = images.train.to(torch_device)
    order = stream(seed, "batches", torch_device)
    problem = Problem(
        (pixels,),
        pixels,
        num_items=len(pixels),
        steps=ImageBatches(recipe.batch_size, order, draw=recipe.binarize == "dynamic"),
        evaluate=_image_evaluation(images.val.to(torch_device), seed),
    )
    return PreparedTraining(
        model=model,
        problem=problem,
        recipe=recipe,
        seed=seed,
        compute=compute,
        identity={
            "images": images.fingerprint,
            "seed": seed,
            "recipe": recipe.identity(),
            "model": repr(model),
        },
    )


def _image_evaluation(val: Tensor, seed: int) -> Callable[[VAE], dict[str, float]] | None:
    """Return the function that estimates the ELBO of validation images, always with one noise."""
    if len(val) == 0:
        return None

    def evaluate(model: VAE) -> dict[str, float]:
        noise = stream(seed, "evaluation", val.device)
        log_likelihood, kl = elbo_terms(model, val, generator=noise)
        return {"val_elbo": float((log_likelihood - kl).mean())}

    return evaluate
