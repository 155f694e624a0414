"""Runs of both kinds through one function; a third kind is in test_kind.py."""

from dataclasses import replace

import numpy as np
import pytest

from vgae.recipes import PAPER
from vgae.recipes.images import SMALL2D
from vgae.runs.folder import Output
from vgae.runs.graphs import GRAPHS, Run
from vgae.runs.images import IMAGES, ImageRun
from vgae.runs.lifecycle import load_run, resume, train


@pytest.mark.parametrize(
    ("kind", "run_class"), [(GRAPHS, Run), (IMAGES, ImageRun)], ids=["graph", "images"]
)
def test_runs_of_both_kinds_are_trained_loaded_and_replaced(kind, run_class, sbm_file, tmp_path):
    source, recipe = sbm_file, replace(PAPER, epochs=1)
    if kind is IMAGES:
        source, recipe = tmp_path / "x.npy", replace(SMALL2D, epochs=1, hidden_channels=(4,))
        np.save(source, np.random.default_rng(0).random((40, 4, 4), dtype=np.float32))
    run = train(kind, str(source), tmp_path / "run", recipe=recipe, progress=False)
    loaded = load_run(run.folder)
    assert type(loaded) is type(run) is run_class
    assert loaded.metrics == run.metrics == resume(run.folder).metrics
    again = Output(run.folder, overwrite=True)
    assert train(kind, str(source), again, recipe=recipe, seed=1).config["seed"] == 1
