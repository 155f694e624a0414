"""Embeddings: the posterior of every node or image under a trained model."""

import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from vgae.decoders.joint import JointDecoder
from vgae.encoders import GraphEncoder, PosteriorEncoder
from vgae.encoders.positions import Placed, rows_of
from vgae.errors import DataError, UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.missing import filled
from vgae.kernels.rows import Rows
from vgae.models.typed import is_typed, messages, typed_inputs
from vgae.runtime.devices import convolutions_as_products
from vgae.runtime.mapped import is_mapped
from vgae.vae import VAE, Encoder, Posterior

log = logging.getLogger(__name__)


class Trained(Protocol):
    """Object with a trained model, such as a ``FitResult`` or a ``Run``."""

    @property
    def model(self) -> VAE:
        """The model."""
        ...


def model_of(trained: VAE | Trained) -> VAE:
    """Return the model of a training result, or the model itself."""
    return trained if isinstance(trained, VAE) else trained.model


def embed(model: VAE | Trained, graph: Graph, edge_index: Tensor | None = None) -> Posterior:
    """Infer the posterior of every node; ``.mu`` is the embedding.

    A model with features also embeds nodes and graphs that it was not trained on, as the encoder
    is a function of features and links. A model without features embeds its own nodes only.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: Nodes with the same features as in training; names of features, if both have them,
            are compared. Or a typed graph with the same relations.
        edge_index: Edges that messages travel on, as :attr:`vgae.Graph.edge_index` has them, shape
            ``(2, E)``; all links of the graph if not given. To evaluate held-out links, pass
            ``split.message_edge_index``, or :func:`vgae.models.typed.messages` of a typed graph
            and its split. In a weighted graph they must be links of it.

    Returns:
        The posterior, ``.mu`` of shape ``(N, d)``; a :class:`~vgae.DiagGaussian` or
        :class:`~vgae.PointMass` is on the CPU.

    Raises:
        DataError: If the features are not those that the model was trained with.
        UsageError: If the encoder returns no posterior.
    """
    model = model_of(model)
    check_features(model, graph)
    edges: Any = edge_index
    if edges is None:
        edges = messages(graph) if is_typed(graph) else graph.edge_index  # pyright: ignore
    with evaluating(model):
        q = posterior(model.encoder, *encoder_inputs(model, graph, edges))
    if isinstance(q, DiagGaussian):
        return DiagGaussian(q.mu.cpu(), q.logvar.cpu())
    return PointMass(q.mu.cpu()) if isinstance(q, PointMass) else q


def posterior(encoder: Encoder, *inputs: Any) -> Posterior:
    """Return the result of an encoder.

    Raises:
        UsageError: ``ENCODER`` if it is no posterior.
    """
    q = encoder(*inputs)
    if not all(hasattr(q, name) for name in ("mu", "rsample", "kl")):
        raise UsageError(
            "ENCODER",
            f"{type(encoder).__name__} returned a {type(q).__name__}, not a posterior: return"
            " vgae.DiagGaussian(mu, logvar) or vgae.PointMass(mu); an encoder that returns"
            " (mu, logstd) or mu, as for PyG's auto-encoders, goes into"
            " vgae.encoders.PosteriorEncoder(encoder).",
        )
    return q


def check_features(model: VAE, graph: Graph) -> None:
    """Check the features of a graph against those of a :class:`~vgae.encoders.GraphEncoder`.

    Raises:
        DataError: If their number or their names differ, or one of the two has none.
    """
    encoder = model.encoder
    if not isinstance(encoder, GraphEncoder):
        return
    if encoder.in_channels == 0 and graph.x is None:
        return  # of nodes without identities it takes links only
    if graph.x is None and encoder.in_channels != graph.num_nodes:
        raise DataError(
            "NO_FEATURES",
            f"{graph.name} has no features and {graph.num_nodes} nodes, and this model takes"
            f" {encoder.in_channels} features, or was trained without any on a graph of as many"
            " nodes and embeds no others; give features (--features FILE), or train with some to"
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
    """Return the names of the features or, without features, of the nodes; empty without names."""
    if graph.x is not None or graph.node_ids is None:
        return graph.feature_names
    return tuple(str(node) for node in graph.node_ids)


@contextmanager
def evaluating(model: VAE) -> Iterator[None]:
    """Switch dropout and gradients off, and restore the mode of the model at the end.

    Convolutions are as precise as in the training.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), convolutions_as_products():
            yield
    finally:
        model.train(was_training)


def encoder_inputs(
    model: VAE,
    graph: Graph,
    edge_index: Tensor,
    *,
    masked: bool = False,
    rows: Rows | None = None,
) -> tuple[Any, ...]:
    """Return the arguments of the encoder of ``model``, on its device and in its precision.

    They are ``(x, edge_index)``, both dense, and ``edge_weight`` for a weighted graph. If the
    encoder has a method ``prepare``, they are its result; its ``x`` is sparse where the graph's
    is. Features of links are passed as ``edge_attr``, if it takes them; see
    :func:`edge_arguments`. ``masked`` means that other links will be hidden each time:
    ``prepare`` is then called only for a :class:`~vgae.encoders.GraphEncoder`. With ``rows``, the
    nodes are divided among processes, and features are those of the own nodes.
    """
    like = parameter_like(model)
    if is_typed(graph):
        return typed_inputs(model, graph, edge_index, like)  # pyright: ignore
    if hasattr(model.encoder, "messages"):
        raise DataError(
            "RELATION",
            f"{graph.name} has one kind of links, and this model takes messages of several"
            " relations; pass the vgae.TypedGraph, and relation= to score one.",
        )
    edge_index, edge_weight = message_edges(model, graph, edge_index)
    prepare = getattr(model.encoder, "prepare", None)
    if masked and not isinstance(model.encoder, GraphEncoder):
        prepare = None  # its result holds for these edges only
    x = received_features(model, graph)
    x = x if x is None or rows is None else rows.cut(x)
    x = x.to_dense() if prepare is None and x is not None else x
    if x is not None and not (getattr(model.encoder, "reads_mapped", False) and is_mapped(x)):
        x = x.to(like.device, like.dtype)
    edges = [edge_index.to(like.device)]
    values = edge_arguments(
        model.encoder if prepare is None else prepare, edge_weight, graph, edge_index
    )
    edges += [v.to(like.device, like.dtype) if isinstance(v, Tensor) else v for v in values]
    if x is None and getattr(model.encoder, "in_channels", None) == 0:
        x = like.new_zeros(graph.num_nodes if rows is None else len(rows.own), 0)
    if prepare is None:
        return x, *edges
    options = ({"masked": True} if masked else {}) | ({} if rows is None else {"rows": rows})
    inputs = prepare(x, *edges, **options)
    if not (width := getattr(model.encoder, "positions", 0)):
        return inputs
    sizes = graph.sizes if isinstance(graph, GraphCollection) else torch.tensor([graph.num_nodes])
    places = rows_of(sizes, width)
    return Placed(inputs[0], (places if rows is None else rows.cut(places)).to(like)), *inputs[1:]


def received_features(model: VAE, graph: Graph) -> Tensor | None:
    """Return the features that an encoder gets, with the training's means where one is missing."""
    if graph.x is None or graph.missing is None or graph.x.is_sparse_csr:
        return graph.x
    means = feature_means(model)
    return graph.x if means is None else filled(graph.x, graph.missing, means.cpu())


def feature_means(model: VAE) -> Tensor | None:
    """Return what an encoder gets for a missing feature, shape ``(F,)``.

    ``None`` if features are no target of the model.
    """
    decoder = model.decoder
    if not isinstance(decoder, JointDecoder) or "features" not in decoder.parts:
        return None
    return decoder.parts["features"].get_buffer("column_mean")


def edge_arguments(
    encoder: Any, edge_weight: Tensor | None, graph: Graph, edge_index: Tensor
) -> list[Any]:
    """Return the arguments of an encoder after ``x`` and ``edge_index``, by position.

    They are ``edge_weight`` in a weighted graph. If the graph has features of links and the
    encoder has a parameter ``edge_attr``, they are all up to the last of these two, by name, and
    the defaults of those between.

    Raises:
        UsageError: ``ENCODER`` if it takes features of links, but no weights, which the graph has.
    """
    parameters = parameters_of(encoder)
    if graph.link_attr is None or "edge_attr" not in parameters:
        return [] if edge_weight is None else [edge_weight]
    given = {"edge_attr": graph.attr_of(edge_index)}
    given |= {} if edge_weight is None else {"edge_weight": edge_weight}
    names = [*parameters][2:]
    if lacking := [name for name in given if name not in names]:
        raise UsageError(
            "ENCODER",
            f"the encoder takes edge_attr, and no {lacking[0]} after x and edge_index, which"
            f" {graph.name} has; give it edge_weight=None, or leave the weights out with"
            " dataclasses.replace(graph, link_weight=None).",
        )
    last = max(names.index(name) for name in given)
    return [given.get(name, parameters[name].default) for name in names[: last + 1]]


def parameters_of(encoder: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters by position of an encoder, or of the one in a PosteriorEncoder."""
    while isinstance(encoder, PosteriorEncoder):
        encoder = encoder.encoder
    found = inspect.signature(getattr(encoder, "forward", encoder)).parameters
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    return {name: p for name, p in found.items() if p.kind not in kinds}


def message_edges(model: VAE, graph: Graph, edge_index: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the edges that the encoder receives, and their weights in a weighted graph.

    They are the given ones; those of a directed graph are in both directions, ascending, for a
    :class:`~vgae.encoders.GraphEncoder` that ignores direction. Their weights are the means of
    both. If signs are a target, weights of messages are negative for links of sign -1.
    """
    signed = _uses_signs(model, graph)
    weight = graph.values_of(edge_index) if signed else graph.weights_of(edge_index)
    if not graph.directed or getattr(model.encoder, "directed", True):
        return edge_index, weight
    from torch_geometric.utils import to_undirected

    if weight is None:
        return to_undirected(edge_index, num_nodes=graph.num_nodes), None
    return to_undirected(edge_index, weight, graph.num_nodes, reduce="mean")


def _uses_signs(model: VAE, graph: Graph) -> bool:
    """Return whether messages have the signs of the links, and let the encoder take them.

    They have if signs, or weights with signs, are a target of the model, and its encoder takes
    them; else they have the magnitudes alone.
    """
    decoder, encoder = model.decoder, model.encoder
    if graph.link_sign is None or not getattr(encoder, "takes_signs", False):
        return False
    if not isinstance(decoder, JointDecoder) or not {"signs", "weights"} & {*decoder.parts}:
        return False
    for layer in cast(GraphEncoder, encoder).children():
        vars(layer)["signed"] = True
    return True


def tell_signs(model: VAE, graph: Graph) -> None:
    """Log what the signs of the links are used for, if there are some -1."""
    if graph.link_sign is None or not bool((graph.link_sign < 0).any()):
        return
    parts = {*model.decoder.parts} if isinstance(model.decoder, JointDecoder) else set()
    targets = " and ".join(sorted({"signs", "weights"} & parts))
    if not targets:
        log.warning(
            "%s: the signs of links have no effect; messages and loss have the magnitudes alone;"
            " reconstruct='signs' (--reconstruct signs) makes them a target",
            graph.name,
        )
        return
    used = _uses_signs(model, graph)
    carried = "messages have them too" if used else "messages have the magnitudes alone"
    log.info("%s: the signs of links are in the target %s; %s", graph.name, targets, carried)


def parameter_like(model: VAE) -> Tensor:
    """Return the first parameter of a model, for its device and dtype; without any, a tensor."""
    return next(model.parameters(), torch.empty(0))


def embed_images(model: VAE, pixels: Tensor, *, batch_size: int = 1000) -> Posterior:
    """Infer the posterior of every image; ``.mu`` is the embedding.

    Args:
        model: A trained model.
        pixels: Images with pixels in [0, 1], shape ``(n, c, h, w)``.
        batch_size: Images per batch.

    Returns:
        A :class:`~vgae.DiagGaussian` or :class:`~vgae.PointMass` on the CPU, ``.mu`` of shape
        ``(n, d)``.
    """
    like = parameter_like(model)
    with evaluating(model):
        parts = [posterior(model.encoder, part.to(like)) for part in pixels.split(batch_size)]
    mu = torch.cat([q.mu.cpu() for q in parts])
    logvar = [q.logvar.cpu() for q in parts if isinstance(q, DiagGaussian)]
    return DiagGaussian(mu, torch.cat(logvar)) if logvar else PointMass(mu)
