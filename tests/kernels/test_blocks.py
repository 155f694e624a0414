import importlib

import pytest
import torch
import torch.nn.functional as F

from vgae.kernels import Blocks, Sampled, _sampled, _tiled, all_pairs, pair_loss
from vgae.kernels.patterns import EdgePattern

RAGGED = [3, 0, 1, 7, 1, 2, 0, 12, 5, 4, 7, 1]
SIGNATURE = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])


def random_case(sizes, d=5, seed=0, bias=-0.7):
    """Return z, w and a bias in float64."""
    generator = torch.Generator().manual_seed(seed)
    z, w = torch.randn(2, sum(sizes), d, generator=generator, dtype=torch.float64)
    return z, w, torch.tensor(bias, dtype=torch.float64)


def textbook(sizes, z, w, bias, signature=None):
    """Return the sum over graphs, one after another."""
    columns = w if w is not None else z if signature is None else z * signature
    parts = zip(z.split(sizes), columns.split(sizes), strict=True)
    logits = [(x @ y.T + (0 if bias is None else bias)).flatten() for x, y in parts]
    return -F.logsigmoid(-torch.cat(logits)).sum()


def value_and_grads(compute, z, w, bias):
    inputs = [t.clone().requires_grad_() for t in (z, w, bias) if t is not None]
    given = iter(inputs)
    total = compute(*(None if t is None else next(given) for t in (z, w, bias)))
    return total, *torch.autograd.grad(total, inputs)


def assert_equals_textbook(sizes, case, signature=None, rtol=1e-11, atol=1e-11, **options):
    """Compare value and gradients with float64, of vectors in the dtype of the case."""
    blocks = Blocks.of(sizes)
    found = value_and_grads(
        lambda z, w, b: all_pairs(z, w, b, signature=signature, blocks=blocks, **options), *case
    )
    exact = [None if t is None else t.double() for t in case]
    signature = None if signature is None else signature.double()
    expected = value_and_grads(lambda z, w, b: textbook(sizes, z, w, b, signature), *exact)
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=rtol, atol=atol)


def cases(sizes, dtype=torch.float64):
    """Return the arguments of one set, of one with a signature, and of two sets."""
    z, w, bias = (t.to(dtype) for t in random_case(sizes))
    return [
        ((z, None, bias), None),
        ((z, None, None), None),
        ((z, None, bias), SIGNATURE.to(dtype)),
        ((z, w, bias), None),
    ]


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 32 pairs: blocks of 6 rows and more are visited by themselves."""
    monkeypatch.setitem(_tiled._TILE, "cpu", (4, 8))


@pytest.mark.parametrize("sizes", [RAGGED, [1] * 9, [20] * 30, [2, 40], [0, 0, 3, 0, 1]])
@pytest.mark.parametrize("impl", ["dense", "tiled"])
def test_the_sum_is_that_of_one_graph_after_another(sizes, impl):
    for case, signature in cases(sizes):
        assert_equals_textbook(sizes, case, signature, impl=impl)


@pytest.mark.usefixtures("small_tiles")
def test_graphs_around_the_size_of_a_tile_are_summed_alike():
    for case, signature in cases(RAGGED):
        assert_equals_textbook(RAGGED, case, signature, impl="tiled")


@pytest.mark.usefixtures("small_tiles")
def test_gradcheck():
    z, w, bias = (t.requires_grad_() for t in random_case([2, 0, 1, 7], d=2))
    options = {"blocks": Blocks.of([2, 0, 1, 7]), "impl": "tiled"}
    assert torch.autograd.gradcheck(lambda z, b: all_pairs(z, None, b, **options), (z, bias))
    assert torch.autograd.gradcheck(lambda *a: all_pairs(*a, **options), (z, w, bias))


@pytest.fixture
def small_compiled(monkeypatch):
    """Blocks of more than 100 rows are visited by all threads together."""
    pytest.importorskip("numba")
    graphs = importlib.import_module("vgae.kernels._compiled_graphs")
    monkeypatch.setattr(graphs, "_LARGEST", 100)
    monkeypatch.setattr(graphs, "_FEWEST", 1000)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sizes", [RAGGED, [1, 0, 31, 32, 33, 101, 70, 1], [1] * 9, [20] * 30])
@pytest.mark.usefixtures("small_compiled")
def test_compiled_code_sums_the_same_in_float32(sizes, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for case, signature in cases(sizes, torch.float32):
            assert_equals_textbook(sizes, case, signature, 1e-5, 1e-4, impl="compiled")
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("logit", [-1000.0, -40.0, 40.0, 1000.0])
def test_saturated_logits_of_padded_graphs_stay_exact(logit):
    sizes = [6, 7, 6]  # one batch
    z = torch.full((19, 1), abs(logit) ** 0.5, dtype=torch.float64)
    w = z * (1 if logit > 0 else -1)
    assert len(Blocks.of(sizes).padded(10)) == 1
    assert_equals_textbook(sizes, (z, w, torch.zeros((), dtype=torch.float64)), impl="tiled")


@pytest.mark.parametrize("is_sampled", [False, True])
def test_one_block_of_all_rows_is_the_sum_over_all_pairs(is_sampled):
    z, _, bias = random_case([40])

    def compute(blocks):
        sampled = Sampled(8, torch.Generator().manual_seed(0)) if is_sampled else None
        options = {"blocks": blocks, "sampled": sampled}
        return value_and_grads(lambda *a: all_pairs(*a, **options), z, None, bias)

    for left, right in zip(compute(Blocks.of([0, 40, 0])), compute(None), strict=True):
        assert torch.equal(left, right)


def test_the_links_stay_exact_and_other_pairs_within_graphs_count():
    """Two pairs of linked nodes: four links, four self-pairs, no other pair within graphs."""
    z = torch.tensor([[1.0], [2.0], [3.0], [-1.0]])
    pattern = EdgePattern.of(torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]]), 4)
    weight = pattern.values(torch.full((4,), 3.0), 0.0)
    blocks = Blocks.of([2, 2])
    found = pair_loss(z, pattern, weight, 1.0, blocks=blocks)
    logits = torch.tensor([2.0, -3.0])
    torch.testing.assert_close(found, 6 * F.softplus(-logits).sum())


def test_many_tiny_graphs_take_a_handful_of_products(monkeypatch):
    sizes = torch.randint(1, 31, (10_000,), generator=torch.Generator().manual_seed(0))
    blocks, products = Blocks.of(sizes), []
    bmm = torch.baddbmm
    monkeypatch.setattr(torch, "baddbmm", lambda *a, **k: products.append(1) or bmm(*a, **k))
    z = torch.randn(int(sizes.sum()), 2)
    all_pairs(z, blocks=blocks, impl="tiled")
    assert len(products) < 40
    batches = blocks.padded(700)
    assert sum(len(rows) * rows.shape[1] ** 2 for rows in batches) < 2 * blocks.num_pairs
    real = torch.cat([rows[rows < len(z)] for rows in batches])
    assert torch.equal(real.sort().values, torch.arange(len(z)))


@pytest.fixture
def few_exact(monkeypatch):
    """Blocks of more than 8 rows are estimated."""
    monkeypatch.setitem(_sampled._EXACT_UP_TO, "cpu", 8)


@pytest.mark.usefixtures("few_exact")
def test_the_estimate_is_unbiased_and_exact_for_small_graphs(generator):
    sizes = [5, 30, 1, 20]
    z, w, bias = random_case(sizes, d=2)
    blocks, sampled = Blocks.of(sizes), Sampled(4, generator)
    for vectors in ((z, None, bias), (z, w, bias)):
        expected = value_and_grads(lambda *a: textbook(sizes, *a), *vectors)
        draws = [
            value_and_grads(lambda *a: all_pairs(*a, blocks=blocks, sampled=sampled), *vectors)
            for _ in range(150)
        ]
        for draw, wanted in zip(zip(*draws, strict=True), expected, strict=True):
            values = torch.stack(draw)
            error = (values.mean(0) - wanted).abs()
            assert (error < 5 * values.std(0) / 150**0.5 + 1e-9).all()
        grads = torch.stack([draw[1] for draw in draws])
        small = torch.tensor([True] * 5 + [False] * 30 + [True] + [False] * 20)
        assert torch.equal((grads.std(0) > 1e-12).all(dim=1), ~small)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([3, -1], "at least 0, got -1"),
        ([[1, 2]], r"shape \(G,\)"),
        ([1.0, 2.0], "integers"),
    ],
)
def test_sizes_without_meaning_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        Blocks.of(sizes)


def test_vectors_of_other_blocks_are_refused():
    blocks = Blocks.of([2, 3])
    with pytest.raises(ValueError, match="have 5 rows, got vectors of 6"):
        all_pairs(torch.zeros(6, 2), blocks=blocks)
    with pytest.raises(ValueError, match="have 5 rows, got vectors of 4"):
        all_pairs(torch.zeros(5, 2), torch.zeros(4, 2), blocks=blocks)
