"""ImageVAE: the image models as a scikit-learn transformer."""

import math
import operator
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from vgae.data.images import Images
from vgae.errors import DataError
from vgae.estimators._common import INTEGER, NOTHING, LatentTransformer, check_types, seed_from
from vgae.evaluation.images import elbo_terms
from vgae.models.embedding import embed_images, evaluating, parameter_like
from vgae.recipes.images import image_recipe_named
from vgae.runtime.streams import stream
from vgae.training.images import fit_images

_DECODED_AT_ONCE = 1000  # images


@dataclass(eq=False, repr=False)
class ImageVAE(LatentTransformer):
    """Variational auto-encoder of images, for scikit-learn pipelines and grid searches.

    Each row of ``X`` has the pixels of an image in row-major order, in [0, 1];
    ``X.reshape(len(X), -1)`` converts ``(n, h, w)`` or ``(n, c, h, w)``. For other values, put a
    ``MinMaxScaler(clip=True)`` before it. Training is that of :func:`vgae.fit_images`.

    Args:
        recipe: Name of the settings, such as ``"kingma2013"``; see :mod:`vgae.recipes.images`.
        shape: Colours, height and width ``(c, h, w)`` of an image. By default a square of one
            colour if the number of features is a square, else a single row.
        n_components: Width d of the latent vectors (``latent_channels``); that of the recipe by
            default, like the next three.
        max_epochs: Largest number of passes over the training images (``epochs``).
        batch_size: Images per step.
        learning_rate: Learning rate of the optimizer (``lr``).
        validation_fraction: Fraction of the images, in ``[0, 1)``, that is held out to choose the
            best epoch; the count is rounded down. With none, the last epoch is kept.
        device: Device, as for :func:`vgae.fit`.
        random_state: Seed of :func:`vgae.fit_images`, of the validation images and of
            :meth:`sample`; ``None`` or a ``RandomState`` gives another one each time.
        settings: Other fields of :class:`~vgae.recipes.images.ImageRecipe` and their values, such
            as ``{"hidden_channels": (64,)}``. The parameters above take precedence.
        verbose: Whether to show the progress of the training, as :func:`vgae.fit_images` does with
            ``progress=True``.

    Attributes:
        model_: Trained :class:`~vgae.VAE`, on its training device.
        history_: One :class:`~vgae.training.history.HistoryRow` per epoch.
        n_iter_: Number of trained epochs.
        n_features_in_: Values of an image: c h w.
        feature_names_in_: Names of the columns of ``X``, if all are strings.
        shape_: Shape ``(c, h, w)`` of an image.
        recipe_: All settings of the training.
        seed_: Seed derived from ``random_state``.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X = load_digits().data / 16
        >>> ImageVAE(max_epochs=1, random_state=0).fit_transform(X).shape
        (1797, 2)
    """

    recipe: str = "small2d"
    _: KW_ONLY
    shape: tuple[int, int, int] | None = None
    batch_size: int | None = None
    validation_fraction: float = 0.1

    _types: ClassVar = {**LatentTransformer._types, "batch_size": {**INTEGER, **NOTHING}}
    _fields: ClassVar = {**LatentTransformer._fields, "batch_size": "batch_size"}

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Train a new model.

        Args:
            X: One image per row, with values in [0, 1], shape ``(n, c h w)``.
            y: Ignored.

        Raises:
            ValueError: If ``X`` is invalid, with scikit-learn's message.
            DataError: ``IMAGE_RANGE`` if a value is outside [0, 1]; ``IMAGE_SHAPE`` if ``shape``
                does not fit the number of columns.
            UsageError: If a parameter is invalid.
            ResourceError: If the device is missing.
            NumericalError: If the loss becomes NaN or infinite.
        """
        check_types(self, self._types)
        X = self._validated(X, reset=True)
        recipe = image_recipe_named(self.recipe).override(self._changes())
        shape = _image_shape(self.shape, X.shape[1])
        seed = seed_from(self.random_state)
        images = _parts(_pixels(X, shape), self._checked_fraction(), seed)
        how: Any = {"device": self.device, "progress": bool(self.verbose)}
        result = fit_images(images, recipe=recipe, seed=seed, **how)
        self.shape_ = shape
        return self._fitted(result, recipe, seed)

    def transform(self, X: Any) -> np.ndarray:
        """Infer the posterior mean of each image as for :meth:`fit`, float32, ``(n, d)``."""
        pixels = self._fitted_pixels(X)
        return embed_images(self.model_, pixels).mu.numpy()

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return E[x | z] of latent vectors of shape ``(n, d)``, float32, shape ``(n, c h w)``.

        With the likelihood ``"normal"``, values may lie outside [0, 1].

        Raises:
            ValueError: If a vector is not finite, or not of width d.
        """
        check_is_fitted(self, "model_")
        z = check_array(X, dtype=np.float32)  # pyright: ignore[reportArgumentType]
        if z.shape[1] != (d := self._n_features_out):
            what = f"{d} columns, one per latent dimension"
            raise ValueError(f"X must have {what}, got {z.shape[1]}.")
        # A copy, because torch warns about read-only arrays.
        return self._decoded(torch.tensor(z))

    def sample(self, n_samples: int = 1) -> np.ndarray:
        """Generate images, E[x | z] for z from the prior, float32, shape ``(n_samples, c h w)``.

        They are the same each time if ``random_state`` is an integer.

        Raises:
            ValueError: If ``n_samples`` is less than 1.
        """
        check_is_fitted(self, "model_")
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        # On the CPU, so that the images do not depend on the device.
        noise = stream(seed_from(self.random_state), "sample")
        return self._decoded(torch.randn(n_samples, self._n_features_out, generator=noise))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Estimate the mean ELBO of images in nats per image, from one posterior sample of each.

        The noise is the same each time. Pixels are not binarised, even if those of the training
        are. ``X`` is as for :meth:`fit`; ``y`` is ignored.
        """
        pixels = self._fitted_pixels(X)
        noise = stream(self.seed_, "evaluation", parameter_like(self.model_).device)
        log_likelihood, kl = elbo_terms(self.model_, pixels, generator=noise)
        return (log_likelihood - kl).mean().item()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _validated(self, X: Any, *, reset: bool) -> np.ndarray:
        """Return X as float32 in [0, 1], with the columns of ``fit`` unless ``reset``."""
        X = validate_data(self, X, dtype=np.float32, reset=reset)
        low, high = float(X.min()), float(X.max())
        if low < 0 or high > 1:
            # The message that the checks of scikit-learn look for.
            first = "Negative values in data passed to ImageVAE: " if low < 0 else ""
            raise DataError(
                "IMAGE_RANGE",
                f"{first}X must lie in [0, 1], got values from {low:g} to {high:g}; divide it by"
                " the largest possible value, or put a MinMaxScaler(clip=True) before ImageVAE.",
            )
        return X

    def _fitted_pixels(self, X: Any) -> Tensor:
        check_is_fitted(self, "model_")
        return _pixels(self._validated(X, reset=False), self.shape_)

    def _decoded(self, z: Tensor) -> np.ndarray:
        """Return E[x | z], shape ``(n, c h w)``, decoded in batches."""
        mean = self.model_.decoder.mean  # pyright: ignore[reportAttributeAccessIssue]
        device = parameter_like(self.model_).device
        with evaluating(self.model_):
            parts = [mean(part.to(device)).cpu() for part in z.split(_DECODED_AT_ONCE)]
        return torch.cat(parts).flatten(start_dim=1).numpy()


def _pixels(X: np.ndarray, shape: tuple[int, int, int]) -> Tensor:
    """Return a copy of rows of pixels as images of shape ``(n, c, h, w)``."""
    return torch.tensor(X).reshape(-1, *shape)


def _image_shape(shape: tuple[int, int, int] | None, num_pixels: int) -> tuple[int, int, int]:
    """Return the given ``(c, h, w)`` if it fits the number of pixels, or the default."""
    if shape is None:
        side = math.isqrt(num_pixels)
        return (1, side, side) if side * side == num_pixels else (1, 1, num_pixels)
    try:
        sizes = tuple(map(operator.index, shape))
    except TypeError:
        sizes = ()
    if len(sizes) != 3 or min(sizes) < 1 or math.prod(sizes) != num_pixels:
        rule = f"shape must be (c, h, w) with c h w = {num_pixels}, the number of columns of X"
        raise DataError("IMAGE_SHAPE", f"{rule}, got {shape!r:.60}.")
    return sizes


def _parts(pixels: Tensor, validation_fraction: float, seed: int) -> Images:
    """Split the images into training and validation images."""
    num_val = int(len(pixels) * validation_fraction)
    order = torch.randperm(len(pixels), generator=stream(seed, "split"))
    val, train = (index.sort().values for index in order.tensor_split([num_val]))
    # Not from_arrays, which takes a width of 1 or 3 as colours.
    return Images(train=pixels[train], val=pixels[val], test=pixels[:0], name="X")
