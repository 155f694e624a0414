"""Devices that are not there, and memory that does not suffice: one named error."""

from contextlib import suppress

import pytest
import torch

from vgae.errors import ResourceError
from vgae.runtime.devices import Compute, deterministic_algorithms, memory_named


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ResourceError, match="device 'cuda:77' cannot be used") as error:
        Compute("cuda:77").resolved()
    assert error.value.exit_code == 5
    with pytest.raises(ResourceError, match="device 'gpu'"):
        Compute("gpu").resolved()


@pytest.mark.parametrize("wanted", [True, False])
def test_the_flag_is_on_meanwhile_if_wanted_and_then_as_before(wanted):
    before = torch.are_deterministic_algorithms_enabled()
    with suppress(KeyError), deterministic_algorithms(wanted=wanted):
        assert torch.are_deterministic_algorithms_enabled() == (wanted or before)
        raise KeyError
    assert torch.are_deterministic_algorithms_enabled() == before


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
