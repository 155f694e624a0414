"""ImageVAE: the image models as a transformer of scikit-learn."""

import math
import operator
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from vgae.data.images import Images
from vgae.errors import DataError
from vgae.estimators._common import check_validation_fraction, recipe_changes, seed_from
from vgae.evaluation.images import elbo_terms
from vgae.models.embedding import embed_images, evaluating, parameter_like
from vgae.recipes.images import ImageRecipe, image_recipe_named
from vgae.runtime.streams import stream
from vgae.training.history import HistoryRow
from vgae.training.images import fit_images
from vgae.vae import VAE

_DECODED_AT_ONCE = 1000  # images
_FIELDS = {
    "n_components": "latent_channels",
    "max_epochs": "epochs",
    "batch_size": "batch_size",
    "learning_rate": "lr",
}


class ImageVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Variational auto-encoder of images, for pipelines and grid searches of scikit-learn.

    Each row of ``X`` is an image, its pixels in [0, 1] in row-major order: ``(n, h, w)`` or
    ``(n, c, h, w)`` becomes that by ``X.reshape(len(X), -1)``. For other values, a
    ``MinMaxScaler(clip=True)`` comes first in the pipeline. It trains as :func:`vgae.fit_images`
    does.

    Args:
        recipe: Name of the settings, such as ``"kingma2013"``; see :mod:`vgae.recipes.images`.
        shape: Colours, height and width ``(c, h, w)`` of an image. By default it is a square of
            one colour if the number of features is a square, else a single row.
        n_components: Width d of the latent vectors; the recipe's (``latent_channels``) if not
            given, like the next three.
        max_epochs: Passes over the training images, at most (``epochs``).
        batch_size: Images a step.
        learning_rate: Of the optimizer (``lr``).
        validation_fraction: Share of the images, in ``[0, 1)``, that chooses the best epoch and
            is not learned from; the count is rounded down. Without any, the last epoch is kept.
        device: As for :func:`vgae.fit`.
        random_state: An integer is the seed of :func:`vgae.fit_images`, of the validation images
            and of :meth:`sample`; ``None`` or a ``RandomState`` gives another one each time.
        settings: Other fields of :class:`~vgae.recipes.images.ImageRecipe` and their values, such
            as ``{"hidden_channels": (64,)}``. The parameters above go before.

    Attributes:
        model_: The trained :class:`~vgae.VAE`, on the device where it was trained.
        history_: One :class:`~vgae.training.history.HistoryRow` per epoch.
        n_iter_: Epochs trained.
        n_features_in_: Pixels times colours of an image: c h w.
        feature_names_in_: Names of the columns of ``X``, if all were strings.
        shape_: The ``(c, h, w)`` of an image.
        recipe_: All settings that it was trained with.
        seed_: What ``random_state`` came to.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X = load_digits().data / 16
        >>> ImageVAE(max_epochs=1, random_state=0).fit_transform(X).shape
        (1797, 2)
    """

    model_: VAE
    history_: list[HistoryRow]
    n_iter_: int
    n_features_in_: int
    shape_: tuple[int, int, int]
    recipe_: ImageRecipe
    seed_: int

    def __init__(
        self,
        recipe: str = "small2d",
        *,
        shape: tuple[int, int, int] | None = None,
        n_components: int | None = None,
        max_epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe
        self.shape = shape
        self.n_components = n_components
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.settings = settings

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Train a new model.

        Args:
            X: Images, a row each, with values in [0, 1], shape ``(n, c h w)``.
            y: Is not looked at.

        Raises:
            ValueError: If ``X`` has another form, as scikit-learn says it.
            DataError: ``IMAGE_RANGE`` if a value is outside [0, 1]; ``IMAGE_SHAPE`` if ``shape``
                has not as many pixels as ``X`` has columns.
            UsageError: If a parameter makes no sense.
            ResourceError: If the device is not there.
            NumericalError: If the loss is no longer finite.
        """
        X = self._validated(X, reset=True)
        recipe = self._recipe()
        shape = _image_shape(self.shape, X.shape[1])
        seed = seed_from(self.random_state)
        images = _parts(_pixels(X, shape), self.validation_fraction, seed)
        result = fit_images(images, recipe=recipe, seed=seed, device=self.device, progress=False)
        self.recipe_, self.shape_, self.seed_ = recipe, shape, seed
        self.model_, self.history_ = result.model, result.history
        self.n_iter_ = len(result.history)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Infer the mean of the posterior of each image.

        Args:
            X: As for :meth:`fit`, with as many columns.

        Returns:
            float32, shape ``(n, d)``.
        """
        pixels = self._fitted_pixels(X)
        return embed_images(self.model_, pixels).mu.numpy()

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Decode latent vectors.

        Args:
            X: Latent vectors, shape ``(n, d)``.

        Returns:
            E[x | z] of each, float32, shape ``(n, c h w)``. Of the likelihood ``"normal"`` it may
            leave [0, 1].

        Raises:
            ValueError: If a vector is not finite, or not d wide.
        """
        check_is_fitted(self, "model_")
        z = check_array(X, dtype=np.float32)  # pyright: ignore[reportArgumentType]
        if z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X must have {self._n_features_out} columns, one per latent dimension, got"
                f" {z.shape[1]}."
            )
        # A copy: torch warns of arrays that are read only.
        return self._decoded(torch.tensor(z))

    def sample(self, n_samples: int = 1) -> np.ndarray:
        """Make up images: z from the prior, then E[x | z].

        Args:
            n_samples: How many, at least 1.

        Returns:
            float32, shape ``(n_samples, c h w)``; the same each time if ``random_state`` is an
            integer.

        Raises:
            ValueError: If ``n_samples`` is less than 1.
        """
        check_is_fitted(self, "model_")
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        # On the CPU, so that the images do not depend on the device.
        noise = stream(seed_from(self.random_state), "noise")
        return self._decoded(torch.randn(n_samples, self._n_features_out, generator=noise))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Estimate the mean ELBO of images, with one sample of the posterior of each.

        Pixels are not drawn as 0 or 1, whatever the recipe does with those that it learns from.

        Args:
            X: As for :meth:`fit`, with as many columns.
            y: Is not looked at.

        Returns:
            In nats per image, the higher the better; the same each time.
        """
        pixels = self._fitted_pixels(X)
        noise = stream(self.seed_, "noise", parameter_like(self.model_).device)
        log_likelihood, kl = elbo_terms(self.model_, pixels, generator=noise)
        return (log_likelihood - kl).mean().item()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.recipe_.latent_channels

    def _recipe(self) -> ImageRecipe:
        """Return the recipe with the settings, and over them the parameters that are given."""
        given = {name: getattr(self, parameter) for parameter, name in _FIELDS.items()}
        return image_recipe_named(self.recipe).override(recipe_changes(self.settings, given))

    def _validated(self, X: Any, *, reset: bool) -> np.ndarray:
        """Return X as float32 in [0, 1], with as many columns as in ``fit`` unless this is it."""
        X = validate_data(self, X, dtype=np.float32, reset=reset)
        low, high = float(X.min()), float(X.max())
        if low < 0 or high > 1:
            # The words that scikit-learn has for it, and looks for.
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
        """Return E[x | z], shape ``(n, c h w)``, some at a time."""
        mean = self.model_.decoder.mean  # pyright: ignore[reportAttributeAccessIssue]
        device = parameter_like(self.model_).device
        with evaluating(self.model_):
            parts = [mean(part.to(device)).cpu() for part in z.split(_DECODED_AT_ONCE)]
        return torch.cat(parts).flatten(start_dim=1).numpy()


def _pixels(X: np.ndarray, shape: tuple[int, int, int]) -> Tensor:
    """Return a copy of rows of pixels as images, shape ``(n, c, h, w)``."""
    return torch.tensor(X).reshape(-1, *shape)


def _image_shape(shape: tuple[int, int, int] | None, num_pixels: int) -> tuple[int, int, int]:
    """Return ``(c, h, w)``, which is as given if it has as many pixels as there are."""
    if shape is None:
        side = math.isqrt(num_pixels)
        return (1, side, side) if side * side == num_pixels else (1, 1, num_pixels)
    sizes = tuple(map(operator.index, shape))
    if len(sizes) != 3 or min(sizes) < 1 or math.prod(sizes) != num_pixels:
        raise DataError(
            "IMAGE_SHAPE",
            f"shape must be (c, h, w) with c h w = {num_pixels}, the number of columns of X, got"
            f" {shape}.",
        )
    return sizes


def _parts(pixels: Tensor, validation_fraction: float, seed: int) -> Images:
    """Split the images into some to learn from and some to choose the epoch by."""
    check_validation_fraction(validation_fraction)
    num_val = int(len(pixels) * validation_fraction)
    order = torch.randperm(len(pixels), generator=stream(seed, "split"))
    val, train = (index.sort().values for index in order.tensor_split([num_val]))
    # Not from_arrays, which would take a width of 1 or 3 for the colours.
    return Images(train=pixels[train], val=pixels[val], test=pixels[:0], name="X")
