"""Checkpoints and runs that cannot be gone on with as they are: refused, or the one before taken.

The ids are the rows of the catalogue of bad input, C01 to C16.
"""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import vgae.cli.train
import vgae.runs.lifecycle
import vgae.training.checkpoint
from vgae.recipes import recipe_named
from vgae.runtime.npz import read_arrays
from vgae.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

OPTIONS = ["--recipe", "best", "--epochs", "6", "--seed", "3", "--set", "hidden_channels=16"]


class Killed(Exception):
    """What stands for a kill, where the files that it leaves are what matters."""


@pytest.fixture(scope="session")
def broken_off(sbm_file, tmp_path_factory):
    """Folder of a run that trained, and was killed before it wrote what came out."""
    from vgae.runs.graphs import train_run

    folder = tmp_path_factory.mktemp("runs") / "run"
    recipe = recipe_named("best").override({"epochs": "6", "hidden_channels": "16"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgae.training.checkpoint, "SECONDS", 0)

        def die(*_, **options):
            raise Killed

        patch.setattr(vgae.runs.lifecycle, "_write_result", die)
        with pytest.raises(Killed):
            train_run(str(sbm_file), folder, recipe=recipe, seed=3, progress=False)
    assert [path.name for path in checkpoints(folder)] == [
        "epoch-000000005.ckpt",
        "epoch-000000006.ckpt",
    ]
    return folder


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """They are not what is looked at here, and take longer than the trainings."""
    monkeypatch.setattr(vgae.cli.train, "draw_figures", lambda run: None)


@pytest.fixture
def run(broken_off, tmp_path):
    return shutil.copytree(broken_off, tmp_path / "run")


@pytest.fixture
def whole(sbm_file, command, tmp_path):
    """What the run comes to if nothing happens to it."""
    assert command("train", sbm_file, *OPTIONS, "-o", tmp_path / "whole")[0] == 0
    return read_arrays(tmp_path / "whole" / "embeddings.npz")["mu"]


@pytest.fixture
def refused(command):
    """Run a command that must fail with one line, and not touch the run."""

    def go(run, code, *words, status=4):
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        found, _, err = command(*words)
        line = err.splitlines()[-1]
        assert line.startswith(f"error[{code}]: "), err
        assert found == status
        assert "Traceback" not in err
        history = run / "history.jsonl"  # is written anew, with what the checkpoint knows
        after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        assert {**before, history: after.get(history)} == {history: None, **after}
        return line

    return go


def checkpoints(folder):
    return sorted((folder / "checkpoints").glob("*.ckpt"))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "C01": truncate,
    "C02": flip,
    "C03-empty": lambda path: path.write_bytes(b""),
    "C03-zeros": lambda path: path.write_bytes(bytes(5000)),
    "C03-jpeg": lambda path: path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    damage, run, whole, command, caplog
):
    damage(checkpoints(run)[-1])
    status, _, err = command("train", "--resume", run)
    assert status == 0, err
    assert "epoch-000000006.ckpt" in caplog.text
    assert "The training continues from the one before." in caplog.text
    assert np.array_equal(read_arrays(run / "embeddings.npz")["mu"], whole)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_without_a_whole_checkpoint_nothing_is_begun_anew_unasked(
    damage, run, whole, command, refused
):
    for path in checkpoints(run):
        damage(path)
    line = refused(run, "CKPT_CORRUPT", "train", "--resume", run)
    assert "restore one, or remove them to start again" in line
    for path in checkpoints(run):
        path.unlink()
    assert command("train", "--resume", run)[0] == 0
    assert np.array_equal(read_arrays(run / "embeddings.npz")["mu"], whole)


def reseal(run, change):
    """Change the newest checkpoint, checksum and all."""
    for path in checkpoints(run):
        found = read_checkpoint(path)
        values, tensors = dict(found.values), dict(found.tensors)
        change(values, tensors)
        write_checkpoint(path, Checkpoint(values, tensors))


@pytest.mark.parametrize("version", [pytest.param(2, id="C04"), pytest.param(0, id="C05")])
def test_another_format_is_refused_and_named(version, run, refused, monkeypatch):
    monkeypatch.setattr(vgae.training.checkpoint, "FORMAT", version)
    for path in checkpoints(run):
        write_checkpoint(path, Checkpoint({"history": []}, {}))
    monkeypatch.undo()
    line = refused(run, "CKPT_VERSION", "train", "--resume", run)
    assert f"in format {version}, this version reads 1" in line


def other_shape(values, tensors):
    name = next(name for name in tensors if name.startswith("model/"))
    tensors[name] = torch.zeros(3, 3)


def missing(values, tensors):
    del tensors[next(name for name in tensors if name.startswith("model/"))]


def extra(values, tensors):
    tensors["model/encoder.more"] = torch.zeros(3)


def other_names(values, tensors):
    values["identity"]["model"] = "VAE()"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(missing, "CKPT_MISMATCH", id="C06-missing"),
        pytest.param(extra, "CKPT_MISMATCH", id="C06-extra"),
        pytest.param(other_shape, "CKPT_MISMATCH", id="C06-shape"),
        pytest.param(other_names, "CKPT_OTHER", id="C06-model"),
    ],
)
def test_the_checkpoint_of_another_model_is_refused(change, code, run, refused):
    reseal(run, change)
    refused(run, code, "train", "--resume", run)


@pytest.mark.row("C07")
def test_a_graph_that_has_changed_is_refused(run, refused):
    config = json.loads((run / "config.json").read_text())
    config["graph"]["source"] = "stdlib"
    (run / "config.json").write_text(json.dumps(config))
    line = refused(run, "DATA_CHANGED", "train", "--resume", run)
    assert "restore the data" in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["--set", "lr=0.5"], "began with lr = 0.03", id="C08"),
        pytest.param(["--seed", "4"], "began with seed = 3, not 4", id="C08-seed"),
        pytest.param(["--val", "0.2"], "began with val = 0.05, not 0.2", id="C08-split"),
        pytest.param(["--model", "gae"], "began with model = vgae", id="C08-model"),
        pytest.param(["--recipe", "paper"], "began with recipe = best", id="C08-recipe"),
    ],
)
def test_settings_that_differ_are_refused(words, says, run, refused):
    assert says in refused(run, "RUN_OTHER", "train", "--resume", run, *words)


def test_settings_of_how_long_may_differ_and_others_with_override(run, command, sbm_file):
    words = ["train", sbm_file, "--resume", run, "--recipe", "best", "--seed", "3"]
    words += ["--epochs", "9", "--set", "beta=0.5"]
    status, _, err = command(*words)
    assert (status, err.split(":")[0]) == (4, "error[RUN_OTHER]")
    assert command(*words, "--override")[0] == 0
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in history] == [*range(1, 10)]
    recipe = json.loads((run / "config.json").read_text())["recipe"]
    assert (recipe["epochs"], recipe["beta"]) == (9, 0.5)


@pytest.mark.row("C08")
def test_more_epochs_are_those_of_a_longer_run(run, command, sbm_file, tmp_path):
    assert command("train", "--resume", run, "--epochs", "12")[0] == 0
    options = [*OPTIONS, "--epochs", "12"]
    assert command("train", sbm_file, *options, "-o", tmp_path / "long")[0] == 0
    last = [load_file(f / "checkpoints" / "last.safetensors") for f in (run, tmp_path / "long")]
    assert all(torch.equal(value, last[1][name]) for name, value in last[0].items())


@pytest.mark.row("C09")
def test_other_versions_and_threads_are_told(run, command, caplog):
    config = json.loads((run / "config.json").read_text())
    config["threads"], config["versions"]["torch"] = 64, "2.0.0"
    (run / "config.json").write_text(json.dumps(config))
    assert command("train", "--resume", run)[0] == 0
    assert "threads 64 is now" in caplog.text
    assert "torch 2.0.0 is now" in caplog.text
    assert "not to the same last bits" in caplog.text


@pytest.mark.row("C10")
def test_a_run_that_is_complete_is_not_trained_again(run, command, caplog):
    assert command("train", "--resume", run)[0] == 0
    stamps = {path: path.stat().st_mtime_ns for path in run.glob("*.json*")}
    (run / "model" / ".tmp-left-by-a-kill").touch()
    assert command("train", "--resume", run)[0] == 0
    assert "is complete already" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in run.glob("*.json*")} == stamps
    assert not list(run.rglob(".tmp-*"))
    status, _, err = command("train", "--resume", run, "--epochs", "9")
    assert (status, err.split(":")[0]) == (4, "error[RUN_COMPLETE]")


@pytest.mark.row("C11")
def test_without_a_checkpoint_a_run_begins_anew_and_without_a_run_nothing(
    run, whole, command, refused, tmp_path, sbm_file
):
    for path in checkpoints(run):
        path.unlink()
    assert command("train", "--resume", run)[0] == 0
    assert np.array_equal(read_arrays(run / "embeddings.npz")["mu"], whole)
    refused(tmp_path / "none", "NOT_A_RUN", "train", "--resume", tmp_path / "none")
    # The same line begins it and, after a kill, goes on with it.
    words = ["train", sbm_file, *OPTIONS, "--resume", tmp_path / "new"]
    assert command(*words)[0] == 0
    assert np.array_equal(read_arrays(tmp_path / "new" / "embeddings.npz")["mu"], whole)
    assert command(*words)[0] == 0


@pytest.mark.row("C11")
@pytest.mark.parametrize("left", [[".probe"], [".tmp-1.json"], ["config.json"]])
def test_a_run_killed_before_its_first_file_can_be_begun_again(
    left, run, whole, command, tmp_path, sbm_file
):
    folder = tmp_path / "killed"
    folder.mkdir()
    for name in left:
        if (run / name).exists():
            shutil.copy(run / name, folder / name)
        else:
            (folder / name).touch()
    assert command("train", sbm_file, *OPTIONS, "--resume", folder)[0] == 0
    assert np.array_equal(read_arrays(folder / "embeddings.npz")["mu"], whole)
    assert not list(folder.rglob(".tmp-*"))


@pytest.mark.row("C12")
def test_stored_weights_that_are_not_finite_are_refused(run, refused):
    def spoil(values, tensors):
        next(t for name, t in tensors.items() if name.startswith("model/")).fill_(torch.nan)

    reseal(run, spoil)
    refused(run, "CKPT_NONFINITE", "train", "--resume", run)


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.mark.row("C13")
def test_a_pickle_with_the_name_of_a_checkpoint_is_not_run(run, refused, tmp_path):
    marker = tmp_path / "ran"
    for path in checkpoints(run):
        path.write_bytes(pickle.dumps(Payload(marker)))
    line = refused(run, "CKPT_CORRUPT", "train", "--resume", run)
    assert "is no checkpoint of this package" in line
    assert not marker.exists()


def sparse(w):
    with torch.sparse.check_sparse_tensor_invariants():
        return w.to_sparse()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(sparse, "sparse", id="C14-sparse"),
        pytest.param(lambda w: w.to(torch.bfloat16), "bfloat16", id="C14-half"),
        pytest.param(lambda w: w.to(torch.complex64), "complex", id="C14-complex"),
    ],
)
def test_what_is_not_dense_numbers_cannot_be_stored(make, words, tmp_path):
    tensor = make(torch.ones(2, 2))
    with pytest.raises(TypeError, match=words):
        write_checkpoint(tmp_path / "a.ckpt", Checkpoint({}, {"w": tensor}))
    assert not list(tmp_path.iterdir())


@pytest.mark.row("C14")
def test_strides_are_not_stored(tmp_path):
    huge = torch.zeros(1).expand(10, 10)
    write_checkpoint(tmp_path / "a.ckpt", Checkpoint({}, {"w": huge}))
    back = read_checkpoint(tmp_path / "a.ckpt").tensors["w"]
    assert back.is_contiguous()
    assert back.shape == (10, 10)


@pytest.mark.row("C16")
def test_a_folder_with_a_run_is_not_written_to_unasked(run, refused, sbm_file, command):
    words = ["train", sbm_file, *OPTIONS, "-o", run]
    line = refused(run, "RUN_EXISTS", *words, status=2)
    assert "--overwrite" in line
    assert "--resume" in line
    assert command(*words, "--overwrite")[0] == 0
    assert (run / "metrics.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "elsewhere"], "leave --out out"),
        (["--overwrite"], "leave --overwrite out"),
    ],
)
def test_options_that_make_no_sense_with_resume_are_refused(words, says, run, refused):
    assert says in refused(run, "RESUME", "train", "--resume", run, *words, status=2)


def test_override_needs_a_run_to_resume(command):
    assert command("train", "--override")[2].startswith("error[RESUME]: --override is for")


@pytest.mark.parametrize("damage", [[], None, 3, {"source": 5}], ids=repr)
@pytest.mark.parametrize("part", ["graph", "recipe", "split", "versions"])
def test_a_config_of_another_shape_is_one_line_or_does_no_harm(part, damage, run, command):
    config = json.loads((run / "config.json").read_text())
    config[part] = damage
    (run / "config.json").write_text(json.dumps(config))
    status, _, err = command("train", "--resume", run, "--seed", "3", "--quiet")
    # What is not needed does no harm: the split has a file of its own.
    if part == "versions" or (part, damage) == ("split", {"source": 5}):
        assert status == 0, err
        return
    assert status == 4
    assert err.splitlines()[-1].startswith("error[")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words", [["evaluate"], ["embed"], ["predict"], ["calibrate"]], ids=lambda words: words[0]
)
def test_an_interrupted_run_is_sent_to_resume(words, run, refused):
    line = refused(run, "NOT_COMPLETE", *words, run)
    assert line.endswith(f"vgae train --resume {run}")
