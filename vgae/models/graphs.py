"""Graph models: built from a name and a recipe, described and rebuilt as plain values."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import torch

from vgae.decoders.base import GraphDecoder
from vgae.decoders.joint import joined, link_decoder
from vgae.encoders.base import GraphEncoder
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.models.registry import graph_model, name_of
from vgae.recipes import Recipe
from vgae.recipes.base import Training
from vgae.runtime.streams import stream
from vgae.vae import VAE

POSTERIORS = {"gaussian": DiagGaussian, "point": PointMass}
_RECIPE = {field.name for field in fields(Recipe)} - {"name"}
_SUMS = ("pairs", "pairs_per_node", "precision")  # how a decoder sums, not what it is
# Absent from the files of the first models, whose values are the defaults.
_LATER = {
    *("activation", "feature_dropout", "dropout", "feature_names"),
    *("self_loop_weight", "latent_norm", "degrees", "encoder_options", "decoder_options"),
    *Recipe.later,
}


def build_model(
    name: str,
    in_channels: int,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    encoder_options: Mapping[str, Any] = MappingProxyType({}),
    decoder_options: Mapping[str, Any] = MappingProxyType({}),
) -> VAE:
    """Build a named model with fresh weights.

    Args:
        name: ``"vgae"``, ``"gae"`` (no noise, no KL), ``"linear-vgae"``, ``"linear-gae"`` (with
            one linear layer), or another registered one; see :mod:`vgae.models.registry`.
        in_channels: Columns of the features; without features, the number of nodes.
        recipe: Settings of encoder and decoder.
        generator: Source of the initial weights.
        encoder_options: Further arguments of the encoder's ``from_recipe``.
        decoder_options: Further arguments of the decoder's ``from_recipe``; and ``parts``, the
            decoders of the targets in ``recipe.reconstruct``, or what their ``config`` returned.
    """
    model = graph_model(name)
    encoder = model.encoder_class.from_recipe(
        recipe,
        in_channels,
        posterior=POSTERIORS[model.posterior],
        generator=generator,
        **encoder_options,
    )
    encoder.model_name = name
    options = {**decoder_options}
    parts = options.pop("parts", {})
    return VAE(encoder, joined(model.decoder_class.from_recipe(recipe, **options), recipe, parts))


def input_columns(graph: Graph) -> int:
    """Return the columns of the features; without any, N for one graph and 0 for many.

    A node of one graph has weights of its own then, which say nothing of those of another graph.
    """
    return graph.num_features or (0 if isinstance(graph, GraphCollection) else graph.num_nodes)


def widths(name: str, recipe: Recipe) -> list[int]:
    """Return the columns of each layer's output of a named model, which is not built."""
    model = graph_model(name)
    return [*model.encoder_class.widths(recipe, POSTERIORS[model.posterior].num_heads)]


def graph_encoder(model: VAE) -> GraphEncoder:
    """Return the encoder; raise ``UsageError`` unless it is a ``GraphEncoder``."""
    return _part(model.encoder, GraphEncoder, "encoder")


def model_config(model: VAE) -> dict[str, Any]:
    """Return the plain values that rebuild a model; raise ``UsageError`` if there are none."""
    encoder, decoder = graph_encoder(model), _part(model.decoder, GraphDecoder, "decoder")
    links = type(link_decoder(model))
    posterior = next(name for name, kind in POSTERIORS.items() if kind is encoder.posterior)
    parts, config = {"encoder": encoder.config(), "decoder": decoder.config()}, {}
    for part, values in parts.items():
        config |= {name: value for name, value in values.items() if name in _RECIPE}
        if options := {name: value for name, value in values.items() if name not in _RECIPE}:
            config[f"{part}_options"] = options
    return {
        "model": name_of(type(encoder), posterior, links, encoder.model_name),
        "in_channels": encoder.in_channels,
        **config,
        "feature_names": list(encoder.feature_names),
    }


def from_config(config: Mapping[str, Any]) -> VAE:
    """Build a model from what :func:`model_config` returned.

    Raises:
        KeyError: If a value is missing.
        TypeError: If a value is of another type.
        UsageError: If a value is out of range, or there is no such model.
    """
    recipe = Recipe(name="saved", **{name: config[name] for name in _RECIPE & config.keys()})
    options = {name: config.get(name, {}) for name in ("encoder_options", "decoder_options")}
    name, size = config["model"], config["in_channels"]
    if type(name) is not str or type(size) is not int:
        raise TypeError("model must be a string and in_channels an integer")
    model = build_model(name, size, recipe, stream(0, "init"), **options)
    for name in model_config(model):
        if name not in _LATER:
            config[name]
    names = config.get("feature_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("feature_names must be a list of strings")
    graph_encoder(model).feature_names = tuple(names)
    return model


def unused_settings(recipe: Recipe, model: VAE, *, named: bool) -> list[str]:
    """Return the fields of a recipe that differ from their defaults and that a model ignores.

    Fields of every training are used, and so are ``mask`` and ``weighted``.

    Args:
        recipe: Settings of the training.
        model: The model.
        named: Whether it was built from the recipe; settings that the model does not store, such
            as ``initial_logstd``, then count as used.
    """
    has = {name: getattr(model.decoder, name) for name in _SUMS if hasattr(model.decoder, name)}
    for part, kind in ((model.encoder, GraphEncoder), (model.decoder, GraphDecoder)):
        has |= part.config() if isinstance(part, kind) else {}
    used = {"mask", "weighted", "batch_size"} | ({"walk_gain"} if has.get("walks") else set())
    used |= {"scale_features", "initial_logstd", *_SUMS} if named else set()
    used |= {field.name for field in fields(Training)}
    used |= {"content"} if has.get("content") else set()  # a number at most
    return [
        field.name
        for field in fields(recipe)
        if field.name not in used
        and (value := getattr(recipe, field.name)) != field.default
        and has.get(field.name, field.default) != value
    ]


def _part(part: Any, kind: type, role: str) -> Any:
    """Return an encoder or decoder; raise ``UsageError`` unless it can be rebuilt."""
    if not isinstance(part, kind):
        raise UsageError(
            "MODEL",
            f"{'an' if role == 'encoder' else 'a'} {role} {type(part).__name__} cannot be rebuilt;"
            f" make it a {kind.__name__} (vgae.{role}s.base), or save its state_dict() with"
            " safetensors.",
        )
    return part
