"""Arrays in files: tensors that share their memory, blocks of rows, temporary files."""

import warnings

import numpy as np
import pytest
import torch

from vgae.errors import ResourceError
from vgae.runtime import mapped


@pytest.fixture
def numbers(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(60, dtype=np.float32).reshape(20, 3))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_a_mapped_tensor_shares_the_memory_of_the_file_without_a_warning(numbers):
    with warnings.catch_warnings(action="error"):
        tensor = mapped.tensor_of(numbers)
    assert tensor.data_ptr() == numbers.ctypes.data
    assert mapped.is_mapped(tensor)
    assert mapped.is_mapped(tensor[7:9])
    assert not mapped.is_mapped(tensor.clone())
    assert not mapped.is_mapped(numbers)
    assert mapped.as_mapped(tensor.numpy()).data_ptr() == tensor.data_ptr()
    assert mapped.as_mapped(np.ones((2, 3), np.float32)) is None


def test_memory_that_was_mapped_before_is_not_taken_for_a_file(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((20, 3), np.float32))
    tensor = mapped.tensor_of(np.load(tmp_path / "x.npy", mmap_mode="r"))
    place = tensor.data_ptr()
    assert place in mapped._MAPS
    del tensor
    assert place not in mapped._MAPS


@pytest.mark.parametrize("start", [0, 1, 4])
def test_blocks_of_rows_are_all_rows_in_order(numbers, start, monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 5 * 3 * 4)
    x = mapped.tensor_of(numbers)
    found = [(rows, block.clone()) for rows, block in mapped.row_blocks(x, start)]
    assert [rows.start for rows, _ in found] == [0, *range(5 - start, 20, 5)]
    assert torch.equal(torch.cat([block for _, block in found]), x)


def test_a_temporary_file_has_the_numbers_as_float32(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    blocks = iter([np.ones((2, 3)), np.arange(3, dtype=np.int8)[None]])
    found = mapped.spilled((3, 3), blocks)
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 1, 1], [1, 1, 1], [0, 1, 2]]
    assert not [*tmp_path.iterdir()]


def test_a_folder_without_room_for_temporary_files_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(ResourceError, match=r"missing.*cannot be written") as caught:
        mapped.spilled((1, 1), iter([np.ones((1, 1))]))
    assert caught.value.code == "CANNOT_WRITE"
