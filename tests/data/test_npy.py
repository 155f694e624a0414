"""An array is read as numpy wrote it; a file that is anything else is refused."""

import struct

import numpy as np
import pytest

from vgae.data.npy import read_npy
from vgae.errors import DataError


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int8).reshape(2, 3)),
        np.array(["a", "ä"]),
        np.empty((0, 3)),
        np.array(1.5),
    ],
    ids=["floats", "Fortran order", "text", "empty", "scalar"],
)
def test_an_array_is_read_as_it_was_written(array, tmp_path):
    np.save(tmp_path / "a.npy", array)
    found = read_npy(tmp_path / "a.npy")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_a_header_of_the_second_version_is_read(tmp_path):
    array = np.ones(2)
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=(2, 0))
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), array)


def npy(header, body=b""):
    text = str(header).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def described(shape, dtype="<f8"):
    return {"descr": dtype, "fortran_order": False, "shape": shape}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(npy(described((2**50, 1))), "NPY_CORRUPT", id="L23 2**50"),
        pytest.param(npy(described((2**32, 2**32))), "NPY_CORRUPT", id="L23 2**64"),
        pytest.param(npy(described((2,)), b"\0" * 17), "NPY_CORRUPT", id="L23 longer"),
        pytest.param(npy(described((2,)), b"\0" * 15), "NPY_CORRUPT", id="L23 shorter"),
        pytest.param(npy(described((1,), "|O"), b"cos\nsystem\n."), "PICKLE_REFUSED", id="L20"),
        pytest.param(npy("{[]: 1}"), "NPY_CORRUPT", id="header"),
        pytest.param(npy("(" * 500), "NPY_CORRUPT", id="brackets"),
        pytest.param(b"\x93NUMPY\x07\x00", "NPY_CORRUPT", id="version"),
        pytest.param(b"<html>", "NOT_THE_FILE", id="a page"),
        pytest.param(b"", "FILE_EMPTY", id="L02"),
    ],
)
def test_a_damaged_file_is_refused(content, code, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy: ") as caught:
        read_npy(tmp_path / "a.npy")
    assert caught.value.code == code


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.npy: No such file") as caught:
        read_npy(tmp_path / "a.npy")  # L01
    assert caught.value.code == "CANNOT_READ"
