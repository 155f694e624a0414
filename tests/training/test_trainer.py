"""State between epochs: what is fetched, and what is said of numbers that are not finite."""

import re
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vgae import split_links
from vgae.errors import NumericalError
from vgae.recipes import BEST, PAPER
from vgae.training.links import prepare
from vgae.training.loop import Epoch
from vgae.training.trainer import Trainer


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
    trainer = Trainer(prepared.model, prepared.problem.evaluate, prepared.recipe, None, "")
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
    trainer = Trainer(prepared.model, prepared.problem.evaluate, prepared.recipe, None, "")
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
        trainer = Trainer(prepared.model, fails, prepared.recipe, None, "")
        with pytest.raises(error, match=r"the loss is inf in epoch 1|without a scale"):
            trainer.step(Epoch(1, *torch.full((3,), loss)))


def test_a_result_is_shown_with_its_epochs_and_scores(sbm):
    result = prepare(sbm, split_links(sbm), recipe=replace(PAPER, epochs=3)).train(progress=False)
    page = result._repr_html_()
    assert "Training of a model with GCNEncoder" in page
    assert ">3</td>" in page
    assert f">{result.history[result.best_epoch - 1].val_auc:.4g}</td>" in page
    bare = replace(result, history=[], plan=None, best_epoch=0, health=("<i>tip</i>",))
    assert "&lt;i&gt;tip&lt;/i&gt;" in bare._repr_html_()
    assert "loss" not in bare._repr_html_()
