"""Named settings of image models, from publications and tutorials."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from vgae.errors import UsageError, did_you_mean
from vgae.recipes.base import MOST, Ranges, Training

Network = Literal["mlp", "conv"]
Activation = Literal["tanh", "relu", "softplus"]
Sigma = Literal["exp", "softplus"]
Likelihood = Literal["bernoulli", "normal"]
Variance = Literal["fixed", "scalar", "pixel"]
Binarize = Literal["none", "static", "dynamic"]


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Training):
    """Settings of an image model and its training, beside those of ``Training``.

    Attributes:
        network: ``"mlp"``, or ``"conv"`` with a decoder of transposed convolutions.
        hidden_channels: Widths of the hidden layers of the encoder, in reverse those of the
            decoder. For ``"conv"``: channels of the convolutions, each of which halves the image.
        latent_channels: Width d of the latent vectors.
        activation: Activation of the hidden layers.
        sigma: Function that makes deviations positive, ``"exp"`` or ``"softplus"``.
        likelihood: Distribution of a pixel given z.
        variance: Variance of the normal likelihood: ``"fixed"``, ``"scalar"`` (one, learned) or
            ``"pixel"`` (decoded from z).
        pixel_sigma: Standard deviation of a pixel; the initial one if it is learned.
        min_pixel_sigma: Lower bound of it for ``"pixel"``; see :class:`vgae.NormalDecoder`.
        binarize: Drawing of pixels as 0 or 1 by their grey value: ``"static"`` once, ``"dynamic"``
            again in each epoch (held-out images once); ``"none"`` leaves them grey.
        batch_size: Images per step.
    """

    lr: float = 1e-3
    epochs: int = 50
    keep: Literal["best", "last"] = "best"
    eval_every: int = 1
    network: Network = "mlp"
    hidden_channels: tuple[int, ...] = (500,)
    latent_channels: int = 20
    activation: Activation = "tanh"
    sigma: Sigma = "exp"
    likelihood: Likelihood = "bernoulli"
    variance: Variance = "fixed"
    pixel_sigma: float = 1.0
    min_pixel_sigma: float = 1e-3
    binarize: Binarize = "none"
    batch_size: int = 100

    ranges: ClassVar[Ranges] = {
        **Training.ranges,
        "hidden_channels": (1, MOST),
        "latent_channels": (1, MOST),
        "pixel_sigma": (1e-3, MOST),
        "min_pixel_sigma": (1e-6, MOST),
        "batch_size": (1, MOST),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network == "conv" and not self.hidden_channels:
            raise UsageError(
                "RECIPE", "hidden_channels must name at least one convolution for network = conv."
            )


KINGMA2013 = ImageRecipe(name="kingma2013", epochs=100)
"""Kingma & Welling (2014), section 5: one hidden layer of 500 tanh units each way, Bernoulli,
batches of 100, grey values as probabilities, 20 latent variables. With Adam: their Adagrad
(``--set optimizer=adagrad --set lr=0.02``) needs some ten times as many epochs."""

KINGMA2013_NORMAL = replace(
    KINGMA2013,
    name="kingma2013-normal",
    likelihood="normal",
    variance="pixel",
    pixel_sigma=0.2,
    min_pixel_sigma=0.1,
)
"""The variant of Kingma & Welling (2014), appendix C.2, for continuous data: mean and deviation of
each pixel are decoded. The deviation is at least 0.1: without a bound, pixels that are black in
every image outweigh all others."""

KERAS2D = ImageRecipe(
    name="keras2d", hidden_channels=(256, 128), latent_channels=2, activation="relu"
)
"""Two latent variables, for pictures of the latent plane."""

SMALL2D = replace(KERAS2D, name="small2d", epochs=400)
""":data:`KERAS2D` for a few thousand images, with few steps per epoch."""

CONV64 = ImageRecipe(
    name="conv64",
    network="conv",
    hidden_channels=(32, 64),
    latent_channels=64,
    activation="relu",
    likelihood="normal",
    pixel_sigma=0.4,
    epochs=20,
)
"""Convolutions and 64 latent variables; a pixel is N(g(z), sigma^2) with sigma^2 = 0.16. A smaller
sigma gives sharper reconstructions, and samples that are digits less often."""

BERNOULLI200 = ImageRecipe(
    name="bernoulli200",
    hidden_channels=(200,),
    latent_channels=100,
    activation="relu",
    sigma="softplus",
    binarize="static",
    optimizer="rmsprop",
    batch_size=64,
    epochs=30,
)
"""784-200-100 on binary pixels, softplus deviations, RMSprop, as in introductions with
TensorFlow's probability library."""

IWAE50 = ImageRecipe(
    name="iwae50",
    hidden_channels=(200, 200),
    latent_channels=50,
    binarize="dynamic",
    epochs=700,
    warmup=50,
    average=True,
)
"""784-200-200-50 with tanh units on pixels drawn again in each epoch, the architecture of Burda,
Grosse & Salakhutdinov (2016), whose VAE with k = 1 has log p(x) = -86.76 after 3,280 epochs at
falling learning rates. The warm-up prevents an early collapse of latent dimensions; the average of
the weights replaces the falling rates."""

_ALL = (KINGMA2013, KINGMA2013_NORMAL, KERAS2D, SMALL2D, CONV64, BERNOULLI200, IWAE50)
IMAGE_RECIPES = {recipe.name: recipe for recipe in _ALL}
_SMALL = 10_000  # images


def default_recipe(num_train: int) -> ImageRecipe:
    """Return the recipe for a number of training images: :data:`KERAS2D` or :data:`SMALL2D`."""
    return KERAS2D if num_train >= _SMALL else SMALL2D


def image_recipe_named(name: str) -> ImageRecipe:
    """Return a recipe by name; raise ``UsageError`` if there is none."""
    if name not in IMAGE_RECIPES:
        what = f"no recipe {name!r} for images; there are {', '.join(IMAGE_RECIPES)}."
        raise UsageError("RECIPE", what + did_you_mean(name, IMAGE_RECIPES))
    return IMAGE_RECIPES[name]
