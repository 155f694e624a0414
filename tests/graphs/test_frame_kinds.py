"""Frames and series among other values."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from vgae.graphs.frame_kinds import is_frame, is_series


@pytest.mark.parametrize("value", [None, [1], np.eye(2), {"a": [1]}, "text", pd.Series([1]), 3])
def test_only_frames_are_frames(value):
    assert not is_frame(value)


def test_frames_and_series_are_recognised_with_columns_of_one_name_too():
    assert is_frame(pl.LazyFrame({"a": [1]}))
    assert is_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert is_series(pl.Series([1]))
    assert is_series(pd.Series([1]))
    assert not is_series([1])


def test_arrays_and_files_do_not_import_narwhals(tmp_path):
    (tmp_path / "g.csv").write_text("source,target\na,b\n")
    code = """
import sys
from vgae.data.files import read_graph
from vgae.graphs.graph import Graph
Graph.from_edges([[0, 1], [1, 2]], x=[[1], [2], [3]], y=[0, 1, 0])
read_graph(sys.argv[1])
assert "narwhals" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "g.csv")], check=True)
