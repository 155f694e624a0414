"""Which models get latent dimensions of content, and their weights, before a training."""

import logging
from dataclasses import replace

from torch import Tensor

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.encoders.content import content_weights
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.models.registry import graph_model
from vgae.recipes import Recipe

log = logging.getLogger(__name__)


def content_for(
    name: str, graph: Graph, split: LinkSplit, settings: Recipe
) -> tuple[Recipe, dict[str, Tensor]]:
    """Return the settings with the columns of the content that a model has, and its weights.

    It has some if the recipe sets ``content``, the model is a :class:`~vgae.GCNEncoder` with an
    inner product and no other target than links, and the graph is one, with features that are all
    known and not the same for all nodes.
    """
    model, none = graph_model(name), replace(settings, content=0)
    plain = (model.encoder_class, model.decoder_class) == (GCNEncoder, InnerProductDecoder)
    plain = plain and graph.grid.name == "undirected" and not settings.reconstruct
    if not (settings.content and plain and graph.x is not None and graph.missing is None):
        return none, {}
    edges, own_weight = split.message_edge_index, settings.self_loop_weight
    weights = content_weights(graph.x, edges, settings.content, own_weight)
    if not weights["rarity"].any():
        return none, {}
    width, trained = weights["weight"].shape[1], settings.latent_channels
    log.info(
        "content: %d fixed dimensions beside the %d that are trained, so the embedding has %d;"
        " content = 0 (--set content=0) leaves them out",
        *(width, trained, width + trained),
    )
    return replace(settings, content=width), weights
