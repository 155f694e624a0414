"""Image models: built from a name and a recipe, described and rebuilt as plain values."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch

from vgae.decoders import BernoulliDecoder, ConvGenerator, MLPGenerator, NormalDecoder
from vgae.encoders import ConvEncoder, MLPEncoder
from vgae.errors import UsageError, did_you_mean
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
        what = f"no model {name!r} for images; there are {', '.join(POSTERIORS)}."
        raise UsageError("MODEL", what + did_you_mean(name, POSTERIORS))


def build_image_model(
    name: str, shape: tuple[int, int, int], recipe: ImageRecipe, generator: torch.Generator
) -> VAE:
    """Build a model of images with fresh weights.

    Args:
        name: ``"vae"``, or ``"ae"`` for a plain auto-encoder: no noise, no KL.
        shape: Channels, height and width of an image.
        recipe: Settings of encoder and decoder.
        generator: Source of the initial weights.
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
    sigma = {"sigma": recipe.pixel_sigma, "min_sigma": recipe.min_pixel_sigma}
    return VAE(encoder, NormalDecoder(network, variance=recipe.variance, **sigma))


def is_image_model(model: VAE) -> bool:
    """Return whether the encoder of a model is one of this package's encoders of images."""
    return isinstance(model.encoder, (MLPEncoder, ConvEncoder))


def image_config(model: VAE) -> dict[str, Any]:
    """Return the plain values that rebuild a model; raise ``UsageError`` if there are none."""
    encoder, decoder = model.encoder, model.decoder
    assert isinstance(encoder, (MLPEncoder, ConvEncoder))
    fields: dict[str, Any] = {
        "network": "mlp" if isinstance(encoder, MLPEncoder) else "conv",
        "hidden_channels": tuple(encoder.channels),
        "latent_channels": encoder.latent_channels,
        "activation": encoder.activation,
        "sigma": encoder.head.sigma,
    }
    if isinstance(decoder, NormalDecoder):
        fields |= {"likelihood": "normal", "variance": decoder.variance}
        fields |= {"min_pixel_sigma": decoder.min_sigma}
    posterior = encoder.head.posterior
    config = {
        "model": next(name for name, kind in POSTERIORS.items() if kind is posterior),
        "shape": list(encoder.shape),
        "recipe": asdict(ImageRecipe(name="saved", **fields)),
    }
    with torch.device("meta"):
        shell = from_config(config)
    if repr(shell) != repr(model):
        raise UsageError(
            "MODEL",
            f"no recipe rebuilds this image model with the decoder {type(decoder).__name__}; save"
            " its state_dict() with safetensors.",
        )
    return config


def save_image_model(
    folder: Path, name: str, shape: tuple[int, int, int], recipe: ImageRecipe, model: VAE
) -> None:
    """Write a model and the values that rebuild it."""
    write_model(folder, model, {"model": name, "shape": list(shape), "recipe": asdict(recipe)})


def from_config(config: Mapping[str, Any]) -> VAE:
    """Build a model from the result of :func:`image_config`."""
    channels, height, width = config["shape"]
    recipe = ImageRecipe.from_dict(config["recipe"])
    shape = int(channels), int(height), int(width)
    return build_image_model(config["model"], shape, recipe, stream(0, "init"))


def load_image_model(folder: Path) -> VAE:
    """Load a model; raise ``ArtifactError`` if a file is missing or damaged."""
    return read_model(folder, from_config)
