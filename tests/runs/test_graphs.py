import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from vgae.data.files import write_npz
from vgae.data.reading import Reading
from vgae.errors import ArtifactError, DataError, ResourceError, UsageError
from vgae.evaluation.links import evaluate
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.models.embedding import embed
from vgae.models.registry import MODELS, graph_model
from vgae.recipes import BEST, PAPER
from vgae.runs.folder import Output
from vgae.runs.graphs import GRAPHS, GraphSource, train_run
from vgae.runs.kind import kind_for
from vgae.runs.lifecycle import load_run, resume
from vgae.runs.opening import open_graph

SHORT = replace(PAPER, epochs=6)


@pytest.fixture
def run(sbm_file, tmp_path):
    return train_run(str(sbm_file), tmp_path / "run", recipe=SHORT, seed=5)


def test_a_run_is_shown_with_its_folder_and_scores(run):
    auc = run.metrics["test"]["auc"]
    assert repr(run).startswith(f"Run({str(run.folder)!r}, vgae, val AUC ")
    assert f", test AUC {auc:.4g}, test AP " in repr(run)
    assert len(repr(run)) < 300
    assert f">{auc:.4g}</td>" in run._repr_html_()
    strange = {"test": {"auc": "<b>"}, "val": [], "health": ["<b>"]}
    odd = replace(run, metrics=strange, config={"model": "<i>", "recipe": 3})
    assert "&lt;b&gt;" in odd._repr_html_()
    assert "<i>" not in odd._repr_html_()


def test_a_run_folder_holds_what_the_architecture_says(run, sbm):
    written = {str(p.relative_to(run.folder)) for p in run.folder.rglob("*") if p.is_file()}
    assert written == {
        ".lock",
        ".paths.json",
        "config.json",
        "split.npz",
        "history.jsonl",
        "metrics.json",
        "model/README.md",
        "model/config.json",
        "model/model.safetensors",
        "model/node_ids.json",
        "model/calibration.json",
        "checkpoints/.lock",
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
        "embeddings.npz",
    }
    config = json.loads((run.folder / "config.json").read_text())
    assert config["recipe"] == asdict(SHORT)
    assert config["graph"]["fingerprint"] == sbm.fingerprint
    assert json.loads((run.folder / "model/node_ids.json").read_text()) == list(sbm.node_ids)


def test_a_run_has_what_the_health_check_found_and_a_calibration_at_the_density(sbm, tmp_path):
    write_npz(replace(sbm, x=torch.zeros(120, 2), feature_names=()), tmp_path / "zero.npz")
    run = train_run(str(tmp_path / "zero.npz"), tmp_path / "run", recipe=SHORT)
    (found,) = load_run(run.folder).metrics["health"]
    assert found.startswith("all features are 0;")
    assert run.calibration.prior == "density"


@pytest.mark.parametrize("model", MODELS)
def test_a_run_comes_back_from_its_folder(sbm, sbm_file, tmp_path, model):
    recipe = replace(BEST, epochs=6, keep="best", eval_every=2)
    source = GraphSource(str(sbm_file))
    if graph_model(model).decoder_class.directed:
        rows = [f"{u},{v}" for u, v in sbm.links.T.tolist()]
        (tmp_path / "arrows.csv").write_text("\n".join(["source,target", *rows]))
        arrows = str(tmp_path / "arrows.csv")
        source = GraphSource(arrows, reading=Reading(directed="keep", sides="none"))
    run = train_run(source, tmp_path / "run", model=model, recipe=recipe)
    back = load_run(run.folder)
    assert back.history == run.history
    assert back.metrics == run.metrics
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, back.model.state_dict()[name])
    assert back.calibration == run.calibration
    scores = evaluate(back.model, back.graph, back.split, calibration=back.calibration)
    assert scores["test"].to_dict() == run.metrics["test"]


def test_the_embeddings_are_the_model_over_training_messages(run, sbm):
    q = embed(run.model, sbm, run.split.message_edge_index)
    with np.load(run.folder / "embeddings.npz", allow_pickle=False) as file:
        assert np.array_equal(file["mu"], q.mu.numpy())
        assert np.array_equal(file["logvar"], q.logvar.numpy())
        assert file["ids"].tolist() == list(sbm.node_ids)


def test_the_same_settings_write_the_same_files_bit_for_bit(sbm_file, tmp_path):
    for name in "ab":
        train_run(str(sbm_file), tmp_path / name, recipe=SHORT)
    for file in ("model/model.safetensors", "history.jsonl", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_links_alone_can_be_trained_on(sbm_file, tmp_path):
    run = train_run(GraphSource(str(sbm_file), "none"), tmp_path / "run", recipe=SHORT)
    assert load_run(run.folder).graph.x is None


def test_a_folder_in_use_is_refused_before_anything_is_written(run, sbm_file):
    before = (run.folder / "metrics.json").stat().st_mtime_ns
    with pytest.raises(UsageError, match="not empty; choose another --out, replace it with"):
        train_run(str(sbm_file), run.folder)
    assert (run.folder / "metrics.json").stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_made_is_named(sbm_file, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written") as error:
        train_run(str(sbm_file), tmp_path / "file" / "run")
    assert error.value.exit_code == 5


def test_overwrite_replaces_runs_and_nothing_else(run, sbm_file, tmp_path):
    again = train_run(str(sbm_file), Output(run.folder, overwrite=True), recipe=SHORT, seed=6)
    assert load_run(run.folder).config["seed"] == again.config["seed"] == 6
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").touch()
    for _ in range(2):
        with pytest.raises(UsageError, match="holds no run that could be replaced"):
            train_run(str(sbm_file), Output(tmp_path / "thesis", overwrite=True), recipe=SHORT)
        assert (tmp_path / "thesis" / "chapter1.txt").exists()
        (tmp_path / "thesis" / "config.json").write_text("{}")


OF_SOURCE = ("features", "val")


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "gat"},
        {"features": "some"},
        {"device": "meta"},
        {"val": 2.0},
        {"seed": -1},
    ],
    ids=str,
)
def test_a_wrong_argument_deletes_nothing_and_writes_nothing(run, sbm_file, tmp_path, wrong):
    for folder in (run.folder, tmp_path / "new"):
        source = GraphSource(str(sbm_file), **{k: wrong[k] for k in wrong if k in OF_SOURCE})
        rest = {k: wrong[k] for k in wrong if k not in OF_SOURCE}
        with pytest.raises(ValueError, match=r"must|no model|cannot be used"):
            train_run(source, Output(folder, overwrite=True), recipe=SHORT, **rest)
    assert load_run(run.folder).metrics == run.metrics
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "changed", [lambda g: (g.links[:, 1:], g.x), lambda g: (g.links, 2 * g.x)], ids=["links", "x"]
)
def test_a_graph_that_changed_since_is_refused(sbm_file, tmp_path, changed):
    graph = open_graph(str(sbm_file))
    path = tmp_path / "graph.npz"
    write_npz(graph, path)
    run = train_run(str(path), tmp_path / "run", recipe=SHORT)
    links, x = changed(graph)
    write_npz(Graph.from_edges(links, num_nodes=120, x=x), path)
    with pytest.raises(ArtifactError, match="no longer holds the graph that") as error:
        load_run(run.folder).graph  # noqa: B018
    assert (error.value.code, error.value.exit_code) == ("DATA_CHANGED", 4)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "config.json").unlink(),
        lambda f: (f / "config.json").write_text("{"),
        lambda f: (f / "config.json").write_text("[]"),
        lambda f: (f / "config.json").write_bytes(b"\xff\xfe"),
        lambda f: (f / "config.json").write_text('{"format": "vgae-run-9"}'),
        lambda f: (f / "config.json").write_text('{"format": "vgae-run-1"}'),
        lambda f: (f / "metrics.json").unlink(),
        lambda f: (f / "history.jsonl").write_text('{"epoch": 1, "mood": "good"}\n'),
        lambda f: (f / "split.npz").write_bytes(b"PK"),
        lambda f: (f / "model/model.safetensors").write_bytes(b"\x00" * 100),
        lambda f: (f / "model/config.json").write_text('{"model": "vgae"}'),
        lambda f: (f / "model/config.json").write_text(
            (f / "model/config.json").read_text().replace('"in_channels": 40', '"in_channels": 41')
        ),
        lambda f: (f / "model/config.json").write_text(
            (f / "model/config.json").read_text().replace('"vgae"', '"os.system"')
        ),
    ],
)
def test_a_damaged_run_is_one_error(run, damage):
    damage(run.folder)
    with pytest.raises(ArtifactError) as error:
        load_run(run.folder)
    assert str(run.folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def split_folder(sbm, tmp_path):
    """A split in text, with three non-links of each test link."""
    split = split_links(sbm, seed=7)
    folder = tmp_path / "mine"
    folder.mkdir()
    parts = {"train": split.train, "val_pos": split.val.pos, "test_pos": split.test.pos}
    for name, pairs in parts.items():
        lines = [f"{sbm.ids[v]} {sbm.ids[u]}\n" for u, v in pairs.T.tolist()]
        (folder / f"{name}.txt").write_text("".join(lines))
    neg = split.test.neg.T.numpy()
    own = np.stack([neg, np.roll(neg, 1, axis=0), np.roll(neg, 2, axis=0)], axis=1)
    np.save(folder / "heart_test_samples.npy", own)
    return folder


def test_a_run_has_the_split_of_the_user_and_says_where_it_is_from(sbm_file, split_folder):
    source = GraphSource(str(sbm_file), split=str(split_folder))
    run = train_run(source, split_folder.parent / "run", recipe=SHORT)
    split = split_links(run.graph, seed=7)
    assert torch.equal(run.split.train, split.train)
    assert run.split.test.per_link == 3
    assert run.split.val.neg.shape == split.val.neg.shape  # drawn
    assert run.config["split"] == {"path": "mine", "digest": run.split.digest}
    assert GRAPHS.located(run.folder, run.config).split == str(split_folder)
    assert run.metrics["test"]["given"]["hits_at_10"] == 1
    assert run.metrics["test"]["num_non_links"] == 3 * run.metrics["test"]["num_links"]
    back = load_run(run.folder)
    assert back.split.test.per_link == 3
    scores = evaluate(back.model, back.graph, back.split, calibration=back.calibration)
    assert scores["test"].to_dict() == run.metrics["test"]


def test_the_split_in_the_run_is_the_truth_and_else_the_one_of_the_user(sbm_file, split_folder):
    source = GraphSource(str(sbm_file), split=str(split_folder))
    run = train_run(source, split_folder.parent / "run", recipe=SHORT)
    for name in ("metrics.json", "split.npz"):
        (run.folder / name).unlink()  # as if killed before the split was written
    again = resume(run.folder)
    assert torch.equal(again.split.test.neg, run.split.test.neg)
    assert again.metrics["test"] == run.metrics["test"]
    (run.folder / "metrics.json").unlink()
    for path in split_folder.iterdir():
        path.unlink()
    assert torch.equal(resume(run.folder).split.train, run.split.train)
    for name in ("metrics.json", "split.npz"):
        (run.folder / name).unlink()
    with pytest.raises(DataError, match="no links of val or test"):
        resume(run.folder)


def test_a_named_graph_with_a_split_of_the_user_is_opened_again(tmp_path):
    graph = open_graph("stdlib")
    split_links(graph, seed=3).save(tmp_path / "mine.npz")
    source = GraphSource("stdlib", split=str(tmp_path / "mine.npz"))
    run = train_run(source, tmp_path / "run", recipe=SHORT, progress=False)
    assert load_run(run.folder).graph.fingerprint == graph.fingerprint
    (run.folder / "metrics.json").unlink()
    assert resume(run.folder).split.digest == run.split.digest


def test_a_split_that_leaks_writes_nothing(sbm, sbm_file, split_folder):
    lines = [f"{sbm.ids[u]} {sbm.ids[v]}\n" for u, v in sbm.links.T.tolist()]
    (split_folder / "train.txt").write_text("".join(lines))
    out = split_folder.parent / "run"
    with pytest.raises(DataError, match="of test are training links too"):
        train_run(GraphSource(str(sbm_file), split=str(split_folder)), out, recipe=SHORT)
    assert not out.exists()


def test_two_splits_are_refused(sbm_file, tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("a,b,t\n1,2,3\n2,3,4\n")
    with pytest.raises(UsageError, match="two splits"):
        train_run(GraphSource(str(path), split=str(tmp_path), split_by_time="t"), tmp_path / "r")
    for source in (str(sbm_file), "stdlib"):
        with pytest.raises(UsageError, match="times are in a column of an edge list"):
            train_run(GraphSource(source, split_by_time="t"), tmp_path / "r")


def test_a_run_split_by_time_is_resumed_and_read_again(sbm, tmp_path):
    names = [(sbm.ids[u], sbm.ids[v]) for u, v in sbm.links.T.tolist()]
    lines = [f"{u},{v},{k % 97}\n" for k, (u, v) in enumerate(names)]
    (tmp_path / "g.csv").write_text("source,target,when\n" + "".join(lines))
    source = GraphSource(str(tmp_path / "g.csv"), val=0.1, split_by_time="when")
    run = train_run(source, tmp_path / "run", recipe=SHORT)
    split = {name: run.config["split"][name] for name in ("val", "test", "by_time")}
    assert split == {"val": 0.1, "test": 0.1, "by_time": "when"}
    when = {pair: k % 97 for k, pair in enumerate(names)}
    parts = []
    for part in (run.split.train, run.split.val.pos, run.split.test.pos):
        pairs = [(run.graph.ids[u], run.graph.ids[v]) for u, v in part.T.tolist()]
        parts.append([when.get(pair, when.get(pair[::-1])) for pair in pairs])
    assert max(parts[0]) <= min(parts[1]) <= max(parts[1]) <= min(parts[2])
    for name in ("metrics.json", "split.npz"):
        (run.folder / name).unlink()
    again = resume(run.folder)
    assert again.graph.link_weight is None
    assert torch.equal(again.split.test.edge_label_index, run.split.test.edge_label_index)


def test_deviations_of_a_split_are_logged_once_in_a_training(sbm_file, split_folder, caplog):
    caplog.set_level("INFO")
    source = GraphSource(str(sbm_file), split=str(split_folder))
    run = train_run(source, split_folder.parent / "run", recipe=SHORT)
    run.split.audit(run.graph)
    assert len([text for text in caplog.messages if "non-links of its own" in text]) == 1


def test_a_run_on_a_folder_is_opened_again_here_and_elsewhere(sbm, tmp_path, monkeypatch):
    folder = tmp_path / "there" / "raw"
    folder.mkdir(parents=True)
    pairs = "\n".join(f"{u},{v}" for u, v in sbm.links.T.tolist())
    (folder / "edge.csv").write_text(pairs)
    (folder / "num-node-list.csv").write_text(str(sbm.num_nodes))
    assert kind_for(str(folder)) is GRAPHS
    run = train_run(str(folder), tmp_path / "run", recipe=SHORT)
    assert run.config["graph"]["source"] == "./raw"
    assert load_run(run.folder).graph.link_fingerprint == sbm.link_fingerprint
    (run.folder / ".paths.json").unlink()
    with pytest.raises(DataError, match="put raw into the current folder"):
        _ = load_run(run.folder).graph
    monkeypatch.chdir(tmp_path / "there")
    assert load_run(run.folder).graph.link_fingerprint == sbm.link_fingerprint


def test_features_that_have_gone_are_named_with_their_place(sbm, sbm_file, tmp_path, monkeypatch):
    features = tmp_path / "there" / "own.csv"
    features.parent.mkdir()
    features.write_text("\n".join(["id,a,b", *(f"{name},1,2" for name in sbm.node_ids)]))
    run = train_run(GraphSource(str(sbm_file), str(features)), tmp_path / "run", recipe=SHORT)
    features.rename(tmp_path / "own.csv")
    with pytest.raises(DataError, match=f"^{features}, .* put own.csv into the current folder"):
        _ = load_run(run.folder).graph
    monkeypatch.chdir(tmp_path)
    assert load_run(run.folder).graph.num_features == 2


def test_a_run_on_a_data_set_of_pyg_is_opened_again(sbm, tmp_path, monkeypatch):
    named = "vgae.data.pyg_ogb._of_pyg"
    monkeypatch.setattr(named, lambda name, source: replace(sbm, name=name))
    monkeypatch.chdir(tmp_path)
    run = train_run("pyg:Planetoid/Cora", "run", recipe=SHORT)
    assert run.config["graph"]["source"] == "pyg:Planetoid/Cora"
    assert load_run("run").graph.fingerprint == sbm.fingerprint
    assert not (run.folder / ".paths.json").exists()
