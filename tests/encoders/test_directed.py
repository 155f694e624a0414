import copy

import pytest
import torch

from vgae.encoders import GCNEncoder
from vgae.encoders.directed import DirectedConvolution, DirectedGCNEncoder, DirectedPattern
from vgae.errors import DataError
from vgae.gaussian import PointMass
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.csr import csr_tensor

EDGES = torch.tensor([[0, 0, 1, 2, 4], [1, 2, 2, 0, 3]])  # 0 <-> 2; node 5 is isolated, 3 a sink


@pytest.fixture
def x(generator):
    return torch.rand(6, 7, generator=generator) * (torch.rand(6, 7, generator=generator) < 0.5)


@pytest.fixture
def weight(generator):
    return torch.rand(5, generator=generator)


@pytest.fixture
def encoder(generator):
    encoder = DirectedGCNEncoder(7, 5, 3, self_loop_weight=1.5, generator=generator)
    torch.nn.init.normal_(encoder.conv0.bias, generator=generator)
    torch.nn.init.normal_(encoder.conv1.bias, generator=generator)
    return encoder


def csr(dense):
    row, col = dense.nonzero().T
    crow = torch.searchsorted(row, torch.arange(len(dense) + 1))
    return csr_tensor(crow, col, dense[row, col], tuple(dense.shape))


def normalised(weight=None, c=1.5):
    adj = c * torch.eye(6)
    adj[tuple(EDGES)] = torch.ones(5) if weight is None else weight
    return adj / adj.sum(1, keepdim=True)


def forms(encoder, x, weight):
    """Inputs that stand for the same edges and weights."""
    sparse = csr(x)
    return {
        "edges": (x, EDGES, weight),
        "learned": (x, EDGES, weight.clone().requires_grad_()),
        "sparse": (sparse, EDGES, weight),
        "prepared": encoder.prepare(x, EDGES, weight),
        "sparse prepared": encoder.prepare(sparse, EDGES, weight),
        "masked": (*encoder.prepare(sparse, EDGES, masked=True), weight),
    }


@pytest.mark.parametrize("degrees", [False, True])
def test_every_form_of_the_edges_gives_the_formula(encoder, x, weight, generator, degrees):
    if degrees:
        encoder.conv0.add_degrees(generator)
    adj = normalised(weight)
    columns = encoder.conv0.degrees(SparseOperator.of(csr(adj))) if degrees else None
    messages = x @ encoder.conv0.weight
    if columns is not None:
        messages = messages + columns @ encoder.conv0.degree_weight
    h = (adj @ messages + encoder.conv0.bias).relu()
    mu, logstd = (adj @ (h @ encoder.conv1.weight) + encoder.conv1.bias).chunk(2, dim=1)
    for inputs in forms(encoder, x, weight).values():
        q = encoder(*inputs)
        torch.testing.assert_close(q.mu, mu)
        torch.testing.assert_close(q.logvar, 2 * logstd)


def test_gradients_of_all_forms_are_those_of_the_dense_matrix(encoder, x, weight):
    adj = normalised(weight)
    h = (adj @ (x @ encoder.conv0.weight) + encoder.conv0.bias).relu()
    mu = (adj @ (h @ encoder.conv1.weight) + encoder.conv1.bias).chunk(2, dim=1)[0]
    expected = torch.autograd.grad(mu.square().sum(), encoder.conv0.weight)[0]
    for inputs in forms(encoder, x, weight).values():
        loss = encoder(*inputs).mu.square().sum()
        found = torch.autograd.grad(loss, encoder.conv0.weight)[0]
        torch.testing.assert_close(found, expected)


def test_learned_weights_get_the_gradient_of_the_dense_matrix(encoder, x, weight):
    learned, dense = (weight.clone().requires_grad_() for _ in range(2))
    adj = normalised(dense)
    h = (adj @ (x @ encoder.conv0.weight) + encoder.conv0.bias).relu()
    mu = (adj @ (h @ encoder.conv1.weight) + encoder.conv1.bias).chunk(2, dim=1)[0]
    mu.square().sum().backward()
    encoder(x, EDGES, learned).mu.square().sum().backward()
    torch.testing.assert_close(learned.grad, dense.grad)


def test_a_node_sees_the_targets_of_its_links_and_no_sources(encoder, x):
    changed = x.clone()
    changed[4] += 1  # 4 -> 3: nobody links to 4
    before, after = (encoder(features, EDGES).mu for features in (x, changed))
    moved = (before != after).any(1)
    assert moved.tolist() == [False, False, False, False, True, False]
    changed = x.clone()
    changed[3] += 1
    moved = (encoder(changed, EDGES).mu != before).any(1)
    assert moved.tolist() == [False, False, False, True, True, False]


def test_without_features_the_identity_is_never_built(generator):
    encoder = DirectedGCNEncoder(6, 5, 3, posterior=PointMass, generator=generator)
    expected = encoder(torch.eye(6), EDGES).mu
    torch.testing.assert_close(encoder(None, EDGES).mu, expected)
    torch.testing.assert_close(encoder(*encoder.prepare(None, EDGES)).mu, expected)


def test_it_is_permutation_equivariant(encoder, x, generator):
    order = torch.randperm(6, generator=generator)
    permuted = encoder(x[order], order.argsort()[EDGES]).mu
    torch.testing.assert_close(permuted, encoder(x, EDGES).mu[order])


def test_both_directions_of_every_edge_are_no_gcn(x, generator):
    """It averages by rows, the other by both ends."""
    both = torch.tensor([[0, 0, 1, 2], [1, 2, 0, 0]])
    directed = DirectedGCNEncoder(7, 5, 3, generator=generator)
    other = GCNEncoder(7, 5, 3)
    other.load_state_dict(directed.state_dict())
    assert not torch.allclose(directed(x, both).mu, other(x, both).mu)
    assert directed.directed
    assert not other.directed


@pytest.mark.parametrize("form", ["matrix", "pattern", "learned"])
@pytest.mark.parametrize("c", [1.0, 4.0])
def test_degrees_count_targets_and_sources(form, c):
    layer = DirectedConvolution(6, 1, self_loop_weight=c)
    edges, edge_weight = EDGES, None
    if form == "pattern":
        edges = DirectedPattern.of(EDGES, 6)
    if form == "learned":
        edge_weight = torch.ones(5, requires_grad=True)
    operator = layer.propagation(None, edges, edge_weight)
    assert isinstance(operator, EdgeOperator) == (form == "learned")
    columns = layer.degrees(operator)
    targets, sources = columns.chunk(2, dim=1)
    for counted, degrees in ((targets, [2, 1, 1, 0, 1, 0]), (sources, [1, 1, 2, 1, 0, 0])):
        log = torch.tensor([1.0 + d for d in degrees]).log2()
        expected = (1 - (log[:, None] - torch.arange(16)).abs()).clamp_min(0)
        torch.testing.assert_close(counted, expected, atol=1e-5, rtol=0)


def test_masked_edges_weigh_nothing(encoder, x):
    _, pattern = encoder.prepare(x, EDGES, masked=True)
    seen = torch.tensor([1.0, 0, 1, 0, 1])
    expected = encoder(x, EDGES[:, seen > 0]).mu
    torch.testing.assert_close(encoder(x, pattern, seen).mu, expected)


def test_a_graph_without_edges_leaves_each_node_alone(encoder, x):
    none = EDGES[:, :0]
    expected = encoder(x, none).mu
    _, pattern = encoder.prepare(x, none, masked=True)
    torch.testing.assert_close(encoder(x, pattern).mu, expected)


def test_dropout_and_copies_work(encoder, x):
    dropping = DirectedGCNEncoder(7, 5, 3, dropout=(0.5, 0.5))
    dropping.generator = torch.Generator().manual_seed(0)
    inputs = dropping.prepare(csr(x), EDGES)
    first, second = dropping(*inputs).mu, dropping(*inputs).mu
    assert not torch.equal(first, second)
    assert torch.equal(copy.deepcopy(encoder)(x, EDGES).mu, encoder(x, EDGES).mu)
    assert repr(encoder) == "DirectedGCNEncoder(7 -> 5 -> 3)"


@pytest.mark.parametrize("edges", [[[0, 0], [1, 1]], [[0, 1], [1, 1]]])
def test_repeats_and_loops_are_no_pattern(edges):
    with pytest.raises(DataError, match="once, without self-loops"):
        DirectedPattern.of(torch.tensor(edges), 6)


def test_matrices_and_their_weights_are_refused(encoder, x, weight):
    matrix = csr(normalised())
    with pytest.raises(ValueError, match="not a sparse matrix"):
        encoder(x, matrix)
    _, operator = encoder.prepare(csr(x), EDGES)
    with pytest.raises(ValueError, match="has its own"):
        encoder(x, operator, weight)
