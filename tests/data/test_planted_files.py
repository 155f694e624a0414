import json
import zipfile

import numpy as np
import pytest

from vgae.data.files import read_graph
from vgae.data.planted_files import write_planted
from vgae.graphs.planted import PlantedGraph


@pytest.mark.parametrize("sparse", [False, True])
def test_npz_holds_the_graph_that_fits_in_memory(tmp_path, sparse):
    planted = PlantedGraph(3_000, features=30, sparse=sparse)
    written = write_planted(planted, tmp_path / "new" / "g.npz", progress=False)
    read, graph = read_graph(tmp_path / "new" / "g.npz"), planted.graph("g")
    assert read.links.equal(graph.links)
    assert read.name == "g"
    assert written.links == read.num_links
    assert read.x.to_dense().equal(graph.x.to_dense())
    assert read.x.layout == graph.x.layout
    assert read.y.equal(graph.y)
    assert read.label_names == graph.label_names
    assert read.node_ids is None
    assert not read.notes
    y, (u, v) = read.y, read.links
    assert written.across == int((y[u] != y[v]).sum())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["g.npz"]


def test_links_are_stored_without_compression_so_that_they_can_be_mapped(tmp_path):
    write_planted(PlantedGraph(1_000, 300), tmp_path / "g.npz")
    with zipfile.ZipFile(tmp_path / "g.npz") as archive:
        assert archive.getinfo("edges.npy").compress_type == zipfile.ZIP_STORED
        assert archive.getinfo("y.npy").compress_type == zipfile.ZIP_DEFLATED


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    planted = PlantedGraph(2_000, 500, features=5)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_planted(planted, tmp_path / name / "g.npz", tmp_path / name / "x.npy")
    for file in ("g.npz", "x.npy"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_csv_and_npy_hold_the_same_graph(tmp_path):
    planted = PlantedGraph(3_000, features=7)
    write_planted(planted, tmp_path / "g.csv", tmp_path / "x.npy")
    graph = planted.graph()
    lines = (tmp_path / "g.csv").read_text().splitlines()
    assert lines[0] == "source,target"
    assert [line.split(",") for line in lines[1:]] == graph.links.T.numpy().astype(str).tolist()
    assert np.array_equal(np.load(tmp_path / "x.npy"), graph.x.numpy())


def test_the_command_makes_a_graph_and_says_what_it_has(command, tmp_path):
    path, features = tmp_path / "g.npz", tmp_path / "x.npy"
    given = ("--links", 2_000, "--communities", 4, "--features", 6, "--mixing", 0.1, "--seed", 3)
    status, out, _ = command("datasets", "make", "-o", path, *given, "--features-file", features)
    read = read_graph(path, features=features)
    expected = PlantedGraph(2_000, 0, 4, 6, 2.5, 0.1, 3).graph()
    assert status == 0
    assert read.links.equal(expected.links)
    assert read.x.equal(expected.x)
    assert out.startswith(f"240 nodes in 4 communities, {read.num_links:,} links (2,000 expected)")
    _, out, _ = command(
        "datasets", "make", "-o", path, *given, "--features-file", features, "--json"
    )
    assert json.loads(out)["links"] == read.num_links


@pytest.mark.row("G62")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-o", "g.txt"], "EXPORT_FORMAT"),
        (["-o", "g.csv", "--features", "3"], "FEATURES"),
        (["-o", "g.npz", "--features", "3", "--features-file", "x.csv"], "EXPORT_FORMAT"),
        (["-o", "g.npz", "--features-file", "x.npy"], "FEATURES"),
        (
            ["-o", "g.npz", "--features", "30", "--sparse-features", "--features-file", "x.npy"],
            "FEATURES",
        ),
        (["-o", "g.npz", "--links", "0"], "PLANTED"),
    ],
)
def test_the_command_refuses_what_has_no_place(command, tmp_path, monkeypatch, options, code):
    monkeypatch.chdir(tmp_path)
    status, _, err = command("datasets", "make", *options)
    assert status == 2
    assert err.startswith(f"error[{code}]")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_command_does_not_take_no_nodes_for_the_usual_number(command, tmp_path):
    status, _, err = command("datasets", "make", "-o", tmp_path / "g.npz", "--nodes", 0)
    assert status == 2
    assert "--nodes" in err
    assert not list(tmp_path.iterdir())


def test_nothing_stays_of_a_graph_that_cannot_be_written(tmp_path, monkeypatch):
    planted = PlantedGraph(1_000, 300, features=3)
    monkeypatch.setattr(PlantedGraph, "feature_blocks", lambda self: iter([np.zeros((5, 3))]))
    with pytest.raises(ValueError, match="15 values"):
        write_planted(planted, tmp_path / "g.npz")
    assert not list(tmp_path.iterdir())
