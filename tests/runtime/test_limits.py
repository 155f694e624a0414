"""A file unpacks to a fixed size, or to a multiple of its own, and never beyond an upper bound."""

import pytest

from vgae.errors import DataError
from vgae.runtime.limits import IDX, NPZ, PARQUET, TEXT, Limit


@pytest.mark.parametrize(
    ("packed", "allowed"), [(0, 100), (10, 100), (50, 100), (51, 102), (499, 998), (501, 1000)]
)
def test_the_largest_size_is_allowed_and_one_more_refused(packed, allowed):
    limit = Limit(100, times=2, most=1000)
    limit.check(allowed, packed)
    with pytest.raises(DataError, match=f"^it has {packed} bytes .* more than {allowed};") as e:
        limit.check(allowed + 1, packed)
    assert e.value.code == "UNPACKED_SIZE"


def test_the_file_and_the_unit_are_named():
    with pytest.raises(DataError, match=r"^a\.gz has 3 bytes and .* 9 values, more than 6;"):
        Limit(1, times=2, unit="values").check(9, 3, "a.gz")


@pytest.mark.parametrize(
    ("limit", "packed", "allowed"),
    [
        (IDX, 1, 64 * 2**20),
        (IDX, 2**20, 200 * 2**20),
        (NPZ, 1, 256 * 2**20),
        (NPZ, 2**21, 400 * 2**20),
        (TEXT, 1, 16 * 2**20),
        (TEXT, 2**20, 200 * 2**20),
        (TEXT, 2**30, 2**31),
        (PARQUET, 1, 2**24),
        (PARQUET, 2**20, 100 * 2**20),
    ],
)
def test_the_limits_are_as_documented(limit, packed, allowed):
    limit.check(allowed, packed)
    with pytest.raises(DataError):
        limit.check(allowed + 1, packed)
