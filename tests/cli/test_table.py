"""The command table, also interrupted and in worker processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "vgae", "table", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
    )


def rows_in(path):
    """Return the number of finished trainings in the JSON of a table."""
    content = json.loads(path.read_text()) if path.exists() else {"rows": []}
    return sum(len(row["trials"]) for row in content["rows"])


def wait_for_rows(path, process, number=1):
    while rows_in(path) < number:
        assert process.poll() is None
        time.sleep(0.01)


def test_table_prints_mean_and_protocol_and_saves_every_seed(sbm_file, tmp_path, command):
    out = tmp_path / "table.json"
    words = ("--datasets", sbm_file, "--models", "gae,linear-vgae,gae", "--seeds", 2)
    status, shown, err = command("table", *words, "--epochs", 5, "-o", out)
    assert status == 0, err
    for word in ("linear-vgae", "±", "Holm's correction for 1 pairs", "own random split"):
        assert word in shown
    rows = json.loads(out.read_text())["rows"]
    assert [len(row["trials"]) for row in rows] == [2, 2]
    status, shown, _ = command("table", *words, "--epochs", 5, "--resume", out, "--json")
    assert status == 0
    assert json.loads(shown) == json.loads(out.read_text())


def test_an_interrupted_table_keeps_its_rows_and_goes_on_to_the_same_bytes(
    sbm_file, tmp_path, command
):
    words = ("--datasets", sbm_file, "--models", "vgae", "--epochs", 20, "--seeds", 30)
    out, whole = tmp_path / "table.json", tmp_path / "whole.json"
    process = started(*words, "--jobs", 1, "--resume", out)
    wait_for_rows(out, process, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"{out} has the finished trainings; go on with --resume {out}" in err
    kept = rows_in(out)
    assert 2 <= kept < 30
    assert command("table", *words, "--jobs", 1, "--resume", out)[0] == 0
    assert command("table", *words, "--jobs", 1, "--out", whole)[0] == 0
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("name", ["typo", "stdlib"])
def test_an_old_table_stays_as_it_was(name, tmp_path, command):
    out = tmp_path / "table.json"
    out.write_text("old")
    status, _, err = command("table", "--datasets", name, "-o", out)
    assert status == 2
    assert f"go on with --resume {out}, or choose another --out" in err
    assert out.read_text() == "old"


def test_the_table_is_written_in_the_forms_that_are_named(sbm_file, tmp_path, command):
    words = [
        "--datasets",
        sbm_file,
        "--models",
        "gae",
        "--recipes",
        "paper,best",
        "--seeds",
        "4,2",
    ]
    files = [tmp_path / name for name in ("t.json", "t.tex", "t.md", "t.csv")]
    outs = [word for file in files for word in ("-o", file)]
    status, shown, err = command("table", *words, "--epochs", 2, *outs, "-q")
    assert status == 0, err
    assert f"{files[1]}: the table" in shown
    assert r"gae, best & " in files[1].read_text()
    rest = [*words, "--epochs", 2, "--resume", files[0], "-q"]
    for form, file in (("latex", files[1]), ("markdown", files[2]), ("csv", files[3])):
        shown = command("table", *rest, f"--{form}")[1]
        assert shown.split() == file.read_text().split()
    assert json.loads(command("table", *rest, "--json")[1])["recipes"][1]["epochs"] == 2


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--models", "gae,best"], 2, "'best' is a recipe, not a model; give --recipe best, or"),
        (["--models", "gea"], 2, "Did you mean gae?"),
        (["--models", "nowhere_of_test:make"], 2, "nowhere_of_test.py must be in the current"),
        (["--recipes", "paper,bset"], 2, "Did you mean best?"),
        (["--recipes", "paper,paper"], 2, "names that all differ, got paper, paper"),
        (["--seeds", "1,x"], 2, "--seeds must be a number of seeds, or seeds separated by"),
        (["--seeds", "0"], 2, "needs at least 1 seed (seeds, --seeds), got 0"),
        (["--seeds", "3,3"], 2, "all different"),
        (["-o", "t.docx"], 2, "t.docx must end in one of .json, .tex, .md, .csv"),
        (["-o", "/proc/none/t.tex"], 5, "/proc/none/t.tex cannot be written"),
        (["-o", "a.json", "-o", "b.json"], 2, "--out takes one .json file"),
        (["--latex", "--csv"], 2, "--latex and --csv are two forms"),
        (["--significance", "t"], 2, "'corrected-t', 'wilcoxon', 'none', got 't'"),
        (["--features", "x.csv"], 2, "is for a single graph that is a file, not for stdlib"),
    ],
)
def test_bad_words_are_one_line_before_any_training(
    words, status, message, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    found = command("table", *words)
    assert found[0] == status
    assert message in found[2]
    assert found[2].count("\n") == 1
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.slow
def test_text_and_json_do_not_depend_on_processes_nor_on_one_that_is_killed(
    sbm_file, tmp_path, workers_of
):
    words = ("--datasets", f"{sbm_file},stdlib", "--seeds", 3, "--epochs", 100)
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    process = started(*words, "--jobs", 1, "-o", one)
    expected, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    process = started(*words, "--jobs", 2, "-o", two)
    wait_for_rows(two, process)
    workers_of(process.pid)[-1].kill()
    shown, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert (
        len(re.findall(r"the process of \w+ v?gae, best, seed \d was ended by SIGKILL", err)) == 1
    )
    assert shown == expected.replace("1.json", "2.json")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_command(number, sbm_file, tmp_path, workers_of):
    out = tmp_path / "table.json"
    words = ("--datasets", sbm_file, "--epochs", 100, "--seeds", 1000, "--jobs", 2)
    process = started(*words, "-o", out)
    wait_for_rows(out, process)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    (os.kill if number == signal.SIGKILL else os.killpg)(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert psutil.wait_procs(workers, timeout=60)[1] == []
    assert rows_in(out) > 0
