"""embed: the posterior of every node under a trained model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from vgae.encoders import GraphEncoder
from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.graph import Graph
from vgae.vae import VAE, Posterior


class Trained(Protocol):
    """What holds a trained model: a ``FitResult``, a ``Run``."""

    @property
    def model(self) -> VAE:
        """The model."""
        ...


def model_of(trained: VAE | Trained) -> VAE:
    """Return the model itself."""
    return trained if isinstance(trained, VAE) else trained.model


def embed(model: VAE | Trained, graph: Graph, edge_index: Tensor | None = None) -> Posterior:
    """Infer the posterior of every node; ``.mu`` is the embedding.

    The graph need not be the one that the model was trained on: the encoder is a function of
    features and links, and embeds nodes that it never saw. Only without features it knows no
    others.

    Args:
        model: A trained model, or what :func:`vgae.fit` or :func:`vgae.load_run` returned.
        graph: Nodes and features, the same ones that the model was trained with: if both have
            names of features, they are compared.
        edge_index: Edges that messages travel on, both directions, shape ``(2, E)``; all links of
            the graph if not given. To judge held-out links, give ``split.message_edge_index``.
            In a weighted graph they must be links of it.

    Returns:
        What the encoder returns, ``.mu`` of shape ``(N, d)``; a :class:`~vgae.DiagGaussian` or
        :class:`~vgae.PointMass` is brought to the CPU.

    Raises:
        DataError: If the features are not those that the model was trained with.
    """
    model = model_of(model)
    check_features(model, graph)
    edge_index = graph.edge_index if edge_index is None else edge_index
    with evaluating(model):
        q = model.encoder(*encoder_inputs(model, graph, edge_index))
    if isinstance(q, DiagGaussian):
        return DiagGaussian(q.mu.cpu(), q.logvar.cpu())
    return PointMass(q.mu.cpu()) if isinstance(q, PointMass) else q


def check_features(model: VAE, graph: Graph) -> None:
    """Raise unless the features of a graph are those that the encoder of a model was built for.

    Encoders that do not say how many they take are left to say so themselves.

    Raises:
        DataError: If their number or their names differ, or one of the two has none.
    """
    encoder = model.encoder
    if not isinstance(encoder, GraphEncoder):
        return
    if graph.x is None and encoder.in_channels != graph.num_nodes:
        raise DataError(
            "NO_FEATURES",
            f"{graph.name} has no features and {graph.num_nodes} nodes, and this model takes"
            f" {encoder.in_channels} features, or was trained without any on a graph of as many"
            " nodes and knows no others; give features (--features FILE), or train with some to"
            " embed other graphs.",
        )
    if graph.x is not None and encoder.in_channels != graph.num_features:
        raise DataError(
            "FEATURE_DIM_MISMATCH",
            f"{graph.name} has {graph.num_features} features, and this model was trained with"
            f" {encoder.in_channels}.",
        )
    theirs, ours = encoder.feature_names, input_names(graph)
    if theirs and ours and theirs != ours:
        first = next(k for k, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b)
        place = f"node {first}" if graph.x is None else f"column {first} of the features"
        raise DataError(
            "FEATURE_NAMES",
            f"{place} of {graph.name} is {ours[first]!r:.60}, and this model was trained with"
            f" {theirs[first]!r:.60} there; put them in its order.",
        )


def input_names(graph: Graph) -> tuple[str, ...]:
    """Return the names of what an encoder reads: features or, without any, the nodes themselves.

    Empty where nothing has a name.
    """
    if graph.x is not None or graph.node_ids is None:
        return graph.feature_names
    return tuple(str(node) for node in graph.node_ids)


@contextmanager
def evaluating(model: VAE) -> Iterator[None]:
    """Switch dropout and gradients off for a while, and the model back to its mode."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def encoder_inputs(
    model: VAE, graph: Graph, edge_index: Tensor, *, masked: bool = False
) -> tuple[Any, ...]:
    """Return what the encoder of ``model`` is called with, on its device and in its precision.

    That is ``(x, edge_index)``, both dense, and of a weighted graph ``edge_weight`` too. An
    encoder with a method ``prepare``, of the same arguments, is asked once for a form of them
    that it takes faster; its ``x`` is sparse where the graph's is. ``masked`` says that links
    will be hidden from it, other ones each time: then an encoder of your own gets the arguments
    as they are.
    """
    like = parameter_like(model)
    prepare = getattr(model.encoder, "prepare", None)
    if masked and not isinstance(model.encoder, GraphEncoder):
        prepare = None  # its result for some edges does not serve for others
    x = graph.dense_x if prepare is None else graph.x
    x = None if x is None else x.to(device=like.device, dtype=like.dtype)
    edge_weight = graph.weights_of(edge_index)
    edges = [edge_index.to(like.device)]
    if edge_weight is not None:
        edges.append(edge_weight.to(device=like.device, dtype=like.dtype))
    if prepare is None:
        return x, *edges
    return prepare(x, *edges, masked=True) if masked else prepare(x, *edges)


def parameter_like(model: VAE) -> Tensor:
    """Return a tensor of the device and dtype of the model: its first parameter, if it has one."""
    return next(model.parameters(), torch.empty(0))


def embed_images(model: VAE, pixels: Tensor, *, batch_size: int = 1000) -> Posterior:
    """Infer the posterior of every image; ``.mu`` is the embedding.

    Args:
        model: A trained model.
        pixels: In [0, 1], shape ``(n, c, h, w)``.
        batch_size: Images at a time.

    Returns:
        A :class:`~vgae.DiagGaussian` or :class:`~vgae.PointMass` on the CPU, ``.mu`` of shape
        ``(n, d)``.
    """
    device = parameter_like(model).device
    with evaluating(model):
        parts = [model.encoder(part.to(device)) for part in pixels.split(batch_size)]
    mu = torch.cat([q.mu.cpu() for q in parts])
    logvar = [q.logvar.cpu() for q in parts if isinstance(q, DiagGaussian)]
    return DiagGaussian(mu, torch.cat(logvar)) if logvar else PointMass(mu)
