"""Tests of runs on typed graphs, by their command."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import vgae
from vgae.cli.app import app
from vgae.errors import ArtifactError
from vgae.runs.kind import kind_of
from vgae.runs.lifecycle import resume


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the command, and its file of edges."""
    folder = tmp_path_factory.mktemp("typed")
    generator = np.random.default_rng(0)
    rows = [
        f"n{u},{name},n{v}"
        for name in ("likes", "knows")
        for u, v in generator.integers(40, size=(90, 2)).tolist()
    ]
    path = folder / "edges.csv"
    path.write_text("\n".join(["source,kind,target", *rows]) + "\n")
    words = ["train", str(path), "--relation", "kind", "--epochs", "3", "--val", "0.1", "-q"]
    result = CliRunner().invoke(app, [*words, "--out", str(folder / "run")])
    assert result.exit_code == 0, result.output
    return folder / "run", path, result.output


def test_the_command_prints_scores_of_each_relation(run):
    folder, _, output = run
    assert "likes" in output
    assert "(mean)" in output
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {*metrics["test"]["relations"]} == {"likes", "knows"}


def test_a_run_is_loaded_evaluated_and_embedded(run):
    folder, _, _ = run
    loaded = vgae.load_run(folder)
    assert repr(loaded).startswith("TypedRun(")
    scores = vgae.evaluate(loaded, loaded.graph, loaded.split)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert scores["test"].to_dict() == metrics["test"]
    result = CliRunner().invoke(app, ["evaluate", str(folder), "-q", "--json"])
    assert json.loads(result.output)["test"]["auc"] == pytest.approx(metrics["test"]["auc"])
    out = folder.parent / "z.npy"
    result = CliRunner().invoke(app, ["embed", str(folder), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert np.load(out).shape == (40, 16)
    table = vgae.predict_links(loaded, loaded.graph, 2, relation="likes")
    assert len(table) == 80


def test_a_run_without_its_results_is_continued_to_the_same_weights(run, tmp_path):
    folder, _, _ = run
    before = vgae.load_run(folder).model.state_dict()
    metrics = (folder / "metrics.json").read_bytes()
    (folder / "metrics.json").unlink()
    resume(folder, progress=False)
    after = vgae.load_run(folder).model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    theirs, ours = json.loads(metrics), json.loads((folder / "metrics.json").read_text())
    assert ours["test"] == theirs["test"]


def test_changed_data_are_refused(run):
    folder, path, _ = run
    text = path.read_text()
    path.write_text(text + "n0,likes,n39\n")
    kind, config = kind_of(folder), json.loads((folder / "config.json").read_text())
    with pytest.raises(ArtifactError, match="no longer holds"):
        kind.reopen(folder, config)
    path.write_text(text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "EDGES", "--relation", "none"], "no column 'none'"),
        (["train", "stdlib", "--relation", "kind"], "stdlib is a data set"),
        (["train", "EDGES", "--relation", "kind", "--recipe", "best"], "mask = 0.7"),
        (["train", "EDGES", "--relation", "kind", "--split", "RUN"], "has no --split"),
        (["predict", "RUN", "EDGES", "--relation", "knows"], "has no GRAPH"),
        (["evaluate", "RUN", "--hard", "10"], "has no --hard"),
        (["report", "RUN"], "have no page"),
    ],
)
def test_what_typed_runs_have_not_is_one_line(run, words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, path, _ = run
    named = {"EDGES": str(path), "RUN": str(folder)}
    result = CliRunner().invoke(app, [named.get(word, word) for word in words])
    assert result.exit_code != 0
    told_by = result.output + str(result.exception)
    assert told in told_by


def test_links_of_a_relation_are_proposed_by_the_command(run, tmp_path):
    folder, _, _ = run
    out = str(tmp_path / "links.csv")
    words = ["predict", str(folder), "-o", out, "-q"]
    given = CliRunner().invoke(app, [*words, "--relation", "likes", "-k", "2"])
    assert given.exit_code == 0, given.output
    found = vgae.load_run(folder)
    expected = vgae.predict_links(found, found.graph, 2, relation="likes")
    expected.save(tmp_path / "expected.csv")
    assert (tmp_path / "links.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    (tmp_path / "pairs.csv").write_text("n1,n2\nn3,n4\n")
    pairs = ["--relation", "knows", "--pairs", str(tmp_path / "pairs.csv")]
    assert CliRunner().invoke(app, [*words, *pairs]).exit_code == 0
    for more, text in (
        ([], "name one of the relations 'knows', 'likes' by relation (--relation)"),
        (["--relation", "like"], "Did you mean likes?"),
        (["--relation", "likes", "--prior", "balanced"], "typed graph has no --prior"),
    ):
        refused = CliRunner().invoke(app, [*words, *more])
        assert refused.exit_code
        assert text in str(refused.exception)
