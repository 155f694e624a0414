"""Runs with held-out features, and the command that imputes them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import vgae
from vgae.cli.app import main
from vgae.runs.features import without_held_out


def command(*arguments):
    with pytest.raises(SystemExit) as error:
        main([*map(str, arguments)])
    return error.value.code


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    side = np.arange(60) % 2
    u, v = np.triu_indices(60, 1)
    p = np.where(side[u] == side[v], 0.3, 0.02)
    kept = generator.random(len(u)) < p
    pd.DataFrame({"source": u[kept], "target": v[kept]}).to_csv("edges.csv", index=False)
    x = 1 + (2 * side - 1)[:, None] * np.array([1, -1, 1, -1]) * 0.8
    x += 0.2 * generator.normal(size=x.shape)
    nodes = pd.DataFrame(x, columns=["a", "b", "c", "d"])
    nodes.insert(0, "id", range(60))
    nodes.loc[[3, 4], "b"] = None
    nodes.to_csv("nodes.csv", index=False)
    return ["edges.csv", "--features", "nodes.csv", "--missing-features", "impute"]


def test_held_out_features_are_scored_and_missing_ones_imputed(files, capsys):
    how = ["--reconstruct", "features", "--hold-features", 0.2, "--epochs", 60]
    assert command("train", *files, *how, "--out", "run", "--quiet", "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    scores = metrics["features"]["test"]
    assert scores["likelihood"] == "normal"
    assert scores["num_entries"] == int(0.2 * 238)
    assert {"rmse", "coverage", "log_likelihood"} <= scores.keys()
    assert command("evaluate", "run", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["features"]["test"] == pytest.approx(scores)
    assert command("evaluate", "run") == 0
    text = f"47 held-out test features (normal): root mean squared error {scores['rmse']:.4g};"
    assert text in capsys.readouterr().out
    assert command("report", "run", "--quiet") == 0
    page = Path("run/report.html").read_text()
    assert text in page
    assert "--hold-features 0.2" in page
    assert command("impute", "run", "--quiet") == 0
    assert "run/features.csv: 49 features" in capsys.readouterr().out
    table = pd.read_csv("run/features.csv")
    assert table[table.id == 3].feature.tolist().count("b") == 1
    run = vgae.load_run("run")
    whole = vgae.read_graph("edges.csv", features="nodes.csv", missing_features="impute")
    assert run.graph.fingerprint == without_held_out(whole, 0.2).fingerprint
    assert len(run.graph.missing.values()) == 49


def test_features_are_not_held_out_without_a_target(files, capsys):
    assert command("train", *files, "--hold-features", 0.2, "--out", "run") == 2
    assert "--reconstruct features" in capsys.readouterr().err


def test_a_run_without_the_target_cannot_impute(files, capsys):
    assert command("train", *files, "--epochs", 1, "--out", "run", "--quiet") == 0
    capsys.readouterr()
    assert command("impute", "run") == 2
    assert "--reconstruct features" in capsys.readouterr().err


def test_no_fraction_leaves_the_graph_as_it_is():
    graph = vgae.Graph.from_edges([[0], [1]], x=torch.ones(2, 3))
    assert without_held_out(graph, 0.0) is graph
