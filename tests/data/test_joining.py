"""Data frames in the place of files."""

import pandas as pd
import pytest

from vgae.data.files import read_graph
from vgae.errors import UsageError


class TestFrames:
    """Data frames in the place of files."""

    edges = pd.DataFrame({"source": ["a", "b"], "target": ["b", "c"], "w": [2, 3]})
    nodes = pd.DataFrame({"age": [1, 2, 3], "kind": ["x", "y", "x"]}, index=["c", "b", "a"])

    def test_a_frame_is_read_with_the_options_of_files(self):
        graph = read_graph(self.edges, features=self.nodes, label_column="kind", weight="w")
        assert graph.node_ids == ("c", "b", "a")
        assert graph.x.tolist() == [[1], [2], [3]]
        assert (graph.y.tolist(), graph.label_names) == ([0, 1, 0], ("x", "y"))
        assert graph.link_weight.tolist() == [3, 2]
        named = self.edges.set_axis(["p", "q", "r"], axis=1)
        again = read_graph(named, columns=("p", "q", "r"), merge="sum")
        assert again.link_weight.tolist() == [2, 3]

    def test_frames_and_files_go_together(self, tmp_path):
        self.edges.to_csv(tmp_path / "e.csv", index=False)
        self.nodes[["age"]].to_csv(tmp_path / "x.csv", index_label="id")
        for graph in (
            read_graph(tmp_path / "e.csv", features=self.nodes[["age"]], weight="none"),
            read_graph(self.edges, features=tmp_path / "x.csv", weight="none"),
        ):
            assert graph.node_ids == ("a", "b", "c")
            assert (graph.feature_names, graph.x.tolist()) == (("age",), [[3], [2], [1]])

    def test_options_of_files_alone_are_refused(self):
        with pytest.raises(UsageError, match="delimiter is an option of files"):
            read_graph(self.edges, delimiter=";")
