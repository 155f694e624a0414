from dataclasses import replace

import pytest
import torch

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.graphs import build_model, from_config, model_config, widths
from vgae.recipes import BEST, PAPER
from vgae.vae import VAE

RECIPE = replace(BEST, hidden_channels=5, latent_channels=3)
NAMES = ["vgae", "gae", "linear-vgae", "linear-gae"]


def first_and_last(encoder):
    if isinstance(encoder, LinearGCNEncoder):
        return encoder.conv, encoder.conv
    return encoder.conv0, encoder.conv1


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_built_as_the_recipe_says(name, generator):
    model = build_model(name, 7, RECIPE, generator)
    encoder = model.encoder
    first, last = first_and_last(encoder)
    assert isinstance(encoder, LinearGCNEncoder if "linear" in name else GCNEncoder)
    assert encoder.posterior is (PointMass if "gae" in name.split("-")[-1:] else DiagGaussian)
    assert (first.self_loop_weight, last.norm) == (6.0, 6.0)
    assert (first.dropout, last.dropout) == ((0.8, 0.8) if "linear" in name else (0.8, 0.5))
    assert (model.decoder.pairs, model.decoder.weighting) == ("sampled", "kipf")
    assert model.decoder.bias is not None
    edges = torch.tensor([[0, 1], [1, 0]])
    assert encoder.eval()(torch.rand(4, 7, generator=generator), edges).mu.shape == (4, 3)


@pytest.mark.parametrize("name", NAMES)
def test_log_sigma_starts_where_the_recipe_says(name, generator):
    encoder = build_model(name, 7, RECIPE, generator).encoder
    first, last = first_and_last(encoder)
    log_sigma = [] if encoder.posterior is PointMass else [-2.0] * 3
    assert last.bias.tolist() == [0.0] * 3 + log_sigma
    assert first.degree_weight.shape == (16, 3 + len(log_sigma) if "linear" in name else 5)


def test_the_papers_model_has_nothing_of_that(generator):
    encoder = build_model("vgae", 7, PAPER, generator).encoder
    first, last = first_and_last(encoder)
    assert (first.self_loop_weight, last.norm) == (1.0, None)
    assert (first.dropout, last.dropout) == (0.0, 0.0)
    assert (encoder.activation, first.bias, first.degree_weight) == ("relu", None, None)


def test_widths_are_those_of_the_layers():
    assert widths("vgae", RECIPE) == [5, 6]
    assert widths("linear-gae", RECIPE) == [3]


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_rebuilds_the_model(name, generator):
    model = build_model(name, 7, RECIPE, generator)
    again = from_config(model_config(model))
    assert repr(again) == repr(model)
    assert model_config(again) == model_config(model)
    again.load_state_dict(model.state_dict())


def test_a_configuration_that_lacks_a_value_is_refused(generator):
    config = model_config(build_model("vgae", 7, RECIPE, generator))
    for name in ("model", "in_channels", "hidden_channels", "weighting", "logit_bias"):
        with pytest.raises(KeyError, match=name):
            from_config({key: value for key, value in config.items() if key != name})
    for part in ("encoder", "decoder"):
        with pytest.raises(TypeError, match="colour"):
            from_config(config | {f"{part}_options": {"colour": "red"}})
    with pytest.raises(TypeError, match="in_channels an integer"):
        from_config(config | {"in_channels": True})


def test_only_parts_that_can_be_rebuilt_have_a_configuration():
    encoder = torch.nn.Linear(3, 2)
    with pytest.raises(UsageError, match="an encoder Linear cannot be rebuilt"):
        model_config(VAE(encoder, InnerProductDecoder()))
    with pytest.raises(UsageError, match="a decoder Linear cannot be rebuilt"):
        model_config(VAE(GCNEncoder(3), torch.nn.Linear(1, 1)))
