"""The command on images, in this process but for one run of it all."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

SHORT = ("--epochs", "2", "--set", "hidden_channels=16", "--quiet")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on digits, by the command itself."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    done = subprocess.run(
        [sys.executable, "-m", "vgae", "train", "digits", *SHORT, "--out", str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for words in ("digits: 8 x 8, grey", "ELBO", "log p(x), 100 samples", "Try next", "--z 0,0"):
        assert words in done.stdout
    return folder


def test_training_draws_every_picture(run):
    names = {path.name for path in (run / "figures").iterdir()}
    assert {"reconstructions.png", "samples.png", "latent.png", "manifold.png"} <= names


def test_evaluate_scores_the_test_images_anew(run, command):
    status, out, _ = command("evaluate", run, "--samples", 100, "--json")
    assert status == 0
    assert json.loads(out)["test"] == json.loads((run / "metrics.json").read_text())["test"]
    assert "of 2 latent dimensions" in command("evaluate", run, "--samples", 2)[1]


def test_embed_writes_a_row_for_each_test_image(run, tmp_path, command):
    status, out, _ = command("embed", run, "-o", tmp_path / "z.csv", "--json")
    assert status == 0
    rows = (tmp_path / "z.csv").read_text().splitlines()
    assert rows[0] == "id,z_0,z_1"
    assert len(rows) == 1 + json.loads(out)["images"]


def test_sample_draws_from_the_prior_by_its_seed(run, tmp_path, command):
    paths = [tmp_path / f"{name}.npy" for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        assert command("sample", run, "-n", 5, "--seed", seed, "-o", path)[0] == 0
    first, same, other = map(np.load, paths)
    assert first.shape == (5, 1, 8, 8)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    status, out, _ = command("sample", run)
    assert (status, out.strip()) == (0, f"{run / 'samples.png'}: 100 images")
    assert (run / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_reconstruct_takes_the_test_images_or_others(run, tmp_path, command):
    assert command("reconstruct", run, "-n", 3, "-o", tmp_path / "r.npy")[0] == 0
    assert np.load(tmp_path / "r.npy").shape == (3, 1, 8, 8)
    assert command("reconstruct", run, "-n", 3, "-o", tmp_path / "r.png")[0] == 0
    np.save(tmp_path / "own.npy", np.random.default_rng(0).random((12, 8, 8), dtype=np.float32))
    arguments = ("reconstruct", run, tmp_path / "own.npy", "-n", 2, "-o", tmp_path / "own_r.npy")
    assert command(*arguments)[0] == 0
    np.save(tmp_path / "large.npy", np.zeros((12, 9, 9), dtype=np.float32))
    status, _, err = command("reconstruct", run, tmp_path / "large.npy")
    assert status == 3
    assert "(1, 8, 8)" in err
    assert err.count("\n") == 1


def test_decode_shows_the_image_at_a_point(run, tmp_path, command):
    arguments = ("decode", run, "--z", "1.69,0.28", "--z", "-1,0", "-o", tmp_path / "z.npy")
    assert command(*arguments)[0] == 0
    images = np.load(tmp_path / "z.npy")
    assert images.shape == (2, 1, 8, 8)
    assert (images >= 0).all()
    assert (images <= 1).all()


@pytest.mark.parametrize("z", ["1", "1,2,3", "1,x", "nan,0"])
def test_a_latent_vector_that_is_none_is_named(run, z, command):
    status, _, err = command("decode", run, "--z", z)
    assert status == 2
    assert "--z must be 2 finite numbers" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--features", "none"), "a run on images has no --features"),
        (("--recipe", "paper"), "no recipe 'paper' for images"),
        (("--model", "gae"), "no model 'gae' for images"),
        (("--set", "mask=0.5"), "'mask' is no field"),
    ],
)
def test_what_is_for_graphs_is_refused(arguments, words, tmp_path, command):
    status, _, err = command("train", "digits", *arguments, "-o", tmp_path / "run")
    assert status == 2
    assert words in err
    assert not (tmp_path / "run").exists()


def test_another_kind_of_file_is_not_written(run, tmp_path, command):
    status, _, err = command("sample", run, "-o", tmp_path / "samples.gif")
    assert status == 2
    assert "must end in one of .png, .npy" in err


@pytest.mark.row("R23")
@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["evaluate", "{run}", "--tasks", "links"], "--tasks"),
        (["evaluate", "{run}", "--messages", "train", "--hard", "0"], "--messages, --hard"),
        (["evaluate", "{run}", "--allow-seen"], "--allow-seen"),
        (["embed", "{run}", "--messages", "all"], "--messages"),
        (["embed", "{run}", "stdlib", "--features", "none"], "GRAPH, --features"),
        (["report", "{run}", "--top-k", "5"], "--top-k"),
    ],
)
def test_options_of_graphs_are_refused_by_every_command(words, flags, run, command):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    status, out, err = command(*(word.format(run=run) for word in words))
    assert (status, out) == (2, "")
    said = f"error[IMAGES]: a run on images has no {flags}; leave that out for {run}.\n"
    assert err == said
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.row("R23")
@pytest.mark.parametrize("words", [["predict", "{run}"], ["calibrate", "{run}"]])
def test_a_command_for_graphs_names_the_kind_of_the_run(words, run, command):
    status, _, err = command(*(word.format(run=run) for word in words))
    said = f"{run} is a run on images, not on a graph; give the folder of one on a graph."
    assert (status, err) == (4, f"error[RUN_KIND]: {said}\n")


def test_sheets_are_large_enough_to_be_seen_and_rows_are_labelled(run, tmp_path, command):
    path = tmp_path / "one.png"
    out = command("decode", run, "--z", "0,0", "-o", path)[1]
    assert out.strip() == f"{path}: 1 image"
    assert min(imread(path).shape[:2]) >= 480
    path = tmp_path / "pairs.png"
    assert command("reconstruct", run, "-n", 13, "-o", path)[0] == 0
    labelled = imread(path)
    assert labelled.shape[1] > 10 * 56
    assert labelled.shape[0] > 4 * 56  # two rows of images, two of reconstructions
    margin = labelled[:, :100, :3]
    assert margin.min() < 0.5  # letters


@pytest.mark.parametrize("words", [("sample",), ("reconstruct",), ("decode", "--z", "0,0")])
def test_images_that_cannot_be_written_are_refused_first(run, words, command, monkeypatch):
    monkeypatch.setattr("vgae.runs.kind.RunKind.load", None)  # never called
    status, _, err = command(words[0], run, *words[1:], "-o", "/dev/null/x.png")
    assert (status, err.count("\n")) == (5, 1)
    assert err.startswith("error[CANNOT_WRITE]: /dev/null/x.png cannot be written")
