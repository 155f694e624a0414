"""evaluate: how well a model predicts the held-out links of a split."""

from typing import cast

from vgae.embedding import embed, evaluating, parameter_like
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
    decoder, device = cast(LinkDecoder, model.decoder), parameter_like(model).device
    scores = {}
    for name, part in {"val": split.val, "test": split.test}.items():
        if part.pos.shape[1] == 0:
            continue
        with evaluating(model):
            logits = decoder.logits(mu.to(device), part.edge_label_index.to(device))
        scores[name] = link_scores(logits, part.edge_label)
    return scores
