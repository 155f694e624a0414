"""A training that is interrupted goes on to the weights that it would have had, bit for bit."""

import copy
import os
import signal
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from vgae.data.images import Images
from vgae.decoders import InnerProductDecoder
from vgae.errors import ArtifactError, Interrupted, ResourceError
from vgae.gaussian import DiagGaussian
from vgae.graphs.split import split_links
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import BERNOULLI200, KERAS2D
from vgae.training.checkpoint import Checkpoint, Checkpoints, read_checkpoint
from vgae.training.images import fit_images
from vgae.training.links import fit
from vgae.vae import VAE

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


class Theirs(nn.Module):
    """Encoder of a user, whose dropout draws from torch's generator."""

    def __init__(self, channels=8):
        super().__init__()
        torch.manual_seed(1)
        self.lin = nn.Linear(40, channels)

    def forward(self, x, edge_index):
        heads = nn.functional.dropout(self.lin(x), 0.5, self.training)
        return DiagGaussian(*heads.chunk(2, dim=1))


def test_dropout_of_a_model_of_ones_own_is_seeded_and_resumed(sbm, tmp_path):
    split = split_links(sbm)

    def train(seed=3, **options):
        torch.manual_seed(time.perf_counter_ns())  # must not matter
        before = torch.get_rng_state()
        model = VAE(Theirs(), InnerProductDecoder())
        torch.set_rng_state(before)
        result = fit(sbm, split, model=model, recipe=LINKS["paper"], seed=seed, **options)
        assert torch.equal(torch.get_rng_state(), before)
        return result

    result, rows = with_crashes(train, tmp_path, [1, 2, 7])
    assert_same(result, rows, train())
    assert not torch.equal(
        train(seed=4).last["encoder.lin.weight"], result.last["encoder.lin.weight"]
    )


def test_folds_of_equal_seed_and_size_are_another_split(sbm, tmp_path):
    split = split_links(sbm, seed=1)
    other = replace(split_links(sbm, seed=2), seed=1)
    recipe = replace(PAPER, epochs=2)
    fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
    with pytest.raises(ArtifactError, match="another split") as caught:
        fit(sbm, other, recipe=recipe, checkpoints=tmp_path)
    assert caught.value.code == "CKPT_OTHER"


def test_a_model_of_ones_own_is_known_by_more_than_its_text(sbm, tmp_path):
    recipe, split = replace(PAPER, epochs=2), split_links(sbm)

    class Scaled(Theirs):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x, edge_index):
            return super().forward(self.factor * x, edge_index)

    def train(factor):
        model = VAE(Scaled(factor), InnerProductDecoder())
        return fit(sbm, split, model=model, recipe=recipe, checkpoints=tmp_path)

    assert repr(Scaled(1)) == repr(Scaled(2))
    train(1)
    train(1)
    with pytest.raises(ArtifactError, match="another model"):
        train(2)


def test_the_same_call_goes_on_with_the_same_model(sbm, tmp_path):
    recipe, split = replace(PAPER, epochs=4), split_links(sbm)
    model = VAE(Theirs(), InnerProductDecoder())
    initial = copy.deepcopy(model)

    def stop(row):
        if row.epoch == 2:
            raise Crash

    with pytest.raises(Crash):
        fit(sbm, split, model=model, recipe=recipe, checkpoints=tmp_path, on_row=stop)
    result = fit(sbm, split, model=model, recipe=recipe, checkpoints=tmp_path)
    whole = fit(sbm, split, model=initial, recipe=recipe)
    assert all(torch.equal(result.last[name], whole.last[name]) for name in whole.last)


def test_what_a_model_was_trained_on_before_is_in_its_checkpoints(sbm, tmp_path):
    recipe, split, other = replace(PAPER, epochs=3), split_links(sbm), split_links(sbm, seed=9)
    model = fit(sbm, other, recipe=recipe).model
    fit(sbm, split, model=model, recipe=recipe, checkpoints=tmp_path)
    fresh = fit(sbm, split, recipe=replace(recipe, epochs=0)).model
    result = fit(sbm, split, model=fresh, recipe=recipe, checkpoints=tmp_path)
    assert set(result.model.trained_on) == {split.train_digest, other.train_digest}


def test_two_trainings_do_not_share_their_checkpoints(sbm, tmp_path):
    found = []

    def start_another(_):
        with pytest.raises(ResourceError, match="another training has its checkpoints") as caught:
            fit(sbm, split_links(sbm), seed=4, recipe=LINKS["paper"], checkpoints=tmp_path)
        found.append(caught.value.code)

    fit(
        sbm,
        split_links(sbm),
        recipe=replace(PAPER, epochs=1),
        checkpoints=tmp_path,
        on_row=start_another,
    )
    assert found == ["LOCKED"]


def test_checkpoints_of_the_first_version_are_read_with_a_warning(sbm, tmp_path, caplog):
    split, recipe = split_links(sbm), replace(PAPER, epochs=3)
    expected = fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
    kept = Checkpoints(tmp_path, {})
    whole = read_checkpoint(kept.stored()[0])
    sizes = [part.shape[1] for part in (split.train, split.val.pos, split.test.pos)]
    former = {"split": [0, *sizes], "model": repr(expected.model)}
    tensors = {k: v for k, v in whole.tensors.items() if k != "generator/torch"}
    for change, words in (({}, None), ({"split": [1, *sizes]}, "another split")):
        identity = whole.values["identity"] | former | change
        Checkpoints(tmp_path, identity).save(99, Checkpoint(whole.values, tensors))
        if words is not None:
            with pytest.raises(ArtifactError, match=words):
                fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
            continue
        again = fit(sbm, split, recipe=recipe, checkpoints=tmp_path)
        assert_same(again, again.history, expected)
        assert "is of an earlier version" in caplog.text


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
        if row.epoch == 5 and not list(tmp_path.glob("epoch-*")):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="SIGTERM ended the training after epoch 5") as caught:
        fit(sbm, split, recipe=recipe, on_row=told, checkpoints=tmp_path)
    assert caught.value.exit_code == 143
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    rows = []
    result = fit(sbm, split, recipe=recipe, on_row=rows.append, checkpoints=tmp_path)
    assert_same(result, rows, fit(sbm, split, recipe=recipe))
