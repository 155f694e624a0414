"""Files of torch.save: integers come out, everything else is refused or left out."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from vgae.data.torch_files import read_integers
from vgae.errors import DataError

ARRAYS = {
    "tensor": torch.arange(6).view(3, 2),
    "transposed": torch.arange(6, dtype=torch.int32).view(3, 2).T,
    "numpy": np.arange(10).reshape(5, 2),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.uint16).reshape(2, 3)),
    "big-endian": np.arange(4, dtype=">i8"),
    "empty": np.zeros((0, 2), np.int64),
}
OTHERS = {
    "weight": np.ones(3),
    "weights": torch.ones(3),
    "names": np.array(["a", "b"]),
    "objects": np.array([1, "a", None], dtype=object),
    "when": np.array(["2024-05-31"], dtype="M8[D]"),
    "text": "x",
    "list": [1, 2],
    "more": OrderedDict(a=1),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_and_arrays_of_integers_come_back(zipped, tmp_path):
    path = tmp_path / "x.pt"
    torch.save(ARRAYS | OTHERS, path, _use_new_zipfile_serialization=zipped)
    found = read_integers(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == np.asarray(array).dtype
        assert np.array_equal(found[name], np.asarray(array))


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil"),)


@pytest.mark.parametrize(
    "content",
    [
        {"edge": Evil()},
        {"edge": Path("x")},
        {"edge": np.int64(3)},
        {"edge": torch.zeros(1, dtype=torch.int64).expand(10**12)},
        {"edge": torch.arange(3).to_sparse()},
        [torch.arange(3)],
        torch.arange(3),
    ],
    ids=["call", "path", "numpy scalar", "bomb", "sparse", "list", "tensor"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_anything_else_is_refused(content, zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content, "x.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=r"x\.pt: ") as caught:
        read_integers(Path("x.pt"))
    assert caught.value.code == "PT_REFUSED"
    assert "\n" not in str(caught.value)
    assert not Path("evil").exists()


def state(array, **changed):
    """A file whose array has a changed state."""
    function, arguments, parts = array.__reduce__()
    names = ("version", "shape", "dtype", "fortran", "data")
    parts = dict(zip(names, parts, strict=True)) | changed

    class Written:
        def __reduce__(self):
            return function, arguments, tuple(parts.values())

    return Written()


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": (10**12,)},
        {"shape": (-1, -3)},
        {"shape": (1.5, 2)},
        {"shape": [3]},
        {"data": b"123"},
        {"data": [1, 2, 3]},
        {"data": None},
        {"dtype": "i8"},
        {"dtype": None},
        {"version": 7},
    ],
    ids=str,
)
def test_an_array_with_another_state_is_refused(changed, tmp_path):
    torch.save({"edge": state(np.arange(3), **changed)}, tmp_path / "x.pt")
    with pytest.raises(DataError) as caught:
        read_integers(tmp_path / "x.pt")
    assert caught.value.code == "PT_REFUSED"


def test_a_packed_member_is_refused(tmp_path):
    torch.save({"edge": torch.zeros(10**6, dtype=torch.int64)}, tmp_path / "x.pt")
    with (
        zipfile.ZipFile(tmp_path / "x.pt") as plain,
        zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(DataError, match="damaged"):
        read_integers(tmp_path / "y.pt")


@pytest.mark.parametrize("content", [b"", b"PK", pickle.dumps({"edge": [1]}), b"x" * 999])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(DataError):
        read_integers(tmp_path / "x.pt")
    with pytest.raises(DataError):
        read_integers(tmp_path / "missing.pt")
