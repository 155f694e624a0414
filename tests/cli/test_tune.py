"""The command tune, also killed and resumed."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("optuna")
SEARCH = ("--search", "lr=0.001:0.1:log", "--search", "hidden_channels=4,8", "--epochs", 3)


def trials_in(path):
    return len(json.loads(path.read_text())["trials"]) if path.exists() else 0


def test_it_prints_the_trials_and_a_command_that_train_takes(
    sbm_file, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = ("tune", sbm_file, "--recipe", "paper", *SEARCH, "-q")
    status, shown, err = command(*words, "--trials", 4)
    assert status == 0, err
    folder = tmp_path / "runs" / "tune-sbm-paper-1"
    names = {"tuning.json", "trials.csv", "best.toml", "tuning.png"}
    assert names <= {path.name for path in folder.iterdir()}
    assert str(tmp_path) not in (folder / "tuning.json").read_text()
    assert "Validation links, which no trial has seen" in shown
    last = shown.strip().splitlines()[-1]
    assert last.startswith(f"  vgae train {sbm_file} --recipe paper --set epochs=3")
    status, trained, err = command(*shlex.split(last)[1:], "-q", "--json")
    assert status == 0, err
    run = Path(json.loads(trained)["run"])
    best = (folder / "best.toml").read_text().splitlines()
    recipe = json.loads((run / "config.json").read_text())["recipe"]
    assert [f"{name} = {json.dumps(value)}" for name, value in recipe.items()] == best
    # It goes on with what it began with, and the words need not be repeated.
    status, shown, err = command("tune", "--resume", folder, "--trials", 5, "-q", "--json")
    assert status == 0, err
    assert [row["number"] for row in json.loads(shown)["trials"]] == [0, 1, 2, 3, 4]
    assert command(*words, "--trials", 5, "--resume", folder)[0] == 0
    status, _, err = command("tune", "--resume", folder, "--recipe", "best", "-q")
    assert (status, err.count("\n")) == (4, 2)
    assert "began with" in err


def test_a_search_that_is_killed_goes_on_to_the_same_bytes(sbm_file, tmp_path, command):
    words = ("tune", sbm_file, "--recipe", "paper", *SEARCH, "--trials", 12, "-q", "--resume")
    out, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "vgae", *map(str, words), out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    while trials_in(out / "tuning.json") < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 3 <= trials_in(out / "tuning.json") < 12
    assert command(*words, out)[0] == 0
    assert command(*words, whole)[0] == 0
    # Threads of the process under test may differ from those of the other one.
    one, two = (
        re.sub(r'"threads": \d+', "", (place / "tuning.json").read_text())
        for place in (out, whole)
    )
    assert one == two
    assert (out / "best.toml").read_bytes() == (whole / "best.toml").read_bytes()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--search", "lrr=1:2"], 2, "Did you mean lr?"),
        (["--search", "lr=2:1"], 2, "a span rises"),
        (["--set", "lr=0.1", "--search", "lr"], 2, "lr is both fixed (--set) and searched"),
        (["--recipe", "papre"], 2, "Did you mean paper?"),
        (["--model", "paper"], 2, "'paper' is a recipe, not a model"),
        (["--trials", "0"], 2, "'--trials'"),
        (["--splits", "0"], 2, "'--splits'"),
        (["--resume", "nowhere"], 4, "nowhere is no search; to begin one there, name the GRAPH"),
        (["--resume", "a", "--out", "b"], 2, "leave --out out"),
        (["--out", "/proc/none/a", "--trials", "1"], 5, "/proc/none/a"),
        (["nothing.csv"], 3, "nothing.csv"),
        (["mnist"], 2, "mnist is a data set of images"),
    ],
)
def test_bad_words_are_one_line(words, status, message, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    monkeypatch.setenv("VGAE_CACHE", str(tmp_path / "cache"))
    found = command("tune", *words, "-q")
    assert (found[0], message in found[2]) == (status, True), found[2]
    assert "Traceback" not in found[2]
