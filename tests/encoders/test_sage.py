from dataclasses import replace

import pytest
import torch
from torch_geometric.nn import SAGEConv

import vgae
from vgae.encoders.sage import SAGEEncoder
from vgae.errors import UsageError
from vgae.gaussian import PointMass
from vgae.recipes import BEST, PAPER

EDGES = torch.tensor([[0, 1, 1, 2, 0, 2, 3, 4], [1, 0, 2, 1, 2, 0, 4, 3]])  # node 5 is isolated


def test_it_is_two_layers_of_pyg(generator):
    x = torch.rand(6, 7, generator=generator)
    encoder = SAGEEncoder(7, 5, 3, generator=generator)
    layers = SAGEConv(7, 5), SAGEConv(5, 6)
    for ours, theirs in zip((encoder.conv0, encoder.conv1), layers, strict=True):
        theirs.load_state_dict(ours.state_dict())
    q = encoder(x, EDGES)
    mu, logstd = layers[1](layers[0](x, EDGES).relu(), EDGES).chunk(2, dim=-1)
    torch.testing.assert_close(q.mu, mu)
    torch.testing.assert_close(q.logvar, 2 * logstd)


@pytest.mark.parametrize("bias", [False, True])
def test_without_features_x_is_the_identity(generator, bias):
    encoder = SAGEEncoder(6, 5, 3, posterior=PointMass, bias=bias, generator=generator)
    torch.testing.assert_close(encoder(None, EDGES).mu, encoder(torch.eye(6), EDGES).mu)


def test_initial_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, second = (SAGEEncoder(7, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, first.parameters(), second.parameters()))


def test_weights_of_edges_are_refused(generator):
    x, weight = torch.rand(6, 7, generator=generator), torch.arange(1.0, 9.0)
    with pytest.raises(UsageError, match="GraphSAGE takes no edge weights"):
        SAGEEncoder(7)(x, EDGES, weight)


@pytest.mark.parametrize("features", [True, False], ids=["features", "links alone"])
@pytest.mark.parametrize("recipe", [PAPER, BEST], ids=lambda recipe: recipe.name)
def test_it_trains_with_masks_and_dropout_and_comes_back(sbm, recipe, features, tmp_path):
    graph = sbm if features else sbm.without_features()
    recipe = replace(recipe, hidden_channels=8, latent_channels=4, epochs=3)
    result = vgae.fit(graph, vgae.split_links(graph), model="sage", recipe=recipe, progress=False)
    vgae.save_pretrained(result.model, tmp_path / "model")
    back = vgae.from_pretrained(tmp_path / "model")
    assert torch.equal(vgae.embed(back, graph).mu, vgae.embed(result, graph).mu)
    assert back.encoder.config() == result.model.encoder.config()


def test_it_is_a_model_of_the_command_line(sbm_file, command, tmp_path):
    run = tmp_path / "run"
    options = ("--model", "sage", "--epochs", "2", "--set", "mask=0.5", "--quiet", "-o", run)
    assert command("train", sbm_file, *options)[0] == 0
    for name in ("evaluate", "predict", "embed", "report"):
        assert command(name, run)[0] == 0
    assert "variational GraphSAGE auto-encoder" in (run / "report.html").read_text()


def test_weights_are_refused_before_anything_is_written(tmp_path, command):
    path, run = tmp_path / "weighted.csv", tmp_path / "run"
    edges = [f"{k},{(k + step) % 30},{1 + k % 3}" for k in range(30) for step in (1, 2)]
    path.write_text("\n".join(edges))
    status, _, err = command("train", path, "--model", "sage", "--quiet", "-o", run)
    assert status == 2
    assert "GraphSAGE takes no edge weights" in err
    assert not run.exists()
