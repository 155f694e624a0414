"""embed: the posterior of every node under a trained model."""

from typing import Any

import torch
from torch import Tensor

from vgae.gaussian import DiagGaussian, PointMass
from vgae.graph import Graph
from vgae.vae import VAE, Encoder


def embed(model: VAE, graph: Graph, edge_index: Tensor | None = None) -> DiagGaussian | PointMass:
    """Infer the posterior of every node; ``.mu`` is the embedding.

    Args:
        model: A trained model.
        graph: Nodes and features.
        edge_index: Edges that messages travel on, both directions, shape ``(2, E)``; all links of
            the graph if not given. To judge held-out links, give ``split.message_edge_index``.

    Returns:
        The posterior on the CPU, ``.mu`` of shape ``(N, d)``.
    """
    edge_index = graph.edge_index if edge_index is None else edge_index
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.no_grad():
        q = model.encoder(*encoder_inputs(model.encoder, graph, edge_index, device))
    model.train(was_training)
    if isinstance(q, DiagGaussian):
        return DiagGaussian(q.mu.cpu(), q.logvar.cpu())
    return PointMass(q.mu.cpu())


def encoder_inputs(
    encoder: Encoder, graph: Graph, edge_index: Tensor, device: torch.device
) -> tuple[Any, Any]:
    """Return what ``encoder`` is called with, on ``device``.

    That is ``(x, edge_index)``, both dense. An encoder with a method ``prepare(x, edge_index)`` is
    asked once for a form of them that it takes faster; its ``x`` is sparse where the graph's is.
    """
    edge_index = edge_index.to(device)
    prepare = getattr(encoder, "prepare", None)
    x = graph.dense_x if prepare is None else graph.x
    x = None if x is None else x.to(device)
    return (x, edge_index) if prepare is None else prepare(x, edge_index)
