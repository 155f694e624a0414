import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vgae.data.files import write_npz
from vgae.recipes import PAPER
from vgae.runs import clusters as runs_clusters
from vgae.runs.graphs import train_run


@pytest.fixture(scope="module")
def trained(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    recipe = replace(PAPER, epochs=40)
    return train_run(str(sbm_file), folder, recipe=recipe, progress=False).folder


@pytest.fixture
def run(trained, tmp_path):
    """A run that each test has for itself."""
    return shutil.copytree(trained, tmp_path / "run")


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_clusters_is_printed_and_one_of_nodes_written(run, command):
    status, out, err = command("clusters", run, "-k", 4, "--method", "kmeans")
    assert (status, err) == (0, "")
    lines = out.split("\n")
    head = ["cluster", "nodes", "confidence", "typical nodes", "typical features"]
    assert [word.strip() for word in lines[0].split("  ") if word] == head
    assert [line.split()[0] for line in lines[1:5]] == ["0", "1", "2", "3"]
    assert "4 clusters by k-means" in out
    assert "known classes of 120 nodes: ARI " in out
    assert out.endswith(f"\n{run / 'clusters.csv'}: 120 nodes\n")
    written = rows(run / "clusters.csv")
    assert [*written[0]] == ["id", "cluster", "confidence"]
    assert written[0]["id"] == "node-0"
    assert {row["cluster"] for row in written} == set("0123")
    assert all(0 <= float(row["confidence"]) <= 1 for row in written)


def test_json_has_the_description_and_the_same_seed_the_same_bits(run, command, tmp_path):
    outs = []
    for name in ("a.jsonl", "b.jsonl"):
        words = ("-k", 4, "--method", "kmeans", "--seed", 5, "-o", tmp_path / name, "--json")
        status, out, err = command("clusters", run, *words)
        assert (status, err) == (0, "")
        outs.append({**json.loads(out), "path": ""})
    assert outs[0] == outs[1]
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert (outs[0]["nodes"], outs[0]["k"], outs[0]["method"]) == (120, 4, "kmeans")
    assert [row["cluster"] for row in outs[0]["clusters"]] == [0, 1, 2, 3]
    assert not (run / "clusters.csv").exists()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_exports_after_it_have_the_cluster(run, command, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    before, after = tmp_path / f"before.{suffix}", tmp_path / f"after.{suffix}"
    assert command("embed", run, "-o", before)[0] == 0
    assert command("clusters", run, "-k", 4, "-q")[0] == 0
    assert command("embed", run, "-o", after)[0] == 0
    if suffix == "csv":
        old, new = rows(before), rows(after)
        assert [*old[0]][:3] == ["id", "label", "z_0"]
        assert [*new[0]][:5] == ["id", "label", "cluster", "cluster_confidence", "z_0"]
        assert [row["cluster"] for row in new] == [
            row["cluster"] for row in rows(run / "clusters.csv")
        ]
    assert before.read_bytes() != after.read_bytes()


def test_arrays_projector_and_links_have_it_but_not_the_embedding_of_the_run(
    run, command, tmp_path
):
    command("clusters", run, "-k", 4)
    for name in ("e.npz", "e.projector", "e.vec"):
        assert command("embed", run, "-o", tmp_path / name)[0] == 0
    assert set(np.load(tmp_path / "e.npz")["cluster"]) == {0, 1, 2, 3}
    lines = (tmp_path / "e.projector" / "metadata.tsv").read_text().split("\n")
    assert lines[0].split("\t") == ["name", "label", "cluster", "cluster_confidence"]
    assert len(lines[1].split("\t")) == 4
    assert command("embed", run)[0] == 0
    assert "cluster" not in np.load(run / "embeddings.npz")
    assert command("predict", run, "-k", 2)[0] == 0
    assert {"source_cluster", "target_cluster"} <= rows(run / "links.csv")[0].keys()


def test_a_run_without_clusters_is_exported_and_predicted_as_before(run, command, tmp_path):
    assert command("embed", run, "-o", tmp_path / "e.csv")[0] == 0
    assert "cluster" not in rows(tmp_path / "e.csv")[0]
    assert command("predict", run, "-k", 2)[0] == 0
    assert "source_cluster" not in rows(run / "links.csv")[0]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-k", "0"], 2, "error[K]"),
        (["-k", "121"], 2, "error[K]"),
        (["--method", "kmean"], 2, "error[METHOD]"),
        (["-o", "x.xls"], 2, "error[EXPORT_FORMAT]: x.xls must end in"),
        (["--features", "x.csv"], 2, "error[FEATURES]: without another GRAPH no --features"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_writes_nothing(
    run, command, arguments, status, words
):
    found, out, err = command("clusters", run, *arguments)
    assert (found, out) == (status, "")
    assert err.startswith(words)
    assert err.count("\n") == 1
    assert not (run / "clusters.csv").exists()
    assert not (run / "clusters.npz").exists()


@pytest.mark.parametrize("place", ["/dev/null/x.csv", "{tmp}/folder.csv"])
def test_a_place_that_cannot_be_written_is_noticed_before_the_work(
    run, command, tmp_path, place, monkeypatch
):
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.setattr(runs_clusters, "cluster_run", lambda *_, **__: pytest.fail("worked"))
    status, out, err = command("clusters", run, "-o", place.format(tmp=tmp_path))
    assert (status, out) == (5, "")
    assert err.startswith("error[CANNOT_WRITE]")
    assert err.count("\n") == 1


def test_another_graph_is_clustered_into_a_file_of_its_own(
    run, command, sbm, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_npz(sbm, tmp_path / "new.npz")
    status, out, err = command("clusters", run, "new.npz", "-k", 2)
    assert (status, err) == (0, "")
    assert out.endswith("new-clusters.csv: 120 nodes\n")
    assert len(rows(tmp_path / "new-clusters.csv")) == 120
    assert not (run / "clusters.npz").exists()


def test_names_with_commas_letters_of_any_script_and_control_characters(sbm, tmp_path, command):
    names = ["Müller, Jo", "李雷", "=1+1", "\x1b[2J", *(f"n{k}" for k in range(116))]
    features = [f"标签,{k}\x1b" for k in range(40)]
    graph = replace(sbm, node_ids=tuple(names), feature_names=tuple(features))
    write_npz(graph, tmp_path / "g.npz")
    recipe = replace(PAPER, epochs=40)
    folder = train_run(str(tmp_path / "g.npz"), tmp_path / "run", recipe=recipe).folder
    status, out, _ = command("clusters", folder, "-k", 4)
    assert status == 0
    assert all(line.isprintable() for line in out.split("\n"))
    assert "标签,3" in out
    written = rows(folder / "clusters.csv")
    assert [row["id"] for row in written[:4]] == ["Müller, Jo", "李雷", "'=1+1", "\x1b[2J"]
