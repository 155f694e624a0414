"""An exported encoder is the encoder: the same numbers, of any number of nodes and edges."""

import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import vgae
from vgae.encoders import (
    CSRFeatures,
    DirectedGCNEncoder,
    GCNEncoder,
    LinearGCNEncoder,
    PosteriorEncoder,
)
from vgae.encoders.sage import SAGEEncoder
from vgae.errors import DataError, ResourceError, UsageError
from vgae.models.tensors import TensorEncoder, export_encoder
from vgae.recipes import BEST, BEST_LINKS, PAPER

EVERYTHING = {
    **{"latent_norm": 2.0, "degrees": True, "self_loop_weight": 3.0, "activation": "elu"},
    **{"walks": (3, 4), "roles": 2, "content": (5, 2.0), "dropout": (0.5, 0.5)},
}


def model_of(encoder):
    """A model with random weights, also of what is not trained."""
    generator = torch.Generator().manual_seed(1)
    for tensor in (*encoder.parameters(), *encoder.buffers()):
        tensor.data.uniform_(0.1, 0.6, generator=generator)
    return vgae.VAE(encoder, vgae.InnerProductDecoder())


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (GCNEncoder, EVERYTHING),
        (LinearGCNEncoder, {"posterior": vgae.PointMass}),
        pytest.param(DirectedGCNEncoder, {"degrees": True}, marks=pytest.mark.slow),
        pytest.param(SAGEEncoder, {}, marks=pytest.mark.slow),
    ],
    ids=lambda value: "" if isinstance(value, type) else "-".join(value) or "plain",
)
def test_torch_runs_the_file_as_the_model(made, options, sbm, tmp_path):
    model = model_of(
        made(40, 8, **({} if made is LinearGCNEncoder else {"latent_channels": 12}), **options)
    )
    found = export_encoder(model, tmp_path / "e.pt2", sbm)
    assert found.difference < 1e-5
    assert found.inputs == ("x", "edge_index")
    assert found.outputs == ("mu", "logvar")[: 1 if options.get("posterior") else 2]


def test_sparse_features_are_three_tensors(sbm, tmp_path):
    sparse = replace(sbm, x=sbm.x.to_dense().to_sparse_csr())
    model = model_of(GCNEncoder(40, 8, 12, **EVERYTHING))
    found = export_encoder(model, tmp_path / "e.pt2", sparse, sparse=True)
    assert found.inputs == ("x_crow", "x_col", "x_value", "edge_index")
    assert found.difference < 1e-5


def test_a_model_without_features_takes_its_links_and_their_weights(sbm, tmp_path):
    weight = torch.rand(sbm.num_links, generator=torch.Generator().manual_seed(0))
    bare = replace(sbm, x=None, feature_names=(), link_weight=weight)
    found = export_encoder(model_of(GCNEncoder(120, 8, 4)), tmp_path / "e.pt2", bare)
    assert (found.inputs, found.difference < 1e-5) == (("edge_index", "edge_weight"), True)


@pytest.mark.filterwarnings("ignore:.*autograd.function.Function:DeprecationWarning")  # torch's
@pytest.mark.parametrize("sparse", [False, True])
def test_the_encoder_compiles_whole(sparse, sbm):
    encoder = model_of(GCNEncoder(40, 8, 12, **EVERYTHING)).encoder.eval()
    x = sbm.x.to_dense()
    expected = encoder(x, sbm.edge_index)
    torch._dynamo.reset()
    compiled = torch.compile(encoder, fullgraph=True, backend="eager", dynamic=True)
    q = compiled(CSRFeatures.of(x.to_sparse_csr()) if sparse else x, sbm.edge_index)
    assert torch.allclose(q.mu, expected.mu, atol=1e-5)
    assert torch.allclose(q.logvar, expected.logvar, atol=1e-5)


@pytest.mark.parametrize("made", [vgae.MLPEncoder, vgae.ConvEncoder])
def test_image_encoders_compile_whole(made):
    encoder = made((1, 8, 8), [4], 2)
    x = torch.rand(3, 1, 8, 8)
    torch._dynamo.reset()
    q = torch.compile(encoder, fullgraph=True, backend="eager")(x)
    assert torch.allclose(q.mu, encoder(x).mu, atol=1e-6)


def test_self_loops_of_a_compiled_encoder_keep_their_weight():
    encoder = model_of(GCNEncoder(3, 4, 2)).encoder.eval()
    edges, x = torch.tensor([[0, 1, 1, 2], [1, 0, 1, 2]]), torch.rand(4, 3)
    weight = torch.tensor([0.5, 0.5, 4.0, 0.0])
    torch._dynamo.reset()
    compiled = torch.compile(encoder, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(x, edges, weight).mu, encoder(x, edges, weight).mu, atol=1e-6)


def onnx_of(path, given):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session, session.run(None, {name: np.asarray(value) for name, value in given.items()})


@pytest.mark.parametrize(
    "options", [{}, pytest.param(EVERYTHING, marks=pytest.mark.slow)], ids=["plain", "everything"]
)
def test_onnx_is_one_file_that_says_what_it_takes(options, sbm, tmp_path):
    pytest.importorskip("onnxscript")
    model = model_of(GCNEncoder(40, 8, 12, **options))
    model.encoder.feature_names = tuple(f"ü{k}" for k in range(40))
    found = export_encoder(model, tmp_path / "e.onnx", metadata={"data": "sbm"})
    assert found.difference is None  # no data to check with
    assert [path.name for path in tmp_path.iterdir()] == ["e.onnx"]
    x = sbm.x.to_dense()
    session, (mu, logvar) = onnx_of(found.path, {"x": x, "edge_index": sbm.edge_index})
    q = vgae.embed(model, sbm)
    assert abs(mu - q.mu.numpy()).max() < 1e-5
    assert abs(logvar - q.logvar.numpy()).max() < 1e-5
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    assert shapes["x"] == ["nodes", 40]
    assert shapes["edge_index"] == [2, "edges"]
    assert shapes["mu"] == shapes["logvar"] == ["nodes", 17 if options else 12]
    notes = session.get_modelmeta().custom_metadata_map
    assert (notes["data"], notes["vgae_version"]) == ("sbm", vgae.__version__)
    assert json.loads(notes["feature_names"])[0] == "ü0"
    # Nodes alone, and no edges at all.
    _, (alone, _) = onnx_of(found.path, {"x": x[:1], "edge_index": np.zeros((2, 0), np.int64)})
    lone = model.eval().encoder(x[:1], torch.zeros(2, 0, dtype=torch.int64)).mu
    assert abs(alone - lone.detach().numpy()).max() < 1e-5
    for place in (Path(vgae.__file__).parent, tmp_path, torch.__path__[0]):
        assert str(place).encode() not in found.path.read_bytes()


def test_a_file_for_torch_names_no_place_of_this_machine(tmp_path):
    found = export_encoder(model_of(GCNEncoder(4, 8, 2)), tmp_path / "e.pt2", metadata={"a": "b"})
    with zipfile.ZipFile(found.path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    for place in (Path(vgae.__file__).parent, torch.__path__[0]):
        assert not [name for name, part in parts.items() if str(place).encode() in part]
    notes = next(part for name, part in parts.items() if name.endswith("metadata.json"))
    assert json.loads(notes)["a"] == "b"


def test_what_cannot_be_exported_is_refused_in_one_line(sbm, tmp_path):
    def refused(model, match, **options):
        with pytest.raises(UsageError, match=match) as caught:
            export_encoder(model, tmp_path / "e.pt2", **options)
        assert "\n" not in str(caught.value)
        assert not [*tmp_path.iterdir()]

    placed = model_of(GCNEncoder(4, 8, 6, positions=2))
    refused(placed, "positions depend on the sizes")
    refused(model_of(SAGEEncoder(4, 8, 2)), "leave sparse out", sparse=True)
    bare = replace(sbm, x=None, feature_names=())
    refused(model_of(GCNEncoder(120, 8, 2)), "no features that could", data=bare, sparse=True)

    class Own(torch.nn.Module):
        in_channels = 4

        def forward(self, x, edge_index):
            h = x if x.sum() > 0 else -x
            return h, h

    own = PosteriorEncoder(Own())
    own.in_channels, own.posterior = 4, vgae.DiagGaussian
    refused(vgae.VAE(own, vgae.InnerProductDecoder()), "depends on values")


def test_wrong_places_are_refused_before_the_work(sbm, tmp_path, monkeypatch):
    model = model_of(GCNEncoder(40, 8, 2))
    with pytest.raises(UsageError, match=r"must end in one of \.onnx, \.pt2"):
        export_encoder(model, tmp_path / "e.pt")
    with pytest.raises(ResourceError, match="cannot be written"):
        export_encoder(model, "/dev/null/e.pt2")
    with pytest.raises(DataError, match="trained with 40"):
        export_encoder(
            model, tmp_path / "e.pt2", replace(sbm, x=torch.ones(120, 3), feature_names=())
        )
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError, match=r"pip install 'vgae\[onnx\]'"):
        export_encoder(model, tmp_path / "e.onnx")


def test_missing_features_of_a_model_that_predicts_them_may_be_nan(two_cliques):
    recipe = replace(PAPER, epochs=1, reconstruct="features")
    model = vgae.fit(two_cliques, vgae.split_links(two_cliques), recipe=recipe).model
    module = TensorEncoder(model, ["x", "edge_index"])
    x, edges = two_cliques.x.to_dense().clone(), two_cliques.edge_index
    means = module.column_mean
    known = x.clone()
    known[2, 3] = means[3]
    x[2, 3] = torch.nan
    assert torch.equal(module(x, edges)[0], module(known, edges)[0])


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [PAPER, BEST, BEST_LINKS], ids=lambda recipe: recipe.name)
def test_coras_embeddings_come_out_of_onnxruntime(recipe, data_home, tmp_path):
    pytest.importorskip("onnxscript")
    graph = vgae.load_dataset("cora")
    graph = replace(graph, x=None, feature_names=()) if recipe is BEST_LINKS else graph
    split = vgae.split_links(graph, seed=0)
    result = vgae.fit(graph, split, recipe=replace(recipe, epochs=30), progress=False)
    edges = split.message_edge_index
    found = export_encoder(result, tmp_path / "e.onnx", graph, edge_index=edges)
    assert found.difference < 1e-5
    x = {} if graph.x is None else {"x": graph.x.to_dense()}
    _, (mu, *_) = onnx_of(found.path, {**x, "edge_index": edges})
    assert abs(mu - vgae.embed(result, graph, edges).mu.numpy()).max() < 1e-5
