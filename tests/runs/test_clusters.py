import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import vgae
from vgae.data.files import write_npz
from vgae.errors import ArtifactError, DataError, UsageError
from vgae.models.files import read_json, write_json
from vgae.prediction.links import predict_links
from vgae.recipes import PAPER
from vgae.recipes.images import ImageRecipe
from vgae.runs import digests
from vgae.runs.clusters import (
    CLUSTERS,
    stored_clusters,
    stored_table,
    with_clusters,
    with_clusters_of_ends,
)
from vgae.runs.commands import EmbeddingOptions
from vgae.runs.graphs import GRAPHS, train_run
from vgae.runs.images import train_image_run
from vgae.runs.lifecycle import train
from vgae.runs.lock import locked
from vgae.runs.typed import TYPED, TypedSource
from vgae.runtime.npz import read_arrays, write_arrays

SHORT = replace(PAPER, epochs=20)


@pytest.fixture(scope="module")
def trained(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    return train_run(str(sbm_file), folder, recipe=SHORT, progress=False)


@pytest.fixture
def run(trained, tmp_path):
    """A run that each test has for itself."""
    shutil.copytree(trained.folder, tmp_path / "run")
    copy = vgae.load_run(tmp_path / "run")
    vars(copy)["graph"] = trained.graph
    return copy


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    """No process is between the writes of two files."""
    monkeypatch.setattr(digests, "_PATIENCE", 0)


def same(left, right):
    assert np.array_equal(left.labels, right.labels)
    assert np.array_equal(left.confidence, right.confidence)
    assert (left.method, left.k, dict(left.scores)) == (right.method, right.k, dict(right.scores))


def test_clusters_are_those_of_the_embedding_over_all_links_and_come_back(run):
    table = vgae.cluster_run(run, k=4)
    q = vgae.embed(run, run.graph)
    same(table.clusters, vgae.evaluation.clusters.cluster(q, k=4, graph=run.graph))
    again = vgae.load_run(run.folder)
    same(stored_clusters(again, again.graph.ids), table.clusters)
    described = stored_table(again)
    assert described.to_dict() == table.to_dict()
    assert table.agreement.num_nodes == 120
    assert {f.name for p in table.profiles for f in p.features} <= {str(k) for k in range(40)}


def test_the_same_seed_gives_the_same_file_and_another_run_replaces_it(run):
    vgae.cluster_run(run, k=4, method="kmeans", seed=3)
    first = (run.folder / CLUSTERS).read_bytes()
    vgae.cluster_run(run, k=2, method="kmeans")
    assert stored_clusters(run, run.graph.ids).k == 2
    vgae.cluster_run(run, k=4, method="kmeans", seed=3)
    assert (run.folder / CLUSTERS).read_bytes() == first
    assert not [path for path in run.folder.iterdir() if path.name.startswith(".tmp")]


def test_a_run_without_clusters_is_exported_as_before(run):
    found = GRAPHS.embed(run, EmbeddingOptions())
    table = predict_links(run, run.graph, 2)
    assert stored_table(run) is None
    assert with_clusters(run, found) is found
    assert with_clusters_of_ends(run, table) is table


def test_exports_have_the_clusters(run):
    labels = torch.from_numpy(vgae.cluster_run(run, k=4).clusters.labels)
    more = with_clusters(run, GRAPHS.embed(run, EmbeddingOptions())).more
    assert np.array_equal(more["cluster"], labels)
    assert more["cluster_confidence"].shape == (120,)
    table = with_clusters_of_ends(run, predict_links(run, run.graph, 2))
    columns = table.columns()
    assert columns["source_cluster"].tolist() == labels[table.source].tolist()
    assert columns["target_cluster"].tolist() == labels[table.target].tolist()


def test_another_graph_is_clustered_and_not_stored(run, sbm):
    links = sbm.links[:, (sbm.links < 60).all(dim=0)]
    other = vgae.Graph.from_edges(links, x=sbm.dense_x[:60], node_ids=sbm.ids[:60])
    table = vgae.cluster_run(run, other, k=2)
    assert len(table) == 60
    assert table.agreement is None
    assert not (run.folder / CLUSTERS).exists()


def put(run, **changes):
    arrays = read_arrays(run.folder / CLUSTERS)
    write_arrays(run.folder / CLUSTERS, {**arrays, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": np.zeros(119, np.int64)}, r"labels has shape \(119,\)"),
        ({"labels": np.zeros(120)}, "labels has shape .* of float64"),
        ({"labels": np.full(120, -1)}, "not numbered from 0"),
        ({"labels": np.full(120, 2**40)}, "not numbered from 0"),
        ({"labels": np.arange(120) // 119}, None),
        ({"labels": 1 - np.arange(120) // 119}, "by falling size"),
        ({"labels": 2 * (np.arange(120) // 119)}, "by falling size"),
        ({"confidence": np.full(120, np.nan)}, "confidence has values outside"),
        ({"confidence": np.full(120, 1.5)}, "confidence has values outside"),
        ({"method": np.array("\x1b[2J")}, "scores or method"),
        ({"scores": np.zeros((1, 3))}, "scores or method"),
        ({"ids": np.arange(120)}, "its ids are not the names of the 120 nodes"),
    ],
)
def test_a_damaged_file_is_one_line(run, resign, changes, words):
    vgae.cluster_run(run, k=4)
    put(run, **changes)
    with pytest.raises(ArtifactError, match="write it again with 'vgae clusters") as caught:
        stored_table(run)
    assert caught.value.code == "RUN_MIXED"
    resign(run.folder)
    if words is None:  # it is one that could have been written
        assert stored_table(run).clusters.k == 2
        return
    with pytest.raises(ArtifactError, match=words) as caught:
        stored_table(run)
    assert caught.value.code == "RUN_CORRUPT"
    assert "\n" not in str(caught.value)
    vgae.cluster_run(run, k=4)
    assert stored_table(run).clusters.k == 4


def test_a_file_that_is_no_archive_or_lacks_an_array_is_one_line(run, resign):
    vgae.cluster_run(run, k=4)
    arrays = read_arrays(run.folder / CLUSTERS)
    write_arrays(run.folder / CLUSTERS, {k: v for k, v in arrays.items() if k != "scores"})
    resign(run.folder)
    with pytest.raises(ArtifactError, match="lacks 'scores'"):
        stored_table(run)
    (run.folder / CLUSTERS).write_bytes(b"PK")
    resign(run.folder)
    with pytest.raises(ArtifactError, match="not a zip archive; write it again"):
        stored_table(run)


def test_clusters_of_another_run_are_refused(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "other")
    vgae.cluster_run(run, k=4)
    shutil.copy(run.folder / CLUSTERS, tmp_path / "other" / CLUSTERS)
    other = vgae.load_run(tmp_path / "other")
    with pytest.raises(ArtifactError) as caught:
        stored_clusters(other, run.graph.ids)
    assert caught.value.code == "RUN_MIXED"
    (tmp_path / "other" / CLUSTERS).unlink()
    assert stored_clusters(other, run.graph.ids) is None


def test_a_run_that_was_replaced_meanwhile_gets_no_clusters(run):
    config = read_json(run.folder / "config.json")
    write_json(run.folder / "config.json", config | {"seed": 7})
    with pytest.raises(ArtifactError, match=r"config\.json is not the file that belongs"):
        vgae.cluster_run(run, k=4)
    assert not (run.folder / CLUSTERS).exists()


def test_a_folder_that_cannot_be_written_is_a_warning(run, caplog):
    with locked(run.folder), caplog.at_level(logging.WARNING):
        table = vgae.cluster_run(run, k=4)
    assert len(table) == 120
    assert "the clusters are not stored" in caplog.text
    assert not (run.folder / CLUSTERS).exists()


def test_a_wrong_number_writes_nothing(run):
    with pytest.raises(UsageError):
        vgae.cluster_run(run, k=121)
    assert not (run.folder / CLUSTERS).exists()


def test_a_collection_has_clusters_of_nodes(tmp_path):
    rings = [np.stack([np.arange(9), (np.arange(9) + 1) % 9]) for _ in range(6)]
    parts = [vgae.Graph.from_edges(e, x=np.eye(9, dtype=np.float32)) for e in rings]
    write_npz(vgae.GraphCollection.from_graphs(parts), tmp_path / "many.npz")
    run = train_run(str(tmp_path / "many.npz"), tmp_path / "run", recipe=replace(SHORT, epochs=2))
    table = vgae.cluster_run(run, k=2)
    assert len(table) == 54
    assert stored_table(run).to_dict() == table.to_dict()


def test_a_typed_run_has_clusters_of_nodes_of_all_types(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"u{rng.integers(20)},{rng.choice(['a', 'b'])},i{rng.integers(12)}" for _ in range(90)]
    (tmp_path / "g.csv").write_text("\n".join(["source,rel,target", *rows]))
    source = TypedSource(str(tmp_path / "g.csv"), relation="rel")
    run = train(TYPED, source, tmp_path / "run", recipe=replace(SHORT, epochs=2), progress=False)
    table = vgae.cluster_run(run, k=2)
    assert len(table) == run.graph.num_nodes
    found = with_clusters(run, TYPED.embed(run, EmbeddingOptions()))
    assert found.more["cluster"].tolist() == table.clusters.labels.tolist()


def test_test_images_have_clusters_compared_with_their_labels(tmp_path):
    recipe = ImageRecipe(name="short", hidden_channels=(16,), latent_channels=3, epochs=1)
    run = train_image_run("digits", tmp_path / "run", recipe=recipe, num_samples=2, progress=False)
    table = vgae.cluster_run(run, k=10)
    assert len(table) == len(run.images.test)
    assert table.agreement.num_nodes == len(table)
    assert not table.has_features
    assert stored_table(vgae.load_run(run.folder)).to_dict() == table.to_dict()


def test_without_test_images_there_is_nothing_to_cluster(tmp_path):
    images = np.random.default_rng(0).random((12, 1, 4, 4), dtype=np.float32)
    np.savez(tmp_path / "few.npz", train=images, val=images[:2], test=images[:0])
    recipe = ImageRecipe(name="short", hidden_channels=(8,), latent_channels=2, epochs=1)
    path = str(tmp_path / "few.npz")
    run = train_image_run(path, tmp_path / "run", recipe=recipe, num_samples=2, progress=False)
    with pytest.raises(DataError, match="few has no test images to cluster"):
        vgae.cluster_run(run, k=2)


def test_a_run_of_the_first_version_gets_clusters(tmp_path):
    golden = Path(__file__).parents[1] / "golden" / "runs"
    shutil.copytree(golden / "vgae-paper", tmp_path / "run")
    config = read_json(tmp_path / "run" / "config.json")
    config["graph"]["source"] = str(golden / config["graph"]["source"])
    write_json(tmp_path / "run" / "config.json", config)
    run = vgae.load_run(tmp_path / "run")
    assert stored_table(run) is None
    table = vgae.cluster_run(run, k=2)
    assert stored_table(run).to_dict() == table.to_dict()
