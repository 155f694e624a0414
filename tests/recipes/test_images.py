import tomllib
from dataclasses import asdict

import pytest

from vgae import layers
from vgae.data import images
from vgae.decoders import normal
from vgae.encoders import _layers
from vgae.errors import UsageError
from vgae.recipes import RECIPES
from vgae.recipes import images as image_recipes
from vgae.recipes.images import (
    CONV64,
    IMAGE_RECIPES,
    KINGMA2013,
    default_recipe,
    image_recipe_named,
)


@pytest.mark.parametrize("name", IMAGE_RECIPES)
def test_a_recipe_prints_as_toml_and_comes_back(name):
    recipe = image_recipe_named(name)
    assert recipe.name == name
    lists = {"hidden_channels": [*recipe.hidden_channels]}
    assert tomllib.loads(str(recipe)) == asdict(recipe) | lists


def test_aevb_is_what_its_paper_says():
    recipe = KINGMA2013
    assert (recipe.hidden_channels, recipe.activation) == ((500,), "tanh")
    assert (recipe.likelihood, recipe.batch_size) == ("bernoulli", 100)
    assert recipe.binarize == "none"


def test_bernoulli200_is_what_introductions_have():
    recipe = image_recipe_named("bernoulli200")
    assert (recipe.hidden_channels, recipe.latent_channels) == ((200,), 100)
    assert (recipe.sigma, recipe.binarize) == ("softplus", "static")
    assert (recipe.optimizer, recipe.lr, recipe.batch_size, recipe.epochs) == (
        *("rmsprop", 0.001, 64),
        30,
    )


def test_few_images_get_more_epochs_unless_told():
    assert default_recipe(10_000).name == "keras2d"
    assert default_recipe(9_999).name == "small2d"


def test_a_name_is_either_of_a_graph_or_of_an_image_recipe():
    assert not IMAGE_RECIPES.keys() & RECIPES.keys()
    with pytest.raises(UsageError, match="no recipe 'paper' for images; there are kingma2013,"):
        image_recipe_named("paper")


@pytest.mark.parametrize(
    ("field", "text"), [("batch_size", "0"), ("pixel_sigma", "0"), ("likelihood", "poisson")]
)
def test_settings_that_make_no_sense_are_named(field, text):
    with pytest.raises(UsageError, match=field):
        KINGMA2013.override({field: text})


@pytest.mark.parametrize(
    ("choices", "same"),
    [
        (image_recipes.Activation, layers.Activation),
        (image_recipes.Sigma, _layers.Sigma),
        (image_recipes.Variance, normal.Variance),
        (image_recipes.Binarize, images.Binarize),
    ],
)
def test_the_choices_are_those_of_the_parts(choices, same):
    """They stand twice, because recipes must load without torch."""
    assert choices == same


def test_convolutions_need_a_width():
    with pytest.raises(UsageError, match="hidden_channels must name at least one convolution"):
        CONV64.override({"hidden_channels": ""})
