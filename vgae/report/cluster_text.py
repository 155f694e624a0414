"""Clusters of a run as text, for the terminal and for pages."""

from vgae.errors import printable
from vgae.evaluation.clusters import Clusters
from vgae.evaluation.typical_features import TypicalFeature
from vgae.prediction.cluster_table import ClusterTable
from vgae.runtime.text import columns

_METHODS = {
    "kmeans": "k-means",
    "mixture": "a mixture of Gaussians",
    "louvain": "the Louvain method",
    "leiden": "the Leiden algorithm",
}
_SHOWN = 20  # clusters
_NAMED = 3  # typical nodes and features of each
_LONGEST = 24  # letters of a name


def clusters_text(table: ClusterTable) -> str:
    """Return a table of the clusters, how they were found, and their agreement with classes."""
    lines = [["cluster", "nodes", "confidence", "typical nodes", "typical features"]]
    for number, profile in enumerate(table.profiles[:_SHOWN]):
        nodes = "; ".join(_short(node) for node in profile.nodes[:_NAMED])
        features = "; ".join(map(feature_text, profile.features[:_NAMED]))
        counts = f"{profile.size:,}", f"{profile.confidence:.2f}"
        lines.append([f"{number}", *counts, nodes, features])
    if not table.has_features:
        lines = [row[:-1] for row in lines]
    rest = len(table.profiles) - _SHOWN
    more = f"\nand {rest:,} smaller clusters" if rest > 0 else ""
    return "\n".join([columns(lines, right=range(3)) + more, "", *explained(table)])


def feature_text(feature: TypicalFeature) -> str:
    """Return name and correlation of a feature."""
    return f"{_short(feature.name)} ({feature.correlation:.2f})"


def explained(table: ClusterTable) -> list[str]:
    """Return how clusters were found, what is shown, and the agreement with classes."""
    lines = [f"{chosen_text(table.clusters)}. {reason_text(table.clusters)}"]
    if table.has_features:
        lines.append(
            "Typical features: correlation of the feature with membership in the cluster, largest"
            " first."
        )
    else:
        lines.append("There are no features that could be typical.")
    return [*lines, agreement] if (agreement := agreement_text(table)) else lines


def agreement_text(table: ClusterTable) -> str:
    """Return the agreement of clusters with known classes; empty without."""
    if (found := table.agreement) is None:
        return ""
    return (
        f"Agreement with the known classes of {found.num_nodes:,} nodes: ARI {found.ari:.3f}, NMI"
        f" {found.nmi:.3f}; 1 is perfect, 0 is chance."
    )


def chosen_text(clusters: Clusters) -> str:
    """Return the number of clusters and their method."""
    many = "cluster" if clusters.k == 1 else "clusters"
    return f"{clusters.k:,} {many} by {_METHODS[clusters.method]}"


def reason_text(clusters: Clusters) -> str:
    """Return what the number of clusters was compared by."""
    if not (scores := clusters.scores):
        return "No other number was compared."
    if clusters.method in ("louvain", "leiden"):
        ((resolution, modularity),) = scores.items()
        return f"Communities at resolution {resolution:g} have a modularity of {modularity:.3f}."
    best = f"the largest mean silhouette, {max(scores.values()):.3f}"
    if clusters.method == "mixture":
        best = f"the smallest BIC, {min(scores.values()):,.0f}"
    return f"Of {min(scores):g} to {max(scores):g} clusters, this number has {best}."


def _short(name: object) -> str:
    text = printable(str(name))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
