import json

import numpy as np
import pytest
import torch

from vgae import Graph, describe_clusters
from vgae.errors import DataError
from vgae.evaluation.clusters import Clusters

LABELS = np.array([0, 0, 0, 1, 1])
CLUSTERS = Clusters(LABELS, np.array([1, 0.5, 0.6, 1, 0.5]), "kmeans", {2: 0.5, 3: 0.25})
MU = np.array([[1, 0], [3, 4], [0, 5], [-1, 1], [-1, -1]], dtype=np.float32)
NAMES = ["Müller, Jo", "李雷", "=1+1", "a\tb", '"q"']


def graph(**more):
    return Graph.from_edges([[0, 1, 3], [1, 2, 4]], num_nodes=5, node_ids=NAMES, **more)


def test_a_profile_has_size_confidence_and_the_nodes_nearest_to_the_centre():
    """Of length 1, the first are (1, 0), (0.6, 0.8), (0, 1): the second is near the middle.

    Their centre is (0.53, 0.6); the distances are 0.76, 0.21, 0.67.
    """
    table = describe_clusters(CLUSTERS, graph(), MU, num_nodes=2)
    first, second = table.profiles
    assert (first.size, second.size) == (3, 2)
    assert first.confidence == pytest.approx(0.7)
    assert first.nodes == ("李雷", "=1+1")
    assert second.nodes == ("a\tb", '"q"')  # equally near: in the order of the nodes
    assert (table.has_features, table.agreement) == (False, None)
    assert repr(table) == "ClusterTable(5 nodes in 2 clusters)"
    page = table._repr_html_()
    assert "李雷, =1+1" in page
    assert "5 nodes in 2 clusters, kmeans" in page
    assert "typical features" not in page


def test_features_are_those_of_the_graph_and_classes_give_the_agreement():
    x = np.zeros((5, 2), dtype=np.float32)
    x[3:, 1] = 1
    table = describe_clusters(
        CLUSTERS, graph(x=x, feature_names=["f", "g"], y=[1, 1, -1, 0, 0]), MU
    )
    assert table.has_features
    assert [[f.name for f in p.features] for p in table.profiles] == [[], []]  # too few nodes
    many = Clusters(LABELS.repeat(8), CLUSTERS.confidence.repeat(8), "kmeans", {})
    large = Graph.from_edges([[0], [1]], x=x.repeat(8, axis=0), feature_names=["f", "g"])
    profiles = describe_clusters(many, large, MU.repeat(8, axis=0)).profiles
    assert [[f.name for f in p.features] for p in profiles] == [[], ["g"]]
    assert table.agreement == (1.0, 1.0, 4)  # a node is of unknown class
    page = table._repr_html_()
    assert "typical features" in page
    assert "classes of 4 nodes: ARI 1.000, NMI 1.000." in page
    assert describe_clusters(CLUSTERS, graph(y=[0, 0, 0, 0, -1]), MU).agreement is None


def test_vectors_alone_are_named_by_number():
    table = describe_clusters(CLUSTERS, None, torch.from_numpy(MU), y=np.array([0, 1, 0, 1, 0]))
    assert list(table.ids) == [0, 1, 2, 3, 4]
    assert table.agreement is not None
    assert table.agreement.ari < 0.5


def test_the_table_is_one_row_per_node_with_its_name(tmp_path):
    table = describe_clusters(CLUSTERS, graph(), MU)
    table.save(tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text(encoding="utf-8").split("\n")[:4] == [
        "id,cluster,confidence",
        '"Müller, Jo",0,1.0',
        "李雷,0,0.5",
        "'=1+1,0,0.6",
    ]
    table.save(tmp_path / "c.json")
    rows = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert [row["id"] for row in rows] == NAMES
    frame = table.to_pandas()
    assert frame["cluster"].tolist() == LABELS.tolist()


def test_the_description_is_plain_json():
    table = describe_clusters(CLUSTERS, graph(y=[1, 1, 1, 0, 0]), MU)
    found = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert (found["method"], found["k"], found["scores"]) == ("kmeans", 2, [[2, 0.5], [3, 0.25]])
    assert found["agreement"] == {"ari": 1.0, "nmi": 1.0, "num_nodes": 5}
    assert [row["cluster"] for row in found["clusters"]] == [0, 1]
    assert found["clusters"][0]["features"] == []


@pytest.mark.parametrize("rows", [4, 6])
def test_clusters_of_other_nodes_are_refused(rows):
    with pytest.raises(DataError, match=f"clusters are of 5 nodes, .* embedding {rows}"):
        describe_clusters(CLUSTERS, graph(), np.ones((rows, 2)))
    other = Graph.from_edges([[0], [1]])
    with pytest.raises(DataError, match="the graph has 2"):
        describe_clusters(CLUSTERS, other, MU)
