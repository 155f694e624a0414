"""Two commands at once in one folder: nothing is mixed, and no row is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_pairs_of_commands_leave_nothing_mixed(number):
    process = subprocess.run(
        [sys.executable, Path(__file__).with_name("pair_loop.py"), "--pairs", str(number)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    found = json.loads(process.stdout)
    assert found["pairs"] == sum(found["kinds"].values()) == number
    assert len(found["kinds"]) == 6
    assert found["wrong"] == []
