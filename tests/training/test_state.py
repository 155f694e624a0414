"""A training that is interrupted goes on to the weights that it would have had, bit for bit."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from vgae.data.images import Images
from vgae.errors import ArtifactError, Interrupted
from vgae.graphs.split import split_links
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import BERNOULLI200, KERAS2D
from vgae.training.checkpoint import Checkpoint, Checkpoints, read_checkpoint
from vgae.training.images import fit_images
from vgae.training.links import fit

LINKS = {
    "paper": replace(PAPER, epochs=17),
    # Masks, dropout, sampled pairs, averaged weights, a look every 5 epochs.
    "best": replace(BEST, epochs=17),
    "patience": replace(PAPER, epochs=60, keep="best", eval_every=2, patience=4, lr=0.1),
    "warmup": replace(PAPER, epochs=12, warmup=8, optimizer="adagrad"),
}
IMAGES = {
    "dynamic": replace(KERAS2D, epochs=5, hidden_channels=(8,), binarize="dynamic", average=True),
    "rmsprop": replace(BERNOULLI200, epochs=4, hidden_channels=(8,), latent_channels=3),
}


class Crash(Exception):
    """What a power failure is to a test."""


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr("vgae.training.checkpoint.SECONDS", 0)


@pytest.fixture(scope="module")
def images():
    pixels = torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return Images.from_arrays(pixels, name="noise")


def with_crashes(train, folder, at):
    """Train with a crash after each of these epochs; return the result and all rows told last."""
    for epoch in (*at, None):
        rows = []

        def told(row, rows=rows, epoch=epoch):
            rows.append(row)
            if epoch is not None and row.epoch >= epoch and row.epoch == told.new:
                raise Crash
            told.new = max(told.new, row.epoch + 1)

        told.new = (epoch or 1) if epoch is None else epoch
        try:
            return train(on_row=told, checkpoints=folder), rows
        except Crash:
            continue
    raise AssertionError


def assert_same(result, rows, expected):
    for part in ("best", "last"):
        found, wanted = getattr(result, part), getattr(expected, part)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert rows == expected.history == result.history
    assert result.best_epoch == expected.best_epoch


@pytest.mark.parametrize("name", LINKS)
def test_links_are_learned_as_if_nothing_had_happened(sbm, tmp_path, name):
    split, recipe = split_links(sbm), LINKS[name]

    def train(**options):
        return fit(sbm, split, recipe=recipe, seed=3, **options)

    result, rows = with_crashes(train, tmp_path, [1, 2, 7, 11])
    assert_same(result, rows, train())


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_learned_as_if_nothing_had_happened(images, tmp_path, name):
    def train(**options):
        return fit_images(images, recipe=IMAGES[name], seed=3, progress=False, **options)

    result, rows = with_crashes(train, tmp_path, [1, 3])
    assert_same(result, rows, train())


def test_a_training_that_is_over_is_not_gone_on_with_but_may_be_made_longer(sbm, tmp_path):
    split, short = split_links(sbm), replace(PAPER, epochs=6)
    first = fit(sbm, split, recipe=short, checkpoints=tmp_path)
    again = fit(sbm, split, recipe=short, checkpoints=tmp_path)
    assert_same(again, again.history, first)
    longer = fit(sbm, split, recipe=replace(PAPER, epochs=11), checkpoints=tmp_path)
    whole = fit(sbm, split, recipe=replace(PAPER, epochs=11))
    # But for the look at what is held out after what was the last epoch, the same.
    assert all(torch.equal(longer.last[name], whole.last[name]) for name in whole.last)
    assert [row.loss for row in longer.history] == [row.loss for row in whole.history]


def test_a_training_that_lost_its_patience_stays_stopped(sbm, tmp_path):
    split, recipe = split_links(sbm), LINKS["patience"]
    first = fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
    assert len(first.history) < recipe.epochs
    again = fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
    assert_same(again, again.history, first)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "another seed"),
        ({"recipe": replace(PAPER, epochs=3, lr=0.02)}, "another recipe"),
        ({"model": "gae"}, "another model"),
        ({"split": 1}, "another split"),
    ],
)
def test_the_checkpoints_of_another_training_are_refused(sbm, tmp_path, change, words):
    options = {"recipe": replace(PAPER, epochs=3), "seed": 3}
    fit(sbm, split_links(sbm), checkpoints=tmp_path, **options)
    split = split_links(sbm, seed=change.pop("split", 0))
    with pytest.raises(ArtifactError, match=words):
        fit(sbm, split, checkpoints=tmp_path, **(options | change))


def test_a_checkpoint_that_lacks_something_is_one_error(sbm, tmp_path):
    split, recipe = split_links(sbm), replace(PAPER, epochs=3)
    fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
    whole = read_checkpoint(Checkpoints(tmp_path, {}).stored()[0])
    for lost in ("model/encoder.weight0", "generator/noise", "best/encoder.weight1"):
        tensors = {name: value for name, value in whole.tensors.items() if name != lost}
        identity = whole.values["identity"]
        Checkpoints(tmp_path, identity).save(99, Checkpoint(whole.values, tensors))
        with pytest.raises(ArtifactError) as caught:
            fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
        assert caught.value.code == "CKPT_MISMATCH"  # C06


def test_a_signal_ends_it_after_the_epoch_with_a_checkpoint(sbm, tmp_path, monkeypatch):
    monkeypatch.setattr("vgae.training.checkpoint.SECONDS", 1000)
    split, recipe = split_links(sbm), replace(PAPER, epochs=9)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def told(row):
        if row.epoch == 5 and not list(tmp_path.iterdir()):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="SIGTERM ended the training after epoch 5") as caught:
        fit(sbm, split, recipe=recipe, on_row=told, checkpoints=tmp_path)
    assert caught.value.exit_code == 143
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    rows = []
    result = fit(sbm, split, recipe=recipe, on_row=rows.append, checkpoints=tmp_path)
    assert_same(result, rows, fit(sbm, split, recipe=recipe))
