"""The decoder of links by name: what a subclass has to have."""

import pytest
import torch

from vgae.decoders import GraphDecoder, InnerProductDecoder
from vgae.recipes import BEST, PAPER


@pytest.mark.parametrize("recipe", [PAPER, BEST], ids=lambda recipe: recipe.name)
def test_the_inner_product_is_built_from_a_recipe_and_says_how(recipe):
    decoder = InnerProductDecoder.from_recipe(recipe)
    config = {"weighting": recipe.weighting, "logit_bias": recipe.logit_bias}
    assert decoder.config() == config
    assert (decoder.pairs == "sampled") == (recipe.pairs == "sampled")


def test_a_subclass_has_to_have_the_methods():
    decoder, z = GraphDecoder(), torch.zeros(2, 1)
    calls = [decoder.config, lambda: decoder.logits(z, z), lambda: decoder.log_prob(z, z)]
    for call in [*calls, lambda: decoder.prepare(z, 2), lambda: GraphDecoder.from_recipe(PAPER)]:
        with pytest.raises(NotImplementedError):
            call()
