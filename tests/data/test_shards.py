"""Features in a folder of npy files."""

import numpy as np
import pytest

from vgae.data.shards import read_shards
from vgae.errors import DataError
from vgae.runtime import mapped

X = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    for k in range(12):
        part = X[2 * k : 2 * k + 2]
        np.save(tmp_path / f"part-{k}.npy", part.astype(np.float64) if k % 2 else part)
    return tmp_path


@pytest.mark.parametrize("large", [False, True])
def test_rows_are_in_the_order_of_the_numbers_in_the_names(folder, large, monkeypatch):
    monkeypatch.setattr(mapped, "LARGE", 100 if large else 10**6)
    monkeypatch.setattr(mapped, "BLOCK", 16)
    found = read_shards(folder)
    assert np.array_equal(found, X)
    assert (mapped.as_mapped(found) is not None) == large


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        pytest.param("part-3.npy", np.ones((2, 5)), "FEATURE_SHARDS", "(rows, 4)", id="F19-wide"),
        pytest.param("part-3.npy", np.ones(4), "FEATURE_SHARDS", "got (4,)", id="F19-flat"),
        pytest.param(
            "part-3.npy", np.array([["a"] * 4]), "FEATURE_DTYPE", "numbers", id="F19-txt"
        ),
        pytest.param("read.me", None, "FEATURE_SHARDS", "'read.me'", id="F19-other"),
    ],
)
def test_a_folder_of_other_files_is_refused(folder, name, content, code, says):
    if content is None:
        (folder / name).write_text("notes")
    else:
        np.save(folder / name, content)
    with pytest.raises(DataError) as caught:
        read_shards(folder)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_an_empty_folder_is_not_told_to_lose_files(tmp_path):
    with pytest.raises(DataError, match=r"\.npy files only, and it is empty\.$"):
        read_shards(tmp_path)


def test_numbers_that_are_not_finite_are_counted_over_all_files(folder, monkeypatch):
    monkeypatch.setattr(mapped, "LARGE", 100)
    for k in (4, 7):
        np.save(folder / f"part-{k}.npy", np.full((2, 4), np.nan))
    with pytest.raises(DataError, match="16 other values, the first in row 8, column 0") as caught:
        read_shards(folder)
    assert caught.value.code == "FEATURE_NONFINITE"
