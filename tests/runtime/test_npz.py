import pickle
import zipfile

import numpy as np
import pytest

from vgae.errors import DataError
from vgae.runtime.npz import read_arrays, write_arrays


@pytest.mark.parametrize("letter", [0xD800, 0xDFFF, 0x110000, 2**32 - 1], ids=hex)
@pytest.mark.parametrize("order", "<>")
def test_letters_that_are_none_are_refused(letter, order, tmp_path):
    letters = np.array([ord("a"), letter], dtype=f"{order}u4")
    np.savez(tmp_path / "a.npz", names=letters.view(f"{order}U1"))
    with pytest.raises(DataError, match="not Unicode"):
        read_arrays(tmp_path / "a.npz")


def test_all_letters_come_back(tmp_path):
    names = np.array(["", "a", "\U0010ffff", "\ue000", "\ud7ff"])
    write_arrays(tmp_path / "a.npz", {"names": names, "none": names[:0], "one": names[1]})
    back = read_arrays(tmp_path / "a.npz")
    assert back["names"].tolist() == names.tolist()
    assert back["none"].shape == (0,)
    assert back["one"].shape == ()


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.array("text"), "c": np.zeros((0, 2))}
    np.savez(tmp_path / "some.npz", **arrays)
    read = read_arrays(tmp_path / "some.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array)


def test_an_archive_without_members_holds_nothing(tmp_path):
    np.savez(tmp_path / "none.npz")
    assert read_arrays(tmp_path / "none.npz") == {}


class Marker:
    """Its pickle, once opened, leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["PICKLE_REFUSED", "NPZ_CORRUPT"])
def test_a_pickle_is_not_opened_and_its_reader_gets_no_hint_to_open_it(kind, tmp_path):
    path, bait = tmp_path / "bait.npz", Marker(tmp_path / "opened")
    if kind == "PICKLE_REFUSED":
        np.savez(path, x=np.array([bait], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(bait))
    with pytest.raises(
        DataError, match=r"^it (is not a zip archive|holds pickled objects)\.$"
    ) as e:
        read_arrays(path)
    assert e.value.code == kind
    assert not (tmp_path / "opened").exists()


def test_a_member_that_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "mixed.npz", "w") as file:
        file.writestr("keys", "text")
    with pytest.raises(DataError, match="member 'keys' is not an array") as caught:
        read_arrays(tmp_path / "mixed.npz")
    assert caught.value.code == "NPZ_CORRUPT"


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\3\4 garbage", b"<html>", b"\x93NUMPY\1\0"])
def test_bytes_of_another_kind_are_refused(content, tmp_path):
    (tmp_path / "other.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"\.$") as caught:
        read_arrays(tmp_path / "other.npz")
    assert caught.value.code == "NPZ_CORRUPT"
