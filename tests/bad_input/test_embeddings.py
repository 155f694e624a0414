"""Embeddings of a run that are damaged or constant, through every command that reads them.

The ids are the rows of the catalogue of bad input, C17 and C18.
"""

import importlib.util
import shutil

import numpy as np
import pytest

from vgae.runs.graphs import train_run
from vgae.runtime.npz import read_arrays

COMMANDS = [["calibrate", "{run}"], ["figure", "{run}", "embedding"], ["report", "{run}"]]
if not importlib.util.find_spec("plotly"):
    COMMANDS.pop()


@pytest.fixture(scope="module")
def finished(sbm_file, tmp_path_factory):
    from vgae.recipes import PAPER

    folder = tmp_path_factory.mktemp("finished") / "run"
    recipe = PAPER.override({"epochs": 1})
    return train_run(str(sbm_file), folder, recipe=recipe, progress=False).folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy without figures, which the page therefore draws."""
    return shutil.copytree(finished, tmp_path / "run")


def put(run, mu):
    path = run / "embeddings.npz"
    np.savez(path, ids=read_arrays(path)["ids"], mu=mu)


BAD = {
    "fewer rows": lambda mu: mu[:-1],
    "one dimension": lambda mu: mu[:, 0],
    "complex": lambda mu: mu + 0j,
    "no columns": lambda mu: mu[:, :0],
    "NaN": lambda mu: mu * np.nan,
}


@pytest.mark.row("C17")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("damage", BAD.values(), ids=BAD)
def test_damaged_embeddings_are_one_line_and_nothing_is_written(words, damage, run, command):
    put(run, damage(read_arrays(run / "embeddings.npz")["mu"]))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    status, out, err = command(*(word.format(run=run) for word in words))
    assert (status, out) == (4, "")
    assert err.splitlines()[-1].startswith(
        f"error[EMBEDDINGS_CORRUPT]: {run / 'embeddings.npz'}: mu "
    )
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    # The remedy that it names.
    assert command("embed", run)[0] == 0
    assert command(*(word.format(run=run) for word in words))[0] == 0


@pytest.mark.row("C18")
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_embedding_is_drawn_and_named(value, run, command, resign):
    """It is what a training that failed writes."""
    put(run, np.full_like(read_arrays(run / "embeddings.npz")["mu"], value))
    resign(run)
    for words in COMMANDS:
        status, out, err = command(*(word.format(run=run) for word in words), "--json")
        assert status == 0, err
        if words[0] == "figure":
            assert "no projection: all vectors are equal" in out
    assert (run / "figures" / "embedding.png").exists()
