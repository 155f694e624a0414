from dataclasses import replace

import pytest
import torch

from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.graphs import MODELS, build_model, widths
from vgae.recipes import BEST, PAPER

RECIPE = replace(BEST, hidden_channels=5, latent_channels=3)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_built_as_the_recipe_says(name, generator):
    model = build_model(name, 7, RECIPE, generator)
    encoder = model.encoder
    assert isinstance(encoder, LinearGCNEncoder if "linear" in name else GCNEncoder)
    assert encoder.posterior is (PointMass if "gae" in name.split("-")[-1:] else DiagGaussian)
    assert (encoder.self_loop_weight, encoder.length) == (6.0, 6.0)
    assert encoder.dropout == (0.8 if "linear" in name else (0.8, 0.5))
    assert (model.decoder.pairs, model.decoder.weighting) == ("sampled", "kipf")
    assert model.decoder.bias is not None
    edges = torch.tensor([[0, 1], [1, 0]])
    assert encoder.eval()(torch.rand(4, 7, generator=generator), edges).mu.shape == (4, 3)


@pytest.mark.parametrize("name", MODELS)
def test_log_sigma_starts_where_the_recipe_says(name, generator):
    encoder = build_model(name, 7, RECIPE, generator).encoder
    offset = encoder.bias if "linear" in name else encoder.bias1
    log_sigma = [] if encoder.posterior is PointMass else [-2.0] * 3
    assert offset.tolist() == [0.0] * 3 + log_sigma
    assert encoder.degree_weight.shape == (16, 3 + len(log_sigma) if "linear" in name else 5)


def test_the_papers_model_has_nothing_of_that(generator):
    encoder = build_model("vgae", 7, PAPER, generator).encoder
    assert (encoder.self_loop_weight, encoder.length, encoder.dropout) == (1.0, None, (0.0, 0.0))
    assert (encoder.activation, encoder.bias0, encoder.degree_weight) == ("relu", None, None)


def test_widths_are_those_of_the_layers():
    assert widths("vgae", RECIPE) == [5, 3]
    assert widths("linear-gae", RECIPE) == [3]


def test_an_unknown_model_is_named(generator):
    with pytest.raises(UsageError, match="no model 'gat'; there are vgae, gae, linear-vgae"):
        build_model("gat", 7, PAPER, generator)
