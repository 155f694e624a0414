"""The real command, killed with SIGKILL at random times: nothing is lost, and it goes on."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKS = ["stdlib", "--recipe", "best", "--epochs", "30"]
# The same command with a checkpoint after each epoch, so that kills meet all of its parts.
# Figures take longer than such trainings.
PROGRAM = (
    "import vgae.training.checkpoint as c, vgae.cli.train as t; c.SECONDS = 0; "
    "t.draw_figures = id; from vgae.cli import main; main()"
)


def started(*arguments, program=PROGRAM):
    return subprocess.Popen(
        [sys.executable, "-c", program, "train", *map(str, arguments), "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def finished(*arguments):
    process = started(*arguments)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_for_epochs(folder, process, number):
    """Wait until so many more epochs are told, or the process ends."""
    history = folder / "history.jsonl"
    while process.poll() is None:
        if history.exists() and history.read_bytes().count(b"\n") >= number:
            return
        time.sleep(0.002)


def killed(*arguments):
    """What the harness counted."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("VGAE_DATA", None)  # the small graphs do
    script = Path(__file__).with_name("kill_loop.py")
    process = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert process.stdout, process.stderr
    return json.loads(process.stdout), process.stderr


@pytest.mark.row("R01")
@pytest.mark.parametrize("kills", [4, pytest.param(48, marks=pytest.mark.slow)])
def test_runs_that_are_killed_again_and_again_end_like_those_that_are_not(kills):
    counted, err = killed("--kills", kills, "--fresh", kills // 2, "--no-figures")
    assert counted["kills"] >= kills
    assert counted["checkpoints_lost"] == 0, err
    assert counted["runs_that_did_not_resume"] == 0, err
    assert counted["runs_with_other_results"] == 0, err
    assert counted["runs_with_stale_files"] == 0, err


@pytest.mark.slow
def test_checkpoints_that_are_overwritten_in_place_are_lost():
    """The control: kills that lose nothing anywhere would prove nothing."""
    counted, _ = killed("--kills", 100, "--fresh", 0, "--in-place", "--no-figures")
    assert counted["checkpoints_lost"] > 0


@pytest.mark.row("R02")
def test_a_run_that_is_told_to_stop_says_how_to_go_on(tmp_path):
    run = tmp_path / "run"
    process = started(*LINKS, "-o", run)
    wait_for_epochs(run, process, 3)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.startswith("error[INTERRUPTED]: SIGTERM ended the training after epoch")
    assert err.count("\n") == 1
    finished("--resume", run)
    finished(*LINKS, "-o", tmp_path / "whole")
    for name in ("history.jsonl", "embeddings.npz", "model/model.safetensors"):
        digests = [digest(folder / name) for folder in (run, tmp_path / "whole")]
        assert digests[0] == digests[1], name


@pytest.mark.row("R02")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once_with_all_files_whole(number, tmp_path):
    """The first one waits for the end of an epoch, which here does not come."""
    run = tmp_path / "run"
    begun = tmp_path / "begun"
    endless = "import pathlib, time, torch; torch.optim.Adam.step = lambda s:"
    endless += f" (pathlib.Path({str(begun)!r}).touch(), time.sleep(3600)); "
    process = started("stdlib", "-o", run, program=endless + PROGRAM)
    while not begun.exists():
        time.sleep(0.01)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (-number, 130)
    assert not list(run.rglob(".tmp-*"))
    assert json.loads((run / "config.json").read_text())["seed"] == 0


@pytest.mark.row("C15")
def test_two_trainings_in_one_folder_do_not_meet(tmp_path):
    run = tmp_path / "run"
    first = started("stdlib", "--epochs", 1_000_000, "-o", run)
    try:
        wait_for_epochs(run, first, 2)
        for arguments in (["--resume", run], ["stdlib", "-o", run, "--overwrite"]):
            second = started(*arguments)
            _, err = second.communicate(timeout=60)
            assert second.returncode == 5
            assert err.startswith(f"error[LOCKED]: process {first.pid} is writing in")
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
