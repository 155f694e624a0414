import logging
from importlib import import_module

import pytest
import torch

from vgae.kernels import _available

CPU = torch.device("cpu")


@pytest.fixture
def works():
    """The function without what it found before."""
    return _available.works.__wrapped__


def test_each_compiler_is_for_its_device(works):
    pytest.importorskip("numba")
    assert works("compiled", CPU)
    assert not works("triton", CPU)
    assert not works("triton_csr", CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_no_gpu_is_tried(works):
    """Fake tensors have such a device, too."""
    assert not works("triton_csr", torch.device("cuda", 0))


def test_a_compiler_that_fails_is_named_with_its_reason(works, monkeypatch, caplog):
    pytest.importorskip("numba")

    def broken(name):
        raise OSError(f"{name} does not load")

    monkeypatch.setattr(_available, "import_module", broken)
    with caplog.at_level(logging.WARNING):
        assert not works("compiled", CPU)
    assert caplog.messages == [
        "compiled cannot be used (vgae.kernels._compiled does not load); torch computes instead"
    ]


@pytest.mark.parametrize("impl", ["triton", "triton_csr"])
def test_a_gpu_on_which_the_trial_fails_is_left_to_torch(impl, works, monkeypatch, caplog):
    pytest.importorskip("triton")
    tried = []

    class Module:
        @staticmethod
        def sweep(*arguments):
            tried.append("sweep")
            raise RuntimeError("no C compiler")

        @staticmethod
        def trial(device):
            tried.append("trial")
            raise RuntimeError("no C compiler")

    fake = {"vgae.kernels._triton": Module, "vgae.kernels._triton_csr": Module}
    monkeypatch.setattr(
        _available, "import_module", lambda name: fake.get(name) or import_module(name)
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(
        torch, "zeros", lambda *shape, dtype, device: torch.ones(shape, dtype=dtype)
    )
    assert not works(impl, torch.device("cuda", 0))
    assert tried == ["sweep" if impl == "triton" else "trial"]
    assert "no C compiler" in caplog.text
