import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_runs_and_is_short(example, tmp_path):
    assert len(example.read_text().splitlines()) <= 40
    env = {**os.environ, "PYTHONPATH": str(example.parents[1])}
    result = subprocess.run(
        [sys.executable, example], capture_output=True, text=True, cwd=tmp_path, env=env
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
