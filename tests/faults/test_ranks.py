"""One of two processes is killed, stopped, or fails: the other one says so and ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENDLESS = ["--epochs", "1000000"]


def often(rank):
    """Checkpoints after every epoch, and less patience with processes that are silent."""
    import vgae.cli.train
    import vgae.runtime.watch
    import vgae.training.checkpoint

    vgae.cli.train.draw_figures = id
    vgae.training.checkpoint.SECONDS = 0
    vgae.runtime.watch._BEAT = 0.2
    vgae.runtime.watch._PATIENCE = 3
    vgae.runtime.watch._QUIET = 2


def without_memory(rank):
    import torch

    often(rank)
    if rank == 1:
        torch.optim.Adam.step = _fails


def _fails(self, closure=None):
    raise MemoryError


def busy(rank):
    """One process computes for longer than the patience, in one operation, and in many."""
    import torch

    often(rank)
    step, calls = torch.optim.Adam.step, []

    def slow(self, closure=None):
        calls.append(1)
        if rank == 1 and len(calls) == 1:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                sum(range(100_000))
        if rank == 1 and len(calls) == 2:
            time.sleep(5)
        return step(self, closure)

    torch.optim.Adam.step = slow


def epochs(folder):
    history = folder / "history.jsonl"
    return history.read_bytes().count(b"\n") if history.exists() else 0


def wait_for_epochs(folder, run, number):
    while epochs(folder) < number:
        assert run.processes[0].is_alive(), run.err()
        time.sleep(0.01)


def told(run):
    lines = [line for text in run.err() for line in text.splitlines() if line.startswith("error")]
    assert len(lines) == 1, run.err()
    return lines[0]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(signal.SIGKILL, "is gone", id="R28-killed"),
        pytest.param(signal.SIGSTOP, "has been stopped", id="R28-stopped", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("lost", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_process_that_is_lost_is_named(number, words, lost, together, sbm_file, tmp_path):
    folder = tmp_path / "run"
    arguments = ["train", sbm_file, *ENDLESS, "-o", folder, "--quiet"]
    run = together.command(2, arguments, tmp_path, often)
    try:
        wait_for_epochs(folder, run, 3)
        run.send(number, lost)
        assert run.wait(30, [1 - lost]) == [5]
        line = told(run)
        assert line.startswith(f"error[RANK_LOST]: process {lost} of 2 {words}")
        assert "--resume RUN" in line
    finally:
        run.wait(0)
    done = len(list((folder / "checkpoints").glob("epoch-*.ckpt")))
    assert done >= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["links", "images"])
def test_runs_go_on_after_a_kill_with_the_same_results(kind, tmp_path):
    """By ``--resume``, and by ``torchrun --max-restarts`` with a folder of one's own or not."""
    script, counts = Path(__file__).with_name("ranks.py"), tmp_path / "counts.json"
    options = ["--kills", "2", "--restarts", "--only", kind, "--json", counts]
    done = subprocess.run(
        [sys.executable, script, *map(str, options)],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"PYTHONPATH": str(script.parents[2])},
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(counts.read_text())[kind]
    assert row["kills"] == 2
    assert row["runs_finished"] >= 3


@pytest.mark.slow
@pytest.mark.row("R29")
def test_a_process_without_memory_says_so_for_all(together, sbm_file, tmp_path):
    arguments = ["train", sbm_file, "-o", tmp_path / "run", "--quiet"]
    run = together.command(2, arguments, tmp_path, without_memory)
    assert run.wait() == [5, 5]
    assert told(run).startswith("error[OUT_OF_MEMORY]: process 1 of 2: the memory of cpu")


@pytest.mark.slow
def test_a_process_that_is_slow_is_waited_for(together, sbm_file, tmp_path):
    arguments = ["train", sbm_file, "--epochs", 3, "-o", tmp_path / "run", "--quiet"]
    run = together.command(2, arguments, tmp_path, busy)
    assert run.wait() == [0, 0], run.err()


@pytest.mark.slow
@pytest.mark.row("R30")
def test_a_signal_to_one_ends_all_with_a_checkpoint(together, sbm_file, tmp_path):
    folder = tmp_path / "run"
    arguments = ["train", sbm_file, *ENDLESS, "-o", folder, "--quiet"]
    run = together.command(2, arguments, tmp_path, often)
    wait_for_epochs(folder, run, 2)
    run.send(signal.SIGTERM, 1)
    assert run.wait() == [143, 143]
    assert told(run).startswith("error[INTERRUPTED]: SIGTERM ended the training after epoch")
    # The rest, as torchrun starts it again: the same command.
    restarted = {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "1"}
    (folder / ".job.json").write_text(json.dumps({"id": "none", "agent": "another"}))
    run = together.command(2, arguments, tmp_path, often, restarted)
    assert run.wait() == [2, 2]
    assert told(run).startswith("error[RUN_EXISTS]")
    assert epochs(folder) >= 2
    assert [*(folder / "checkpoints").glob("epoch-*.ckpt")]
