import copy
import math

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch_geometric.nn import GCNConv

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder, feature_scale
from vgae.encoders._convolution import GraphConvolution
from vgae.encoders._degrees import degree_features
from vgae.encoders.gcn import ACTIVATIONS
from vgae.errors import DataError, UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.kernels import EdgeOperator
from vgae.kernels.csr import csr_tensor, edges_to_csr, gcn_norm
from vgae.vae import VAE

EDGES = torch.tensor([[0, 1, 1, 2, 0, 2, 3, 4], [1, 0, 2, 1, 2, 0, 4, 3]])  # node 5 is isolated


@pytest.fixture
def x(generator):
    return torch.rand(6, 7, generator=generator) * (torch.rand(6, 7, generator=generator) < 0.5)


@pytest.fixture
def encoder(generator):
    encoder = GCNEncoder(7, 5, 3, generator=generator)
    torch.nn.init.normal_(encoder.conv0.bias, generator=generator)
    torch.nn.init.normal_(encoder.conv1.bias, generator=generator)
    return encoder


def pyg_twin(encoder):
    """Two GCNConv layers (three, as PyG has one per head) with the weights of ``encoder``."""
    hidden, mu, logstd = GCNConv(7, 5), GCNConv(5, 3), GCNConv(5, 3)
    with torch.no_grad():
        hidden.lin.weight.copy_(encoder.conv0.weight.T)
        hidden.bias.copy_(encoder.conv0.bias)
        for layer, columns in ((mu, slice(0, 3)), (logstd, slice(3, 6))):
            layer.lin.weight.copy_(encoder.conv1.weight[:, columns].T)
            layer.bias.copy_(encoder.conv1.bias[columns])

    def forward(x, edge_index, edge_weight=None):
        h = hidden(x, edge_index, edge_weight).relu()
        return mu(h, edge_index, edge_weight), logstd(h, edge_index, edge_weight)

    return forward


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("directed", [False, True])
def test_it_equals_two_gcnconv_layers_with_equal_weights(
    encoder, x, generator, weighted, directed
):
    edge_index = EDGES[:, :5] if directed else EDGES
    weight = torch.rand(edge_index.shape[1], generator=generator) if weighted else None
    if weighted and not directed:
        weight = (weight + weight.reshape(-1, 2).flip(1).flatten()) / 2
    mu, logstd = pyg_twin(encoder)(x, edge_index, weight)
    q = encoder(x, edge_index, weight)
    torch.testing.assert_close(q.mu, mu, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(q.logvar, 2 * logstd, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("directed", [False, True])
def test_its_gradients_equal_those_of_gcnconv(encoder, x, directed):
    edge_index = EDGES[:, :5] if directed else EDGES
    grads = []
    for forward in (pyg_twin(encoder), encoder):
        x_leaf = x.clone().requires_grad_()
        out = forward(x_leaf, edge_index)
        mu = out.mu if forward is encoder else out[0]
        grads.append(torch.autograd.grad((mu**2).sum(), x_leaf)[0])
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("form", ["edge_index", "prepared"])
def test_it_runs_in_every_precision_that_gcnconv_runs_in(encoder, x, dtype, form):
    expected = pyg_twin(encoder)(x, EDGES)[0].double()
    encoder = encoder.to(dtype)
    inputs = encoder.prepare(x.to(dtype), EDGES) if form == "prepared" else (x.to(dtype), EDGES)
    mu = encoder(*inputs).mu
    assert mu.dtype == dtype
    tolerance = 1e-6 if dtype == torch.float64 else 0.05
    torch.testing.assert_close(mu.double(), expected, atol=tolerance, rtol=tolerance)


def test_it_runs_under_autocast(encoder, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mu = encoder(x, EDGES).mu
    torch.testing.assert_close(mu.float(), encoder(x, EDGES).mu, atol=0.05, rtol=0.05)


def test_edge_weights_get_the_gradient_that_gcnconv_gives_them(encoder, x, generator):
    grads = []
    for forward in (lambda *a: pyg_twin(encoder)(*a)[0], lambda *a: encoder(*a).mu):
        weight = torch.linspace(0.5, 1.5, EDGES.shape[1]).requires_grad_()
        grads.append(torch.autograd.grad((forward(x, EDGES, weight) ** 2).sum(), weight)[0])
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-5)


def test_what_would_be_ignored_is_refused(encoder, x):
    with pytest.raises(ValueError, match="edge_weight goes with edge_index"):
        encoder(x, edges_to_csr(EDGES, 6), torch.ones(8))
    with pytest.raises(ValueError, match="a sparse x gets no gradients"):
        encoder(sparse(x).requires_grad_(), EDGES)


def test_repr_says_the_widths(encoder):
    assert repr(encoder) == "GCNEncoder(7 -> 5 -> 3)"


def test_permuting_the_nodes_permutes_the_posterior(encoder, x, generator):
    order = torch.randperm(6, generator=generator)
    where = order.argsort()
    q, permuted = encoder(x, EDGES), encoder(x[order], where[EDGES])
    torch.testing.assert_close(permuted.mu, q.mu[order])
    torch.testing.assert_close(permuted.logvar, q.logvar[order])


def test_an_isolated_node_sees_only_itself(encoder, x):
    alone = encoder(x[5:], torch.empty(2, 0, dtype=torch.int64))
    torch.testing.assert_close(encoder(x, EDGES).mu[5:], alone.mu)


@pytest.mark.parametrize("form", ["csr x", "csr adjacency", "coo adjacency", "prepared"])
def test_every_form_of_the_inputs_gives_the_same_posterior_and_gradients(encoder, x, form):
    inputs = {
        "csr x": lambda: (sparse(x), EDGES),
        "csr adjacency": lambda: (x, edges_to_csr(EDGES, 6)),
        "coo adjacency": lambda: (x, edges_to_csr(EDGES, 6).to_sparse_coo()),
        "prepared": lambda: encoder.prepare(sparse(x), EDGES),
    }[form]()
    expected, grad = value_and_grad(encoder, x, EDGES)
    got, got_grad = value_and_grad(encoder, *inputs)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got_grad, grad)


def value_and_grad(encoder, x, edge_index):
    mu = encoder(x, edge_index).mu
    return mu, torch.autograd.grad((mu**2).sum(), encoder.conv0.weight)[0]


def sparse(x):
    row, column = x.nonzero().T
    square = edges_to_csr(torch.stack([row, column]), 7, x[row, column])
    crow = square.crow_indices()[:7]
    return csr_tensor(crow, square.col_indices(), square.values(), (6, 7))


@pytest.mark.parametrize("prepared", [False, True])
def test_no_features_is_the_identity_and_is_never_built(generator, prepared):
    encoder = GCNEncoder(6, 5, 3, generator=generator)
    inputs = encoder.prepare(None, EDGES) if prepared else (None, EDGES)
    torch.testing.assert_close(encoder(*inputs).mu, encoder(torch.eye(6), EDGES).mu)
    million = GCNEncoder(1_000_000, 2, 2, generator=generator)  # identity: 4 TB
    chain = torch.arange(999_999)
    q = million(None, torch.stack([torch.cat([chain, chain + 1]), torch.cat([chain + 1, chain])]))
    assert q.mu.shape == (1_000_000, 2)


@pytest.mark.parametrize(("posterior", "heads"), [(DiagGaussian, 2), (PointMass, 1)])
def test_the_posterior_says_how_many_heads_there_are(posterior, heads, x):
    encoder = GCNEncoder(7, 5, 3, posterior=posterior)
    assert encoder.conv1.weight.shape == (5, 3 * heads)
    assert isinstance(encoder(x, EDGES), posterior)


def test_without_bias_there_are_two_weights_and_nothing_else():
    names = [name for name, _ in GCNEncoder(7, bias=False).named_parameters()]
    assert names == ["conv0.weight", "conv1.weight"]
    assert [*GCNEncoder(7, bias=False).state_dict()] == ["weight0", "weight1"]


@pytest.mark.parametrize("degrees", [False, True])
def test_files_have_the_names_and_the_order_of_the_first_version(degrees):
    """The order numbers the parameters in checkpoints."""
    names = ["weight0", "weight1", *(["degree_weight"] if degrees else []), "bias0", "bias1"]
    encoder = GCNEncoder(7, degrees=degrees)
    assert [*encoder.state_dict()] == names
    model = copy.deepcopy(VAE(encoder, InnerProductDecoder(bias=True)))
    assert [*model.state_dict()] == [*(f"encoder.{name}" for name in names), "decoder.bias"]
    model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})
    assert torch.equal(model.encoder.conv1.weight, encoder.conv1.weight + 1)


def test_initial_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, second = (
        GCNEncoder(7, generator=torch.Generator().manual_seed(3)).conv1.weight for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_each_head_is_drawn_with_its_own_glorot_bound():
    weight = GCNEncoder(7, 32, 16, generator=torch.Generator().manual_seed(0)).conv1.weight
    bound = (6 / (32 + 16)) ** 0.5  # not 6 / (32 + 32), as the two heads side by side would give
    assert 0.95 * bound < weight.abs().max() <= bound


def test_features_of_another_width_are_refused(encoder):
    with pytest.raises(DataError, match=r"7 columns.*\(6, 9\)"):
        encoder(torch.rand(6, 9), EDGES)


def with_options(x, generator, **options):
    encoder = GCNEncoder(7, 5, 3, generator=generator, **options)
    torch.nn.init.normal_(encoder.conv1.bias, generator=generator)
    return encoder


def test_a_self_loop_weight_of_two_is_what_pyg_calls_improved(x, generator):
    encoder = with_options(x, generator, self_loop_weight=2.0)
    conv = GCNConv(7, 5, improved=True)
    head = GCNConv(5, 3, improved=True)
    with torch.no_grad():
        conv.lin.weight.copy_(encoder.conv0.weight.T)
        head.lin.weight.copy_(encoder.conv1.weight[:, :3].T)
        head.bias.copy_(encoder.conv1.bias[:3])
    ones = torch.ones(8)  # without weights PyG forgets that it is to be improved
    expected = head(conv(x, EDGES, ones).relu(), EDGES, ones)
    torch.testing.assert_close(encoder(x, EDGES).mu, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        encoder(*encoder.prepare(x, EDGES)).mu, expected, atol=1e-6, rtol=1e-5
    )


def test_messages_of_the_mean_have_one_length_and_the_others_are_as_ever(x, generator):
    encoder = with_options(x, generator, latent_norm=2.5, activation="elu")
    adj = gcn_norm(EDGES, 6).to_dense()
    h = torch.nn.functional.elu(adj @ x @ encoder.conv0.weight)
    messages = h @ encoder.conv1.weight + encoder.conv1.bias
    unit = messages[:, :3] / messages[:, :3].norm(dim=1, keepdim=True)
    q = encoder(x, EDGES)
    torch.testing.assert_close(q.mu, adj @ (2.5 * unit))
    logstd = adj @ (h @ encoder.conv1.weight)[:, 3:] + encoder.conv1.bias[3:]
    assert (logstd > 0).any()
    torch.testing.assert_close(q.logvar, 2 * logstd.clamp_max(0))  # no wider than the prior
    assert q.mu[5].norm().item() == pytest.approx(2.5)  # isolated: its own message alone


@pytest.mark.parametrize("form", ["edges", "weighted", "matrix", "prepared", "masked"])
@pytest.mark.parametrize("loop", [1.0, 4.0])
def test_degrees_are_more_columns_of_x(x, generator, form, loop):
    options = {"self_loop_weight": loop, "generator": generator}
    encoder = GCNEncoder(7, 5, 3, degrees=True, **options)
    plain = GCNEncoder(7 + 16, 5, 3, **options)
    with torch.no_grad():
        plain.conv0.weight.copy_(torch.cat([encoder.conv0.weight, encoder.conv0.degree_weight]))
        plain.conv1.weight.copy_(encoder.conv1.weight)
    columns = torch.zeros(6, 16)
    columns[0:3, 1] = 2 - math.log2(3)  # degree 2 lies between the columns of 1 and 3
    columns[0:3, 2] = math.log2(3) - 1
    columns[3:5, 1] = 1  # degree 1
    columns[5, 0] = 1  # none
    weight = torch.ones(8)
    inputs = {
        "edges": (x, EDGES),
        "weighted": (x, EDGES, weight.requires_grad_(form == "weighted")),
        "matrix": (x, edges_to_csr(EDGES, 6)),
        "prepared": encoder.prepare(x, EDGES),
        "masked": (*encoder.prepare(x, EDGES, masked=True), weight),
    }[form]
    expected = plain(torch.cat([x, columns], dim=1), EDGES)
    torch.testing.assert_close(encoder(*inputs).mu, expected.mu)
    torch.testing.assert_close(encoder(*inputs).logvar, expected.logvar)


def test_degrees_count_what_is_seen_and_end_in_the_last_column(generator):
    encoder = GCNEncoder(6, 5, 3, degrees=True, generator=generator)
    _, pattern = encoder.prepare(None, EDGES, masked=True)
    weight = torch.zeros(8)
    weight[(EDGES == 4).any(0)] = 1e9
    adj_norm = GraphConvolution(6, 1).propagation(None, pattern, weight)
    columns = degree_features(adj_norm, 1.0)
    assert columns[:3, 0].tolist() == [1, 1, 1]  # their links are hidden
    assert columns[3:5, 15].tolist() == [1, 1]
    assert columns.sum(1).tolist() == [1] * 6


def test_degrees_of_tensors_without_numbers_leave_nothing_behind():
    def columns():
        nodes = torch.arange(3)
        matrix = EdgeOperator(nodes.expand(2, -1), torch.full((3,), 0.25), 3)
        return degree_features(matrix, 1.0)

    with FakeTensorMode():
        assert columns().shape == (3, 16)
    assert columns()[:, 2].tolist() == [1, 1, 1]


@pytest.mark.parametrize("loop", [1e7, 7e9])  # of which float32 leaves no degree
def test_degrees_beside_a_heavy_self_loop_are_numbers(loop):
    adj_norm = GraphConvolution(6, 1, self_loop_weight=loop).propagation(None, EDGES)
    assert degree_features(adj_norm, loop).sum(1).tolist() == [1] * 6


@pytest.mark.parametrize("layout", ["dense", "sparse", "none"])
def test_dropout_drops_in_training_alone_and_changes_no_average(x, generator, layout, monkeypatch):
    # Linear, so that the mean of the outputs is the output of the means.
    monkeypatch.setitem(ACTIVATIONS, "elu", lambda h: h)
    given_x = {"dense": x, "sparse": x.to_sparse_csr(), "none": None}[layout]
    in_channels = 6 if layout == "none" else 7
    encoder = GCNEncoder(
        in_channels, 5, 3, activation="elu", dropout=(0.5, 0.3), generator=generator
    )
    encoder.generator = generator
    inputs = encoder.prepare(given_x, EDGES)
    expected = encoder.eval()(*inputs).mu
    assert torch.equal(expected, encoder(*inputs).mu)
    encoder.train()
    with torch.no_grad():
        drawn = torch.stack([encoder(*inputs).mu for _ in range(4000)])
    assert not torch.equal(drawn[0], drawn[1])
    error = drawn.std(0) / 4000**0.5
    assert ((drawn.mean(0) - expected).abs() <= 5 * error + 1e-6).all()


def test_dropout_comes_from_the_generator_and_from_nowhere_else(x, generator):
    encoder = with_options(x, generator, dropout=(0.5, 0.5))
    state, outside = generator.get_state(), torch.get_rng_state()
    encoder.generator = generator
    first = encoder(x, EDGES).mu
    generator.set_state(state)
    assert torch.equal(first, encoder(x, EDGES).mu)
    assert torch.equal(outside, torch.get_rng_state())


def test_features_that_were_averaged_cannot_be_dropped(x, generator):
    encoder = with_options(x, generator, dropout=(0.5, 0.0))
    inputs = encoder.eval().prepare(x, EDGES)
    with pytest.raises(ValueError, match="cannot be dropped once they are averaged"):
        encoder.train()(*inputs)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_prepared_for_masks_it_takes_another_weight_each_time(encoder, x, generator, layout):
    inputs = encoder.prepare(x if layout == "dense" else x.to_sparse_csr(), EDGES, masked=True)
    torch.testing.assert_close(encoder(*inputs).mu, encoder(x, EDGES).mu)
    for _ in range(2):
        half = torch.rand(4, generator=generator).round()
        weight = torch.zeros(8)
        for k, (u, v) in enumerate([(0, 1), (1, 2), (0, 2), (3, 4)]):
            weight[(torch.tensor([[u], [v]]) == EDGES).all(0)] = half[k]
            weight[(torch.tensor([[v], [u]]) == EDGES).all(0)] = half[k]
        expected = encoder(x, EDGES[:, weight > 0], weight[weight > 0])
        torch.testing.assert_close(encoder(*inputs, weight).mu, expected.mu)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "gelu"},
        {"dropout": (1.0, 0.0)},
        {"self_loop_weight": 0},
        {"latent_norm": 0.0},
    ],
)
def test_an_option_out_of_range_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        GCNEncoder(7, **options)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_scaled_features_have_no_units(x, generator, layout):
    """Columns in other units, and all of them larger: the same features."""
    units = torch.tensor([1.0, 1000.0, 0.01, 5.0, 1.0, 2.0, 1.0])
    as_layout = {"dense": lambda x: x, "sparse": lambda x: x.to_sparse_csr()}[layout]
    scale = feature_scale(as_layout(x))
    torch.testing.assert_close(feature_scale(as_layout(x * units)) * units, scale)
    assert (x * scale).square().sum(1).mean().item() == pytest.approx(16)
    columns = (x * scale).abs().amax(0)
    assert columns[columns > 0].std() < 1e-6


def test_features_without_an_entry_have_no_scale():
    assert feature_scale(torch.zeros(3, 2)).tolist() == [0, 0]
    assert feature_scale(torch.tensor([[0.0, -2.0]])).tolist() == [0, 2]


def test_an_encoder_scales_features_if_it_is_told_how(encoder, x):
    expected = encoder(3 * x, EDGES).mu
    encoder.feature_scale = torch.full((7,), 3.0)
    torch.testing.assert_close(encoder(x, EDGES).mu, expected)
    torch.testing.assert_close(encoder(*encoder.prepare(x, EDGES)).mu, expected)
    assert "feature_scale" in encoder.state_dict()


def test_wrong_options_and_edges_are_refused_in_one_line():
    with pytest.raises(UsageError, match=r"'self_loop_wieght'.* mean self_loop_weight"):
        GCNEncoder(3, 4, 2, self_loop_wieght=1.0)
    encoder = GCNEncoder(3, 4, 2, dropout=0.5)
    assert encoder.config()["dropout"] == encoder.config()["feature_dropout"] == 0.5
    for edges in ([[0, 1], [1, 0]], np.array([[0, 1], [1, 0]])):
        with pytest.raises(UsageError, match=r"must be a tensor of shape \(2, E\), got"):
            encoder(torch.ones(2, 3), edges)
