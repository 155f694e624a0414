"""build_image_model: an encoder and a decoder of images, built as a recipe says."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch

from vgae.decoders import BernoulliDecoder, ConvGenerator, MLPGenerator, NormalDecoder
from vgae.encoders import ConvEncoder, MLPEncoder
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.files import read_model, write_model
from vgae.recipes.images import ImageRecipe
from vgae.runtime.streams import stream
from vgae.vae import VAE

ImageModelName = Literal["vae", "ae"]
POSTERIORS = {"vae": DiagGaussian, "ae": PointMass}


def check_image_model(name: str) -> None:
    """Raise ``UsageError`` unless there is a model of that name."""
    if name not in POSTERIORS:
        raise UsageError(
            "MODEL", f"no model {name!r} for images; there are {', '.join(POSTERIORS)}."
        )


def build_image_model(
    name: str, shape: tuple[int, int, int], recipe: ImageRecipe, generator: torch.Generator
) -> VAE:
    """Build a model of images with fresh weights.

    Args:
        name: ``"vae"``, or ``"ae"`` for a plain auto-encoder: no noise, no KL.
        shape: Channels, height and width of an image.
        recipe: What the encoder and the decoder are made with.
        generator: Where the initial weights come from.
    """
    check_image_model(name)
    learned_per_pixel = recipe.likelihood == "normal" and recipe.variance == "pixel"
    common = {"activation": recipe.activation, "generator": generator}
    inner = {"posterior": POSTERIORS[name], "sigma": recipe.sigma, **common}
    heads = {"num_heads": 2 if learned_per_pixel else 1, **common}
    widths, latent = recipe.hidden_channels, recipe.latent_channels
    if recipe.network == "conv":
        encoder = ConvEncoder(shape, widths, latent, **inner)
        network = ConvGenerator(latent, widths[::-1], shape, **heads)
    else:
        encoder = MLPEncoder(shape, widths, latent, **inner)
        network = MLPGenerator(latent, widths[::-1], shape, **heads)
    if recipe.likelihood == "bernoulli":
        return VAE(encoder, BernoulliDecoder(network))
    decoder = NormalDecoder(
        network,
        variance=recipe.variance,
        sigma=recipe.pixel_sigma,
        min_sigma=recipe.min_pixel_sigma,
    )
    return VAE(encoder, decoder)


def save_image_model(
    folder: Path, name: str, shape: tuple[int, int, int], recipe: ImageRecipe, model: VAE
) -> None:
    """Write a model and what rebuilds it."""
    write_model(folder, model, {"model": name, "shape": list(shape), "recipe": asdict(recipe)})


def load_image_model(folder: Path) -> VAE:
    """Bring a model back.

    Raises:
        ArtifactError: If a file is missing or damaged.
    """

    def build(settings: dict[str, Any]) -> VAE:
        channels, height, width = settings["shape"]
        recipe = ImageRecipe.from_dict(settings["recipe"])
        shape = int(channels), int(height), int(width)
        return build_image_model(settings["model"], shape, recipe, stream(0, "init"))

    return read_model(folder, build)
