"""A GPU does what the CPU does, on a pretended one, and with ``-m gpu`` on a real one."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import vgae
from vgae.errors import UsageError
from vgae.estimators import ImageVAE, VGAEEmbedder
from vgae.evaluation.metrics import link_scores
from vgae.kernels import Sampled, SparseOperator, inner_product_nll
from vgae.kernels.csr import edges_to_csr
from vgae.recipes import PAPER, RECIPES
from vgae.recipes.images import IMAGE_RECIPES
from vgae.runtime.devices import Compute
from vgae.runtime.streams import stream
from vgae.training.cuda_graph import Replayed

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("pretended", ROOT / "tests" / "pretended.py")
pretended = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(pretended)
pretended_gpu = pretended.pretended_gpu
CUDA = "cuda"
PLAIN = Compute(CUDA, cuda_graph=False)  # a recording takes no numbers from the CPU


class DrawsOfTheCPU(TorchDispatchMode):
    """Gives a real GPU the random numbers of a CPU, where a generator has the same seed."""

    def __init__(self):
        super().__init__()
        self.twins = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        generator = kwargs.get("generator")
        if generator is None or generator.device.type == "cpu":
            return func(*args, **kwargs)
        if generator.get_offset() == 0:  # it has drawn nothing yet
            twin = torch.Generator().manual_seed(generator.initial_seed())
            self.twins[generator._cdata] = twin
        generator.set_offset(generator.get_offset() + 4)
        own = {"generator": self.twins[generator._cdata], "device": torch.device("cpu")}
        return func(*args, **kwargs | own).to(kwargs["device"])


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request, monkeypatch):
    """A GPU that draws the numbers of the CPU, which draws dropout as a GPU does."""
    monkeypatch.setattr("vgae.encoders._features.bernoulli", bernoulli_of_torch)
    with pretended_gpu() if request.param == "pretended" else DrawsOfTheCPU():
        yield request.param


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.gpu)])
def graphs(request):
    """A GPU that captures graphs."""
    if request.param == "real":
        yield request.param
        return
    with pretended_gpu():
        yield request.param


@pytest.fixture(scope="module")
def split(sbm):
    return vgae.split_links(sbm)


@pytest.fixture(scope="module")
def digits():
    return vgae.load_images("digits")


@cache
def bernoulli_of_torch(p):
    return lambda tensor, generator: tensor.bernoulli_(p, generator=generator)


def losses(result):
    return [row.loss for row in result.history]


def scores(result):
    return [row.val_auc for row in result.history if row.val_auc is not None]


# The pretence itself.


def test_a_tensor_on_the_wrong_device_is_an_error():
    with pretended_gpu():
        z = torch.ones(3, device=CUDA)
        with pytest.raises(RuntimeError, match="add: expected all tensors to be on the same"):
            z + torch.zeros(3)
        assert (z + torch.zeros(3, device=z.device)).tolist() == [1, 1, 1]
        assert (2 * z).device == torch.device("cuda:0")
        with pytest.raises(RuntimeError, match="add_: expected all tensors to be on the same"):
            torch.zeros(()).add_(z.sum())
        assert not torch.zeros(3).copy_(z).is_cuda


def test_a_tensor_of_the_gpu_is_no_array():
    with pretended_gpu():
        z = torch.ones(3, device=CUDA)
        for attempt in (z.numpy, lambda: np.asarray(z)):
            with pytest.raises(TypeError, match="can't convert cuda"):
                attempt()
        assert z.cpu().numpy().tolist() == [1, 1, 1]


def test_a_generator_draws_where_it_is():
    with pretended_gpu():
        noise = stream(0, "noise", torch.device(CUDA))
        drawn = torch.randn(3, generator=noise, device=CUDA)
        assert isinstance(drawn, pretended.OnGPU)
        assert torch.equal(drawn.cpu(), torch.randn(3, generator=stream(0, "noise")))
        with pytest.raises(AssertionError, match="a generator of the CPU"):
            torch.randn(3, generator=stream(0, "noise"), device=CUDA)


@pytest.mark.parametrize(
    "waits",
    [lambda z: z.sum().item(), torch.nonzero, lambda z: z[z > 0], lambda z: z.cpu()],
    ids=["item", "nonzero", "mask", "copy"],
)
def test_a_capture_does_not_wait_for_the_device(waits):
    with pretended_gpu():
        z = torch.ones(3, device=CUDA)
        waits(z)
        with (
            pytest.raises(RuntimeError, match="failed due to a previous error") as error,
            torch.cuda.graph(torch.cuda.CUDAGraph()),
        ):
            waits(z)
        assert "not permitted when stream is capturing" in str(error.value.__context__)
        pretended.Graph.stream = "default"
        pretended.Graph.pools.clear()


def test_a_capture_launches_nothing_and_a_replay_everything():
    with pretended_gpu():
        total, captured = torch.zeros(2, device=CUDA), torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            doubled = 2 * total.add_(1)
        assert total.tolist() == [0, 0]
        captured.replay()
        captured.replay()
        assert total.tolist() == [2, 2]
        assert doubled.tolist() == [4, 4]
        assert pretended.Graph.capturing is None


# What the package does on it.


@pytest.mark.parametrize(
    ("name", "pairs"), [*((name, "exact") for name in RECIPES), ("best", "sampled")]
)
def test_each_recipe_trains_as_on_the_cpu(gpu, name, pairs, sbm, split):
    changes = {"epochs": "7", "hidden_channels": "16", "patience": "0", "eval_every": "3"}
    recipe = RECIPES[name].override({**changes, "pairs": pairs})
    cpu, on_gpu = (
        vgae.fit(sbm, split, recipe=recipe, device=device, progress=False)
        for device in ("cpu", PLAIN)
    )
    assert losses(on_gpu) == pytest.approx(losses(cpu), rel=1e-3)
    assert scores(on_gpu) == pytest.approx(scores(cpu), abs=0.02)


@pytest.mark.parametrize("model", ["gae", "linear-vgae", "sage"])
def test_each_model_trains_as_on_the_cpu(gpu, model, sbm, split):
    recipe = replace(PAPER, epochs=5)
    cpu, on_gpu = (
        vgae.fit(sbm, split, model=model, recipe=recipe, device=device, progress=False)
        for device in ("cpu", PLAIN)
    )
    assert losses(on_gpu) == pytest.approx(losses(cpu), rel=1e-3)


@pytest.mark.parametrize("name", IMAGE_RECIPES)
def test_each_recipe_of_images_trains_as_on_the_cpu(gpu, name, digits):
    recipe = IMAGE_RECIPES[name].override({"epochs": "1", "batch_size": "400"})
    cpu, on_gpu = (
        vgae.fit_images(digits, recipe=recipe, device=device, progress=False)
        for device in ("cpu", PLAIN)
    )
    assert losses(on_gpu) == pytest.approx(losses(cpu), rel=1e-3)
    assert on_gpu.history[-1].val_elbo == pytest.approx(cpu.history[-1].val_elbo, rel=1e-3)


@pytest.mark.parametrize("name", RECIPES)
def test_a_cuda_graph_trains_as_its_operations_one_by_one(graphs, name, sbm, split):
    changes = {"epochs": "12", "hidden_channels": "16", "patience": "0", "eval_every": "3"}
    recipe = RECIPES[name].override(changes)
    plain, replayed = (
        vgae.fit(sbm, split, recipe=recipe, device=Compute(CUDA, cuda_graph=graph), progress=False)
        for graph in (False, True)
    )
    assert losses(replayed) == pytest.approx(losses(plain), rel=1e-3)
    assert scores(replayed) == pytest.approx(scores(plain), abs=0.02)


def test_replays_draw_new_numbers_and_keep_old_results(graphs):
    device = torch.device(CUDA)
    generator, again = (torch.Generator(CUDA).manual_seed(0) for _ in range(2))
    total = torch.zeros((), device=CUDA)
    draw = lambda source: torch.randn((), device=CUDA, generator=source)  # noqa: E731
    step = Replayed(lambda: total.add_(draw(generator)).clone(), [generator], device)
    found = torch.stack([step() for _ in range(8)])
    expected = torch.stack([draw(again) for _ in range(8)]).cumsum(0)
    torch.testing.assert_close(found.cpu(), expected.cpu())


def test_what_waits_is_not_recorded_but_goes_on_and_says_why(graphs, caplog):
    device = torch.device(CUDA)
    generator, again = (torch.Generator(CUDA).manual_seed(0) for _ in range(2))

    def step():
        drawn = torch.randn((), device=CUDA, generator=generator)
        return drawn * (1 if drawn.item() < 9 else 2)

    replayed = Replayed(step, [generator], device)
    found = torch.stack([replayed() for _ in range(6)])
    expected = [torch.randn((), device=CUDA, generator=again) for _ in range(6)]
    torch.testing.assert_close(found.cpu(), torch.stack(expected).cpu())
    assert "no CUDA graph, each operation is launched by itself: " in caplog.text
    assert "previous error" not in caplog.text  # the first one instead
    assert len(caplog.records) == 1


def test_what_cannot_be_recorded_leaves_stream_and_memory_as_before(graphs):
    before = torch.cuda.current_stream().cuda_stream
    replayed = Replayed(lambda: torch.ones(1, device=CUDA).cpu(), [], torch.device(CUDA))
    for _ in range(5):
        replayed()
    assert torch.cuda.current_stream().cuda_stream == before
    if graphs == "pretended":
        assert not pretended.Graph.pools
        return
    torch.ones(1 << 28, device=CUDA)
    reserved = torch.cuda.memory_reserved()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= reserved - (1 << 30)


@pytest.mark.parametrize("chosen", [None, False])
def test_a_training_and_its_validation_are_recorded_unless_refused(graphs, chosen, sbm, split):
    recipe = replace(RECIPES["paper"], epochs=6, eval_every=1)
    made = []
    with mock.patch.object(Replayed, "_record", lambda self: made.append(self)):
        compute = Compute(CUDA, cuda_graph=chosen)
        vgae.fit(sbm, split, recipe=recipe, device=compute, progress=False)
    assert len(made) == (2 if chosen is None else 0)


def test_a_generator_of_your_own_on_the_cpu_is_named(graphs, sbm, split):
    encoder = vgae.GCNEncoder(40, 8, 4)
    decoder = vgae.InnerProductDecoder(pairs="sampled", generator=torch.Generator())
    with pytest.raises(UsageError, match=r"of InnerProductDecoder is on cpu.*leave it out"):
        vgae.fit(sbm, split, model=vgae.VAE(encoder, decoder), device=CUDA, progress=False)


@pytest.mark.parametrize("settings", [{"warmup": 3}, {"optimizer": "adagrad"}])
def test_what_changes_from_epoch_to_epoch_is_not_recorded(graphs, settings, sbm, split, caplog):
    caplog.set_level("INFO")
    recipe = replace(RECIPES["paper"], epochs=6, **settings)
    vgae.fit(sbm, split, recipe=recipe, device=CUDA, progress=False)
    assert caplog.text.count("no CUDA graph: a warmup or adagrad changes from epoch to epoch") == 1
    with pytest.raises(UsageError, match=r"not a warmup or adagrad; leave it .* out"):
        vgae.fit(sbm, split, recipe=recipe, device=Compute(CUDA, cuda_graph=True))


def test_a_trained_model_is_used_as_on_the_cpu(gpu, sbm, split, tmp_path):
    recipe = replace(RECIPES["best"], epochs=8, hidden_channels=16)
    cpu, on_gpu = (
        vgae.fit(sbm, split, recipe=recipe, device=device, progress=False)
        for device in ("cpu", PLAIN)
    )
    found, expected = (vgae.embed(result, sbm).mu for result in (on_gpu, cpu))
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.01)
    auc = [vgae.evaluate(result, sbm, split, hard=10)["test"].auc for result in (on_gpu, cpu)]
    assert auc[0] == pytest.approx(auc[1], abs=0.02)
    calibration = vgae.calibrate(on_gpu, sbm, split)
    pairs = [("node-0", "node-1"), ("node-2", "node-50")]
    found, expected = (
        vgae.score_links(result, sbm, pairs, calibration=calibration).score
        for result in (on_gpu, cpu)
    )
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    for per_node in (True, False):
        rows = vgae.predict_links(on_gpu, sbm, k=3, per_node=per_node, calibration=calibration)
        assert len(rows.to_dict()["links"]) == (3 * 120 if per_node else 3)
    vgae.save_pretrained(on_gpu.model, tmp_path / "model")
    again = vgae.from_pretrained(tmp_path / "model")
    assert torch.equal(vgae.embed(again, sbm).mu, vgae.embed(cpu_copy(on_gpu.model), sbm).mu)


def cpu_copy(model):
    return model.to("cpu")


def test_a_training_on_a_gpu_continues_where_it_was(graphs, sbm, split, tmp_path):
    def train(epochs, **options):
        recipe = replace(RECIPES["best"], epochs=epochs, hidden_channels=16)
        return vgae.fit(sbm, split, recipe=recipe, device=PLAIN, progress=False, **options)

    train(4, checkpoints=tmp_path)
    continued, whole = train(8, checkpoints=tmp_path), train(8)
    assert losses(continued) == pytest.approx(losses(whole), rel=1e-3)


def test_a_model_of_images_is_used_as_on_the_cpu(gpu, digits):
    recipe = replace(IMAGE_RECIPES["conv64"], epochs=1, batch_size=400)
    results = [
        vgae.fit_images(digits, recipe=recipe, device=device, progress=False)
        for device in (PLAIN, "cpu")
    ]
    found, expected = (vgae.embed_images(r.model, digits.test[:9]).mu for r in results)
    torch.testing.assert_close(found.cpu(), expected, rtol=0.01, atol=0.01)
    found, expected = (
        vgae.evaluate_images(r.model, digits.test[:9], num_samples=5).elbo for r in results
    )
    assert found == pytest.approx(expected, rel=1e-3)


def test_the_estimators_give_arrays(gpu, sbm, digits):
    z = VGAEEmbedder("paper", device=PLAIN, max_epochs=3).fit_transform(sbm)
    assert z.shape == (120, 16)
    vae = ImageVAE(device=PLAIN, n_components=2, max_epochs=1)
    assert vae.fit_transform(digits.test.flatten(1).numpy()).shape == (len(digits.test), 2)


@pytest.mark.parametrize("impl", ["auto", "dense"])
def test_the_loss_and_its_gradients_are_those_of_the_cpu(gpu, impl):
    z, bias = torch.randn(50, 4, generator=stream(0, "noise")), torch.tensor(-0.3)
    index = torch.tensor([[0, 1, 1, 2, 7, 8], [1, 0, 2, 1, 8, 7]])

    def value_and_gradients(device):
        w, b = (x.to(device).requires_grad_() for x in (z, bias))
        nll = inner_product_nll(w, index.to(device), b, impl=impl)
        total = nll.edges + 0.5 * nll.non_edges + nll.self_pairs
        return [total.detach().cpu(), *(g.cpu() for g in torch.autograd.grad(total, (w, b)))]

    for found, expected in zip(*map(value_and_gradients, (CUDA, "cpu")), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_estimate_of_the_loss_is_that_of_the_cpu(gpu):
    z = torch.randn(200, 4, generator=stream(0, "noise"))

    def estimate(device):
        sampled = Sampled(8, stream(0, "pairs", torch.device(device)))
        index = torch.tensor([[0, 1], [1, 0]], device=device)
        w = z.to(device).requires_grad_()
        nll = inner_product_nll(w, index, sampled=sampled)
        return nll.non_edges.detach().cpu(), torch.autograd.grad(nll.non_edges, w)[0].cpu()

    for found, expected in zip(*map(estimate, (CUDA, "cpu")), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_auc_and_ap_are_those_of_the_cpu(gpu):
    scores = torch.randn(200, generator=stream(0, "noise")).round(decimals=1)  # with ties
    label = (torch.arange(200) % 3 == 0).float()
    found, expected = (link_scores(scores.to(d), label.to(d)) for d in (CUDA, "cpu"))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", RECIPES)
def test_a_deterministic_training_has_no_sums_of_cusparse(name, sbm, split):
    recipe = RECIPES[name].override({"epochs": "2"})
    with pretended_gpu():
        compute = Compute(CUDA, deterministic=True)
        vgae.fit(sbm, split, recipe=recipe, device=compute, progress=False)
        matrix = edges_to_csr(sbm.edge_index.to(CUDA), 120)
        torch.use_deterministic_algorithms(mode=True)
        try:
            with pytest.raises(RuntimeError, match="the order of cuSPARSE's sums"):
                matrix @ torch.ones(120, 2, device=CUDA)
        finally:
            torch.use_deterministic_algorithms(mode=False)


@pytest.mark.gpu
def test_on_a_gpu_the_gradient_of_the_links_has_the_same_bits_each_time():
    """The product of cuSPARSE does not, whatever the flag says."""
    links = torch.randint(3000, (2, 200_000), generator=stream(0, "split"))
    index = vgae.Graph.from_edges(links.numpy()).edge_index.to(CUDA)
    z = torch.randn(3000, 16, device=CUDA, requires_grad=True)
    sparse = SparseOperator.of(edges_to_csr(index, 3000))
    torch.use_deterministic_algorithms(mode=True)
    try:
        for loss in (
            lambda: inner_product_nll(z, index).edges,
            lambda: (sparse @ z).square().sum(),
        ):
            first = torch.autograd.grad(loss(), z)[0]
            for _ in range(9):
                assert torch.equal(first, torch.autograd.grad(loss(), z)[0])
    finally:
        torch.use_deterministic_algorithms(mode=False)


@pytest.mark.gpu
@pytest.mark.parametrize("name", RECIPES)
def test_on_a_gpu_two_deterministic_trainings_have_the_same_bits(name, sbm, split):
    recipe = RECIPES[name].override({"epochs": "15"})
    compute = Compute("cuda", deterministic=True)
    first, second = (
        vgae.fit(sbm, split, recipe=recipe, device=compute, progress=False).last for _ in range(2)
    )
    assert all(torch.equal(first[part], second[part]) for part in first)


# Which tests see a GPU.

SESSION = """
import os, subprocess, sys
import pytest, torch
from vgae.runtime.devices import Compute

def test_unmarked():
    assert Compute().resolved().type == "cpu"
    code = "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "''\\n"

@pytest.mark.gpu
def test_marked():
    assert torch.cuda.is_available()
"""
ONE_GPU = """
import os, torch
torch.cuda.is_available = lambda: os.environ.get("CUDA_VISIBLE_DEVICES") != ""
"""


def test_without_the_marker_a_test_and_its_processes_see_no_gpu():
    assert not torch.cuda.is_available()
    assert Compute().resolved().type == "cpu"
    code = "import torch; print(torch.cuda.is_available())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.slow
def test_only_tests_with_the_marker_see_a_gpu_and_alone(tmp_path):
    """Files without one are not imported beside them: they need packages for other tests."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_session.py").write_text(SESSION)
    (tmp_path / "one_gpu.py").write_text(ONE_GPU)
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{tmp_path}"

    def outcome(*options):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "one_gpu", *options, "."]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.stdout

    assert "1 passed, 1 skipped" in (found := outcome()), found
    assert "GPUs are hidden; run pytest -m gpu" in found
    (tmp_path / "test_other.py").write_text("import a_package_that_is_missing\n")
    assert "1 passed, 1 deselected" in (found := outcome("-m", "gpu")), found
