import logging
from importlib import import_module

import pytest
import torch

from vgae.kernels import _available, inner_product

CPU = torch.device("cpu")


@pytest.fixture
def works(monkeypatch):
    """The function without what it found and said before."""
    for name in ("fault", "_warn"):
        monkeypatch.setattr(_available, name, getattr(_available, name).__wrapped__)
    return _available.works


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
        def trial(*arguments):
            tried.append(arguments)
            raise RuntimeError("no C compiler")

    fake = {"vgae.kernels._triton": Module, "vgae.kernels._triton_csr": Module}
    monkeypatch.setattr(
        _available, "import_module", lambda name: fake.get(name) or import_module(name)
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    device = torch.device("cuda", 0)
    assert not works(impl, device, 40)
    assert tried == [(device, 40) if impl == "triton" else (device,)]
    assert "no C compiler" in caplog.text


def test_a_fault_is_reported_once_even_if_it_concerns_several_widths(monkeypatch, caplog):
    device = torch.device("cuda", 0)
    monkeypatch.setattr(_available, "_fits", lambda impl, device: True)
    monkeypatch.setattr(_available, "fault", lambda impl, device, width: "its own test's reason")
    _available.works("triton", device, 16)
    _available.works("triton", device, 64)
    assert len(caplog.messages) == 1


def test_a_gpu_without_triton_is_announced_a_cpu_without_numba_is_not(works, monkeypatch, caplog):
    monkeypatch.setattr(_available, "_fits", lambda impl, device: True)
    monkeypatch.setattr(_available, "find_spec", lambda name: None)
    assert not works("compiled", CPU)
    assert not caplog.messages
    assert not works("triton", torch.device("cuda", 0))
    assert caplog.messages == [
        "triton cannot be used (triton is not installed); torch computes instead"
    ]


def test_a_lack_of_memory_is_no_fault_of_the_compiler(works, monkeypatch):
    monkeypatch.setattr(_available, "_fits", lambda impl, device: True)

    def full(name):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(_available, "import_module", full)
    with pytest.raises(torch.OutOfMemoryError):
        works("compiled", CPU)


@pytest.mark.parametrize("impl", ["auto", "compiled"])
def test_a_kernel_that_fails_is_replaced_or_refused_with_its_reason(impl, monkeypatch):
    monkeypatch.setattr(inner_product, "works", lambda *_: False)
    monkeypatch.setattr(inner_product, "fault", lambda *_: "ptxas is missing")
    if impl == "auto":
        assert inner_product.chosen_impl(impl, 5000, 16, CPU) == "tiled"
    else:
        with pytest.raises(ValueError, match=r"cpu \(ptxas is missing\); 'tiled' works anywhere"):
            inner_product.chosen_impl(impl, 5000, 16, CPU)
