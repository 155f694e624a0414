"""Disks, memory, devices, signals, clocks and consoles that are not as one would like them.

The ids are the rows of the catalogue of bad input, R01 to R20. Kills are in tests/faults.
"""

import os
import pty
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import vgae
import vgae.cli.train
import vgae.training.checkpoint
from vgae.runtime.npz import read_arrays

ROOT = Path(__file__).parents[2]
PROGRAM = "import vgae.training.checkpoint as c; c.SECONDS = 0; from vgae.cli import main; main()"


@pytest.fixture
def quick(monkeypatch):
    """Draw no figures: they take longer than the trainings."""
    monkeypatch.setattr(vgae.cli.train, "draw_figures", lambda run: None)


def process(*words, file_size=None, **environment):
    """Run the command in a process of its own, checkpoints after each epoch."""

    def limit():
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        capture_output=True,
        timeout=300,
        preexec_fn=limit,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )


def one_line(err, code):
    line = err.decode() if isinstance(err, bytes) else err
    assert line.startswith(f"error[{code}]: "), line
    assert line.count("\n") == 1
    return line


@pytest.mark.row("R03")
def test_a_reader_that_closes_the_pipe_ends_the_command_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "vgae", "datasets", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(writing)
    assert ended.stderr == b""
    assert ended.returncode in (1, 141)


@pytest.mark.row("R04")
def test_a_disk_that_is_full_ends_it_with_the_last_checkpoint_whole(sbm_file, tmp_path, command):
    run = tmp_path / "run"
    options = ["--epochs", "8", "--quiet"]
    ended = process("train", sbm_file, *options, "-o", run, file_size=20_000)
    line = one_line(ended.stderr, "NO_SPACE")
    assert "epoch-000000001.ckpt cannot be written (File too large); make room" in line
    assert ended.returncode == 5
    assert not list(run.rglob(".tmp-*"))
    # With room again, it goes on, and ends where it would have.
    assert command("train", "--resume", run, "--quiet")[0] == 0
    assert command("train", sbm_file, *options, "-o", tmp_path / "whole")[0] == 0
    mu = [read_arrays(f / "embeddings.npz")["mu"] for f in (run, tmp_path / "whole")]
    assert np.array_equal(*mu)


@pytest.mark.row("R05")
def test_too_little_room_is_told_before_training(
    sbm_file, tmp_path, command, caplog, quick, monkeypatch
):
    usage = vgae.training.checkpoint.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(vgae.training.checkpoint.shutil, "disk_usage", lambda _: usage)
    assert command("train", sbm_file, "--epochs", "1", "-o", tmp_path / "run")[0] == 0
    assert "has 0 MB free; make room" in caplog.text


@pytest.mark.parametrize(
    "words",
    [
        ["train", "{graph}", "-q", "--epochs", "100000", "-o"],
        ["train", "digits", "-q", "--epochs", "100000", "-o"],
        ["table", "--seeds", "1", "-o"],
        ["convert", "{graph}", "-o"],
    ],
    ids=lambda words: f"R06-{words[0]}",
)
def test_a_place_that_cannot_be_written_is_told_before_any_work(
    words, sbm_file, tmp_path, command
):
    (tmp_path / "file").write_text("in the way")
    words = [word.format(graph=sbm_file) for word in words]
    suffix = ".json" if words[0] == "table" else ".npz"
    status, _, err = command(*words, tmp_path / "file" / f"out{suffix}")
    assert "cannot be written" in one_line(err, "CANNOT_WRITE")
    assert status == 5
    assert (tmp_path / "file").read_text() == "in the way"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("words", [["--max-memory", "1"]], ids=["R09"])
def test_what_the_memory_cannot_hold_is_refused_with_the_number(words, tmp_path, command):
    out = tmp_path / "run"
    status, _, err = command("train", "stdlib", "--pairs", "exact", *words, "-o", out, "-q")
    assert "MB" in one_line(err, "MEMORY")
    assert status == 5
    assert not out.exists()


@pytest.mark.row("R10")
@pytest.mark.parametrize("device", ["cuda", "cuda:7", "npu"])
def test_a_device_that_is_not_there_is_refused(device, tmp_path, command):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    status, _, err = command("train", "--device", device, "-o", tmp_path / "run", "-q")
    assert "use --device cpu or auto" in one_line(err, "DEVICE")
    assert status == 5
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("lr", ["1e9", "1e8"], ids=["R11", "R11-smaller"])
def test_a_loss_that_is_not_finite_ends_it_and_the_checkpoint_before_stays(
    lr, sbm_file, tmp_path, command, quick, monkeypatch
):
    monkeypatch.setattr(vgae.training.checkpoint, "SECONDS", 0)
    run = tmp_path / "run"
    words = ["--set", "optimizer=rmsprop", "--set", f"lr={lr}", "--epochs", "500"]
    words += ["--recipe", "paper"]
    status, _, err = command("train", sbm_file, *words, "-o", run, "-q")
    line = one_line(err, "DIVERGED")
    assert f"try a smaller lr (now {float(lr)})" in line
    assert status == 6
    for path in (run / "checkpoints").glob("*.ckpt"):
        tensors = vgae.training.checkpoint.read_checkpoint(path).tensors
        assert all(value.isfinite().all() for value in tensors.values())


@pytest.mark.row("R12")
def test_no_result_depends_on_the_clock(sbm_file, tmp_path, command, quick, monkeypatch):
    for name, clock in (("a", time.time), ("b", lambda: -1e9 * random.random())):
        monkeypatch.setattr(time, "time", clock)
        monkeypatch.setattr(vgae.training.checkpoint, "SECONDS", 0)
        assert command("train", sbm_file, "--epochs", "3", "-o", tmp_path / name)[0] == 0
    for file in ("history.jsonl", "embeddings.npz", "model/model.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.row("R13")
def test_a_console_without_unicode_and_a_path_with_it_work(tmp_path):
    folder = tmp_path / "a b é 🎉" / ("x" * 200)
    folder.mkdir(parents=True)
    graph = folder / "γράφος.csv"
    lines = [f"ö{u},\u202e{v}" for u in range(12) for v in range(u + 1, 12) if (u + v) % 3]
    graph.write_text("\n".join(lines), encoding="utf-8")
    ended = process(
        *("train", graph, "--epochs", "2", "-o", folder / "run"),
        LANG="C",
        LC_ALL="C",
        PYTHONIOENCODING="ascii:strict",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert ended.stdout.isascii()
    assert (folder / "run" / "figures" / "training.png").exists()


SETTINGS = {
    "epochs": ["-1", "1.5", "nan", "10000000000"],
    "lr": ["-1", "nan", "inf", "x"],
    "beta": ["-0.5", "inf"],
    "hidden_channels": ["0", "-1", "1000000000000", "a"],
    "latent_channels": ["0", "1.5"],
    "dropout": ["1", "-0.1", "nan"],
    "mask": ["1", "-1"],
    "patience": ["-1"],
    "eval_every": ["0"],
    "optimizer": ["sgd2"],
    "nothing": ["1"],
}


@pytest.mark.parametrize(
    "words",
    [
        *(["--set", f"{name}={value}"] for name, values in SETTINGS.items() for value in values),
        ["--set", "lr"],
        ["--epochs", "-1"],
        ["--epochs", "two"],
        ["--seed", "-1"],
        ["--seed", str(2**70)],
        ["--seed", "1.5"],
        ["--recipe", "bset"],
        ["--model", "vgea"],
        ["--max-memory", "nan"],
        ["--max-memory", "-5"],
        ["--pairs", "all"],
    ],
    ids=lambda words: f"R14-{'-'.join(words)}".replace("--", ""),
)
def test_settings_out_of_their_range_are_refused_before_anything_is_read(words, tmp_path, command):
    out = tmp_path / "run"
    status, stdout, err = command("train", "stdlib", *words, "-o", out, "-q")
    assert (status, stdout) == (2, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].strip()
    assert not out.exists()


@pytest.mark.parametrize("recipe", ["paper", "best"], ids=["R14-zero-paper", "R14-zero-best"])
def test_no_epochs_leave_the_initial_weights(recipe, sbm_file, tmp_path, command, quick):
    words = ["--epochs", "0", "--recipe", recipe]
    assert command("train", sbm_file, *words, "-o", tmp_path / "run")[0] == 0
    assert (tmp_path / "run" / "history.jsonl").read_text() == ""


def global_state():
    """What a call must leave as it found it."""
    return {
        "torch": torch.random.get_rng_state().tolist(),
        "numpy": str(np.random.get_state(legacy=True)),  # noqa: NPY002
        "python": random.getstate(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "precision": torch.get_float32_matmul_precision(),
        "convolutions": torch.backends.cudnn.conv.fp32_precision,
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "errors of numpy": np.geterr(),
    }


@pytest.mark.row("R15")
def test_public_calls_leave_global_state_as_it_was(sbm, tmp_path):
    images = vgae.load_images("digits")
    before = global_state()
    split = vgae.split_links(sbm)
    assert global_state() == before
    recipe = vgae.recipes.BEST.override({"epochs": "3", "hidden_channels": "16"})
    result = vgae.fit(sbm, split, recipe=recipe, checkpoints=tmp_path, progress=False)
    assert global_state() == before
    vgae.evaluate(result.model, sbm, split)
    vgae.embed(result.model, sbm)
    vgae.predict_links(result.model, sbm, k=2)
    assert global_state() == before
    small = vgae.recipes.images.SMALL2D.override({"epochs": "1"})
    model = vgae.fit_images(images, recipe=small, progress=False).model
    vgae.evaluate_images(model, images.test[:4], num_samples=2)
    vgae.VGAEEmbedder(max_epochs=1, random_state=0).fit(sbm)
    assert global_state() == before


@pytest.mark.row("R15")
def test_a_training_in_a_thread_is_the_same(sbm, tmp_path):
    from threading import Thread

    split = vgae.split_links(sbm)
    found = {}

    def work(name):
        recipe = vgae.recipes.BEST.override({"epochs": "3", "hidden_channels": "16"})
        folder = tmp_path / name
        result = vgae.fit(sbm, split, recipe=recipe, checkpoints=folder, progress=False)
        found[name] = result.last

    work("main")
    threads = [Thread(target=work, args=[name]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("one", "two"):
        assert all(torch.equal(found["main"][key], found[name][key]) for key in found["main"])


@pytest.fixture(scope="module")
def trained(sbm_file, tmp_path_factory):
    from vgae.runs.graphs import train_run

    folder = tmp_path_factory.mktemp("trained") / "run"
    recipe = vgae.recipes.PAPER.override({"epochs": "2"})
    train_run(str(sbm_file), folder, recipe=recipe, progress=False)
    return folder


@pytest.mark.parametrize(
    ("rows", "code", "says"),
    [
        pytest.param("node-0,nobody\nx,y\n", "UNKNOWN_NODE", "nobody", id="R16-unknown"),
        pytest.param("node-0,node-0\n", "SELF_PAIR", "node-0", id="R16-self"),
    ],
)
def test_pairs_that_cannot_be_scored_are_named(rows, code, says, trained, tmp_path, command):
    (tmp_path / "pairs.csv").write_text(rows)
    out = tmp_path / "scores.csv"
    status, _, err = command("predict", trained, "--pairs", tmp_path / "pairs.csv", "-o", out)
    assert says in one_line(err, code)
    assert status == 3
    assert not out.exists()


@pytest.mark.row("R17")
def test_more_proposals_than_there_are_are_cut_off_and_told(trained, tmp_path, command, caplog):
    out = tmp_path / "links.csv"
    status, _, err = command("predict", trained, "--top-k", "1000", "-o", out)
    assert status == 0, err
    assert "120 nodes have fewer than 1000 pairs that are not linked" in caplog.text
    assert len(out.read_text().splitlines()) > 120


LIMITED = """
import resource, sys
import vgae.cli.app, vgae.cli.train, vgae.runs.graphs, vgae.report.views
vgae.cli.train.draw_figures = lambda run: None
number = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
vgae.cli.app.main()
"""


@pytest.mark.row("R19")
def test_too_few_open_files_are_named_with_their_limit(sbm_file, tmp_path):
    words = ["train", sbm_file, "--epochs", "2", "-q", "-o", tmp_path / "run"]
    for number in (3, 4, 5):
        ended = subprocess.run(
            [sys.executable, "-c", LIMITED, str(number), *map(str, words)],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        line = one_line(ended.stderr, "NO_FILES")
        assert f"may have at most {number} files open at once; raise the limit" in line
        assert ended.returncode == 5


@pytest.mark.row("R02", "R20")
def test_a_training_on_a_terminal_that_is_closed_ends_with_a_checkpoint(sbm_file, tmp_path):
    run, environment = tmp_path / "run", {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    words = ["train", str(sbm_file), "--epochs", "1000000", "-o", str(run)]
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and inherited
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM, *words], environment)
    try:
        while not list(run.glob("checkpoints/*.ckpt")):
            os.read(terminal, 65536)
    finally:
        os.close(terminal)  # which sends SIGHUP
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 129
    newest = max(run.glob("checkpoints/epoch-*.ckpt"))
    vgae.training.checkpoint.read_checkpoint(newest)
    assert not list(run.rglob(".tmp-*"))
