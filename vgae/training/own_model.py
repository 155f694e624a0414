"""Checks of a model that a caller passes in place of a name, before it is trained."""

import inspect
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vgae.encoders import PosteriorEncoder
from vgae.errors import DataError, UsageError, VgaeError
from vgae.graphs.arrays import sha256
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.models.embedding import (
    encoder_inputs,
    evaluating,
    parameter_like,
    parameters_of,
    posterior,
)
from vgae.vae import VAE

log = logging.getLogger(__name__)
_WIDTHS = "shapes cannot be multiplied"  # in torch's message on layers of other widths


def check_model(model: object, decoder: str) -> None:
    """Raise ``UsageError`` unless a model is a :class:`~vgae.VAE`.

    Args:
        model: The model.
        decoder: Text of a call that makes a decoder, for the message.
    """
    if isinstance(model, VAE):
        return
    found = f"the class {model.__name__}" if isinstance(model, type) else _type_name(model)
    encoder = getattr(model, "encoder", None)
    text = "encoder"
    if isinstance(encoder, nn.Module):  # as torch_geometric.nn.VGAE has
        is_ours = hasattr(encoder, "posterior")
        text = "model.encoder" if is_ours else "vgae.encoders.PosteriorEncoder(model.encoder)"
    raise UsageError(
        "MODEL",
        f"model must be a name or a vgae.VAE, got {found}; pass vgae.VAE({text}, {decoder}).",
    )


def attr_identity(graph: Graph) -> dict[str, str]:
    """Return the digest of the features of links, which the fingerprint of a graph leaves out."""
    attr = graph.link_attr
    return {} if attr is None else {"edge_attr": sha256("edge_attr", attr.numpy())}


def check_signature(encoder: Any, graph: Graph) -> None:
    """Raise ``UsageError`` unless an encoder takes the inputs that it gets for a graph.

    They are ``x`` and ``edge_index`` and, in a weighted graph, ``edge_weight``. The encoder in a
    ``PosteriorEncoder`` gets the same.
    """
    encoder = _inner(encoder)
    if graph.link_attr is not None:
        if "edge_attr" in parameters_of(encoder):
            return  # edge_arguments checks them
        log.warning(
            "%s does not take edge_attr: the %d features of links of %s have no effect",
            *(type(encoder).__name__, graph.link_attr.shape[1], graph.name),
        )
    names = ["x", "edge_index", *(["edge_weight"] if graph.edge_weight is not None else [])]
    method = "prepare" if hasattr(encoder, "prepare") else "forward"
    try:
        inspect.signature(getattr(encoder, method, encoder)).bind(*names)
    except TypeError as error:
        hint = ""
        if len(names) == 3:
            hint = (
                "; give it edge_weight=None, or leave the weights of the graph out with"
                " dataclasses.replace(graph, link_weight=None)"
            )
        given = ", ".join(names)
        raise UsageError(
            "ENCODER",
            f"{method} of {type(encoder).__name__} must take ({given}) for"
            f" {graph.name}: {error}{hint}.",
        ) from None


def check_encoder(model: VAE, inputs: Sequence[Any], graph: Graph, few: Tensor) -> None:
    """Call an encoder, in evaluation mode and without gradients, and compare it over few links.

    Global random state is kept. An encoder that gives the same over few links does not use those
    that it is given, which is logged as a warning.

    Args:
        model: Model with the encoder.
        inputs: Arguments of the encoder.
        graph: Nodes and features.
        few: Some of the training links, both directions, shape ``(2, E)``.

    Raises:
        DataError: ``NO_FEATURES`` if it fails on a graph without features.
        UsageError: ``ENCODER`` if it returns no posterior, or takes another number of features.
    """
    device = parameter_like(model).device
    devices = [device] if device.type == "cuda" else []
    with evaluating(model), torch.random.fork_rng(devices=devices):
        try:
            mu = posterior(model.encoder, *inputs).mu
        except Exception as error:
            if isinstance(error, VgaeError):
                raise
            name, said = type(_inner(model.encoder)).__name__, str(error).partition("\n")[0]
            if graph.x is not None and _WIDTHS in said:
                raise UsageError(
                    "ENCODER",
                    f"{name} fails on the {graph.num_features} features of {graph.name} ({said});"
                    f" build it with in_channels = {graph.num_features}, and layers that fit.",
                ) from error
            if graph.x is not None:
                raise
            raise DataError(
                "NO_FEATURES",
                f"{graph.name} has no features, and {type(model.encoder).__name__} fails on x ="
                f" None ({type(error).__name__}); give the graph features, or train an encoder"
                " that has weights for each node, such as GCNEncoder(num_nodes).",
            ) from error
        try:
            other = posterior(model.encoder, *encoder_inputs(model, graph, few)).mu
        except Exception:  # it need not take other links
            log.debug("the encoder fails on other links", exc_info=True)
            return
    if torch.equal(mu, other):
        log.warning(
            "%s gives the same embedding without most of the links: it does not use edge_index; if"
            " it has edges of its own, these may be held-out links",
            type(_inner(model.encoder)).__name__,
        )


def _inner(encoder: Any) -> Any:
    while isinstance(encoder, PosteriorEncoder):
        encoder = encoder.encoder
    return encoder


def _type_name(value: object) -> str:
    """Return the class of a value with its package: ``"torch_geometric VGAE"``."""
    package = type(value).__module__.partition(".")[0]
    name = type(value).__name__
    return name if package in ("builtins", "vgae", "__main__") else f"{package}'s {name}"


def trained_before(model: VAE, split: LinkSplit) -> str:
    """Return the warning of a model that has been trained before."""
    links = "other links, which may be held out here; evaluations of this split are refused then"
    if set(model.trained_on) == {split.train_digest}:
        links = "the same links"
    return (
        f"the model has been trained before, on {links}: the training goes on from those weights;"
        " build a new model for new weights"
    )
