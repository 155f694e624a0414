"""The named models: an encoder and a posterior each, built as a recipe says."""

from typing import Literal

import torch
from torch import nn

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.recipes import Recipe
from vgae.vae import VAE

ModelName = Literal["vgae", "gae", "linear-vgae", "linear-gae"]
MODELS = {
    "vgae": (GCNEncoder, DiagGaussian),
    "gae": (GCNEncoder, PointMass),
    "linear-vgae": (LinearGCNEncoder, DiagGaussian),
    "linear-gae": (LinearGCNEncoder, PointMass),
}


def check_model(name: str) -> None:
    """Raise ``UsageError`` unless there is a model of that name."""
    if name not in MODELS:
        raise UsageError("MODEL", f"no model {name!r}; there are {', '.join(MODELS)}.")


def build_model(name: str, in_channels: int, recipe: Recipe, generator: torch.Generator) -> VAE:
    """Build one of the named models with fresh weights.

    Args:
        name: ``"vgae"``, ``"gae"`` (no noise, no KL), or the same with one linear hop,
            ``"linear-vgae"``, ``"linear-gae"``, which have no hidden layer.
        in_channels: Columns of the features; without features, the number of nodes.
        recipe: What the encoder and the decoder are made with.
        generator: Where the initial weights come from.
    """
    check_model(name)
    encoder_class, posterior = MODELS[name]
    options = {
        "posterior": posterior,
        "bias": recipe.bias,
        "self_loop_weight": recipe.self_loop_weight,
        "length": recipe.latent_norm or None,
        "degrees": recipe.degrees,
        "generator": generator,
    }
    if encoder_class is GCNEncoder:
        options["activation"] = recipe.activation
        options["dropout"] = (recipe.feature_dropout, recipe.dropout)
    else:
        options["dropout"] = recipe.feature_dropout
    encoder = encoder_class(in_channels, *widths(name, recipe), **options)
    if recipe.initial_logstd and posterior is DiagGaussian:
        offset = encoder.bias1 if isinstance(encoder, GCNEncoder) else encoder.bias
        assert offset is not None  # the recipe has seen to it
        nn.init.constant_(offset[recipe.latent_channels :], recipe.initial_logstd)
    decoder = InnerProductDecoder(
        weighting=recipe.weighting,
        bias=recipe.logit_bias,
        pairs="sampled" if recipe.pairs == "sampled" else "exact",
        pairs_per_node=recipe.pairs_per_node,
        precision=recipe.precision,
    )
    return VAE(encoder, decoder)


def widths(name: str, recipe: Recipe) -> list[int]:
    """Return the widths that the encoder of a named model is built with, d last."""
    hidden = [recipe.hidden_channels] if MODELS[name][0] is GCNEncoder else []
    return [*hidden, recipe.latent_channels]
