"""Scores of links averaged over the graphs of a collection."""

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from vgae.evaluation.metrics import labelled_scores


class GraphAverages(NamedTuple):
    """Means of the scores of each graph, in [0, 1].

    Attributes:
        auc: Mean of the area under the ROC curve.
        ap: Mean of the average precision.
        num_graphs: Number of graphs with at least one link and one non-link, which they are over.
    """

    auc: float
    ap: float
    num_graphs: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with names that differ from those of pooled scores."""
        return {
            "auc_per_graph": self.auc,
            "ap_per_graph": self.ap,
            "num_graphs_scored": self.num_graphs,
        }


def averages_per_graph(scores: Tensor, edge_label: Tensor, batch: Tensor) -> GraphAverages | None:
    r"""Return the means over graphs of the AUC and AP of the pairs within each.

    .. math:: \frac{1}{|S|} \sum_{g \in S} AUC_g, \qquad \frac{1}{|S|} \sum_{g \in S} AP_g

    with S the graphs that have a link and a non-link among the pairs, and AUC and AP as
    :func:`vgae.evaluation.metrics.auc_and_ap` defines them. Every graph counts the same. In a
    pooled score, which ranks the pairs of all graphs together, pairs of large graphs are more, and
    a model also gains by ranking the pairs of dense graphs above those of sparse ones.

    Args:
        scores: Any monotone function of the probability, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.
        batch: Number of the graph of each pair, shape ``(P,)``.

    Returns:
        The means; ``None`` if S is empty.

    Raises:
        DataError, NumericalError: As for :func:`vgae.evaluation.metrics.link_scores`.
    """
    values, label = labelled_scores(scores, edge_label)
    graph = np.unique(batch.cpu().numpy(), return_inverse=True)[1]
    order = np.lexsort((values, graph))
    values, label, graph = values[order], label[order], graph[order]
    count = np.bincount(graph)
    links = np.bincount(graph, label)
    before = (np.cumsum(count) - count)[graph], (np.cumsum(links) - links)[graph]
    # Of the group of equal scores in its graph that a pair is in: pairs and links below it.
    starts = np.ones(len(values), dtype=bool)
    starts[1:] = (values[1:] != values[:-1]) | (graph[1:] != graph[:-1])
    first = np.maximum.accumulate(np.where(starts, np.arange(len(values)), 0))
    below = first - before[0]
    links_below = (np.cumsum(label) - label)[first] - before[1]
    usable = (links > 0) & (links < count)
    if not usable.any():
        return None
    pairs = (links * (count - links))[usable]
    found = np.bincount(graph, label * below - links_below)[usable]
    reached = label * (links[graph] - links_below) / (count[graph] - below)
    ap = np.bincount(graph, reached)[usable] / links[usable]
    auc = (found + pairs) / (2 * pairs)
    return GraphAverages(float(auc.mean()), float(ap.mean()), int(usable.sum()))
