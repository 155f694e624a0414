"""evaluate: how well a model predicts the held-out links of a split."""

from typing import cast

import torch

from vgae.embedding import embed
from vgae.graph import Graph
from vgae.links import LinkSplit
from vgae.metrics import LinkScores, link_scores
from vgae.vae import VAE, LinkDecoder


def evaluate(model: VAE, graph: Graph, split: LinkSplit) -> dict[str, LinkScores]:
    """Score validation and test links against their non-links.

    Messages travel on the training links only, as in Kipf & Welling (2016); the latent vectors
    are the posterior means, without noise.

    Args:
        model: A trained model.
        graph: Nodes and features.
        split: The one that the model was trained on; it is audited.

    Returns:
        AUC and AP under ``"val"`` and ``"test"``; a part that holds no links is left out.

    Raises:
        LeakageError: If the split is not one of this graph, or leaks.
    """
    split.audit(graph)
    mu = embed(model, graph, split.message_edge_index).mu
    decoder = cast(LinkDecoder, model.decoder)
    device = next(model.parameters()).device
    scores = {}
    for name, part in {"val": split.val, "test": split.test}.items():
        if part.pos.shape[1] == 0:
            continue
        with torch.no_grad():
            logits = decoder.logits(mu.to(device), part.edge_label_index.to(device))
        scores[name] = link_scores(logits, part.edge_label)
    return scores
