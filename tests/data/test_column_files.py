"""Large tables of numbers in parquet and Feather: read in batches, into a temporary file."""

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from vgae import read_graph
from vgae.data.attributes import read_node_table
from vgae.data.column_files import opened
from vgae.data.reading import Reading
from vgae.errors import DataError
from vgae.runtime import mapped

X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    """Write what takes more than 100 bytes to a temporary file, in blocks of 7 rows."""
    monkeypatch.setattr(mapped, "LARGE", 100)
    monkeypatch.setattr(mapped, "BLOCK", 7 * 12)


def columns(**others):
    x = {"a": X[:, 0], "b": X[:, 1].astype(np.float64), "c": np.arange(50) % 2 == 0}
    return pa.table({"index": np.arange(50), "id": [f"n{k}" for k in range(50)], **x, **others})


def written(table, path):
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=20)
    else:
        pyarrow.feather.write_feather(table, str(path), chunksize=20)
    return path


@pytest.mark.parametrize("name", ["x.parquet", "x.feather", "x.arrow"])
def test_numbers_are_those_of_the_columns(name, tmp_path):
    path = written(columns(kind=["u", "v"] * 25), tmp_path / name)
    table = read_node_table(path, Reading(label_column="kind"), numeric=True)
    expected = np.stack([X[:, 0], X[:, 1], np.arange(50) % 2 == 0], axis=1, dtype=np.float32)
    assert mapped.as_mapped(table.x) is not None
    assert np.array_equal(table.x, expected)
    assert table.attributes == ("a", "b", "c")
    assert table.names == [f"n{k}" for k in range(50)]
    assert list(table.columns["kind"][:2]) == ["u", "v"]


def test_a_column_that_counts_nothing_is_a_feature(tmp_path):
    table = columns().set_column(0, "index", [np.zeros(50, np.int64)])
    found = read_node_table(written(table, tmp_path / "x.parquet"), Reading(), numeric=True)
    assert found.attributes == ("index", "a", "b", "c")
    assert np.array_equal(found.x[:, 1], X[:, 0])


@pytest.mark.parametrize("name", ["x.parquet", "x.feather"])
def test_features_of_a_graph_are_assigned_by_name(name, tmp_path):
    path = written(columns().slice(0, 50).take(np.arange(50)[::-1]), tmp_path / name)
    (tmp_path / "g.csv").write_text("".join(f"n{k},n{(k + 1) % 50}\n" for k in range(50)))
    graph = read_graph(tmp_path / "g.csv", features=path)
    assert mapped.is_mapped(graph.x)
    place = [int(name[1:]) for name in graph.ids]
    assert np.array_equal(graph.x[:, 0].numpy(), X[place, 0])


def test_text_among_the_features_is_refused_as_in_a_small_table(tmp_path):
    path = written(columns(kind=["u", "v"] * 25), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="'kind'") as caught:
        read_node_table(path, Reading(), numeric=True)
    assert caught.value.code == "FEATURE_DTYPE"


def test_a_missing_number_is_refused_with_its_place(tmp_path):
    path = written(
        columns(d=[None if k == 33 else 1.0 for k in range(50)]), tmp_path / "x.feather"
    )
    with pytest.raises(DataError, match="first in row 33, column 3") as caught:
        read_node_table(path, Reading(), numeric=True)
    assert caught.value.code == "FEATURE_NONFINITE"


@pytest.mark.parametrize("cut", [0, 5, -7])
def test_a_damaged_feather_file_is_refused(cut, tmp_path):
    path = written(columns(), tmp_path / "x.feather")
    path.write_bytes(path.read_bytes()[:cut] or b"ARROW1")
    with pytest.raises(DataError, match="it is not a Feather") as caught, opened(path):
        pass
    assert caught.value.code == "PARQUET_CORRUPT"
