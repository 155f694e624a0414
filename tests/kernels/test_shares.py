"""Each of several processes gets the sum and the gradients that one process gets."""

import threading
from dataclasses import replace

import pytest
import torch

import vgae
from vgae.decoders.features import FeatureDecoder
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.kernels import Blocks, Sampled, _sampled, all_pairs, inner_product_nll, pair_loss, shares
from vgae.kernels._all_pairs import Wanted
from vgae.kernels.gravity import gravity_loss
from vgae.kernels.patterns import EdgePattern, PairPattern
from vgae.kernels.shares import PatternShare, triangle
from vgae.runtime.processes import Team, sharing, team
from vgae.training import links

SIGNATURE = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])


class Pretended(Team):
    """One of several processes, which are threads that take turns."""

    def __init__(self, rank, size, board):
        super().__init__(rank, size)
        self.board, self.messages = board, 0

    def sum_(self, tensors):
        given, met, turn = self.board
        given[self.rank] = [t.clone() for t in tensors]
        turn.release()
        met.wait(60)
        sums = [sum(parts[1:], parts[0]) for parts in zip(*given, strict=True)]
        met.wait(60)
        turn.acquire()
        for tensor, found in zip(tensors, sums, strict=True):
            tensor.copy_(found)
        self.messages += 1
        self.sent += 2 * sum(t.nbytes for t in tensors) * (self.size - 1) // self.size


def divided(size, compute):
    """Return what ``compute()`` returns in each of several processes, and their teams."""
    board = [None] * size, threading.Barrier(size), threading.Lock()
    teams = [Pretended(rank, size, board) for rank in range(size)]
    found, errors = [None] * size, []

    def run(us):
        try:
            with board[2], sharing(us):
                found[us.rank] = compute()
        except BaseException as error:
            errors.append(error)
            board[1].abort()

    threads = [threading.Thread(target=run, args=(us,)) for us in teams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise next(
            (e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0]
        )
    return found, teams


@pytest.fixture(autouse=True)
def small_sums(monkeypatch):
    """Divide every sum, also the smallest."""
    monkeypatch.setitem(shares._FEWEST, "cpu", 0)
    monkeypatch.setattr(shares, "_LARGEST", 5)
    monkeypatch.setattr(_sampled, "_FEWEST_PRODUCTS", 1)


def value_and_grads(loss, *tensors):
    """Return a function that computes a loss and its gradients, of tensors or ``None``."""

    def compute():
        given = [None if t is None else t.clone().requires_grad_() for t in tensors]
        total = loss(*given)
        return total.detach(), *torch.autograd.grad(total, [t for t in given if t is not None])

    return compute


def assert_divided(compute, size, dtype, messages=1):
    """Check that each of several processes gets what one does, with equal bits in each."""
    expected = compute()
    found, teams = divided(size, compute)
    for parts in found:
        assert all(map(torch.equal, parts, found[0]))
    rtol = 1e-12 if dtype == torch.float64 else 1e-6
    for got, wanted in zip(found[0], expected, strict=True):
        scale = max(1.0, float(wanted.abs().max())) if wanted.numel() else 1.0
        torch.testing.assert_close(got, wanted, rtol=rtol, atol=rtol * scale)
    assert {us.messages for us in teams} == {messages}
    assert len({us.sent for us in teams}) == 1
    assert teams[0].sent > 0


def problem(n, m=None, d=5, dtype=torch.float64, seed=0):
    """Return vectors of one or two sets, a bias, a pattern and weights of its entries."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, d, generator=generator, dtype=dtype)
    bias = torch.tensor(-0.7, dtype=dtype)
    if m is None:
        links = torch.randint(n, (2, 3 * n), generator=generator)
        edges = vgae.Graph.from_edges(links, num_nodes=n).edge_index
        pattern = EdgePattern.of(edges, n)
        weight = torch.rand(edges.shape[1] // 2, generator=generator, dtype=dtype)
        one_way = edges[0] < edges[1]
        place = {tuple(pair): k for k, pair in enumerate(edges[:, one_way].T.tolist())}
        both = [weight[place[tuple(sorted(pair))]] for pair in edges.T.tolist()]
        weight = pattern.values(torch.stack(both) if both else weight, 0.4)
        return z, None, bias, pattern, weight
    w = torch.randn(m, d, generator=generator, dtype=dtype)
    chosen = torch.rand(n, m, generator=generator) < 0.2
    pattern = PairPattern.of(chosen.nonzero().T, (n, m))
    weight = torch.rand(len(pattern.col), generator=generator, dtype=dtype)
    return z, w, bias, pattern, weight


def loss_of(pattern, weight, non_edge_weight=0.6, **options):
    """Return a function of z, w and a bias."""
    return lambda z, w, bias: pair_loss(z, pattern, weight, non_edge_weight, bias, w=w, **options)


SIZES = [2, 3, 4]
DTYPES = [torch.float64, torch.float32]


@pytest.mark.parametrize("impl", ["dense", "tiled"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_one_set_and_two_sets(size, dtype, impl):
    for n, m in ((23, None), (23, 9), (9, 23)):
        z, w, bias, pattern, weight = problem(n, m, dtype=dtype)
        compute = value_and_grads(loss_of(pattern, weight, impl=impl), z, w, bias)
        assert_divided(compute, size, dtype)
        compute = value_and_grads(lambda z, w, b: all_pairs(z, w, b, impl=impl), z, w, None)
        assert_divided(compute, size, dtype)
    z, _, bias, pattern, weight = problem(23, dtype=dtype)
    options = {"signature": SIGNATURE.to(dtype), "impl": impl}
    assert_divided(
        value_and_grads(loss_of(pattern, weight, **options), z, None, bias), size, dtype
    )


@pytest.mark.parametrize("size", SIZES)
def test_compiled_code(size):
    pytest.importorskip("numba")
    for n, m in ((301, None), (40, 301), (301, 40)):
        z, w, bias, pattern, weight = problem(n, m, dtype=torch.float32)
        options = {} if m else {"signature": SIGNATURE}
        compute = value_and_grads(loss_of(pattern, weight, impl="compiled", **options), z, w, bias)
        assert_divided(compute, size, torch.float32)


@pytest.mark.parametrize("size", SIZES)
def test_sums_that_leave_some_processes_nothing_to_do(size):
    for n, m in ((1, None), (2, None), (1, 3), (2, 1), (3, 0), (0, 2)):
        z, w, bias, pattern, weight = problem(n, m)
        assert_divided(value_and_grads(loss_of(pattern, weight), z, w, bias), size, z.dtype)
    none = PairPattern.of(torch.zeros(2, 0, dtype=torch.int64), (6, 5))
    z, w, bias, *_ = problem(6, 5)
    for non_edge_weight in (0.0, 0.6):
        loss = loss_of(none, z.new_zeros(0), non_edge_weight)
        assert_divided(value_and_grads(loss, z, w, bias), size, z.dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_estimate_has_the_same_draws(size, dtype):
    for n, m, signature in (
        (50, None, None),
        (50, None, SIGNATURE),
        (50, 11, None),
        (11, 50, None),
    ):
        z, w, bias, pattern, weight = problem(n, m, dtype=dtype)

        def loss(z, w, bias, pattern=pattern, weight=weight, signature=signature):
            sampled = Sampled(4, torch.Generator().manual_seed(3))
            options = {} if signature is None else {"signature": signature.to(dtype)}
            return pair_loss(z, pattern, weight, 0.6, bias, w=w, sampled=sampled, **options)

        # One message for the moments, by which all have one line, and one for the sum.
        assert_divided(value_and_grads(loss, z, w, bias), size, dtype, messages=2)


def test_the_generator_of_an_estimate_is_where_one_process_leaves_it():
    z, _, bias, pattern, weight = problem(50)

    def state():
        generator = torch.Generator().manual_seed(3)
        pair_loss(z, pattern, weight, 0.6, bias, sampled=Sampled(4, generator))
        return generator.get_state()

    found, _ = divided(3, state)
    assert all(torch.equal(one, state()) for one in found)


GRAPHS = [3, 0, 1, 7, 1, 2, 0, 12, 5, 4, 7, 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("impl", ["dense", "tiled", "compiled"])
@pytest.mark.parametrize("estimated", [False, True])
def test_collections_of_graphs(size, impl, estimated, monkeypatch):
    """Also with large graphs that are divided or estimated, and fewer graphs than processes."""
    dtype = torch.float32 if impl == "compiled" else torch.float64
    monkeypatch.setitem(_sampled._EXACT_UP_TO, "cpu", 6)
    for sizes in (GRAPHS, [9, 3], [4, 4, 4]):
        z, w, bias, *_ = problem(sum(sizes), sum(sizes), dtype=dtype)
        blocks = Blocks.of(sizes)
        for columns, signature in ((None, None), (None, SIGNATURE.to(dtype)), (w, None)):

            def loss(z, w, bias, signature=signature, blocks=blocks):
                sampled = Sampled(2, torch.Generator().manual_seed(3)) if estimated else None
                options = {"blocks": blocks, "sampled": sampled, "impl": impl}
                return all_pairs(z, w, bias, signature=signature, **options)

            messages = 1 + estimated * sum(s > 6 for s in sizes)
            compute = value_and_grads(loss, z, columns, bias)
            assert_divided(compute, size, dtype, messages)


def test_blocks_are_shared_by_their_pairs():
    blocks = Blocks.of(GRAPHS)
    parts = [blocks.share(Team(rank, 3)) for rank in range(3)]
    assert sum(part.num_pairs for part in parts) == blocks.num_pairs
    assert max(part.num_pairs for part in parts) < blocks.num_pairs / 3 + 12**2


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_gravity(size, sampled):
    for n in (2, 3, 40):
        generator = torch.Generator().manual_seed(n)
        z = torch.randn(n, 4, generator=generator, dtype=torch.float64)
        links = torch.randint(n, (2, 2 * n), generator=generator).unique(dim=1)
        weight = torch.rand(links.shape[1], generator=generator, dtype=torch.float64)

        def loss(z, scale, links=links, weight=weight):
            draws = Sampled(3, torch.Generator().manual_seed(3)) if sampled else None
            return gravity_loss(z, scale, links, weight, 0.6, epsilon=0.01, sampled=draws)

        assert_divided(value_and_grads(loss, z, z.new_tensor(0.8)), size, z.dtype)


def test_sums_of_the_three_kinds_of_pairs_without_gradients():
    z, _, bias, pattern, _ = problem(30)

    def compute():
        with torch.no_grad():
            return tuple(inner_product_nll(z, pattern, bias))

    assert_divided(compute, 3, z.dtype, messages=3)
    _, teams = divided(3, compute)
    assert teams[0].sent < 3 * z.nbytes  # no gradients are sent


def test_features():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(2, (37, 6), generator=generator).float()
    graph = Graph(torch.tensor([[0], [1]]), 37, x=x)
    decoder = FeatureDecoder(5, 6, "bernoulli", generator=generator)
    target, z = decoder.prepare(graph)._replace(rows=4), torch.randn(37, 5, generator=generator)

    def compute():
        given = z.clone().requires_grad_()
        nats = decoder.log_prob(given, target)
        return nats.detach(), *torch.autograd.grad(nats, [given, *decoder.parameters()])

    assert_divided(compute, 3, torch.float32)


def test_totals_keep_their_digits():
    """The total is exact to the last digit of float64, although the message is in float32."""
    totals = [1e8 + 1 / 3, -1e8 + 1e-7, 2 / 3]
    us = iter(totals)

    def compute():
        total = torch.tensor(next(us), dtype=torch.float64)
        share = shares.Sweep(total, torch.ones(2, 2), torch.tensor(0.5))
        return tuple(shares.added(share, Wanted(), shares.sharers()))

    found, _ = divided(3, compute)
    for total, grad, bias in found:
        assert float(total) == pytest.approx(sum(totals), rel=1e-12)
        assert (grad.tolist(), float(bias)) == ([[3, 3], [3, 3]], 1.5)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 100, 2708])
def test_rows_with_the_later_ones_are_equal_parts_of_all_pairs(size, count):
    parts = [triangle(count, Team(rank, size)) for rank in range(size)]
    assert [n for own, _ in parts for n in range(own.start, own.stop)] == list(range(count))
    assert all((later.start, later.stop) == (own.stop, count) for own, later in parts)
    pairs = [(o.stop - o.start) * (o.stop - o.start + 2 * (p.stop - p.start)) for o, p in parts]
    assert sum(pairs) == count**2
    assert max(pairs) - count**2 / size <= 2 * count


def test_entries_are_equal_parts():
    _, _, _, pattern, _ = problem(200)
    parts = [PatternShare.of(pattern, Team(rank, 4)).rows[1] for rank in range(4)]
    counts = [part.stop - part.start for part in parts]
    assert sum(counts) == len(pattern.col)
    assert max(counts) < len(pattern.col) / 4 + 20


def test_a_small_sum_is_not_divided(monkeypatch):
    monkeypatch.setitem(shares._FEWEST, "cpu", 10_000)
    z, _, bias, pattern, weight = problem(50)
    compute = value_and_grads(loss_of(pattern, weight), z, None, bias)
    found, teams = divided(2, compute)
    assert {us.messages for us in teams} == {0}
    assert all(torch.equal(*pair) for pair in zip(found[1], compute(), strict=True))


def of_real_processes():
    """Return what each process gets, alone and together, and the bytes it has sent."""
    shares._FEWEST["cpu"], _sampled._FEWEST_PRODUCTS, us = 0, 1, team()
    found = []
    for n, m in ((60, None), (60, 20)):
        z, w, bias, pattern, weight = problem(n, m, dtype=torch.float32)
        for per_node in (None, 4):

            def loss(z, w, bias, pattern=pattern, weight=weight, per_node=per_node):
                sampled = per_node and Sampled(per_node, torch.Generator().manual_seed(3))
                return pair_loss(z, pattern, weight, 0.6, bias, w=w, sampled=sampled)

            compute = value_and_grads(loss, z, w, bias)
            alone, before = compute(), us.sent
            with sharing(us):
                found.append((alone, compute(), us.sent - before))
    return found


def test_real_processes(together):
    results = together(2, of_real_processes)
    for (alone, found, sent), (_, other, _) in zip(*results, strict=True):
        assert all(map(torch.equal, found, other))
        for got, wanted in zip(found, alone, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6 * wanted.abs().max())
        # Half of the message, twice: the gradients and 12 numbers.
        gradients = sum(grad.nbytes for grad in found[1:-1])
        assert gradients + 48 <= sent <= gradients + 48 + 2 * 30 * 4


def random_graph(n=60, **options):
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(3, (n, 7), generator=generator).float()
    options = {"num_nodes": n, "x": x} | options
    return Graph.from_edges(torch.randint(n, (2, 4 * n), generator=generator), **options)


def trainings():
    """Return the graph, model and recipe of each training."""
    recipe = replace(vgae.recipes.PAPER, epochs=4, hidden_channels=8, latent_channels=6)
    graph = random_graph()
    best = replace(vgae.recipes.BEST, epochs=4, hidden_channels=8, latent_channels=8)
    sides = torch.arange(60) >= 25
    across = Graph.from_edges(
        torch.stack([torch.arange(120) % 25, 25 + torch.arange(120) * 7 % 35]),
        num_nodes=60,
        x=graph.x,
        sides=sides,
    )
    many = GraphCollection.from_graphs([random_graph(n) for n in (9, 20, 31)])
    typed = {name: (graph.links[:, part::2], None) for part, name in enumerate("ab")}
    types = {"node_type": torch.zeros(60, dtype=torch.int64).numpy(), "node_type_names": ("node",)}
    own = vgae.VAE(
        vgae.GCNEncoder(7, 8, 6, generator=torch.Generator().manual_seed(0)),
        vgae.InnerProductDecoder(weighting="kipf", bias=True),
    )
    return {
        "own": (graph, own.double(), recipe),
        "paper": (graph, "vgae", recipe),
        "sampled": (graph, "vgae", replace(best, pairs_per_node=4)),
        "exact": (graph, "vgae", replace(best, pairs="exact")),
        "directed": (random_graph(directed="keep"), "source-target-vgae", recipe),
        "gravity": (random_graph(directed="keep"), "gravity-vgae", recipe),
        "two sides": (across, "vgae", recipe),
        "features": (graph, "vgae", replace(recipe, reconstruct="features")),
        "collection": (many, "vgae", replace(recipe, positions=0)),
        "typed": (vgae.TypedGraph.of(typed, **types), "rgcn-vgae", recipe),
    }


def trained():
    """Return the weights of each training, and the loss of its last epoch."""
    shares._FEWEST["cpu"], _sampled._FEWEST_PRODUCTS, found = 0, 1, {}
    for name, (graph, model, recipe) in trainings().items():
        split = vgae.split_links(graph)
        prepared = links.prepare(graph, split, model=model, recipe=recipe, device="cpu")
        result = replace(prepared, health=None).train(progress=False)
        found[name] = result.history[-1].loss, result.last
    return found, team().sent


def test_trainings_do_not_depend_on_the_number_of_processes(together):
    (found, sent), (others, _) = together(2, trained)
    expected, nothing = trained()
    assert (sent > 10_000, nothing) == (True, 0)
    for name, (loss, weights) in expected.items():
        tolerance = 1e-9 if name == "own" else 1e-4
        assert found[name][0] == pytest.approx(loss, rel=tolerance), name
        assert weights.keys() == found[name][1].keys()
        for key, weight in weights.items():
            assert torch.equal(found[name][1][key], others[name][1][key])
            torch.testing.assert_close(
                found[name][1][key], weight, rtol=tolerance, atol=tolerance, msg=f"{name} {key}"
            )
