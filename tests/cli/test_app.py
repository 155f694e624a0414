"""The command as a subprocess, on a graph of 120 nodes."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from vgae import __version__
from vgae.cli.app import main
from vgae.errors import DataError
from vgae.runs import calibrations


class Result(NamedTuple):
    """What a command leaves; as of :func:`subprocess.run`."""

    returncode: int
    stdout: str
    stderr: str


def started(*arguments, cwd=None):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "vgae", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=300,
    )


def vgae(*arguments):
    """Run the command in this process, which saves the seconds of its imports."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main([*map(str, arguments)])
    except SystemExit as end:
        status = end.code or 0
    return Result(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(sbm_file, tmp_path_factory):
    """A trained run, made by the command itself in a folder of its own."""
    cwd = tmp_path_factory.mktemp("cli")
    result = started("train", sbm_file, "--recipe", "paper", "--epochs", 10, cwd=cwd)
    assert result.returncode == 0, result.stderr
    # What it is about to do, and nothing else.
    assert result.stderr.startswith("pairs exact (within 1 s): 14,400 an epoch of about ")
    assert result.stderr.splitlines()[1:3] == [
        "scoring the held-out data, writing model and embeddings",
        "drawing training.png, embedding.png, links.png",  # perhaps slow t-SNE follows
    ]
    for words in ("nothing leaks", "validation", "test", "Written to runs/sbm-vgae-1", "Try next"):
        assert words in result.stdout
    return cwd / "runs" / "sbm-vgae-1"


def test_train_writes_a_run_with_figures(folder):
    for name in ("training.png", "embedding.png", "links.png"):
        assert (folder / "figures" / name).read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"] == 10


def test_evaluate_gives_the_scores_that_training_gave(folder):
    result = vgae("evaluate", folder, "--json")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert json.loads(result.stdout) == {part: metrics[part] for part in ("val", "test")}


def test_evaluate_judges_by_other_tasks_and_protocols_too(folder):
    arguments = ("evaluate", folder, "--messages", "train+val", "--hard", 10)
    result = vgae(*arguments, "--tasks", "links,classes,clusters", "--json")
    found, metrics = json.loads(result.stdout), json.loads((folder / "metrics.json").read_text())
    assert found["val"]["auc"] == metrics["val"]["auc"]
    assert found["test"]["auc"] != metrics["test"]["auc"]
    assert 0 < found["test"]["hard"]["mrr"] < 1
    assert found["classes"]["public"] is None
    assert found["classes"]["random"]["accuracy"] > 0.25
    assert found["clusters"].keys() == {"acc", "nmi", "ari"}
    shown = vgae("evaluate", folder, "--tasks", "classes,clusters").stdout
    for words in ("ten random splits", "ACC", "macro F1"):
        assert words in shown


def test_calibrate_stores_probabilities_and_a_threshold_for_a_goal(folder):
    before = (folder / "model" / "calibration.json").read_text()
    shown = vgae("calibrate", folder, "--method", "spline", "--prior", "density")
    assert "spline" in shown.stdout
    assert (folder / "model" / "calibration.json").read_text() == before  # the default
    balanced = ("--prior", "balanced", "--goal", "precision=0.7")
    result = vgae("calibrate", folder, *balanced, "--json")
    assert (folder / "model" / "calibration.json").read_text() != before
    stored = json.loads((folder / "model" / "calibration.json").read_text())
    assert json.loads(result.stdout) == stored
    assert stored["precision"] >= 0.7
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"] == json.loads(vgae("evaluate", folder, "--json").stdout)["test"]
    assert vgae("calibrate", folder, "-q").stderr == ""
    assert (folder / "model" / "calibration.json").read_text() == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("calibrate", "{run}", "--folds", 2, "--prior", "dense"), "CALIBRATION_PRIOR"),
        (("calibrate", "{run}", "--folds", 2, "--goal", "f2"), "CALIBRATION_GOAL"),
        (("calibrate", "{run}", "--folds", 2, "--goal", "precision=1"), "GOAL_UNREACHABLE"),
        (("predict", "{run}", "--overall", "-o", "links.txt"), "EXPORT_FORMAT"),
        (("predict", "{run}", "--overall", "-o", "{run}"), "EXPORT_FORMAT"),
        (("predict", "{run}", "--overall", "--metric", "dot"), "METRIC"),
        (("predict", "{run}", "--overall", "--interval", 1), "INTERVAL"),
        (("predict", "{run}", "--overall", "--to", "nobody"), "UNKNOWN_NODE"),
    ],
)
def test_wrong_options_are_refused_before_folds_are_trained(folder, monkeypatch, words, code):
    def trained(*args, **options):
        raise AssertionError("a fold is trained")

    monkeypatch.setattr(calibrations, "cross_fit", trained)
    before = (folder / "metrics.json").read_bytes()
    result = vgae(*(folder if word == "{run}" else word for word in words))
    assert f"error[{code}]" in result.stderr
    assert result.stderr.count("\n") == 1
    assert (folder / "metrics.json").read_bytes() == before


def test_calibrate_mends_a_damaged_calibration(folder):
    path = folder / "model" / "calibration.json"
    before = path.read_bytes()
    path.write_bytes(before[:100])
    assert "fit it again with 'vgae calibrate" in vgae("predict", folder).stderr
    assert vgae("calibrate", folder, "-q").returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("messages", ["train", "all"])
def test_embed_writes_every_node_with_its_name(folder, tmp_path, messages):
    out = tmp_path / "e.npz"
    result = vgae("embed", folder, "-o", out, "--messages", messages, "--json")
    assert json.loads(result.stdout) == {"path": str(out), "nodes": 120, "dimensions": 16}
    stored, written = (np.load(p, allow_pickle=False) for p in (folder / "embeddings.npz", out))
    with stored, written:
        assert written["ids"][119] == "node-119"
        assert np.array_equal(stored["mu"], written["mu"]) == (messages == "train")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "corra"], 3, "error[UNKNOWN_DATASET]"),
        (["train", "nowhere.npz"], 3, "error[CANNOT_READ]: nowhere.npz"),
        (["train", "cora"], 3, "error[OFFLINE]"),
        (["train", "--val", "0.9", "--test", "0.2"], 2, "error[SPLIT_SHARE]"),
        (["train", "--set", "epochs"], 2, "error[RECIPE]: --set must be FIELD=VALUE"),
        (["train", "--set", "depth=3"], 2, "error[RECIPE]: 'depth' is no field"),
        (["train", "--recipe", "best-ever"], 2, "error[RECIPE]: no recipe"),
        (["train", "--model", "gat"], 2, "error[MODEL]: no model 'gat'"),
        (["train", "--features", "some"], 2, "error[FEATURES]"),
        (["train", "--device", "cuda:99"], 5, "error[DEVICE]"),
        (["train", "--device", "cpu", "--cuda-graph"], 2, "error[CUDA_GRAPH]"),
        (["train", "--pairs", "some"], 2, "error[RECIPE]: pairs must be one of"),
        (["train", "--max-memory", "inf"], 2, "error[MAX_MEMORY]"),
        (["train", "--max-memory", "5"], 5, "error[MEMORY]: training on 641 nodes"),
        (["train", "--seed", "-1"], 2, "invalid value for '--seed'"),
        (["train", "--seed", str(2**70)], 2, "error[SEED_RANGE]"),
        (["evaluate", "."], 4, "error[NOT_A_RUN]"),
        (["evaluate", ".", "--tasks", "links,poems"], 2, "error[TASKS]"),
        (["evaluate", ".", "--hard", "3"], 2, "error[HARD]"),
        (["evaluate", ".", "--hard", "hart"], 2, "error[HARD]: hard (--hard) must be an even"),
        (["embed", "nowhere"], 4, "error[NOT_A_RUN]"),
        (["table", "-o", "/dev/null/table.json"], 5, "error[CANNOT_WRITE]"),
        (["train", "g{x}.npz"], 3, "error[CANNOT_READ]"),
        (["table", "--seeds", "0"], 2, "error[SEEDS]: a table needs at least 1 seed"),
        (["table", "--jobs", "0"], 2, "invalid value for '--jobs'"),
        (["table", "-o", "t.json", "--models", ","], 2, "error[TABLE]"),
        (
            ["table", "-o", "t.json", "--split-by", "nodes"],
            2,
            "error[SPLIT_BY]: split_by must be one of",
        ),
        (["table", "-o", "t.json", "--split", "a.npz", "--split-by", "graphs"], 2, "error[SPLIT]"),
        (
            ["table", "-o", "t.json", "--split-by", "graphs"],
            2,
            "error[BY]: stdlib gae, best, seed 0: ",
        ),
        (
            ["table", "-o", "t.json", "--max-memory", "5"],
            5,
            "error[MEMORY]: stdlib gae, best, seed 0: training on 641",
        ),
        (["table", "--resume", "t.json", "-o", "u.json"], 2, "error[RESUME]"),
        (["datasets", "fetch", "mnost"], 3, "error[UNKNOWN_DATASET]"),
        (["fly"], 2, "no such command 'fly'"),
    ],
)
def test_every_fault_is_one_line_and_a_documented_exit_status(
    arguments, status, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGAE_DATA", str(tmp_path))
    monkeypatch.setenv("VGAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    printed = capsys.readouterr()
    assert stop.value.code == status
    assert message in printed.err
    assert printed.out == ""
    assert not (tmp_path / "runs").exists()


def test_a_fault_shows_no_traceback_unless_asked():
    assert "Traceback" not in vgae("train", "nowhere.npz").stderr
    with pytest.raises(DataError):
        vgae("train", "nowhere.npz", "--debug")


def test_nothing_held_out_is_said_instead_of_scored(sbm_file, tmp_path):
    out = tmp_path / "run"
    shares = ("--val", 0, "--test", 0, "--epochs", 5)
    assert "no links were held out" in vgae("train", sbm_file, "-o", out, *shares).stdout
    assert vgae("evaluate", out, "--json").stdout == "{}\n"


def test_help_imports_neither_torch_nor_numpy():
    code = (
        "import sys; from vgae.cli.app import main\n"
        "try: main(['train', '--help'])\n"
        "finally: print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_version_and_bare_command():
    assert vgae("--version").stdout == f"vgae {__version__}\n"
    bare = vgae()
    assert "Commands:" in bare.stderr
    assert bare.returncode == 2


def test_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m vgae datasets verify | head -c 1"
    env = {**os.environ, "VGAE_DATA": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(command, shell=True, capture_output=True, text=True, env=env)
    assert result.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ["impute", "nowhere", "-o"],
        ["convert", "nowhere.csv", "-o"],
        ["datasets", "make", "-o"],
        ["train", "nowhere.csv", "-o"],
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(words, command):
    suffix = ".csv" if words[0] == "impute" else ".npz"
    status, out, err = command(*words, f"/dev/null/x{suffix}")
    assert (status, out) == (5, "")
    assert err.startswith("error[CANNOT_WRITE]: /dev/null/x")
    assert err.count("\n") == 1


def test_code_of_your_own_is_imported_by_an_option_in_any_place(
    sbm_file, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "option_of_test.py").write_text(
        "from torch_geometric.nn import GCNConv\n"
        "def make(in_channels): return GCNConv(in_channels, 8)\n"
    )
    code = "option_of_test:make"
    words = ["--recipe", "paper", "--epochs", 2, "-q"]
    status, shown, err = command("train", sbm_file, "--model", code, *words)
    assert status == 0, err
    run = "runs/sbm-option_of_test.make-1"
    assert f"vgae report {run} --code {code}" in shown
    from vgae.models.registry import OWN

    OWN.clear()  # as in another process
    status, _, err = command("evaluate", run)
    assert (status, err.count("\n")) == (4, 1)
    assert "error[CODE]" in err
    assert command("evaluate", run, f"--code={code}")[0] == 0
    OWN.clear()
    assert command("--code", code, "embed", run)[0] == 0
    assert command("evaluate", run, "--code")[0] == 2
    OWN.clear()
