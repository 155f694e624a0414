"""A prepared training has every argument checked, and trains as fit does."""

import re
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vgae import fit, split_links
from vgae.errors import NumericalError, ResourceError, UsageError
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import KINGMA2013
from vgae.runtime.devices import Compute
from vgae.training.links import prepare
from vgae.training.loop import Epoch
from vgae.training.prepared import _Trainer


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


@pytest.mark.parametrize("recipe", ["best", None, KINGMA2013])
def test_a_recipe_is_a_recipe(sbm, recipe):
    with pytest.raises(UsageError, match=r"recipe must be one of vgae\.recipes, got"):
        fit(sbm, split_links(sbm), recipe=recipe)


class Waits(TorchDispatchMode):
    """Number of operations for which a GPU is waited for."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func.name().removeprefix("aten::").split(".")[0], kwargs or {}
        moves = name == "_to_copy" and "device" in kwargs
        self.count += moves or name in ("_local_scalar_dense", "nonzero", "equal", "is_nonzero")
        return func(*args, **kwargs)


@pytest.mark.parametrize("recipe", [PAPER, BEST])
def test_losses_and_scores_are_fetched_at_once(sbm, recipe, monkeypatch):
    """One wait for the device per validation, none in other epochs."""
    prepared = prepare(sbm, split_links(sbm), recipe=replace(recipe, eval_every=2))
    trainer = _Trainer(prepared.model, prepared.problem.evaluate, prepared.recipe, None, "")
    fetched, tolist = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda t: fetched.append(len(t)) or tolist(t))
    with Waits() as waits:
        for number in range(1, 5):
            trainer.step(Epoch(number, *torch.full((3,), 0.5 * number)))
    assert (fetched, waits.count) == ([2 * 3 + 2] * 2, 0)
    assert [row.loss for row in trainer.history] == [0.5, 1, 1.5, 2]
    assert [row.val_ap is None for row in trainer.history] == [True, False] * 2
    assert trainer.best_epoch > 0


def test_weights_that_are_not_finite_are_named_with_their_epoch(sbm):
    """The loss was computed from the weights before the last step."""
    prepared = prepare(sbm, split_links(sbm), recipe=replace(PAPER, epochs=1))
    trainer = _Trainer(prepared.model, prepared.problem.evaluate, prepared.recipe, None, "")
    name, weight = list(prepared.model.named_parameters())[-1]
    weight.data.fill_(torch.nan)
    with pytest.raises(NumericalError, match=rf"{re.escape(name)} is not finite in epoch 7; try"):
        trainer.check_weights(7)
    with pytest.raises(NumericalError, match="val_auc is nan in epoch 1; try a smaller lr"):
        trainer.step(Epoch(1, *torch.ones(3)))
    assert trainer.history == []


def test_a_loss_that_is_not_finite_is_told_even_if_the_validation_fails(sbm):
    prepared = prepare(sbm, split_links(sbm), recipe=replace(PAPER, epochs=1))

    def fails(model):
        raise ValueError("a distribution without a scale")

    for loss, error in ((torch.inf, NumericalError), (1.0, ValueError)):
        trainer = _Trainer(prepared.model, fails, prepared.recipe, None, "")
        with pytest.raises(error, match=r"the loss is inf in epoch 1|without a scale"):
            trainer.step(Epoch(1, *torch.full((3,), loss)))
