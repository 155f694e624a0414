"""embed: the posterior of every node under a trained model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graph import Graph
from vgae.vae import VAE, Posterior


def embed(model: VAE, graph: Graph, edge_index: Tensor | None = None) -> Posterior:
    """Infer the posterior of every node; ``.mu`` is the embedding.

    Args:
        model: A trained model.
        graph: Nodes and features.
        edge_index: Edges that messages travel on, both directions, shape ``(2, E)``; all links of
            the graph if not given. To judge held-out links, give ``split.message_edge_index``.

    Returns:
        What the encoder returns, ``.mu`` of shape ``(N, d)``; a :class:`~vgae.DiagGaussian` or
        :class:`~vgae.PointMass` is brought to the CPU.
    """
    edge_index = graph.edge_index if edge_index is None else edge_index
    with evaluating(model):
        q = model.encoder(*encoder_inputs(model, graph, edge_index))
    if isinstance(q, DiagGaussian):
        return DiagGaussian(q.mu.cpu(), q.logvar.cpu())
    return PointMass(q.mu.cpu()) if isinstance(q, PointMass) else q


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
) -> tuple[Any, Any]:
    """Return what the encoder of ``model`` is called with, on its device and in its precision.

    That is ``(x, edge_index)``, both dense. An encoder with a method ``prepare(x, edge_index)`` is
    asked once for a form of them that it takes faster; its ``x`` is sparse where the graph's is.
    ``masked`` says that links will be hidden from it, other ones each time: then an encoder of
    your own gets ``(x, edge_index)`` as they are.
    """
    like = parameter_like(model)
    prepare = getattr(model.encoder, "prepare", None)
    if masked and not isinstance(model.encoder, (GCNEncoder, LinearGCNEncoder)):
        prepare = None  # what it made of some edges would not do for others
    x = graph.dense_x if prepare is None else graph.x
    x = None if x is None else x.to(device=like.device, dtype=like.dtype)
    edge_index = edge_index.to(like.device)
    if prepare is None:
        return x, edge_index
    return prepare(x, edge_index, masked=True) if masked else prepare(x, edge_index)


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
