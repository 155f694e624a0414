import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
OF_IMAGES = [path for path in EXAMPLES if path.stem.startswith("image_")]


def printed(example, folder, *arguments):
    env = {**os.environ, "PYTHONPATH": str(example.parents[1])}
    command = [sys.executable, example, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_short(example):
    assert len(example.read_text().splitlines()) <= 40


@pytest.mark.parametrize(
    "example", [path for path in EXAMPLES if path not in OF_IMAGES], ids=lambda path: path.stem
)
def test_each_example_runs(example, tmp_path):
    assert printed(example, tmp_path)


@pytest.mark.parametrize("example", OF_IMAGES, ids=lambda path: path.stem)
def test_each_example_of_images_says_where_its_pictures_are(example, tmp_path):
    folder = printed(example, tmp_path, "digits", "epochs=1").splitlines()[-1]
    pictures = list((tmp_path / folder).iterdir())
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
