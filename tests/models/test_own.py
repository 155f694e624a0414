"""Models by the path of their code, which is imported when a person names it, and then alone."""

import sys

import pytest
import torch
from torch import nn

import vgae
from vgae.errors import ArtifactError, DataError, UsageError
from vgae.models.own import OwnEncoder, use_code
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.models.registry import OWN, graph_model
from vgae.recipes import PAPER
from vgae.runs.graphs import train_run
from vgae.runs.lifecycle import load_run, resume

CODE = """
import torch
from torch import nn
from torch_geometric.nn import GCNConv
import vgae
from vgae.models.registry import GraphModel

class Heads(nn.Module):
    def __init__(self, in_channels, num=2):
        super().__init__()
        self.conv = GCNConv(in_channels, 4 * num)
        self.num = num
    def forward(self, x, edge_index):
        heads = self.conv(x, edge_index).chunk(self.num, dim=-1)
        return tuple(heads) if self.num == 2 else heads[0]

def make(in_channels): return Heads(in_channels)
def plain(in_channels): return Heads(in_channels, 1)
def whole(in_channels): return vgae.VAE(vgae.GCNEncoder(in_channels), vgae.InnerProductDecoder())
def number(in_channels): return in_channels
def failing(in_channels): raise RuntimeError("no such thing.\\nmore")
def three(in_channels): return nn.Linear(in_channels, 3)
def wrong(in_channels):
    class Wrong(nn.Module):
        def forward(self, x, edge_index): return "text"
    return Wrong()
MODEL = GraphModel("mine", "vgae.encoders:GCNEncoder", "point")
Encoder = vgae.GCNEncoder
VALUE = 3
"""
SHORT = PAPER.override({"epochs": 3})


@pytest.fixture(autouse=True)
def code(tmp_path, monkeypatch):
    """A module in the current folder, unknown before and after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    (tmp_path / "mine_of_test.py").write_text(CODE)
    (tmp_path / "broken_of_test.py").write_text("1 / 0")
    yield
    OWN.clear()
    sys.modules.pop("mine_of_test", None)


def test_each_form_is_a_model():
    for name, kind in {"make": "gaussian", "plain": "point", "MODEL": "point"}.items():
        path = f"mine_of_test:{name}"
        assert use_code(path).posterior == kind
        assert use_code(path) is graph_model(path)
    assert use_code("mine_of_test:Encoder").encoder_class is vgae.GCNEncoder
    assert use_code("mine_of_test:make").encoder_class.width == 4


def test_it_trains_as_the_encoder_in_a_model_of_its_own(sbm):
    use_code("mine_of_test:make")
    split, state = vgae.split_links(sbm), torch.get_rng_state()
    one, two = (
        vgae.fit(sbm, split, model="mine_of_test:make", recipe=SHORT, progress=False).model
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(one.encoder, OwnEncoder)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    own = vgae.VAE(vgae.encoders.PosteriorEncoder(one.encoder.own.encoder), one.decoder)
    assert torch.equal(vgae.embed(own, sbm).mu, vgae.embed(one, sbm).mu)
    use_code("mine_of_test:plain")
    recipe = SHORT.override({"mask": 0.5})
    masked = vgae.fit(sbm, split, model="mine_of_test:plain", recipe=recipe, progress=False)
    assert len(masked.history) == 3


def test_a_run_is_opened_by_those_who_name_its_code_and_imports_nothing_for_others(
    sbm_file, tmp_path
):
    use_code("mine_of_test:make")
    options = {"model": "mine_of_test:make", "recipe": SHORT, "progress": False}
    run = train_run(str(sbm_file), tmp_path / "run", **options)
    before = vgae.embed(run.model, run.graph).mu
    OWN.clear()
    sys.modules.pop("mine_of_test")
    scores = tmp_path / "run" / "metrics.json"
    for opened in (load_run, resume):
        with pytest.raises((ArtifactError, UsageError), match="if you trust that module") as error:
            opened(tmp_path / "run")
        assert error.value.code == "CODE"
        assert "--code mine_of_test:make" in str(error.value)
        assert "mine_of_test" not in sys.modules
        if opened is load_run:
            scores.rename(tmp_path / "scores")  # as of a run that was interrupted
    (tmp_path / "scores").rename(scores)
    use_code("mine_of_test:make")
    assert torch.equal(vgae.embed(load_run(tmp_path / "run").model, run.graph).mu, before)


def test_no_entry_of_a_file_makes_a_module_be_imported(sbm, tmp_path):
    """Also not one with the rules of importlib, a folder or a name with a call in it."""
    split = vgae.split_links(sbm)
    model = vgae.fit(sbm, split, model="vgae", recipe=SHORT, progress=False).model
    save_pretrained(model, tmp_path / "model")
    text = (tmp_path / "model" / "config.json").read_text()
    for name in ("broken_of_test:make", "broken_of_test", "a/../b:c", "broken_of_test:f()"):
        (tmp_path / "model" / "config.json").write_text(text.replace('"vgae"', f'"{name}"'))
        with pytest.raises(ArtifactError):
            from_pretrained(tmp_path / "model")
        assert "broken_of_test" not in sys.modules


@pytest.mark.row("R36")
@pytest.mark.parametrize(
    ("path", "message"),
    {
        "gat": "code must be package.module:name, such as gat:make",
        "a b:c": "code must be package.module:name",
        "../x:make": "code must be package.module:name",
        "nowhere_of_test:make": "nowhere_of_test.py must be in the current folder or installed",
        "broken_of_test:make": "cannot be imported .ZeroDivisionError: division by zero",
        "mine_of_test:nothing": "mine_of_test.py has no nothing",
        "mine_of_test:VALUE": "a function from the number of features to an encoder, or a Graph",
        "mine_of_test:number": "must return an encoder, a torch.nn.Module, got int",
        "mine_of_test:whole": "returns a whole model; return its encoder, or name a GraphModel",
        "mine_of_test:failing": "for 8 features, fails .RuntimeError: no such thing.; python -m",
        "mine_of_test:three": "for 8 features, fails .TypeError",
        "mine_of_test:wrong": "must return mu, .mu, logstd., a vgae.DiagGaussian",
    }.items(),
)
def test_what_is_no_model_is_refused_in_one_line(path, message):
    with pytest.raises(UsageError, match=message) as error:
        use_code(path)
    assert error.value.code == "CODE"
    assert "\n" not in str(error.value)
    assert path not in OWN


def test_a_graph_that_the_encoder_cannot_take_is_refused(sbm):
    use_code("mine_of_test:make")
    bare = sbm.without_features()
    options = {"model": "mine_of_test:make", "recipe": SHORT, "progress": False}
    with pytest.raises(DataError, match="mine_of_test:make makes an encoder of features"):
        vgae.fit(bare, vgae.split_links(bare), **options)
    weights = torch.rand(sbm.num_links) + 1
    edges = sbm.links
    heavy = vgae.Graph.from_edges(edges, edge_weight=weights, x=sbm.x)
    with pytest.raises(UsageError, match=r"must take \(x, edge_index, edge_weight\) for this"):
        vgae.fit(heavy, vgae.split_links(heavy), **options)


def test_an_encoder_that_no_path_names_is_still_refused_when_saved(tmp_path):
    model = vgae.VAE(vgae.encoders.PosteriorEncoder(nn.Linear(3, 2)), vgae.InnerProductDecoder())
    with pytest.raises(UsageError, match="cannot be rebuilt"):
        save_pretrained(model, tmp_path / "model")
