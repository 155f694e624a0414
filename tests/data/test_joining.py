"""Data frames in the place of files."""

import pandas as pd
import pytest

from vgae.data.files import read_graph
from vgae.errors import DataError, UsageError


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


def test_features_of_no_node_are_refused_with_what_differs(tmp_path):
    edges, table = tmp_path / "e.csv", tmp_path / "p.csv"
    edges.write_text("source,target\nAnn,Bob\nBob,Cid\n")
    for names, words in (
        (["ann", "bob", "cid"], "upper and lower case"),
        (["1", "2", "3"], "id_column"),
    ):
        table.write_text("id,age\n" + "".join(f"{name},{len(name)}\n" for name in names))
        for missing in ("refuse", "zero", "mean"):
            with pytest.raises(DataError, match=rf"none of the 3 nodes .*{words}") as caught:
                read_graph(edges, features=table, missing_features=missing)
            assert caught.value.code == "NODE_SET_MISMATCH"
    edges.write_text("user_id,item_id\n1,1\n1,2\n2,3\n")
    table.write_text("id,age\n1,5\n2,6\n3,7\n")
    with pytest.raises(DataError, match=r"features of each: features=\('users.csv', 'items.csv'"):
        read_graph(edges, features=table)
    edges.write_text("source,target\n1,2\n2,3\n")
    table.write_text("id,age\n1.0,5\n2.0,6\n3.0,7\n")
    with pytest.raises(DataError, match=r"end in \.0: write whole numbers"):
        read_graph(edges, features=table)


def test_a_first_line_without_features_may_be_a_header(tmp_path):
    edges, table = tmp_path / "e.csv", tmp_path / "p.csv"
    edges.write_text("person,friend\nAnn,Bob\nBob,Cid\n")
    table.write_text("id,age\nAnn,5\nBob,6\nCid,7\n")
    with pytest.raises(DataError, match=r"first line, 'person' and 'friend', .*\(--header\)"):
        read_graph(edges, features=table)
    assert read_graph(edges, features=table, header=True).num_nodes == 3


def test_names_in_the_wrong_column_are_refused_with_the_option(tmp_path):
    edges, table = tmp_path / "e.csv", tmp_path / "p.csv"
    edges.write_text("source,target\nAnn,Bob\n")
    for rows, words in (
        ("1,Ann\n,Bob\n", "row 2: .* empty; .*'id'"),
        ("1,Ann\n1,Bob\n", "'id': id_col"),
    ):
        table.write_text(f"id,who\n{rows}")
        with pytest.raises(DataError, match=words) as caught:
            read_graph(edges, features=table, encode={"who": "hash"})
        assert caught.value.code == "NODE_ID"
