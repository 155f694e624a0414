"""A model of one's own that cannot be trained is refused with one line before it is touched."""

import copy
import logging
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch_geometric.nn import GAE, VGAE, GATv2Conv, GCNConv, TransformerConv

import vgae
from vgae.encoders import PosteriorEncoder, PyGEncoder
from vgae.errors import VgaeError
from vgae.models.graphs import unused_settings
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import SMALL2D

SHORT = replace(PAPER, epochs=2)


class Pair(nn.Module):
    """An encoder for PyG's VGAE."""

    def __init__(self, size=40):
        super().__init__()
        self.mu, self.logstd = GCNConv(size, 4), GCNConv(size, 4)

    def forward(self, x, edge_index, edge_weight=None):
        h = nn.functional.dropout(x, 0.5, self.training)
        return self.mu(h, edge_index, edge_weight), self.logstd(h, edge_index, edge_weight)


class Unweighted(Pair):
    def forward(self, x, edge_index):
        return vgae.DiagGaussian.from_heads(*super().forward(x, edge_index))


class Squeezed(nn.Module):
    def forward(self, x):
        return vgae.PointMass(x.flatten(1))


def decoder():
    return vgae.InnerProductDecoder()


@pytest.fixture(scope="module")
def split(sbm):
    return vgae.split_links(sbm)


def refused(graph, split, model, code, **options):
    before = torch.get_rng_state()
    with pytest.raises(VgaeError) as caught:
        vgae.fit(graph, split, model=model, recipe=SHORT, progress=False, **options)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    assert torch.equal(torch.get_rng_state(), before)
    return str(caught.value)


@pytest.mark.row("C19")
@pytest.mark.parametrize(
    ("model", "found", "wanted"),
    [
        (vgae.GCNEncoder, "the class GCNEncoder", "vgae.VAE(encoder, "),
        (vgae.VAE, "the class VAE", "vgae.VAE(encoder, "),
        (vgae.GCNEncoder(40), "got GCNEncoder", "vgae.VAE(encoder, "),
        (VGAE(Pair()), "torch_geometric's VGAE", "vgae.encoders.PosteriorEncoder(model.encoder)"),
        (GAE(GCNConv(40, 4)), "torch_geometric's GAE", "PosteriorEncoder(model.encoder)"),
        (VGAE(vgae.GCNEncoder(40)), "torch_geometric's VGAE", "vgae.VAE(model.encoder, "),
        (None, "got NoneType", "vgae.VAE(encoder, "),
        (3, "got int", "vgae.VAE(encoder, "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_vae_is_named_with_what_to_pass(model, found, wanted, sbm, split):
    said = refused(sbm, split, model, "MODEL")
    assert found in said
    assert wanted in said
    with pytest.raises(vgae.errors.UsageError, match="model must be a name or a"):
        vgae.fit_images(vgae.load_images("digits"), model=model, progress=False)


@pytest.mark.row("C20")
@pytest.mark.parametrize("encoder", [Pair(), GCNConv(40, 4)])
def test_an_encoder_as_for_pyg_is_refused_and_works_in_its_adapter(encoder, sbm, split):
    said = refused(sbm, split, vgae.VAE(encoder, decoder()), "ENCODER")
    assert "vgae.encoders.PosteriorEncoder(encoder)" in said
    with pytest.raises(vgae.errors.UsageError, match="not a posterior"):
        vgae.embed(vgae.VAE(encoder, decoder()), sbm)
    model = vgae.VAE(PosteriorEncoder(encoder), decoder())
    result = vgae.fit(sbm, split, model=model, recipe=SHORT, progress=False)
    assert vgae.embed(result, sbm).mu.shape == (120, 4)


@pytest.mark.row("C20")
def test_an_encoder_without_weights_is_refused_on_a_weighted_graph(sbm, split):
    weighted = replace(sbm, link_weight=torch.arange(1.0, 1 + sbm.num_links))
    model = vgae.VAE(Unweighted(), decoder())
    split = vgae.split_links(weighted)
    said = refused(weighted, split, model, "ENCODER")
    assert "forward of Unweighted must take (x, edge_index, edge_weight) for sbm" in said
    assert "dataclasses.replace(graph, link_weight=None)" in said
    wrapped = vgae.VAE(PosteriorEncoder(Unweighted()), decoder())
    assert refused(weighted, split, wrapped, "ENCODER") == said
    plain = replace(weighted, link_weight=None)
    vgae.fit(plain, vgae.split_links(plain), model=model, recipe=SHORT, progress=False)


@pytest.mark.row("C20")
def test_an_encoder_that_needs_features_is_refused_without(sbm):
    bare = sbm.without_features()
    model = vgae.VAE(PosteriorEncoder(Pair()), decoder())
    said = refused(bare, vgae.split_links(bare), model, "NO_FEATURES")
    assert "sbm has no features, and PosteriorEncoder fails on x = None" in said


class Faulty(Pair):
    def forward(self, x, edge_index):
        raise RuntimeError("a fault of its own")


def test_a_fault_of_the_encoder_itself_is_not_hidden(sbm, split):
    with pytest.raises(RuntimeError, match="a fault of its own"):
        vgae.fit(sbm, split, model=vgae.VAE(PosteriorEncoder(Faulty()), decoder()))


@pytest.mark.row("C20")
def test_an_encoder_for_another_number_of_features_is_refused(sbm, split):
    said = refused(sbm, split, vgae.VAE(PosteriorEncoder(Pair(39)), decoder()), "ENCODER")
    assert said.startswith("Pair fails on the 40 features of sbm (")
    assert "build it with in_channels = 40" in said


@pytest.mark.row("C19")
def test_a_class_in_place_of_an_instance_is_refused():
    makers = {
        "decoder of vgae.VAE": lambda: vgae.VAE(vgae.GCNEncoder(40), vgae.InnerProductDecoder),
        "encoder of vgae.VAE": lambda: vgae.VAE(vgae.GCNEncoder, decoder()),
        "encoder of PosteriorEncoder": lambda: PosteriorEncoder(Pair),
        "encoder of PyGEncoder": lambda: PyGEncoder(vgae.GCNEncoder),
    }
    for argument, make in makers.items():
        with pytest.raises(vgae.errors.UsageError) as caught:
            make()
        assert str(caught.value).startswith(f"{argument} must be an instance, got the class ")


@pytest.mark.row("C20")
def test_an_image_encoder_that_returns_no_posterior_is_refused():
    model = vgae.VAE(nn.Flatten(), vgae.InnerProductDecoder())
    with pytest.raises(vgae.errors.UsageError, match="Flatten returned a Tensor"):
        vgae.fit_images(vgae.load_images("digits"), model=model, recipe=SMALL2D)


def test_the_check_changes_neither_the_model_nor_the_result(sbm, split):
    torch.manual_seed(0)
    model = vgae.VAE(PosteriorEncoder(Pair()), decoder())
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(1)
    state = torch.get_rng_state()
    vgae.fit(sbm, split, model=model, recipe=replace(PAPER, epochs=0), progress=False)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.row("R21")
@pytest.mark.parametrize("seed", [None, "1", 1.5])
def test_a_seed_is_an_integer(seed, sbm, split):
    assert f"seed must be an integer, such as 0, got {seed!r}." in refused(
        sbm, split, "vgae", "SEED", seed=seed
    )


@pytest.mark.row("C20")
@pytest.mark.parametrize("kind", [VGAE, GAE])
def test_an_encoder_of_ours_in_pyg_says_how_it_fits(kind):
    model = kind(vgae.GCNEncoder(3, 4, 2))
    x, edge_index = torch.rand(4, 3), torch.tensor([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(vgae.errors.UsageError, match=r"VGAE\(PyGEncoder\(encoder\)\)"):
        model.recon_loss(model.encode(x, edge_index), edge_index)
    posterior = vgae.DiagGaussian if kind is VGAE else vgae.PointMass
    model = kind(PyGEncoder(vgae.GCNEncoder(3, 4, 2, posterior=posterior)))
    assert model.recon_loss(model.encode(x, edge_index), edge_index) > 0


@pytest.mark.row("C21")
@pytest.mark.parametrize("recipe", [PAPER, BEST], ids=lambda recipe: recipe.name)
def test_weights_of_a_fitted_model_are_loaded_into_a_new_one(recipe, sbm, split):
    few = replace(recipe, epochs=1, hidden_channels=8, latent_channels=4)
    fitted = vgae.fit(sbm, split, recipe=few, progress=False).model
    names = ("bias", "activation", "latent_norm", "degrees", "self_loop_weight", "logit_bias")
    given = {name: getattr(few, name) for name in names}
    logit_bias = given.pop("logit_bias")
    given["latent_norm"] = given["latent_norm"] or None
    new = vgae.VAE(vgae.GCNEncoder(40, 8, 4, **given), vgae.InnerProductDecoder(bias=logit_bias))
    new.load_state_dict(fitted.state_dict())
    assert torch.equal(vgae.embed(new, sbm).mu, vgae.embed(fitted, sbm).mu)
    if fitted.encoder.feature_scale is not None:
        other = vgae.VAE(vgae.GCNEncoder(41, 8, 4, **given), new.decoder)
        with pytest.raises(RuntimeError, match="size mismatch for encoder"):
            other.load_state_dict(fitted.state_dict())


@pytest.mark.row("C22")
def test_settings_without_effect_on_a_model_are_named_once(sbm, split, caplog):
    model = vgae.VAE(vgae.GCNEncoder(40, 32, 4), decoder())
    recipe = replace(SHORT, hidden_channels=64, latent_channels=4, dropout=0.5)
    vgae.fit(sbm, split, model=model, recipe=recipe, progress=False)
    told = [(r.levelno, r.message) for r in caplog.records if "no effect" in r.message]
    words = "no effect on this model: hidden_channels, dropout of the recipe"
    assert told == [(logging.WARNING, words)]
    caplog.clear()
    vgae.fit(sbm, split, model=model, recipe=SHORT, progress=False)
    assert "no effect" not in caplog.text


@pytest.mark.row("C22")
@pytest.mark.parametrize(
    ("model", "recipe", "level", "unused"),
    [
        ("sage", BEST, logging.INFO, "self_loop_weight, latent_norm, degrees"),
        ("linear-vgae", PAPER.override({"hidden_channels": 64}), logging.WARNING, None),
        ("vgae", BEST, None, None),
        ("gae", BEST, None, None),
    ],
)
def test_settings_that_a_named_model_ignores_are_named(
    model, recipe, level, unused, sbm, split, caplog
):
    caplog.set_level(logging.INFO)
    vgae.fit(sbm, split, model=model, recipe=recipe.override({"epochs": 0}), progress=False)
    told = [(r.levelno, r.message) for r in caplog.records if "no effect" in r.message]
    unused = unused or "hidden_channels"
    words = f"no effect on this model: {unused} of the recipe"
    assert told == ([] if level is None else [(level, words)])


def test_a_model_of_its_recipe_ignores_nothing(sbm, split):
    result = vgae.fit(sbm, split, recipe=replace(BEST, epochs=0), progress=False)
    assert unused_settings(BEST, result.model, named=True) == []
    own = unused_settings(BEST, result.model, named=False)
    assert own == ["scale_features", "initial_logstd"]


class TakesFeatures(torch.nn.Module):
    """An encoder with a convolution of PyG that takes features of edges, and weights before."""

    def __init__(self):
        super().__init__()
        self.mu = GATv2Conv(3, 4, edge_dim=2, add_self_loops=False)
        self.seen = []

    def forward(self, x, edge_index, edge_weight=None, edge_attr=None):
        self.seen.append((edge_index, edge_weight, edge_attr))
        return self.mu(x, edge_index, edge_attr)


def attributed(**options):
    generator = torch.Generator().manual_seed(0)
    u, v = torch.triu_indices(30, 30, 1)
    kept = torch.rand(len(u), generator=generator) < 0.3
    edges = torch.stack([u[kept], v[kept]])
    attr = torch.stack([edges[0] + 100 * edges[1], torch.ones(edges.shape[1])], dim=1)
    x = torch.randn(30, 3, generator=generator)
    return vgae.Graph.from_edges(edges, x=x, edge_attr=attr / 1000, **options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mask", [0.0, 0.5])
def test_features_of_links_reach_an_encoder_that_takes_them(weighted, mask):
    count = attributed().num_links
    graph = attributed(edge_weight=1 + torch.arange(count) if weighted else None)
    split = vgae.split_links(graph, seed=0)
    encoder = TakesFeatures()
    recipe = PAPER.override({"epochs": 2, "mask": mask})
    model = vgae.VAE(PosteriorEncoder(encoder), vgae.InnerProductDecoder())
    vgae.fit(graph, split, model=model, recipe=recipe, progress=False, device="cpu")
    for (u, v), weight, attr in encoder.seen:
        low, high = torch.minimum(u, v), torch.maximum(u, v)
        assert torch.allclose(attr[:, 0], (low + 100 * high) / 1000)
        assert (weight is not None) == weighted
        if weighted and not mask:
            assert torch.equal(weight, graph.weights_of(torch.stack([u, v])))
    held_out = split.test.pos.shape[1]
    assert all(len(attr) < 2 * (graph.num_links - held_out) for *_, attr in encoder.seen)


@pytest.mark.parametrize("conv", [GATv2Conv, TransformerConv])
def test_convolutions_of_pyg_with_edge_attr_are_encoders(conv):
    graph = attributed()
    split = vgae.split_links(graph, seed=0)
    model = vgae.VAE(PosteriorEncoder(conv(3, 4, edge_dim=2)), vgae.InnerProductDecoder())
    recipe = PAPER.override({"epochs": 2})
    result = vgae.fit(graph, split, model=model, recipe=recipe, progress=False, device="cpu")
    changed = replace(graph, link_attr=graph.link_attr * 5)
    assert not torch.equal(vgae.embed(result, graph).mu, vgae.embed(result, changed).mu)


def test_features_of_links_that_have_no_effect_are_announced(caplog):
    graph = attributed()
    split = vgae.split_links(graph, seed=0)
    given = {"recipe": PAPER.override({"epochs": 1}), "progress": False, "device": "cpu"}
    for model in ("vgae", vgae.VAE(PosteriorEncoder(GCNConv(3, 4)), vgae.InnerProductDecoder())):
        caplog.clear()
        vgae.fit(graph, split, model=model, **given)
        assert "2 features of links" in caplog.text
        assert "no effect" in caplog.text


def test_an_encoder_of_features_alone_is_refused_on_a_graph_with_weights_too():
    graph = attributed(edge_weight=1 + torch.arange(attributed().num_links))
    split = vgae.split_links(graph, seed=0)
    conv = PosteriorEncoder(GATv2Conv(3, 4, edge_dim=2))
    said = refused(graph, split, vgae.VAE(conv, vgae.InnerProductDecoder()), "ENCODER")
    assert "edge_weight=None" in said
