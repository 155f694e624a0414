import shutil

import numpy as np
import pytest

import vgae
from vgae.report.pages.clusters import cluster_colours, cluster_section
from vgae.report.pages.frame import packed, unpacked
from vgae.report.pages.graphs import graph_page
from vgae.runs.clusters import cluster_run


@pytest.fixture(scope="module")
def clustered(graph_run, tmp_path_factory):
    """A run with clusters, beside the shared one, which has none."""
    folder = tmp_path_factory.mktemp("clustered") / "run"
    shutil.copytree(graph_run.folder, folder)
    run = vgae.load_run(folder)
    vars(run)["graph"] = graph_run.graph
    return run, cluster_run(run, k=4, method="kmeans")


def drawn(table):
    plane = np.random.default_rng(0).random((len(table), 2), dtype=np.float32)
    colours = cluster_colours(table.clusters.labels, np.arange(len(table)))
    return {"planes": {"PCA": packed(plane.flatten())}, **colours}


def test_the_section_has_a_row_for_each_cluster_and_each_feature(clustered):
    _, table = clustered
    content = cluster_section(table, drawn(table))
    rows = content["table"].rows
    assert [row[0][1] for row in rows] == [0, 1, 2, 3]
    assert [row[-2][1] for row in rows] == table.clusters.sizes.tolist()
    assert rows[0][1] == "; ".join(table.profiles[0].nodes)
    features = [(n, f.name) for n, p in enumerate(table.profiles) for f in p.features]
    assert [(row[0][1], row[1]) for row in content["features"].rows] == features
    assert "4 clusters by k-means" in content["chosen"]
    assert content["agreement"].startswith("Agreement with the known classes of 120 nodes")
    assert content["image"].startswith("data:image/png;base64,")
    assert content["num_left_out"] == 0


def test_without_features_there_is_no_table_of_them(clustered):
    _, table = clustered
    vectors = np.random.default_rng(0).random((120, 2))
    alone = vgae.describe_clusters(table.clusters, None, vectors)
    content = cluster_section(alone, drawn(alone))
    assert content["features"] is None
    assert [column.title for column in content["table"].columns][2:] == ["nodes", "confidence"]


def test_small_clusters_share_a_colour():
    labels = np.repeat(np.arange(40), 2)
    found = cluster_colours(labels, np.array([0, 1, 58, 62, 79]))
    assert unpacked(found["cluster"]).tolist() == [0, 0, 29, 30, 30]
    assert found["cluster_names"][-2:] == ["cluster 29", "smaller clusters"]
    assert cluster_colours(labels[:60], np.arange(60))["cluster_names"][-1] == "cluster 29"


def test_the_page_shows_them(clustered):
    html = graph_page(clustered[0], top_k=5)
    for words in ('id="cluster-table"', 'id="cluster-features"', '<option value="cluster">'):
        assert words in html
    assert html.count("Nodes coloured by cluster") == 1
