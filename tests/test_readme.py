"""What the README says in Python is right by its types, and its commands exist."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from vgae.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_python_type_checks(tmp_path):
    pytest.importorskip("pyright")
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 3
    for number, block in enumerate(blocks):
        (tmp_path / f"block_{number}.py").write_text(block, encoding="utf-8")
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "-p", tmp_path, "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout


def test_its_commands_have_the_options_that_it_names():
    commands = typer.main.get_command(app).commands
    named = re.findall(r"^(?:\$ )?vgae (\w+)([^#;\n]*)", README, flags=re.MULTILINE)
    assert len(named) > 12
    for name, rest in named:
        known = {flag for option in commands[name].params for flag in option.opts}
        assert set(re.findall(r"(--[\w-]+)", rest)) <= known, (name, rest)


def test_the_files_that_it_names_exist():
    for path in re.findall(r"\]\(((?!http|#)[^)]+)\)", README):
        assert (ROOT / path).exists(), path
