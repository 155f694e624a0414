import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
OF_IMAGES = [path for path in EXAMPLES if path.stem.startswith("image_")]
OTHERS = [path for path in EXAMPLES if path not in OF_IMAGES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_short(example):
    assert len(example.read_text().splitlines()) <= 40


@pytest.mark.parametrize("example", OTHERS, ids=lambda path: path.stem)
def test_each_example_runs(example, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(example.parents[1])}
    result = subprocess.run(
        [sys.executable, example], capture_output=True, text=True, cwd=tmp_path, env=env
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


@pytest.mark.parametrize("example", OF_IMAGES, ids=lambda path: path.stem)
def test_each_example_of_images_says_where_its_pictures_are(
    example, tmp_path, monkeypatch, capsys
):
    """Here in this process: to load the libraries takes longer than one epoch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example), "digits", "epochs=1"])
    runpy.run_path(str(example), run_name="__main__")
    folder = tmp_path / capsys.readouterr().out.splitlines()[-1]
    pictures = list(folder.iterdir())
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
