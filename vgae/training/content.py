"""Which models get latent dimensions of content, and their weights, before a training."""

from dataclasses import replace

from torch import Tensor

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.encoders.content import content_weights
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.models.registry import graph_model
from vgae.recipes import Recipe


def content_for(
    name: str, graph: Graph, split: LinkSplit, settings: Recipe
) -> tuple[Recipe, dict[str, Tensor]]:
    """Return the settings with the columns of the content that a model has, and its weights.

    It has some if the recipe sets ``content``, the model is a :class:`~vgae.GCNEncoder` with an
    inner product and no other target than links, and the graph is one, with features that are all
    known.
    """
    model = graph_model(name)
    plain = (model.encoder_class, model.decoder_class) == (GCNEncoder, InnerProductDecoder)
    known = graph.x is not None and graph.missing is None
    if not (settings.content and plain and known and graph.grid.name == "undirected"):
        return replace(settings, content=0), {}
    if settings.reconstruct:
        return replace(settings, content=0), {}
    assert graph.x is not None
    edges, own_weight = split.message_edge_index, settings.self_loop_weight
    weights = content_weights(graph.x, edges, settings.content, own_weight)
    return replace(settings, content=weights["weight"].shape[1]), weights
