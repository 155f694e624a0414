from dataclasses import replace

import pytest
import torch

from vgae.decoders import BernoulliDecoder, NormalDecoder
from vgae.errors import ArtifactError, UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.images import build_image_model, load_image_model, save_image_model
from vgae.recipes.images import IMAGE_RECIPES, KINGMA2013, ImageRecipe

SHAPE = (1, 8, 8)


@pytest.mark.parametrize("name", ["vae", "ae"])
@pytest.mark.parametrize("recipe", IMAGE_RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_recipe_gives_a_model_that_scores_images(recipe, name, generator):
    model = build_image_model(name, SHAPE, recipe, generator)
    x = torch.rand(3, *SHAPE, generator=generator)
    q = model.encoder(x)
    assert isinstance(q, DiagGaussian if name == "vae" else PointMass)
    assert q.mu.shape == (3, recipe.latent_channels)
    terms = model((x,), x, generator)
    assert terms.elbo().isfinite()
    assert isinstance(
        model.decoder, BernoulliDecoder if recipe.likelihood == "bernoulli" else NormalDecoder
    )


def test_the_decoder_has_the_widths_of_the_encoder_the_other_way_round(generator):
    recipe = ImageRecipe(name="r", hidden_channels=(30, 20), latent_channels=4)
    model = build_image_model("vae", SHAPE, recipe, generator)
    shapes = [tuple(p.shape) for p in model.decoder.parameters() if p.ndim == 2]
    assert shapes == [(20, 4), (30, 20), (64, 30)]


@pytest.mark.parametrize("variance", ["fixed", "scalar", "pixel"])
def test_the_deviation_of_a_pixel_is_that_of_the_recipe(variance, generator):
    recipe = ImageRecipe(name="r", likelihood="normal", variance=variance, pixel_sigma=0.25)
    decoder = build_image_model("vae", SHAPE, recipe, generator).decoder
    assert decoder.variance == variance
    assert decoder.log_sigma.exp().item() == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["kingma2013-normal", "conv64"])
def test_a_saved_model_comes_back(tmp_path, name, generator):
    recipe = replace(IMAGE_RECIPES[name], latent_channels=3)
    model = build_image_model("vae", SHAPE, recipe, generator)
    save_image_model(tmp_path / "model", "vae", SHAPE, recipe, model)
    loaded = load_image_model(tmp_path / "model")
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"mlp"', '"rnn"'),
        lambda text: text.replace('"shape"', '"form"'),
        lambda text: text.replace('"hidden_channels"', '"hidden_layers"'),
        lambda text: text.replace("500", "400"),
    ],
)
def test_a_damaged_model_is_one_error(tmp_path, damage, generator):
    model = build_image_model("vae", SHAPE, KINGMA2013, generator)
    save_image_model(tmp_path / "model", "vae", SHAPE, KINGMA2013, model)
    path = tmp_path / "model" / "config.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ArtifactError) as error:
        load_image_model(tmp_path / "model")
    assert "\n" not in str(error.value)


def test_an_unknown_model_is_named(generator):
    with pytest.raises(UsageError, match="no model 'gan' for images; there are vae, ae"):
        build_image_model("gan", SHAPE, KINGMA2013, generator)
