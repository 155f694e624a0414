"""What README and docs say in Python is right by its types, and their commands exist."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from vgae.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}


def test_their_python_type_checks(tmp_path):
    pytest.importorskip("pyright")
    blocks = re.findall(r"```python\n(.*?)```", "\n".join(TEXTS.values()), flags=re.DOTALL)
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


def test_their_commands_have_the_options_that_they_name():
    group = typer.main.get_command(app)
    commands, of_all = group.commands, {flag for option in group.params for flag in option.opts}
    text = "\n".join(TEXTS.values())
    named = re.findall(r"^(?:\$ )?vgae (\w+)([^#;\n]*)", text, flags=re.MULTILINE)
    assert len(named) > 12
    for name, rest in named:
        command = commands[name]
        if hasattr(command, "commands"):
            command = command.commands[rest.split()[0]]
        known = {flag for option in command.params for flag in option.opts}
        assert set(re.findall(r"(--[\w-]+)", rest)) <= known | of_all, (name, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_they_name_exist(page):
    for path in re.findall(r"\]\(((?!http|#)[^)#]+)[^)]*\)", TEXTS[page.name]):
        assert (page.parent / path).exists(), path
