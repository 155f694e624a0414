import copy
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

import vgae
from vgae.decoders import JointDecoder, JointTarget, MaskedLinks, PartDecoder
from vgae.decoders import joint as module
from vgae.decoders.joint import joined, link_decoder, part_decoder, part_names
from vgae.errors import UsageError
from vgae.models.graphs import from_config, model_config, unused_settings
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.recipes import BEST, PAPER
from vgae.training.links import prepare


class Degrees(PartDecoder):
    """The training degrees, with a Normal likelihood: the smallest part."""

    setting = "feature_likelihood"

    def __init__(self, latent_channels, generator=None):
        super().__init__()
        self.likelihood = "normal"
        self.network = nn.Linear(latent_channels, 1, bias=False)
        if generator is not None:
            nn.init.normal_(self.network.weight, generator=generator)

    @classmethod
    def from_graph(cls, recipe, graph, split, generator):
        return cls(recipe.latent_channels, generator)

    def config(self):
        return {"latent_channels": self.network.in_features}

    def prepare(self, graph, split, device):
        return torch.bincount(split.train.flatten(), minlength=graph.num_nodes).float().to(device)

    def log_prob(self, z, target):
        return -0.5 * (self.network(z)[:, 0] - target).square().sum()


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    monkeypatch.setitem(module.PARTS, "degrees", Degrees)
    monkeypatch.setattr(module, "part_class", lambda name: module.PARTS[name])


@pytest.fixture
def graph(generator):
    edges = torch.randint(30, (2, 140), generator=generator)
    return vgae.Graph.from_edges(edges, x=torch.rand(30, 5, generator=generator), num_nodes=30)


@pytest.fixture
def split(graph):
    return vgae.split_links(graph, seed=0)


JOINT = replace(PAPER, reconstruct="degrees", epochs=3)


def test_the_log_likelihood_is_that_of_the_links_plus_the_weighted_parts(graph, split, generator):
    links, part = vgae.InnerProductDecoder(), Degrees(4)
    decoder = JointDecoder(links, {"degrees": part}, weight=0.25)
    z = torch.randn(30, 4, generator=generator)
    prepared = decoder.prepare(split.message_edge_index, 30)
    target = decoder.with_parts(prepared, graph, split, "cpu")
    of_part = part.log_prob(z, target.parts["degrees"])
    torch.testing.assert_close(
        decoder.log_prob(z, target), links.log_prob(z, prepared) + 0.25 * of_part
    )
    masked = torch.ones(split.message_edge_index.shape[1])
    masked[::2] = 0
    masked = MaskedLinks(prepared, masked, float(masked.sum()))
    torch.testing.assert_close(
        decoder.log_prob(z, masked._replace(links=target)),
        links.log_prob(z, masked) + 0.25 * of_part,
    )
    with pytest.raises(ValueError, match="with_parts"):
        decoder.log_prob(z, prepared)


def test_beside_weighted_links_a_part_counts_as_much_as_the_links_do_at_chance(graph, split):
    class Costly(Degrees):
        def trivial_nats(self, target):
            return 40.0

    z = torch.zeros(30, 4)  # all pairs have the probability 1/2
    scales = []
    for weighting in ("kipf", "likelihood"):
        links = vgae.InnerProductDecoder(weighting=weighting)
        decoder = JointDecoder(links, {"degrees": Costly(4), "more": Degrees(4)})
        prepared = decoder.prepare(split.message_edge_index, 30)
        target = decoder.with_parts(prepared, graph, split, "cpu")
        scales.append(target.scales)

    assert scales[1] == {"degrees": 1.0, "more": 1.0}
    assert scales[0]["more"] == 1.0
    at_chance = -vgae.InnerProductDecoder(weighting="kipf").log_prob(z, prepared)
    # Self-pairs, which count as links, are the difference.
    torch.testing.assert_close(40 * scales[0]["degrees"], float(at_chance), rtol=0.06, atol=0)


def test_everything_about_links_is_that_of_their_decoder(generator):
    links = vgae.InnerProductDecoder(bias=True, repel=1, pairs_per_node=7)
    decoder = JointDecoder(links, {"degrees": Degrees(3)})
    z, pairs = torch.randn(6, 3, generator=generator), torch.tensor([[0, 1], [4, 5]])
    assert torch.equal(decoder.logits(z, pairs), links.logits(z, pairs))
    assert torch.equal(decoder.logits_to_all(z, pairs[0]), links.logits_to_all(z, pairs[0]))
    assert torch.equal(decoder.factors(z)[0], links.factors(z)[0])
    assert (decoder.repel, decoder.pairs_per_node, decoder.directed) == (1, 7, False)
    decoder.generator = generator
    assert links.generator is generator
    decoder.generator = None
    other = pickle.loads(pickle.dumps(copy.deepcopy(decoder)))
    assert torch.equal(other.logits(z, pairs), links.logits(z, pairs))
    with pytest.raises(AttributeError, match="colour"):
        _ = decoder.colour
    assert link_decoder(vgae.VAE(nn.Identity(), decoder)) is links


@pytest.mark.parametrize("name", ["vgae", "source-target-vgae"])
@pytest.mark.parametrize("recipe", [PAPER, replace(BEST, hidden_channels=8, latent_channels=8)])
def test_named_models_train_and_are_rebuilt_from_their_files(graph, split, tmp_path, name, recipe):
    if name != "vgae":
        graph = vgae.Graph.from_edges(graph.links, x=graph.x, directed="keep")
        split = vgae.split_links(graph, seed=0)
    recipe = replace(recipe, reconstruct="degrees", reconstruct_weight=0.5, epochs=3)
    result = vgae.fit(graph, split, model=name, recipe=recipe, progress=False)
    decoder = result.model.decoder
    assert isinstance(decoder, JointDecoder)
    assert decoder.weight == 0.5
    assert decoder.generator is None
    save_pretrained(result.model, tmp_path / "model")
    loaded = from_pretrained(tmp_path / "model")
    assert model_config(loaded) == model_config(result.model)
    assert model_config(loaded)["model"] == name
    for (key, ours), theirs in zip(
        result.model.state_dict().items(), loaded.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), key
    scores = vgae.evaluate(loaded, graph, split)
    assert scores["test"].scores == vgae.evaluate(result, graph, split)["test"].scores
    part = part_decoder(loaded, "degrees")
    assert isinstance(part, Degrees)


def test_a_part_changes_neither_the_initial_encoder_nor_the_noise(graph, split):
    """With a vanishing weight, the model of the links is that of a training without."""
    alone = vgae.fit(graph, split, recipe=replace(PAPER, epochs=3), progress=False)
    light = replace(JOINT, reconstruct_weight=1e-9)
    beside = vgae.fit(graph, split, recipe=light, progress=False)
    theirs = beside.model.state_dict()
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-5)


def test_a_training_continues_from_its_checkpoint_bit_for_bit(graph, split, tmp_path, monkeypatch):
    monkeypatch.setattr(vgae.training.checkpoint, "SECONDS", 0)
    whole = vgae.fit(graph, split, recipe=JOINT, progress=False)
    first = replace(JOINT, epochs=2)
    vgae.fit(graph, split, recipe=first, checkpoints=tmp_path, progress=False)
    rest = vgae.fit(graph, split, recipe=JOINT, checkpoints=tmp_path, progress=False)
    assert len(rest.history) == 3
    theirs = rest.model.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in whole.model.state_dict().items())


def test_settings_of_the_parts_count_as_used(graph, split):
    recipe = JOINT.override({"reconstruct_weight": 2.0, "feature_likelihood": "normal"})
    model = prepare(graph, split, recipe=recipe).model
    assert unused_settings(recipe, model, named=True) == []
    alone = prepare(graph, split, recipe=PAPER).model
    assert "reconstruct" in unused_settings(recipe, alone, named=True)


def test_names_of_targets_are_checked(graph, split):
    assert part_names("") == []
    assert part_names(" features , degrees ") == ["features", "degrees"]
    with pytest.raises(UsageError, match=r"no target 'featurs'.*Did you mean features"):
        vgae.fit(graph, split, recipe=replace(PAPER, reconstruct="featurs"))
    with pytest.raises(UsageError, match="twice"):
        part_names("degrees,degrees")
    with pytest.raises(UsageError, match="needs a decoder of each of its targets, got none"):
        joined(vgae.InnerProductDecoder(), JOINT, {})
    with pytest.raises(UsageError, match=r"not trained to reconstruct degrees.*--reconstruct"):
        part_decoder(vgae.VAE(nn.Identity(), vgae.InnerProductDecoder()), "degrees")


def test_files_without_further_targets_stay_as_they_were(graph, split):
    config = model_config(prepare(graph, split, recipe=PAPER).model)
    assert not {"reconstruct", "reconstruct_weight", "decoder_options"} & config.keys()
    assert model_config(from_config(config)) == config
    assert "reconstruct" not in PAPER.identity()
    assert JOINT.identity()["reconstruct"] == "degrees"


def test_the_target_of_an_own_model_has_its_parts(graph, split):
    decoder = JointDecoder(vgae.InnerProductDecoder(), {"degrees": Degrees(16)})
    model = vgae.VAE(vgae.GCNEncoder(5), decoder)
    prepared = prepare(graph, split, model=model, recipe=PAPER)
    assert isinstance(prepared.problem.target, JointTarget)
    weight = part_decoder(model, "degrees").get_parameter("network.weight")
    before = weight.detach().clone()
    replace(prepared, recipe=replace(PAPER, epochs=2)).train(progress=False)
    assert not torch.equal(before, weight)
