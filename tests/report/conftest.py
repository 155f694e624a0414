"""Small runs for the tests of figures and pages."""

from dataclasses import replace

import pytest

from vgae.recipes import PAPER
from vgae.recipes.images import ImageRecipe
from vgae.runs.graphs import train_run
from vgae.runs.images import train_image_run


@pytest.fixture(scope="session")
def graph_run(sbm_file, tmp_path_factory):
    """A run of 120 nodes that learned something, without figures."""
    recipe = replace(PAPER, epochs=60)
    return train_run(str(sbm_file), tmp_path_factory.mktemp("runs") / "sbm", recipe=recipe)


@pytest.fixture(scope="session")
def image_run(tmp_path_factory):
    """A run on scikit-learn's digits that learned a little, without figures."""
    recipe = ImageRecipe(name="short", hidden_channels=(32,), latent_channels=3, epochs=4)
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return train_image_run("digits", folder, recipe=recipe, num_samples=5, progress=False)
