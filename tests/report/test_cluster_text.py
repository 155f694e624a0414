import numpy as np
import pytest

from vgae.evaluation.clusters import Clusters
from vgae.evaluation.typical_features import TypicalFeature
from vgae.prediction.cluster_table import Agreement, ClusterTable, Profile
from vgae.report.cluster_text import chosen_text, clusters_text, reason_text

FEATURES = tuple(TypicalFeature(f"f{k}", 0.9 - k / 10, 0.5, 0.1) for k in range(5))


def table(k=2, **more):
    labels = np.sort(np.arange(4 * k) % k)
    clusters = Clusters(labels, np.ones(4 * k), "kmeans", {})
    profiles = [Profile(4, 0.954, ("a", "b" * 40, "\x1b", "d"), FEATURES) for _ in range(k)]
    return ClusterTable(clusters, range(4 * k), profiles, **more)


def test_the_three_most_typical_nodes_and_features_are_shown():
    lines = clusters_text(table(has_features=True)).split("\n")
    cells = [cell.strip() for cell in lines[1].split("  ") if cell]
    assert cells[:3] == ["0", "4", "0.95"]
    assert cells[3] == f"a; {'b' * 23}…; \\x1b"
    assert cells[4] == "f0 (0.90); f1 (0.80); f2 (0.70)"
    assert len({line.index("a; ") for line in lines[1:3]}) == 1


def test_without_features_there_is_no_such_column_and_a_sentence():
    text = clusters_text(table())
    assert "typical features" not in text
    assert "There are no features that could be typical." in text
    assert "ARI" not in text


def test_the_agreement_is_a_line():
    text = clusters_text(table(agreement=Agreement(0.5, 0.625, 7)))
    assert "known classes of 7 nodes: ARI 0.500, NMI 0.625;" in text


def test_many_clusters_are_counted():
    lines = clusters_text(table(27)).split("\n")
    assert lines[21] == "and 7 smaller clusters"
    assert lines[20].split()[0] == "19"


@pytest.mark.parametrize(
    ("method", "scores", "text"),
    [
        ("kmeans", {}, "No other number was compared."),
        ("kmeans", {2: 0.25, 3: 0.5}, "Of 2 to 3 clusters, this number has the largest mean"),
        ("mixture", {1.0: 99.0, 2.0: -1234.5}, "the smallest BIC, -1,234"),
        ("louvain", {1.0: 0.5}, "at resolution 1 have a modularity of 0.500."),
        ("leiden", {1.0: 0.5}, "at resolution 1 have a modularity of 0.500."),
    ],
)
def test_the_number_has_a_reason(method, scores, text):
    clusters = Clusters(np.array([0, 0, 1]), np.ones(3), method, scores)
    assert text in reason_text(clusters)
    assert chosen_text(clusters).startswith("2 clusters by ")


@pytest.mark.parametrize(("k", "text"), [(1, "1 cluster by"), (3, "3 clusters by")])
def test_the_method_has_its_name(k, text):
    assert chosen_text(table(k).clusters).startswith(f"{text} k-means")
