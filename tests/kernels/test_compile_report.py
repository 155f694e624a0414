"""Budgets of the compiled kernels: no GPU is needed, but Triton's compilers are."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRITON = find_spec("triton")
TOOLS = ("ptxas", "nvdisasm", "cuobjdump")


def report(*arguments):
    """Return the rows of the report, made in a process that compiles instead of interpreting."""
    folder = Path(TRITON.origin).parent / "backends" / "nvidia" / "bin" if TRITON else Path()
    if missing := [name for name in TOOLS if not (folder / name).is_file()]:
        pytest.skip(f"triton with {', '.join(missing)} is not installed")
    script = ROOT / "benchmarks" / "compiled.py"
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, script, "--precisions", "high", *arguments],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


def test_the_sum_over_all_pairs_stays_in_its_budget_on_a_hopper():
    """Regression: 26 instructions per pair at d = 16; at d = 128, registers were spilled."""
    rows = report(
        *("--kernels", "pairs", "--archs", "90", "--dims", "16", "128"),
        *("--results", "value+gradient"),
    )
    assert [(row["d"], row["bias"]) for row in rows] == [*product([16, 128], ["no", "yes"])]
    for row in rows:
        assert row["spilled"] == row["stack"] == 0
        # Eight warps or more, which fill the waits of each other.
        assert row["blocks"] >= 2
        assert row["special"] == pytest.approx(2)
        if row["d"] == 16:
            assert row["slots"] <= 18
            assert row["waits"] <= 5


def test_other_generations_of_gpus_and_sparse_kernels_are_in_the_report():
    options = ("--dims", "16", "--results", "gradient", "--bias", "no", "--bounds", "no", "yes")
    rows = report("--archs", "80", "100", *options)
    kernels = ["pairs", "pairs", "product", "edges"]
    assert [(row["arch"], row["kernel"]) for row in rows] == [*product([80, 100], kernels)]
    for row in rows:
        assert row["slots"] > 0
        assert row["spilled"] == 0
        if row["kernel"] == "pairs":
            assert row["slots"] <= 13
