"""Names of graph models: those of the package, of the process, and of installed packages."""

import logging
import sys
from dataclasses import replace

import pytest
import torch

import vgae
from vgae import VAE, Graph, evaluate, fit, split_links
from vgae.decoders import InnerProductDecoder
from vgae.decoders.source_target import SourceTargetDecoder
from vgae.encoders import GCNEncoder, GraphEncoder
from vgae.errors import UsageError
from vgae.evaluation.links import PairScorer
from vgae.gaussian import DiagGaussian
from vgae.models.files import read_json
from vgae.models.graphs import model_config
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.models.registry import (
    MODELS,
    GraphModel,
    graph_model,
    model_for,
    model_names,
    register_model,
)
from vgae.recipes import BEST, PAPER

THEIRS = '''
import torch
from vgae.decoders import InnerProductDecoder
from vgae.encoders import GraphEncoder
from vgae.models.registry import GraphModel


class MeanEncoder(GraphEncoder):
    """Mean of the neighbours' features, and one linear map."""

    def __init__(self, in_channels, latent_channels, posterior, slope=0.5):
        super().__init__(in_channels, latent_channels, posterior)
        self.linear = torch.nn.Linear(in_channels, self.posterior.num_heads * latent_channels)
        self.slope = slope

    @classmethod
    def from_recipe(cls, recipe, in_channels, *, posterior, generator=None, slope=0.5):
        return cls(in_channels, recipe.latent_channels, posterior, slope)

    def config(self):
        return {"latent_channels": self.latent_channels, "slope": self.slope}

    def forward(self, x, edge_index, edge_weight=None):
        source, target = edge_index
        mean = x.index_add(0, target, self.slope * self.scaled(x)[source])
        return self.posterior.from_heads(*self.linear(mean).chunk(self.posterior.num_heads, -1))


class Tempered(InnerProductDecoder):
    """Inner product, divided by a temperature that is no field of a recipe."""

    def __init__(self, temperature=1.0, **options):
        super().__init__(**options)
        self.temperature = temperature

    @classmethod
    def from_recipe(cls, recipe, temperature=2.0):
        return cls(temperature, weighting=recipe.weighting, bias=recipe.logit_bias)

    def config(self):
        return {**super().config(), "temperature": self.temperature}

    def logits(self, z, edge_label_index):
        return super().logits(z, edge_label_index) / self.temperature


MEAN = GraphModel("mean encoder", MeanEncoder, decoder=Tempered)
SAME = GraphModel("mean encoder", MeanEncoder, decoder=Tempered)
LAZY = GraphModel("mean encoder", "theirs.nowhere:Encoder")
BROKEN = 3
'''


@pytest.fixture
def their_package(tmp_path, monkeypatch):
    """An installed package that registers two models, one of them by mistake."""
    (tmp_path / "theirs.py").write_text(THEIRS)
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[vgae.models]\ntheirs = theirs:MEAN\nwrong = theirs:BROKEN\nmissing = theirs:NOTHING\n"
        "a-same = theirs:SAME\nlazy = theirs:LAZY\na/../b = theirs:MEAN\nboom = exploding:MEAN\n"
    )
    (tmp_path / "exploding.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("theirs", None)


def test_the_models_of_the_package_have_their_parts():
    assert graph_model("vgae").encoder_class is GCNEncoder
    assert graph_model("gae").decoder_class is InnerProductDecoder
    assert [*MODELS][:2] == ["vgae", "gae"]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="no model 'gcn'; there are vgae, gae, linear-vgae"):
        graph_model("gcn")


def test_a_name_is_registered_once(monkeypatch):
    monkeypatch.setattr("vgae.models.registry.MODELS", dict(MODELS))
    register_model("mine", GraphModel("mine", GCNEncoder))
    register_model("mine", GraphModel("mine", GCNEncoder))
    with pytest.raises(UsageError, match="there is a model 'mine' already"):
        register_model("mine", GraphModel("other", GCNEncoder))


@pytest.mark.parametrize("name", ["", "a/b", "../up", "a\nb", 3, None])
def test_a_name_is_letters_and_digits(name):
    with pytest.raises(UsageError, match="named by letters"):
        register_model(name, GraphModel("mine", GCNEncoder))


def test_parts_are_classes_of_encoders_and_decoders():
    with pytest.raises(UsageError, match="a model is a GraphModel"):
        register_model("mine", GCNEncoder)
    with pytest.raises(UsageError, match="posterior must be one of"):
        GraphModel("mine", GCNEncoder, "cauchy")
    with pytest.raises(UsageError, match=r"must be a subclass of vgae\.encoders\.base\.Graph"):
        GraphModel("mine", torch.nn.Linear).encoder_class  # noqa: B018


def test_models_of_an_installed_package_are_found_by_name(their_package):
    assert {"theirs", "wrong"} < set(model_names())
    assert issubclass(graph_model("theirs").encoder_class, GraphEncoder)
    with pytest.raises(UsageError, match="theirs:BROKEN must be a GraphModel"):
        graph_model("wrong")
    with pytest.raises(UsageError, match="model 'missing'"):
        graph_model("missing")
    with pytest.raises(UsageError, match="no licence"):
        graph_model("boom")
    with pytest.raises(UsageError, match=r"theirs\.nowhere:Encoder cannot be imported"):
        graph_model("lazy").encoder_class  # noqa: B018
    with pytest.raises(UsageError, match=r"no model 'a/\.\./b'"):
        graph_model("a/../b")


@pytest.mark.parametrize("recipe", [PAPER, BEST], ids=lambda recipe: recipe.name)
def test_a_model_of_theirs_trains_masks_saves_and_predicts(their_package, sbm, recipe, tmp_path):
    split = vgae.split_links(sbm)
    recipe = replace(recipe, epochs=2, latent_channels=3)
    result = vgae.fit(sbm, split, model="theirs", recipe=recipe, progress=False)
    vgae.save_pretrained(result.model, tmp_path / "model")
    again = vgae.from_pretrained(tmp_path / "model")
    assert (again.encoder.slope, again.decoder.temperature) == (0.5, 2.0)
    # The name that it was built with, of two of the same parts.
    assert read_json(tmp_path / "model" / "config.json")["model"] == "theirs"
    assert torch.equal(vgae.embed(again, sbm).mu, vgae.embed(result.model, sbm).mu)
    assert isinstance(vgae.embed(again, sbm), DiagGaussian)
    assert len(vgae.predict_links(again, sbm, 2, nodes=["node-1"])) == 2


def test_a_model_of_theirs_is_a_run_with_a_page(their_package, sbm_file, command, tmp_path):
    run = tmp_path / "run"
    options = ("--model", "theirs", "--epochs", "2", "--quiet", "-o", run)
    assert command("train", sbm_file, *options)[0] == 0
    assert command("evaluate", run)[0] == 0
    assert command("predict", run, "--quiet")[0] == 0
    assert command("report", run, "--quiet")[0] == 0
    assert "mean encoder" in (run / "report.html").read_text()


def test_a_class_that_is_not_registered_cannot_be_saved(sbm, tmp_path):
    class Mine(GCNEncoder):
        pass

    with pytest.raises(UsageError, match="no model is registered with the encoder Mine"):
        vgae.save_pretrained(vgae.VAE(Mine(40), InnerProductDecoder()), tmp_path / "model")


EDGES = [[0, 1, 2, 0, 3, 4], [1, 2, 0, 3, 4, 5]]


def test_the_model_of_a_graph_is_that_of_its_kind_and_a_choice_is_logged(caplog):
    directed = Graph.from_edges(EDGES, directed="keep")
    with caplog.at_level(logging.INFO, "vgae"):
        assert model_for(directed) == "source-target-vgae"
        assert "is directed, so the model is source-target-vgae" in caplog.text
        caplog.clear()
        assert model_for(Graph.from_edges(EDGES)) == "vgae"
        assert model_for(directed, "vgae") == "vgae"
    assert not caplog.text


@pytest.mark.row("G52")
@pytest.mark.parametrize("name", ["source-target-vgae", "source-target-gae", "gravity-gae"])
def test_models_of_direction_are_refused_without_direction(name):
    with pytest.raises(UsageError, match="--directed keep") as caught:
        model_for(Graph.from_edges(EDGES), name)
    assert caught.value.code == "MODEL"


@pytest.mark.parametrize("name", ["source-target-vgae", "gravity-vgae", "gravity-gae"])
@pytest.mark.parametrize("mask", [0.0, 0.4])
def test_directed_models_train_and_are_rebuilt(name, mask, tmp_path):
    generator = torch.Generator().manual_seed(0)
    edges = (torch.rand(30, 30, generator=generator) < 0.2).fill_diagonal_(0).nonzero().T
    graph = Graph.from_edges(edges, num_nodes=30, directed="keep")
    split = split_links(graph, val=0.1, test=0.1, task="biased")
    recipe = PAPER.override({"epochs": 3, "mask": mask, "degrees": True, "latent_channels": 6})
    found = fit(graph, split, model=name, recipe=recipe, device="cpu", progress=False)
    again = fit(graph, split, model=name, recipe=recipe, device="cpu", progress=False)
    pairs = split.test.edge_label_index
    logits = PairScorer(found, graph, split.message_edge_index).logits(pairs)
    assert torch.equal(logits, PairScorer(again, graph, split.message_edge_index).logits(pairs))
    save_pretrained(found.model, tmp_path / "model")
    loaded = from_pretrained(tmp_path / "model")
    assert model_config(loaded)["model"] == name
    assert torch.equal(logits, PairScorer(loaded, graph, split.message_edge_index).logits(pairs))
    # A link and its reverse have different scores, and ranks are among targets and sources.
    assert (logits.chunk(2)[0] != logits.chunk(2)[1]).all()
    assert 0 < evaluate(found, graph, split)["test"].ranks.mrr <= 1


@pytest.mark.row("G52")
def test_a_model_without_direction_is_trained_on_a_directed_graph_with_a_warning(caplog):
    graph = Graph.from_edges(EDGES, directed="keep")
    split, recipe = split_links(graph, val=0, test=0), PAPER.override({"epochs": 1})
    fit(graph, split, model="vgae", recipe=recipe, device="cpu", progress=False)
    assert caplog.text.count("InnerProductDecoder ignores the direction of links") == 1
    caplog.clear()
    fit(graph, split, recipe=recipe, device="cpu", progress=False)
    assert "ignores the direction" not in caplog.text


@pytest.mark.row("G52")
def test_a_decoder_of_direction_in_a_model_of_ones_own_is_refused_without_direction():
    graph = Graph.from_edges(EDGES)
    model = VAE(GCNEncoder(6, 5, 4), SourceTargetDecoder())
    with pytest.raises(UsageError, match="SourceTargetDecoder predicts the direction"):
        fit(graph, split_links(graph, val=0, test=0), model=model)


def test_the_name_of_a_recipe_is_told_from_a_model():
    with pytest.raises(UsageError, match="'best' is a recipe, not a model; give --recipe best"):
        graph_model("best")
