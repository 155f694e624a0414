from dataclasses import replace

import pytest
import torch

from vgae.data.images import Images
from vgae.models.embedding import embed_images
from vgae.models.images import build_image_model
from vgae.recipes.images import ImageRecipe
from vgae.runtime.processes import team
from vgae.runtime.streams import stream
from vgae.training.images import ImageBatches, fit_images

RECIPE = ImageRecipe(
    name="short", hidden_channels=(16,), latent_channels=2, epochs=4, batch_size=32, lr=0.01
)


@pytest.fixture(scope="module")
def images():
    """300 images of 6 x 6 pixels: a bar in one of six rows, and noise."""
    generator = torch.Generator().manual_seed(0)
    row = torch.randint(6, (300,), generator=generator)
    pixels = 0.1 * torch.rand(300, 1, 6, 6, generator=generator)
    pixels[torch.arange(300), 0, row] = 0.9
    return Images.from_arrays(pixels, y_train=row, name="bars")


def test_an_epoch_has_each_image_once_in_another_order(generator):
    pixels = torch.arange(10.0).view(10, 1, 1, 1)
    batches = ImageBatches(4, generator)
    orders = []
    for _ in range(2):
        epoch = batches((pixels,), pixels)
        assert [len(x) for (x,), _ in epoch] == [4, 4, 2]
        for (x,), target in epoch:
            assert x is target
        orders.append(torch.cat([x for (x,), _ in epoch]).flatten())
        assert orders[-1].sort().values.tolist() == list(range(10))
    assert not torch.equal(*orders)


def test_pixels_are_drawn_anew_with_their_grey_value_as_probability(generator):
    pixels = torch.full((1, 1, 2, 2), 0.25)
    batches = ImageBatches(1, generator, draw=True)
    drawn = torch.cat([x for _ in range(2000) for (x,), _ in batches((pixels,), pixels)])
    assert drawn.unique().tolist() == [0, 1]
    assert drawn.mean().item() == pytest.approx(0.25, abs=0.02)


def test_training_raises_the_elbo_of_images_not_seen(images):
    result = fit_images(images, recipe=replace(RECIPE, epochs=30), progress=False)
    elbos = [row.val_elbo for row in result.history]
    assert max(elbos) > elbos[0] + 3
    assert result.best_epoch == 1 + elbos.index(max(elbos))
    row = result.history[-1]
    assert row.loss == pytest.approx((row.recon + row.kl) / len(images.train), rel=1e-5)


def test_a_step_is_one_on_the_mean_over_its_batch(images):
    """With one batch an epoch, an epoch is one step of Adam on all images, by hand."""
    whole = replace(RECIPE, batch_size=1000, epochs=1, keep="last", beta=0.5)
    result = fit_images(images, recipe=whole, seed=3, progress=False)
    model = build_image_model("vae", images.shape, whole, stream(3, "init"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x = images.train[torch.randperm(len(images.train), generator=stream(3, "batches"))]
    terms = model((x,), x, stream(3, "noise"))
    loss = -terms.elbo(0.5) / len(x)
    loss.backward()
    optimizer.step()
    assert result.history[0].loss == pytest.approx(loss.item(), rel=1e-6)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(result.last[name], value)


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(images):
    recipe = replace(RECIPE, binarize="dynamic", epochs=2)
    first, second, other = (
        fit_images(images, recipe=recipe, seed=seed, progress=False) for seed in (1, 1, 2)
    )
    assert first.history == second.history
    for name, value in first.last.items():
        assert torch.equal(value, second.last[name])
    assert first.history != other.history


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad"])
@pytest.mark.parametrize("model", ["vae", "ae"])
def test_every_optimizer_trains_every_model(images, optimizer, model):
    recipe = replace(RECIPE, optimizer=optimizer, epochs=10)
    history = fit_images(images, model=model, recipe=recipe, progress=False).history
    assert history[-1].loss < history[0].loss
    assert (history[-1].kl == 0) == (model == "ae")


def test_beta_rises_with_the_epochs_of_the_warm_up(images):
    recipe = replace(RECIPE, warmup=4, beta=2.0, epochs=6)
    history = fit_images(images, recipe=recipe, progress=False).history
    num = len(images.train)
    betas = [(num * row.loss - row.recon) / row.kl for row in history]
    assert betas == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0], rel=1e-3)


def test_without_validation_images_the_last_epoch_is_kept(images):
    alone = Images.from_arrays(images.train, val=images.train[:0], test=images.test)
    result = fit_images(alone, recipe=RECIPE, progress=False)
    assert result.best_epoch == 4
    assert result.history[-1].val_elbo is None


def test_convolutions_of_a_training_and_of_its_validation_are_in_float32(images):
    """Torch's default on a GPU is TF32, with errors of 1e-3."""
    seen = []

    def note(module, *_):
        seen.append((module.training, torch.backends.cudnn.conv.fp32_precision))

    model = build_image_model("vae", images.shape, RECIPE, stream(0, "init"))
    model.encoder.register_forward_hook(note)
    fit_images(images, model=model, recipe=replace(RECIPE, epochs=1), progress=False)
    embed_images(model, images.train[:2])
    assert set(seen) == {(True, "ieee"), (False, "ieee")}
    assert torch.backends.cudnn.conv.fp32_precision == "tf32"


def doubled(images):
    parts = {name: getattr(images, name).double() for name in ("train", "val", "test")}
    return replace(images, **parts)


def trained(images, recipes, size):
    """Weights and history of each recipe in float64, of so many processes."""
    torch.set_default_dtype(torch.float64)
    found = []
    for recipe in recipes:
        result = fit_images(doubled(images), recipe=recipe, progress=False)
        found.append((result.last, [row.loss for row in result.history]))
    assert team().size == size
    return found


DIVIDED = [
    replace(RECIPE, epochs=2, batch_size=67),  # the last batch has less than two images
    replace(RECIPE, epochs=2, binarize="dynamic", average=True),
    replace(RECIPE, epochs=1, network="conv", hidden_channels=(4,), likelihood="normal"),
]


def test_weights_do_not_depend_on_the_number_of_processes(images, together):
    try:
        expected = trained(images, DIVIDED, 1)
    finally:
        torch.set_default_dtype(torch.float32)
    for size in (2, 4):
        for found in together(size, trained, images, DIVIDED, size):
            for (weights, losses), (ours, theirs) in zip(found, expected, strict=True):
                assert losses == pytest.approx(theirs, rel=1e-9)
                for name, weight in weights.items():
                    assert weight.dtype == torch.float64 or weight.dim() == 0
                    torch.testing.assert_close(weight, ours[name], rtol=0, atol=1e-6)
