"""The checks let sound encoders pass, and each has an encoder that fails it and no other."""

import functools
import inspect
import random
import runpy
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.nn import GATConv, GCNConv, GINConv, GraphConv, SAGEConv

from vgae import VAE, DiagGaussian, InnerProductDecoder
from vgae.encoders import PyGEncoder
from vgae.errors import DataError, UsageError
from vgae.testing import (
    ConformanceError,
    check_graph_model,
    failure,
    graph_model_checks,
    parametrize_with_graph_checks,
)
from vgae.testing.__main__ import OURS, factory, main
from vgae.testing._cases import features, inputs


class SumConv(nn.Module):
    """The sum over the neighbours and the node itself; made sooner than PyG's layers."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.lin, self.bias = nn.Linear(in_channels, out_channels), nn.Parameter(torch.zeros(1))

    def forward(self, x, edge_index):
        h = self.lin(x)
        return h.index_add(0, edge_index[1], h[edge_index[0]]) + self.bias


class Sound(nn.Module):
    """Two convolutions, as users bring them; below, what users get wrong."""

    def __init__(self, in_channels, conv=SumConv):
        super().__init__()
        self.conv = conv(in_channels, 16)
        self.mu, self.logvar = conv(16, 4), conv(16, 4)

    def heads(self, x, edge_index):
        h = self.conv(x, edge_index).relu()
        return self.mu(h, edge_index), self.logvar(h, edge_index)

    def forward(self, x, edge_index):
        return DiagGaussian(*self.heads(x, edge_index))


class Shifted(Sound):
    """The mean is shifted by what a fault makes of the inputs."""

    def shift(self, x, edge_index):
        raise NotImplementedError

    def forward(self, x, edge_index):
        mu, logvar = self.heads(x, edge_index)
        return DiagGaussian(mu + self.shift(x, edge_index), logvar)


class OneLogvarForAll(Sound):
    def forward(self, x, edge_index):
        mu, logvar = self.heads(x, edge_index)
        return DiagGaussian(mu, logvar[:, :1])


class TwoFaults(OneLogvarForAll):
    def forward(self, x, edge_index):
        q = super().forward(x, edge_index)
        return DiagGaussian(q.mu + 0.01 * torch.arange(len(x))[:, None], q.logvar)


class KlSummedTooEarly(Sound):
    class Posterior:
        def __init__(self, q):
            self.q, self.mu, self.logvar = q, q.mu, q.logvar

        def rsample(self, generator=None):
            return self.q.rsample(generator)

        def kl(self):
            return self.q.kl().sum()

    def forward(self, x, edge_index):
        return self.Posterior(super().forward(x, edge_index))


class NegativeKl(KlSummedTooEarly):
    class Posterior(KlSummedTooEarly.Posterior):
        def kl(self):
            return -self.q.kl()


class NoiseFromElsewhere(KlSummedTooEarly):
    class Posterior(KlSummedTooEarly.Posterior):
        def rsample(self, generator=None):
            return self.q.rsample()

        def kl(self):
            return self.q.kl()


class ReadsNodeNumbers(Shifted):
    def shift(self, x, edge_index):
        return 0.01 * torch.arange(len(x))[:, None]


class ReadsLinkOrder(Shifted):
    def shift(self, x, edge_index):
        return x[edge_index[0, :1]].sum()


class AddsInPlace(Sound):
    def forward(self, x, edge_index):
        q = super().forward(x, edge_index)
        if not self.training:  # else autograd itself refuses
            x.add_(1)
        return q


class WritesTheSameValues(Sound):
    def forward(self, x, edge_index):
        return super().forward(x.mul_(1), edge_index)


class SwapsDirections(Sound):
    def forward(self, x, edge_index):
        q = super().forward(x, edge_index)
        if not self.training:
            edge_index.copy_(edge_index.flip(0).clone())
        return q


class AsksForGradients(Sound):
    def forward(self, x, edge_index):
        return super().forward(x.requires_grad_(), edge_index)


class ReadsMemoryRowByRow(Sound):
    def forward(self, x, edge_index):
        return super().forward(x.as_strided(x.shape, (x.shape[1], 1)), edge_index)


class PreparesSomethingElse(Sound):
    def prepare(self, x, edge_index):
        return 2 * x.to_dense(), edge_index


class DividesByDegree(Shifted):
    def shift(self, x, edge_index):
        return 1 / torch.bincount(edge_index[0], minlength=len(x))[:, None]


class DividesByLength(Sound):
    def forward(self, x, edge_index):
        return super().forward(x / x.norm(dim=1, keepdim=True), edge_index)


class LeavesALayerOut(Sound):
    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.extra = nn.Linear(4, 4)


class CutsOffALayer(Sound):
    def forward(self, x, edge_index):
        h = self.conv(x, edge_index).relu().detach()
        return DiagGaussian(self.mu(h, edge_index), self.logvar(h, edge_index))


class RootOfZero(Shifted):
    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.lin = nn.Linear(in_channels, 8, bias=False)

    def shift(self, x, edge_index):
        return self.lin(x).square().sum(dim=1, keepdim=True).sqrt()


class NoiseInEvaluation(Shifted):
    calls = 0

    def shift(self, x, edge_index):
        self.calls += not self.training
        noise = torch.Generator().manual_seed(self.calls)
        return 0.0 if self.training else torch.randn(4, generator=noise)


class DrawsInEvaluation(Shifted):
    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.generator = torch.Generator().manual_seed(0)

    def shift(self, x, edge_index):
        return 0 * torch.rand(1, generator=self.generator)


class TrainsInEvaluation(Sound):
    def forward(self, x, edge_index):
        self.conv.train()
        return super().forward(x, edge_index)


class CachesTheGraph(Sound):
    def __init__(self, in_channels):
        super().__init__(in_channels, functools.partial(GCNConv, cached=True))


class HidesAWeight(Shifted):
    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.offset = torch.rand(4)

    def shift(self, x, edge_index):
        return self.offset


class HoldsALambda(Shifted):
    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.function = lambda x: x.mean()

    def shift(self, x, edge_index):
        return self.function(x)


class KnowsOnlyItsOriginal(Shifted):
    """A closure over ``self``, which a copy goes on asking."""

    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.bias = nn.Parameter(torch.ones(4))
        self.read = self.Reader(self)

    class Reader:
        def __init__(self, owner):
            self.owner = [owner]

        def __deepcopy__(self, memo):
            return self

    def shift(self, x, edge_index):
        return self.read.owner[0].bias.detach() + 0 * self.bias


class SeedsItself(Sound):
    def __init__(self, in_channels):
        super().__init__(in_channels)
        generator = torch.Generator()
        generator.seed()
        nn.init.normal_(self.mu.bias, generator=generator)


def changing(name, change):
    """Return an encoder that changes the global state in each call."""

    def forward(self, x, edge_index):
        q = Sound.forward(self, x, edge_index)
        change(self)
        return q

    globals()[name] = type(name, (Sound,), {"forward": forward})  # where pickle looks for it
    globals()[name].__module__ = __name__
    return globals()[name]


GLOBAL = [
    changing("DrawsFromNumpy", lambda _: np.random.rand()),  # noqa: NPY002
    changing("DrawsFromPython", lambda _: random.random()),
    changing("DrawsFromTorch", lambda model: model.training or torch.rand(1)),
    changing("SetsDeterminism", lambda _: torch.use_deterministic_algorithms(True)),
    changing("SetsThreads", lambda _: torch.set_num_threads(3)),
    changing("SetsGradients", lambda m: m.training or torch.set_grad_enabled(False)),
    changing("SilencesWarnings", lambda _: warnings.simplefilter("ignore")),
]


class UnseededDropout(Shifted):
    def shift(self, x, edge_index):
        noise = torch.Generator()
        noise.seed()
        return torch.randn(4, generator=noise) if self.training else 0.0


class CountsItsTraining(Shifted):
    steps = 0

    def shift(self, x, edge_index):
        self.steps += self.training
        return self.steps * x.mean() if self.training else 0.0


class CountsSincePrepare(Sound):
    """Anneals by a counter that begins again with each training."""

    calls = 0

    def prepare(self, x, edge_index):
        self.calls = 0
        return x, edge_index

    def forward(self, x, edge_index):
        if self.training:
            self.calls += 1
            x = x / self.calls
        return super().forward(x, edge_index)


class CutsTheWidth(Sound):
    def forward(self, x, edge_index):
        return super().forward(nn.functional.pad(x, (0, 8 - x.shape[1])), edge_index)


class RefusesWithoutReason(Sound):
    def forward(self, x, edge_index):
        if x.shape[1] != 8:
            raise ValueError("bad input")
        return super().forward(x, edge_index)


MUTANTS = {
    "check_shapes": [OneLogvarForAll],
    "check_posterior": [KlSummedTooEarly, NegativeKl, NoiseFromElsewhere],
    "check_node_order": [ReadsNodeNumbers],
    "check_link_order": [ReadsLinkOrder],
    "check_inputs_untouched": [
        AddsInPlace,
        WritesTheSameValues,
        SwapsDirections,
        AsksForGradients,
    ],
    "check_feature_memory": [ReadsMemoryRowByRow],
    "check_prepared_inputs": [PreparesSomethingElse],
    "check_finite_on_odd_graphs": [DividesByDegree],
    "check_finite_on_odd_features": [DividesByLength],
    "check_every_parameter_is_used": [LeavesALayerOut, CutsOffALayer],
    "check_finite_gradients": [RootOfZero],
    "check_evaluation_is_deterministic": [
        NoiseInEvaluation,
        DrawsInEvaluation,
        TrainsInEvaluation,
    ],
    "check_no_memory_of_other_graphs": [CachesTheGraph],
    "check_save_and_load": [HidesAWeight],
    "check_copies": [HoldsALambda, KnowsOnlyItsOriginal],
    "check_same_seed": [SeedsItself],
    "check_global_state": GLOBAL,
    "check_fit_repeats": [UnseededDropout],
    "check_refit_forgets": [CountsItsTraining],
    "check_resume": [CountsSincePrepare],
    "check_wrong_width": [CutsTheWidth, RefusesWithoutReason],
}

# State that a training leaves behind is also lost between two processes.
RESUMES_OTHERWISE = ("check_inputs_untouched", "check_refit_forgets")


def failures(make):
    return {name: seen for name, check in graph_model_checks() if (seen := failure(check, make))}


@parametrize_with_graph_checks([*OURS.values()])
def test_each_encoder_of_this_package_passes(make, check):
    check(make)


def gin(in_channels, out_channels):
    return GINConv(nn.Linear(in_channels, out_channels))


CONVS = {"GCN": GCNConv, "GAT": GATConv, "SAGE": SAGEConv, "GIN": gin, "Graph": GraphConv}
SLOW = ("GAT", "SAGE", "GIN", "Graph")  # PyG makes code for each class of layers


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in CONVS]
)
def test_sound_encoders_of_pyg_pass(name):
    check_graph_model(lambda in_channels: Sound(in_channels, CONVS[name]))


def test_a_vae_and_an_encoder_for_pyg_pass():
    check_graph_model(lambda f: VAE(Sound(f), InnerProductDecoder(bias=True)))
    check_graph_model(lambda f: PyGEncoder(Sound(f)))


def test_each_check_has_a_mutant_and_says_what_it_tests_and_why():
    checks = dict(graph_model_checks())
    assert checks.keys() == MUTANTS.keys()
    for check in checks.values():
        summary, reason = check.__doc__.split("\n\n")[:2]
        assert len(summary) > 40
        assert len(reason) > 40


@pytest.mark.parametrize(
    ("check", "mutant"),
    [(check, mutant) for check, mutants in MUTANTS.items() for mutant in mutants],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_mutant_fails_its_check_and_no_other(check, mutant):
    implied = {"check_resume"} if check in RESUMES_OTHERWISE else set()
    assert failures(mutant).keys() - implied == {check}


def test_another_default_dtype_is_noticed_whatever_else_it_breaks():
    mutant = changing("SetsDtype", lambda _: torch.set_default_dtype(torch.float64))
    seen = failures(mutant)["check_global_state"]
    assert seen == "a call in evaluation mode changed torch.set_default_dtype"
    assert torch.get_default_dtype() == torch.float32


def test_every_failed_check_is_listed_with_what_was_seen():
    with pytest.raises(ConformanceError, match="2 of 21 checks failed") as caught:
        check_graph_model(TwoFaults)
    lines = str(caught.value).splitlines()
    assert lines[1] == "  check_shapes: log-variance has shape (24, 1) and not (24, d)"
    assert "nodes renumbered: mean differs by 0.2" in lines[2]
    assert "at most" in lines[2]


def test_what_a_model_raises_is_a_finding():
    def broken(in_channels):
        raise RuntimeError("no such layer\nmore")

    assert set(failures(broken).values()) == {"raised RuntimeError: no such layer"}


def test_failures_may_be_expected_and_must_then_come():
    reason = {"check_node_order": "the numbers are years"}
    check_graph_model(ReadsNodeNumbers, expected_failures=reason)
    with pytest.raises(ConformanceError, match="node_order: passes, but is expected to fail"):
        check_graph_model(Sound, expected_failures=reason)
    with pytest.raises(UsageError, match="no check 'check_nodes'; the checks are check_shapes, "):
        check_graph_model(Sound, expected_failures={"check_nodes": ""})


def test_the_decorator_marks_what_is_expected_to_fail():
    decorate = parametrize_with_graph_checks(
        [Sound, ReadsNodeNumbers], expected_failures={"check_node_order": "years"}
    )

    @decorate
    def test(make, check):
        pass

    (mark,) = test.pytestmark
    params = {param.id: param for param in mark.args[1]}
    assert len(params) == 42
    assert not params["Sound-check_shapes"].marks
    (xfail,) = params["ReadsNodeNumbers-check_node_order"].marks
    assert (xfail.name, xfail.kwargs) == ("xfail", {"reason": "years", "strict": True})


@pytest.mark.parametrize("name", OURS)
def test_own_encoders_name_a_wrong_width_with_an_error_of_the_package(name):
    with pytest.raises(DataError, match=r"8 columns.* got shape \(24, 9\)") as caught:
        OURS[name](8)(features(in_channels=9), inputs()[1])
    assert caught.value.code == "FEATURE_DIM_MISMATCH"


def numpys_state():
    return np.random.get_state()[1].tolist()  # noqa: NPY002


def test_a_check_leaves_the_global_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3), numpys_state(), random.getstate()
    torch.manual_seed(5)
    check = dict(graph_model_checks())["check_global_state"]
    assert all(failure(check, mutant) for mutant in GLOBAL)
    assert torch.equal(torch.rand(3), expected[0])
    assert (numpys_state(), random.getstate()) == expected[1:]
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()


def test_the_command_prints_a_line_per_check_and_its_status_says_the_rest(capsys, monkeypatch):
    monkeypatch.setattr("vgae.testing.__main__.OURS", {"years": ReadsNodeNumbers})
    with pytest.raises(SystemExit) as end:
        main([])
    lines = capsys.readouterr().out.splitlines()
    assert end.value.code == 1
    assert lines[0] == "years"
    assert len(lines) == 24
    assert [line.split()[0] for line in lines if "FAILED" in line] == ["check_node_order"]
    assert lines[-1] == "20 of 21 checks passed."


def test_the_command_imports_what_it_is_told_to(tmp_path, monkeypatch, capsys):
    module = "from vgae import GCNEncoder\nmake = GCNEncoder\n"
    (tmp_path / "encoder_of_mine.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["testing", "encoder_of_mine:make"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(inspect.getfile(factory), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.endswith("21 of 21 checks passed.\n")


@pytest.mark.parametrize(
    "path", ["nothing", "no.such:thing", "vgae:nothing", ":x", "vgae.version:__version__"]
)
def test_a_factory_that_is_none_is_a_usage_error(path, capsys):
    with pytest.raises(UsageError):
        factory(path)
    with pytest.raises(SystemExit) as end:
        main([path])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error[FACTORY]: ")
