"""A prepared training has every argument checked, and trains as fit does."""

from dataclasses import replace

import pytest
import torch

from vgae import fit, split_links
from vgae.errors import ResourceError, UsageError
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import KINGMA2013
from vgae.runtime.devices import Compute
from vgae.training.links import prepare


def test_fit_is_a_prepared_training_that_trains(sbm):
    split, recipe = split_links(sbm), replace(PAPER, epochs=3)
    left = prepare(sbm, split, recipe=recipe, seed=1).train(progress=False)
    right = fit(sbm, split, recipe=recipe, seed=1, progress=False)
    assert left.history == right.history
    for name, value in left.last.items():
        assert torch.equal(value, right.last[name])


def test_the_recipe_is_the_one_for_the_graph(sbm):
    prepared = prepare(sbm.without_features(), split_links(sbm), recipe=replace(BEST, epochs=1))
    assert (prepared.recipe.name, prepared.recipe.epochs) == ("best-links", 1)


def test_too_little_memory_is_refused_before_the_model_is_built(sbm, monkeypatch):
    monkeypatch.setattr("vgae.training.links.stream", None)
    with pytest.raises(ResourceError, match="may be used"):
        prepare(sbm, split_links(sbm), device=Compute(max_bytes=1))


def test_a_cuda_graph_replays_the_same_epoch_each_time(sbm):
    with pytest.raises(UsageError, match="needs a GPU"):
        prepare(sbm, split_links(sbm), device=Compute("cpu", cuda_graph=True))


@pytest.mark.parametrize("recipe", ["best", 3, KINGMA2013])
def test_a_recipe_is_a_recipe(sbm, recipe):
    with pytest.raises(UsageError, match=r"recipe must be one of vgae\.recipes, got"):
        fit(sbm, split_links(sbm), recipe=recipe)


def test_processes_compare_settings_not_the_order_of_a_set(sbm):
    """Sets of texts differ in their order from process to process."""
    recipe = PAPER.override({"lr": "0.1", "beta": "0.5"})
    described = prepare(sbm, split_links(sbm), recipe=recipe)._described()
    assert described["lr of the recipe"] == "0.1"
    assert not [name for name, value in described.items() if "{" in value or name[0] == "_"]
