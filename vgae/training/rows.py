"""Division of the nodes of a graph among the processes of a training."""

import logging
from typing import cast

import torch
from torch import nn

from vgae.decoders.joint import link_decoder
from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.errors import UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.graphs.typed import TypedGraph
from vgae.kernels.rows import Rows
from vgae.models.registry import graph_model
from vgae.runtime.processes import Team, team
from vgae.training.loop import Summed
from vgae.training.plan import Plan
from vgae.vae import VAE

log = logging.getLogger(__name__)

# Encoders whose nodes can be divided, not what is derived from them, and their first weights.
_FIRST = {GCNEncoder: ("conv0.weight", "walks.weight"), LinearGCNEncoder: ("conv.weight",)}
_NOT_DIVIDED = (
    "nodes are not divided among the processes: the sum over all pairs, which is, takes longer"
    " (partition, --partition)"
)


def possible_parts(model: str | VAE, graph: Graph | TypedGraph, *, partition: bool | None) -> int:
    """Return among how many processes the rows of a training can be divided; 1 if they cannot.

    Args:
        model: Name of the model, or a model of your own.
        graph: Graph of the training.
        partition: Whether they shall be divided; where it is useful if ``None``.

    Raises:
        UsageError: If they shall be divided, and cannot be.
    """
    us = team()
    if us.size == 1 or partition is False:
        return 1
    reason = _hindrance(model, graph, us)
    if reason and partition:
        raise UsageError(
            "PARTITION",
            f"the nodes cannot be divided among the processes: {reason}; leave partition=True"
            " (--partition) out, so that each process encodes all nodes.",
        )
    if reason:
        log.info("nodes are not divided among the processes: %s", reason)
    return 1 if reason else us.size


def _hindrance(model: str | VAE, graph: Graph | TypedGraph, us: Team) -> str:
    """Return why the rows cannot be divided; empty if they can."""
    named = isinstance(model, str)
    encoder = graph_model(model).encoder_class if named else type(model.encoder)
    if encoder not in _FIRST:
        names = " and ".join(kind.__name__ for kind in _FIRST)
        return f"{encoder.__name__} encodes all nodes at once; {names} need not"
    if isinstance(graph, GraphCollection):
        return f"{graph.name} is a collection of graphs"
    if graph.num_nodes < us.size:
        return f"{graph.name} has {graph.num_nodes} nodes, fewer than the {us.size} processes"
    return ""


def rows_for(
    model: VAE,
    graph: Graph,
    split: LinkSplit,
    plan: Plan | None,
    *,
    parts: int,
    partition: bool | None,
) -> Rows | None:
    """Return the division of the nodes among the processes, which is logged, if there is one.

    Nodes are divided if the pairs of the decoder are sampled, so that the encoder takes most of
    the time, or if the memory of one process does not suffice for all of them. Each process has
    consecutive nodes, with about equal numbers of entries of features and adjacency.

    Args:
        model: Model of the training.
        graph: Its graph.
        split: Its split.
        plan: Its plan; ``None`` for a model of your own.
        parts: Result of :func:`possible_parts`.
        partition: Whether nodes shall be divided; by the rule above if ``None``.
    """
    if parts == 1:
        return None
    sampled = getattr(link_decoder(model), "pairs", "") == "sampled"
    us = team()
    # Another process may have more memory.
    if not us.agreed(bool(partition or (sampled if plan is None else plan.parts > 1))):
        log.info(_NOT_DIVIDED)
        return None
    why = "the pairs are sampled" if sampled else "the memory of one process does not suffice"
    why = "partition is set" if partition else why
    log.info("nodes are divided among the %d processes: %s", parts, why)
    return Rows.balanced(us, _cost(graph, split))


def _cost(graph: Graph, split: LinkSplit) -> torch.Tensor:
    """Return the number of entries of each node, of features and adjacency."""
    x, ends = graph.x, split.message_edge_index[0].cpu()
    cost = 1.0 + torch.bincount(ends, minlength=graph.num_nodes)
    if x is None:
        return cost
    # A product with dense features reads no indices.
    return cost + (x.crow_indices().diff().cpu() if x.is_sparse_csr else x.shape[1] / 4)


def summed_for(model: VAE, rows: Rows | None, graph: Graph) -> Summed | None:
    """Return which gradients are of own nodes only, if nodes are divided."""
    if rows is None:
        return None
    encoder = cast(nn.Module, model.encoder)
    # Without features, each process receives the gradient of all rows of the first weights.
    whole = _FIRST[type(encoder)] if graph.x is None else ()
    return Summed(rows.team, [p for n, p in encoder.named_parameters() if n not in whole])
