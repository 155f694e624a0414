"""Runs of both kinds through one function; a third kind is in test_kind.py."""

from dataclasses import replace

import numpy as np
import pytest

import vgae.training.checkpoint
from vgae.data.files import read_graph
from vgae.errors import VgaeError
from vgae.graphs.split import split_links
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import SMALL2D
from vgae.runs.folder import Output
from vgae.runs.graphs import GRAPHS, Run
from vgae.runs.images import IMAGES, ImageRun
from vgae.runs.lifecycle import load_run, resume, train
from vgae.runtime.processes import team
from vgae.training.links import fit


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


def refused(function, *arguments, **options):
    with pytest.raises(VgaeError) as caught:
        function(*arguments, **options, progress=False)
    return caught.value.code, str(caught.value)


def trained_in_parts(source, folder):
    """What each of two processes gets: a run, its errors, trainings with and without a pause."""
    vgae.training.checkpoint.SECONDS = 0
    recipe, rank = replace(PAPER, epochs=4), team().rank
    run = train(GRAPHS, source, folder / "run", recipe=recipe, progress=False)
    again = refused(train, GRAPHS, source, folder / "run", recipe=recipe)
    graph = read_graph(source)
    split = split_links(graph, seed=0)
    differing = refused(fit, graph, split, recipe=replace(recipe, lr=0.1 * (1 + rank)))
    kept = {"checkpoints": folder / "checkpoints", "progress": False}
    fit(graph, split, recipe=replace(recipe, epochs=2), **kept)
    resumed = fit(graph, split, recipe=recipe, **kept)
    best = fit(graph, split, recipe=replace(BEST, epochs=4), progress=False)
    histories = run.history, resumed.history, best.history
    weights = [result.model.state_dict() for result in (run, resumed, best)]
    return run.config["processes"], again, differing, histories, weights


@pytest.mark.row("R31")
def test_processes_train_as_one_does(sbm_file, together, tmp_path):
    found = together(2, trained_in_parts, str(sbm_file), tmp_path)
    for processes, again, differing, histories, weights in found:
        assert processes == 2
        assert again[0] == "RUN_EXISTS"  # an error of the first
        assert differing[0] == "RANKS_DIFFER"
        assert (
            "process 1 of 2 differs from the first in lr of the recipe (0.2, not 0.1);"
            in (differing[1])
        )
        # After a pause, bit for bit; of both processes too.
        for name, weight in weights[0].items():
            assert weight.equal(weights[1][name]), name
            assert weight.equal(found[0][-1][0][name]), name
        losses = [[row.loss for row in history] for history in histories]
        assert losses[0] == losses[1]
    graph = read_graph(sbm_file)
    split = split_links(graph, seed=0)
    alone = {
        recipe: [row.loss for row in fit(graph, split, recipe=recipe, progress=False).history]
        for recipe in (replace(PAPER, epochs=6), replace(BEST, epochs=4))
    }
    (paper, best), theirs = alone.values(), found[0][-2]
    assert [row.loss for row in theirs[0]] == pytest.approx(paper[:4], rel=1e-5)
    assert [row.loss for row in theirs[2]] == pytest.approx(best, rel=1e-5)
    # The checkpoint of two processes is one for one, too.
    kept = {"checkpoints": tmp_path / "checkpoints", "progress": False}
    longer = fit(graph, split, recipe=replace(PAPER, epochs=6), **kept)
    assert [row.loss for row in longer.history] == pytest.approx(paper, rel=1e-4)
