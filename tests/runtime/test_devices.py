"""Devices that are not there, and memory that does not suffice: one named error."""

from contextlib import suppress

import pytest
import torch

from vgae.errors import ResourceError
from vgae.runtime import devices
from vgae.runtime.devices import (
    Compute,
    convolutions_as_products,
    deterministic_algorithms,
    memory_named,
)
from vgae.runtime.processes import Team


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ResourceError, match="device 'cuda:77' cannot be used") as error:
        Compute("cuda:77").resolved()
    assert error.value.exit_code == 5
    with pytest.raises(ResourceError, match="device 'gpu'"):
        Compute("gpu").resolved()


@pytest.mark.row("R33")
def test_each_of_several_processes_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(devices, "team", lambda: Team(1, 4))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    for here, name in enumerate(["cuda:0", "cuda:1"]):
        monkeypatch.setenv("LOCAL_RANK", str(here))
        assert devices._own_gpu("cuda") == name
    monkeypatch.setenv("LOCAL_RANK", "2")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ResourceError, match="machine need a GPU each, and it has 2"):
            Compute(name).resolved()
    assert Compute("cpu").resolved().type == "cpu"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_flag_is_on_meanwhile_if_wanted_and_then_as_before(wanted):
    before = torch.are_deterministic_algorithms_enabled()
    with suppress(KeyError), deterministic_algorithms(wanted=wanted):
        assert torch.are_deterministic_algorithms_enabled() == (wanted or before)
        raise KeyError
    assert torch.are_deterministic_algorithms_enabled() == before


@pytest.fixture
def products_in_tf32():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


def test_convolutions_are_in_float32_meanwhile():
    convolution = torch.backends.cudnn.conv
    before = convolution.fp32_precision
    assert before == "tf32"  # the default of torch, which products do not have
    with suppress(KeyError), convolutions_as_products():
        assert convolution.fp32_precision == "ieee"
        raise KeyError
    assert convolution.fp32_precision == before


def test_threads_that_overlap_restore_the_setting_together():
    convolution = torch.backends.cudnn.conv
    before = convolution.fp32_precision
    first, second = convolutions_as_products(), convolutions_as_products()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert convolution.fp32_precision == "ieee"
    second.__exit__(None, None, None)
    assert convolution.fp32_precision == before


@pytest.mark.parametrize("allowed", [True, False])
def test_the_older_setting_can_be_read_meanwhile_and_is_as_before(allowed):
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        with convolutions_as_products():
            assert not torch.backends.cudnn.allow_tf32
            with torch.backends.cudnn.flags(enabled=False):  # reads it too
                pass
            assert torch.backends.cudnn.conv.fp32_precision != "tf32"
        assert torch.backends.cudnn.allow_tf32 == allowed
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_convolutions_may_be_in_tf32_where_products_are(products_in_tf32):
    with convolutions_as_products():
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"


def allocate(size):
    return lambda: torch.empty(size, dtype=torch.uint8)


def raise_(error):
    def run():
        raise error

    return run


@pytest.mark.parametrize(
    ("work", "words"),
    [
        pytest.param(allocate(2**60), "tried to allocate 1152921504606846976 bytes", id="R09"),
        pytest.param(raise_(MemoryError()), "the system gave no more", id="R09-python"),
        pytest.param(
            raise_(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.")),
            "Tried to allocate 20 MiB",
            id="R08",
        ),
    ],
)
def test_memory_that_does_not_suffice_is_one_line(work, words):
    with pytest.raises(ResourceError, match=words) as caught, memory_named(torch.device("cpu")):
        work()
    assert (caught.value.code, caught.value.exit_code) == ("OUT_OF_MEMORY", 5)
    assert "\n" not in str(caught.value)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), memory_named(torch.device("cpu")):
        raise RuntimeError("shapes do not match")


@pytest.mark.gpu
def test_convolutions_on_a_gpu_have_the_errors_of_float32(generator):
    x = torch.randn(8, 64, 16, 16, generator=generator)
    layer = torch.nn.Conv2d(64, 64, 3)
    exact = torch.nn.functional.conv2d(x.double(), layer.weight.double(), layer.bias.double())
    with convolutions_as_products():
        found = layer.cuda()(x.cuda())
    torch.testing.assert_close(found.cpu().double(), exact, rtol=0, atol=1e-5)
