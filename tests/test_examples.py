import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
OF_IMAGES = [path for path in EXAMPLES if path.stem.startswith("image_")]
OTHERS = [path for path in EXAMPLES if path not in OF_IMAGES]
NEEDS = {"lightning_data": "lightning"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_short(example):
    assert len(example.read_text().splitlines()) <= 40


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an example here: to load the libraries anew takes longer than most of them."""

    def run(example, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(example), *arguments])
        runpy.run_path(str(example), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("example", OTHERS, ids=lambda path: path.stem)
def test_each_example_runs(example, run, few_epochs):
    if needed := NEEDS.get(example.stem):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    assert run(example).strip()


@pytest.mark.slow
@pytest.mark.parametrize("example", OTHERS, ids=lambda path: path.stem)
def test_each_example_runs_as_it_is(example, run):
    if needed := NEEDS.get(example.stem):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    assert run(example).strip()


@pytest.mark.parametrize("example", OF_IMAGES, ids=lambda path: path.stem)
def test_each_example_of_images_says_where_its_pictures_are(example, run, tmp_path):
    folder = tmp_path / run(example, "digits", "epochs=1").splitlines()[-1]
    pictures = list(folder.iterdir())
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
