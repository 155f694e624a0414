"""Tests of runs on collections: files of graphs, other collections, tasks, refusals."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vgae import DiagGaussian, Graph, GraphCollection, graph_vectors
from vgae.cli.app import app
from vgae.data.files import write_npz
from vgae.errors import UsageError
from vgae.evaluation.graph_likelihood import graph_log_likelihood
from vgae.recipes import PAPER
from vgae.runs.collections import embedded_graphs, evaluate_graph_vectors
from vgae.runs.graphs import train_run

SHORT = replace(PAPER, epochs=4)


def ring_or_path(size: int, *, ring: bool) -> Graph:
    nodes = np.arange(size)
    links = np.stack([nodes, (nodes + 1) % size])[:, : size if ring else size - 1]
    x = np.eye(4, dtype=np.float32)[nodes % 4]
    return Graph.from_edges(links, num_nodes=size, x=x)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    parts = [ring_or_path(8 + k % 5, ring=k % 2 == 0) for k in range(24)]
    names = [f"g{k}" for k in range(24)]
    y = ["ring" if k % 2 == 0 else "path" for k in range(24)]
    folder = tmp_path_factory.mktemp("graphs")
    write_npz(GraphCollection.from_graphs(parts, names=names, y=y), folder / "many.npz")
    return folder / "many.npz"


@pytest.fixture(scope="module")
def run(path):
    return train_run(str(path), path.parent / "run", recipe=SHORT)


def vgae(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_run_stores_a_row_for_each_graph(run):
    with np.load(run.folder / "graphs.npz") as stored:
        assert stored["ids"].tolist() == [f"g{k}" for k in range(24)]
        expected = graph_vectors(run, run.graph, edge_index=run.split.message_edge_index)
        assert isinstance(expected, DiagGaussian)
        np.testing.assert_array_equal(stored["mu"], expected.mu)
        np.testing.assert_array_equal(stored["logvar"], expected.logvar)
        found = graph_log_likelihood(run, run.graph, run.split.message_edge_index)
        np.testing.assert_array_equal(stored["anomaly"], found.anomaly)
        assert stored["nodes"].tolist() == [8 + k % 5 for k in range(24)]
    assert run.metrics["test"]["auc_per_graph"] is not None
    assert run.config["graph"]["num_graphs"] == 24
    assert run.config["graph"]["graph_sizes"] == [8, 10, 12]


def test_graphs_are_exported_with_names_labels_and_scores(run, tmp_path):
    out = tmp_path / "g.csv"
    done = vgae("embed", run.folder, "--graphs", "--readout", "moments", "-o", out)
    assert done.exit_code == 0, done.output
    assert "24 graphs, 36 dimensions" in done.output
    rows = rows_of(out)
    assert [*rows[0]][:7] == ["id", "label", "nodes", "links", "log_likelihood", "anomaly", "z_0"]
    assert (rows[1]["id"], rows[1]["label"], rows[1]["links"]) == ("g1", "path", "8")


def test_graphs_that_were_not_trained_on_are_embedded_and_get_proposals(run, path, tmp_path):
    others = GraphCollection.from_graphs([ring_or_path(9, ring=True)] * 2, names=["u", "v"])
    write_npz(others, tmp_path / "new.npz")
    done = vgae("embed", run.folder, tmp_path / "new.npz", "--graphs", "-o", tmp_path / "n.npz")
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "n.npz") as stored:
        assert stored["ids"].tolist() == ["u", "v"]
        np.testing.assert_allclose(stored["mu"][0], stored["mu"][1], atol=1e-5)
    out = tmp_path / "links.csv"
    words = ("predict", run.folder, tmp_path / "new.npz", "--per-graph", "-k", 2, "-o", out)
    done = vgae(*words)
    assert done.exit_code == 0, done.output
    assert [row["graph"] for row in rows_of(out)] == ["u", "u", "v", "v"]
    done = vgae("predict", run.folder, "--within", "g3", "--overall", "-k", 3, "-o", out)
    assert done.exit_code == 0, done.output
    rows = rows_of(out)
    assert {row["graph"] for row in rows} == {"g3"}
    assert rows[0]["source"].startswith("g3:")


def test_tasks_on_graphs(run):
    done = vgae("evaluate", run.folder, "--tasks", "graphs", "--json")
    found = json.loads(done.output)["graphs"]
    assert found == json.loads(json.dumps(evaluate_graph_vectors(run, "moments")))
    assert found["classes"]["num_graphs"] == 24
    done = vgae("evaluate", run.folder, "--tasks", "links,graphs")
    assert "averaged per graph: " in done.output
    assert "numbers of nodes and links alone" in done.output


def test_options_for_other_runs_are_refused(run, sbm_file, tmp_path):
    for words, message in (
        (("embed", run.folder, "--readout", "sum"), "without --graphs there is no"),
        (("evaluate", run.folder, "--readout", "sum"), "without --tasks graphs there is no"),
        (("embed", run.folder, "--graphs", "--readout", "max"), "readout must be one of"),
        (("predict", run.folder, "--within", "g77"), "has no graph 'g77'"),
        (("predict", run.folder, "--per-graph", "--overall"), "with --overall there is no"),
        (
            ("embed", run.folder, "--graphs", "-o", run.folder / "embeddings.npz"),
            "choose another --out",
        ),
    ):
        done = vgae(*words)
        text = done.output + str(done.exception)
        assert done.exit_code, words
        assert message in text, (words, text)
    one = train_run(str(sbm_file), tmp_path / "one", recipe=replace(SHORT, epochs=1))
    for found in (
        lambda: embedded_graphs(one, one.graph),
        lambda: evaluate_graph_vectors(one, "mean"),
    ):
        with pytest.raises(UsageError, match=r"must be of a collection of graphs, and .* is one"):
            found()
    assert not (one.folder / "graphs.npz").exists()
    assert torch.isfinite(one.embedding).all()
