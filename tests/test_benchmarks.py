"""Each benchmark runs, small; what it measures is of no interest here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {
    "durations.py": "--graphs stdlib --features none --recipes paper --epochs 15",
    "epoch.py": "--dataset stdlib --epochs 1 --sides ours-sampled pyg-sparse-x",
    "images.py": "--images digits --epochs 1",
    "loss.py": "--nodes 90 --dim 4 --steps 1 --sides ours ours-sampled dense",
    "many_graphs.py": "--graphs 20 --epochs 1 --sides ours pyg-batches",
    "reading.py": "--links 3000 --nodes 100",
    "scaling.py": "--max-log2 11 --exact-max-log2 11 --steps 1",
    "topk.py": "--nodes 300 --steps 1 --sides ours full-rows dense",
    "time_to_auc.py": "--dataset stdlib --level 0.6 --epochs 10 --sides ours-exact",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", SMALL)
def test_each_benchmark_prints_its_figures_as_json(script):
    command = [sys.executable, ROOT / "benchmarks" / script, *SMALL[script].split()]
    done = subprocess.run(
        [*command, "--repeats", "1", "--threads", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["versions"]["torch"]
    assert report["sides"]
    for row in report["sides"]:
        assert "skipped" not in row


@pytest.mark.slow
def test_the_ladder_measures_each_command_and_keeps_other_rungs(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    path, page = tmp_path / "ladder.json", tmp_path / "page.md"
    script = [sys.executable, ROOT / "benchmarks" / "ladder.py"]
    for links in (3000, 2000):
        options = f"--rungs {links} --epochs 3 --features 4 --communities 3 --json {path}"
        done = subprocess.run(
            [*script, *options.split()], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
    rows = json.loads(path.read_text())["sides"]
    assert {row["links"] for row in rows} == {2000, 3000}
    assert len(rows) == 18
    assert not any("skipped" in row for row in rows)
    scores = next(row for row in rows if row["command"] == "scores")
    assert scores["test_true_probabilities"] > 0.7
    page.write_text("a\n<!-- ladder -->\nold\n<!-- end of ladder -->\nb\n")
    subprocess.run([*script, "--table", path, "--page", page], check=True, env=environment)
    text = page.read_text()
    assert text.startswith("a\n<!-- ladder -->\n\n")
    assert text.endswith("ladder -->\nb\n")
    assert "| 3,000 | all |" in text
    assert "old" not in text


@pytest.mark.slow
def test_the_quality_table_and_the_ablation_run(tmp_path):
    """One split of the embedded graph: rows under both protocols, and what each part is worth."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    rows = "vgae best common-neighbours maskgae spectral"
    commands = {
        "quality.py": f"--datasets stdlib --rows {rows} --seeds 1 --members 2 --hard 20"
        f" --folder {tmp_path / 'quality'}",
        "ablation.py": f"--datasets stdlib --seeds 1 --jobs 1 --folder {tmp_path}",
    }
    for script, arguments in commands.items():
        done = subprocess.run(
            [sys.executable, ROOT / "benchmarks" / script, *arguments.split()],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["rows"]
        if script == "quality.py":
            assert "| best × 2 |" in done.stderr


@pytest.mark.slow
def test_the_benchmark_of_heart_shows_no_test_link_while_settings_are_chosen(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = [sys.executable, ROOT / "benchmarks" / "heart.py", "--datasets", "stdlib"]
    rows = "--rows gae:paper adamic-adar --set epochs=3 --seeds 2 --jobs 1 --ensembles"
    found = []
    for options in ("--validation", ""):
        done = subprocess.run(
            [*script, *rows.split(), "--folder", tmp_path, *options.split()],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        assert "OUR split of seed 0" in done.stderr
        assert ("test links" in done.stderr) != bool(options)
        found.append({row["row"]: row for row in json.loads(done.stdout)["rows"]})
    chosen, whole = found
    names = {"gae:paper, epochs=3", "gae:paper, epochs=3, 2 seeds together", "adamic-adar"}
    assert chosen.keys() == whole.keys() == names
    for name in names:
        assert "test" not in chosen[name]
        assert chosen[name]["val"] == whole[name]["val"]
        assert 0 < whole[name]["test"]["mrr"]["mean"] < 1
        assert 0.4 < whole[name]["test"]["auc"]["mean"] < 1
    assert whole["adamic-adar"]["test"]["mrr"]["deviation"] == 0


@pytest.mark.slow
def test_the_benchmark_of_processes_compares_them():
    arguments = (
        "--graphs planted --links 3000 --recipes paper --pairs exact --epochs 3 --sizes 1 2"
    )
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "benchmarks" / "processes.py",
            *arguments.split(),
            "--sizes",
            "1",
            "2",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout)["rows"]
    assert (one["size"], two["size"], two["equal_processes"]) == (1, 2, True)
    assert two["parameter_difference"] < 1e-4


def on_the_cpu(*options):
    """Run the script for GPUs on the CPU; return its report."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", "--device", "cpu", "--small", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_script_for_gpus_tries_the_kernels_on_a_cpu(tmp_path):
    path = tmp_path / "report.json"
    report = on_the_cpu("--stages", "pairs", "--json", path)
    assert json.loads(path.read_text()) == report
    rows = report["stages"]["pairs"]
    assert {row["precision"] for row in rows} == {"high", "tf32", "bf16"}
    assert all(row["ok"] and row["ms"] is None for row in rows)


@pytest.mark.slow
def test_the_script_for_gpus_runs_to_its_end_on_a_cpu():
    stages = on_the_cpu()["stages"]
    assert all(stages.values())
    assert all(row["ok"] for row in stages["parts"] if "us" not in row)
    skipped = {row["skipped"] for rows in stages.values() for row in rows if "skipped" in row}
    assert skipped == {"needs a GPU"}
    (run,) = stages["tests"]
    assert run["skips"] > 0 == run["passed"] == run["failures"] == run["errors"]


ON_A_PRETENDED_GPU = """
import sys
sys.path[:0] = ["benchmarks", "tests"]
import gpu_checks, gpu_epochs
from gpu_setting import At
from pretended import pretended_gpu

with pretended_gpu():
    for name in ("epochs", "seeds", "peers"):
        for key, measure in getattr(gpu_epochs, name)(At("cuda:0", True)):
            print(key, measure())
    for key, measure in gpu_checks.parts(At("cuda:0", True)):
        if "pairs" not in key["check"]:  # by Triton
            print(key, measure())
"""


@pytest.mark.slow
def test_the_script_for_gpus_measures_graphs_and_streams_on_a_pretended_one():
    done = subprocess.run(
        [sys.executable, "-c", ON_A_PRETENDED_GPU],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("'replay_us'") == 2
    assert "'ok': False" not in done.stdout
