"""Sizes of memory, and a limit that the system keeps."""

import subprocess
import sys

import pytest

from vgae.errors import UsageError
from vgae.runtime.memory import in_use, limited, num_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4G", 4_000_000_000),
        ("4gb", 4_000_000_000),
        ("4GiB", 2**32),
        ("1.5 Gi", 3 * 2**29),
        ("500M", 500_000_000),
        ("500", 500_000_000),
        ("0.5", 500_000),
        ("2t", 2 * 10**12),
        ("9" * 400 + "T", 2**60),
    ],
)
def test_a_size_has_a_unit_or_is_in_megabytes(text, size):
    assert num_bytes(text) == size


@pytest.mark.parametrize("text", ["", "4X", "-4G", "nan", "inf", "4B", "1e3", "4 G G", "4Gx"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="such as 4G, 4GiB or 500M") as caught:
        num_bytes(text)
    assert caught.value.code == "MAX_MEMORY"


@pytest.mark.parametrize("text", ["0", "0.0G"])
def test_no_memory_is_no_limit_to_work_with(text):
    with pytest.raises(UsageError, match="must be above 0") as caught:
        num_bytes(text)
    assert caught.value.code == "MAX_MEMORY"


def test_without_a_limit_nothing_changes():
    with limited(None):
        assert in_use() > 10_000_000


GREEDY = """
import resource
import numpy as np
from vgae.errors import ResourceError
from vgae.runtime.memory import limited

before = resource.getrlimit(resource.RLIMIT_DATA)
try:
    with limited(100_000_000):
        np.ones(2**25)  # 256 MB fit beside what libraries reserve
        np.ones(2**30)
except ResourceError as error:
    print(error.code, resource.getrlimit(resource.RLIMIT_DATA) == before, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits private memory")
def test_the_system_refuses_what_goes_beyond_the_limit_and_one_line_says_so():
    command = [sys.executable, "-c", GREEDY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("OUT_OF_MEMORY True --max-memory of 100 MB does not suffice")


LARGER = """
import logging
import numpy as np
from vgae.runtime.memory import limited

logging.basicConfig()
with limited(400_000_000):
    pass
with limited(400_000_000):
    np.ones(2**26)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits private memory")
def test_a_peak_above_the_limit_is_told():
    command = [sys.executable, "-c", LARGER]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.count("\n") == 1
    assert "at its peak, above --max-memory of 400 MB" in done.stderr
