import json
import shutil
from dataclasses import replace

import pytest
import torch

from vgae.data.files import write_npz
from vgae.errors import ArtifactError
from vgae.evaluation.links import calibrate, evaluate
from vgae.recipes import PAPER
from vgae.runs.calibrations import recalibrate
from vgae.runs.digests import check_digests, digests, settled, store_digests
from vgae.runs.graphs import GRAPHS, train_run
from vgae.runs.lifecycle import load_run
from vgae.runs.lock import locked

SHORT = replace(PAPER, epochs=4)


@pytest.fixture(scope="module")
def both(sbm_file, tmp_path_factory):
    """Two runs on one graph, with different seeds."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        train_run(str(sbm_file), folder / str(seed), recipe=SHORT, seed=seed, progress=False)
    return folder


@pytest.fixture
def run(both, tmp_path):
    shutil.copytree(both / "0", tmp_path / "run")
    return load_run(tmp_path / "run")


def test_a_file_that_is_changed_added_or_removed_is_another_one(tmp_path):
    (tmp_path / "a").write_text("1")
    metrics = {"files": digests(tmp_path, ["a", "b"])}
    assert metrics["files"]["b"] is None
    check_digests(tmp_path, metrics, ["a", "b", "unknown"])
    check_digests(tmp_path, {}, ["a", "b"])  # a run of the first version
    (tmp_path / "b").write_text("2")
    with pytest.raises(ArtifactError, match="b is not the file that belongs to this run"):
        check_digests(tmp_path, metrics, ["a", "b"])
    (tmp_path / "a").unlink()
    with pytest.raises(ArtifactError, match="a is not the file"):
        check_digests(tmp_path, metrics, ["a"])
    with pytest.raises(ArtifactError, match="is no JSON object"):
        check_digests(tmp_path, {"files": ["a"]}, ["a"])


def test_a_file_that_is_just_being_replaced_is_read_again(monkeypatch):
    monkeypatch.setattr("vgae.runs.digests._PATIENCE", 0)
    answers = iter([ArtifactError("RUN_MIXED", "a"), ArtifactError("RUN_MIXED", "b"), None])

    def read():
        if (answer := next(answers)) is not None:
            raise answer
        return "read"

    assert settled(read) == "read"
    answers = iter([ArtifactError("RUN_CORRUPT", "a"), None])
    with pytest.raises(ArtifactError):
        settled(read)


@pytest.mark.parametrize(
    "name",
    [
        *("model/model.safetensors", "model/config.json", "model/node_ids.json", "split.npz"),
        *("config.json", "history.jsonl"),
    ],
)
def test_a_file_of_another_run_is_refused_whatever_reads_it(both, run, name):
    shutil.copy(both / "1" / name, run.folder / name)
    if name == "model/node_ids.json":
        (run.folder / name).write_text(json.dumps([f"other-{k}" for k in range(120)]))
    with pytest.raises(ArtifactError) as caught:
        load_run(run.folder)
    assert caught.value.code in ("RUN_MIXED", "MODEL_CORRUPT")


def test_the_files_of_a_run_of_the_first_version_are_audited(both, run):
    for name in ("config.json", "metrics.json"):
        content = json.loads((run.folder / name).read_text())
        content.pop("files", None)
        content.get("split", {}).pop("digest", None)
        (run.folder / name).write_text(json.dumps(content))
    assert load_run(run.folder).graph.num_nodes == 120
    split = run.split
    leaky = replace(split, train=torch.cat([split.train, split.test.pos[:, :2]], dim=1))
    leaky.save(run.folder / "split.npz")
    with pytest.raises(ValueError, match="links"):
        _ = load_run(run.folder).graph


def test_a_calibration_that_was_cut_short_is_seen_and_made_again(run, monkeypatch):
    wanted = calibrate(run.model, run.graph, run.split, method="temperature")

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("vgae.runs.calibrations.store_digests", killed)
    with pytest.raises(KeyboardInterrupt):
        recalibrate(run, wanted)
    monkeypatch.undo()
    monkeypatch.setattr("vgae.runs.digests._PATIENCE", 0)
    with pytest.raises(ArtifactError, match="fit it again with 'vgae calibrate"):
        load_run(run.folder)
    loaded = GRAPHS.load(run.folder, unchecked=["model/calibration.json"])
    recalibrate(loaded, wanted)
    found = load_run(run.folder)
    assert found.calibration == wanted
    scores = evaluate(found.model, found.graph, found.split, calibration=wanted)
    assert found.metrics["test"] == json.loads(json.dumps(scores["test"].to_dict()))


def test_a_run_that_was_replaced_meanwhile_is_not_written_to(both, run):
    calibration = calibrate(run.model, run.graph, run.split)
    _ = run.embedding
    shutil.rmtree(run.folder)
    shutil.copytree(both / "1", run.folder)
    before = {path: path.read_bytes() for path in run.folder.rglob("*.json")}
    with pytest.raises(ArtifactError, match="is not the file that belongs to this run"):
        recalibrate(run, calibration)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_that_is_being_replaced_is_not_called_damaged(run):
    found = load_run(run.folder)
    for name in ("metrics.json", "embeddings.npz"):
        (run.folder / name).unlink()
    with locked(run.folder), pytest.raises(ArtifactError, match="is being trained") as caught:
        _ = found.embedding
    assert caught.value.code == "NOT_COMPLETE"


def test_other_names_of_the_nodes_are_other_data(sbm, tmp_path, resign):
    path = tmp_path / "graph.npz"
    write_npz(sbm, path)
    run = train_run(str(path), tmp_path / "run", recipe=SHORT, progress=False)
    write_npz(replace(sbm, node_ids=tuple(f"other-{k}" for k in range(120))), path)
    with pytest.raises(ArtifactError, match="other names") as caught:
        _ = load_run(run.folder).graph
    assert caught.value.code == "DATA_CHANGED"
    (run.folder / "model" / "node_ids.json").write_text("[")
    resign(run.folder)
    with pytest.raises(ArtifactError) as caught:
        _ = load_run(run.folder).graph
    assert caught.value.code == "RUN_CORRUPT"


def test_an_embedding_of_another_run_is_neither_shown_nor_kept(both, run):
    shutil.copy(both / "1" / "embeddings.npz", run.folder / "embeddings.npz")
    before = (run.folder / "metrics.json").read_bytes()
    found = load_run(run.folder)
    with pytest.raises(ArtifactError, match="write it again with 'vgae embed"):
        _ = found.embedding
    with pytest.raises(ArtifactError, match="vgae embed"):
        recalibrate(found, calibrate(found.model, found.graph, found.split))
    assert (run.folder / "metrics.json").read_bytes() == before


def test_other_changes_of_the_metrics_are_kept(run):
    metrics = store_digests(run.folder, ["split.npz"], note="x")
    assert metrics["note"] == "x"
    assert json.loads((run.folder / "metrics.json").read_text()) == metrics
    assert {"split.npz", "embeddings.npz"} <= metrics["files"].keys()
