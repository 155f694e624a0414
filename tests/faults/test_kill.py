"""The real command, killed with SIGKILL at random times: nothing is lost, and it goes on."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAIN = {
    "links": ["stdlib", "--recipe", "best", "--epochs", "60"],
    "images": ["digits", "--epochs", "20", "--set", "hidden_channels=32"],
}
# The same command with a checkpoint after each epoch, so that kills meet all of its parts.
PROGRAM = "import vgae.checkpoint as c; c.SECONDS = 0; from vgae.cli import main; main()"


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", *map(str, arguments), "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def finished(*arguments):
    process = started(*arguments)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def digests(folder):
    """What must not depend on how often it was killed."""
    names = ["history.jsonl", "embeddings.npz", "model/config.json", "model/model.safetensors"]
    names += ["checkpoints/best.safetensors", "checkpoints/last.safetensors"]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def wait_for_epochs(folder, process, number):
    """Wait until so many more epochs are told, or the process ends."""
    history = folder / "history.jsonl"
    while process.poll() is None:
        if history.exists() and history.read_bytes().count(b"\n") >= number:
            return
        time.sleep(0.002)


@pytest.mark.parametrize("kind", TRAIN)
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(kind, tmp_path):
    finished(*TRAIN[kind], "-o", tmp_path / "whole")
    run, chance = tmp_path / "run", random.Random(kind)
    first = started(*TRAIN[kind], "-o", run)
    kills, process = 0, first
    for number in (3, 9, 15):
        wait_for_epochs(run, process, number)
        time.sleep(chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        process = started("--resume", run)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert kills == 3
    assert digests(run) == digests(tmp_path / "whole")
    left = [path.name for path in run.rglob("*") if path.name.startswith(".tmp-")]
    assert left == []
    assert not list((run / "checkpoints").glob("*.ckpt"))


def test_a_run_that_is_told_to_stop_says_how_to_go_on(tmp_path):
    run = tmp_path / "run"
    process = started(*TRAIN["links"], "-o", run)
    wait_for_epochs(run, process, 3)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.startswith("error[INTERRUPTED]: SIGTERM ended the training after epoch")
    assert err.count("\n") == 1
    finished("--resume", run)
    finished(*TRAIN["links"], "-o", tmp_path / "whole")
    assert digests(run) == digests(tmp_path / "whole")


def test_two_trainings_in_one_folder_do_not_meet(tmp_path):
    run = tmp_path / "run"
    first = started("stdlib", "--epochs", 1_000_000, "-o", run)
    try:
        wait_for_epochs(run, first, 2)
        for arguments in (["--resume", run], ["stdlib", "-o", run, "--overwrite"]):
            second = started(*arguments)
            _, err = second.communicate(timeout=60)
            assert second.returncode == 5
            assert err.startswith("error[LOCKED]: another process is training in")  # C15
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
