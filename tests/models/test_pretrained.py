"""A model in a folder of its own comes back the same, or with one clear line not at all."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import vgae
import vgae.decoders
from vgae.decoders import BernoulliDecoder, InnerProductDecoder, MLPGenerator
from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.errors import ArtifactError, DataError, UsageError
from vgae.evaluation.calibration import load_calibration
from vgae.gaussian import PointMass
from vgae.graphs.encoding import TableEncoder
from vgae.models.images import build_image_model
from vgae.models.pretrained import load_feature_encoder
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import IMAGE_RECIPES
from vgae.vae import VAE

SHORT = {"epochs": "2"}


@pytest.fixture
def named(sbm):
    """The graph of the tests with names for its features."""
    names = [f"word {k}" for k in range(sbm.num_features)]
    return vgae.Graph.from_edges(sbm.edge_index, x=sbm.x, feature_names=names)


@pytest.mark.parametrize("model", ["vgae", "gae", "linear-vgae", "linear-gae"])
@pytest.mark.parametrize("recipe", [PAPER, BEST])
def test_every_named_model_comes_back_and_embeds_the_same(named, tmp_path, model, recipe):
    split = vgae.split_links(named)
    result = vgae.fit(named, split, model=model, recipe=recipe.override(SHORT))
    vgae.save_pretrained(result.model, tmp_path / "model")
    back = vgae.from_pretrained(tmp_path / "model")
    assert torch.equal(vgae.embed(back, named).mu, vgae.embed(result, named).mu)
    assert back.encoder.feature_names == named.feature_names
    # The same loss, with dropout and all: nothing of the configuration was lost.
    assert back.encoder.config() == result.model.encoder.config()
    assert back.decoder.weighting == result.model.decoder.weighting


def test_the_folder_has_the_two_files_of_hugging_face_and_what_belongs_to_the_nodes(sbm, tmp_path):
    split = vgae.split_links(sbm)
    result = vgae.fit(sbm, split, recipe=PAPER.override(SHORT))
    calibration = vgae.calibrate(result.model, sbm, split)
    vgae.save_pretrained(result.model, tmp_path / "m", node_ids=["a", 7], calibration=calibration)
    files = {path.name for path in (tmp_path / "m").iterdir()}
    hub = {"README.md", "config.json", "model.safetensors"}
    assert files == hub | {"node_ids.json", "calibration.json"}
    assert json.loads((tmp_path / "m" / "node_ids.json").read_text()) == ["a", 7]
    assert load_calibration(tmp_path / "m") == calibration
    weights = load_file(tmp_path / "m" / "model.safetensors")
    assert torch.equal(weights["encoder.weight0"], result.model.encoder.conv0.weight)


def test_another_graph_is_embedded_if_its_features_are_those_of_the_training(named, sbm, tmp_path):
    result = vgae.fit(named, vgae.split_links(named), recipe=PAPER.override(SHORT))
    half = vgae.Graph.from_edges([[0, 1], [1, 2]], x=sbm.x[:5])  # no names: taken as they are
    assert vgae.embed(result, half).mu.shape == (5, 16)
    names = list(named.feature_names)
    names[2] = "another"
    for x, feature_names, code, words in (
        (sbm.x[:5], names, "FEATURE_NAMES", "column 2 .* 'another', .* 'word 2'"),
        (sbm.x[:5, :3], [], "FEATURE_DIM_MISMATCH", "has 3 features"),
        (None, [], "NO_FEATURES", "embeds no others"),
    ):
        other = vgae.Graph.from_edges(
            [[0, 1], [1, 2]], num_nodes=5, x=x, feature_names=feature_names
        )
        with pytest.raises(DataError, match=words) as caught:
            vgae.embed(result, other)
        assert caught.value.code == code


def test_without_features_only_the_nodes_of_the_training_are_known(sbm):
    ids = [f"v{k}" for k in range(sbm.num_nodes)]
    graph = vgae.Graph.from_edges(sbm.links, node_ids=ids)
    result = vgae.fit(graph, vgae.split_links(graph), recipe=PAPER.override(SHORT))
    fewer = vgae.Graph.from_edges(sbm.links[:, 5:], node_ids=ids)  # next month's links
    assert vgae.embed(result, fewer).mu.shape == (len(ids), 16)
    others = vgae.Graph.from_edges(sbm.links, node_ids=[*ids[:-1], "new"])
    with pytest.raises(DataError, match=f"node {len(ids) - 1} .* is 'new'"):
        vgae.embed(result, others)
    with pytest.raises(DataError, match="trained without any"):
        vgae.embed(result, vgae.Graph.from_edges([[0], [1]]))


@pytest.mark.parametrize(
    "model",
    [
        VAE(torch.nn.Identity(), InnerProductDecoder()),
        VAE(GCNEncoder(3), BernoulliDecoder(MLPGenerator(16, [2], (1, 2, 2)))),
    ],
)
def test_a_model_of_other_parts_says_what_to_do(model, tmp_path):
    with pytest.raises(UsageError, match="state_dict"):
        vgae.save_pretrained(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    model = VAE(LinearGCNEncoder(3, posterior=PointMass), InnerProductDecoder(bias=True))
    vgae.save_pretrained(model, tmp_path / "a" / "m")
    with pytest.raises(UsageError, match="there already"):
        vgae.save_pretrained(model, tmp_path / "a")
    assert vgae.from_pretrained(tmp_path / "a" / "m").decoder.bias is not None


@pytest.mark.parametrize(
    "change", [{"model": "none"}, {"in_channels": 4}, {"feature_names": "abc"}, {"bias": None}]
)
def test_a_configuration_that_fits_no_weights_is_one_error(tmp_path, change):
    vgae.save_pretrained(VAE(GCNEncoder(3), InnerProductDecoder()), tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError) as caught:
        vgae.from_pretrained(tmp_path / "m")
    assert caught.value.code == "MODEL_CORRUPT"


@pytest.mark.parametrize("recipe", IMAGE_RECIPES.values(), ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("name", ["vae", "ae"])
def test_a_model_of_images_comes_back_from_itself_alone(name, recipe, tmp_path, generator):
    small = replace(recipe, hidden_channels=(4,) * len(recipe.hidden_channels), latent_channels=3)
    model = build_image_model(name, (1, 8, 6), small, generator).eval()
    vgae.save_pretrained(model, tmp_path / "model")
    back = vgae.from_pretrained(tmp_path / "model")
    x = torch.rand(5, 1, 8, 6, generator=generator)
    z = model.encoder(x).mu
    assert torch.equal(back.encoder(x).mu, z)
    assert torch.equal(back.decoder.log_prob(z, x), model.decoder.log_prob(z, x))
    assert torch.equal(back.decoder.mean(z), model.decoder.mean(z))


def test_a_model_of_images_that_no_recipe_builds_is_refused(tmp_path):
    generator = vgae.decoders.MLPGenerator(2, [5], (1, 4, 4), num_heads=1)
    model = vgae.VAE(vgae.MLPEncoder((1, 4, 4), [3], 2), vgae.BernoulliDecoder(generator))
    with pytest.raises(UsageError, match="no recipe rebuilds this image model"):
        vgae.save_pretrained(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_encoder_of_the_features_is_beside_the_model(sbm, tmp_path):
    result = vgae.fit(sbm, vgae.split_links(sbm), recipe=PAPER.override(SHORT))
    encoder = TableEncoder.fit({"age": ["1", "", "3"]})
    vgae.save_pretrained(result.model, tmp_path / "m", feature_encoder=encoder)
    assert load_feature_encoder(tmp_path / "m") == encoder
    path = tmp_path / "m" / "feature_encoder.json"
    path.write_text(path.read_text().replace("number", "pickle"))
    with pytest.raises(
        ArtifactError, match=r"feature_encoder\.json: .*'age' is not valid"
    ) as caught:
        load_feature_encoder(tmp_path / "m")
    assert caught.value.code == "ENCODER_CORRUPT"
    path.unlink()
    assert load_feature_encoder(tmp_path / "m") is None
