"""Edge lists and tables of nodes in frames of three libraries give the same graph, or one line."""

import logging

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from vgae.data.files import read_graph
from vgae.errors import DataError, UsageError, VgaeError
from vgae.graphs.graph import Graph

EDGES = pd.DataFrame({"source": ["a", "b", "c"], "target": ["b", "c", "a"], "weight": [1, 2, 4.5]})
NODES = pd.DataFrame({"age": [1, 2, 3, 4], "ok": [True, False, True, True]}, index=list("dcba"))
PAIR = EDGES.drop(columns="weight")[:2]


def arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.mark.parametrize("library", [lambda frame: frame, pl.from_pandas, arrow])
def test_frames_of_every_library_give_the_same_graph(library):
    nodes = library(NODES.reset_index(names="id"))
    graph = Graph.from_pandas(library(EDGES), nodes, y="ok", name="g", merge="sum")
    assert graph.node_ids == ("d", "c", "b", "a")
    assert graph.links.tolist() == [[1, 1, 2], [2, 3, 3]]  # c - b, c - a, b - a
    assert graph.link_weight.tolist() == [2, 4.5, 1]
    assert (graph.feature_names, graph.x.tolist()) == (("age",), [[1], [2], [3], [4]])
    assert (graph.y.tolist(), graph.label_names) == ([1, 0, 1, 1], ("False", "True"))
    assert (graph.name, graph.num_isolated) == ("g", 1)


def test_a_record_batch_and_columns_of_unknown_names_are_read_too():
    batch = pa.RecordBatch.from_pydict({"p": [7, 5], "q": [5, 6]})
    graph = Graph.from_pandas(batch)
    assert (graph.node_ids, graph.links.tolist()) == ((5, 6, 7), [[0, 0], [1, 2]])


def test_a_frame_of_another_library_is_read_by_the_interchange_protocol():
    class Frame:
        def __dataframe__(self, **options):
            return arrow(PAIR).__dataframe__(**options)

    assert Graph.from_pandas(Frame()).node_ids == ("a", "b", "c")


@pytest.mark.parametrize("kind", ["category", "string", "string[pyarrow]", "object"])
def test_strings_of_every_type_of_pandas_are_names(kind):
    assert Graph.from_pandas(PAIR.astype(kind)).node_ids == ("a", "b", "c")


@pytest.mark.parametrize("kind", ["int64", "Int64", "uint8", "int32[pyarrow]", "category"])
def test_integers_of_every_type_of_pandas_are_names(kind):
    edges = pd.DataFrame({"u": [3, 7], "v": [7, 9]}).astype(kind)
    assert Graph.from_pandas(edges).node_ids == (3, 7, 9)


def test_roles_and_the_index_of_pandas_are_found_or_given(caplog):
    with caplog.at_level(logging.INFO, "vgae"):
        graph = Graph.from_pandas(PAIR.assign(year=[1999, 2000]), weight="year")
        assert graph.link_weight.tolist() == [1999, 2000]
        assert Graph.from_pandas(EDGES, weight="none").link_weight is None
        assert "left out: 'weight'" in caplog.text
        assert Graph.from_pandas(PAIR.assign(year=[1999, 2000])).link_weight is None
    assert caplog.records[-1].levelname == "WARNING"
    assert caplog.messages[-1].endswith("it looks like years; weight='year' reads it")
    grouped = EDGES.groupby(["source", "target"]).sum()  # the ends are in the index
    assert Graph.from_pandas(grouped).fingerprint == Graph.from_pandas(EDGES).fingerprint
    given = EDGES.rename(columns={"source": "p", "target": "q"})
    found = Graph.from_pandas(given, source="p", target="q")
    assert found.fingerprint == Graph.from_pandas(EDGES).fingerprint
    # An index of edges that has no ends has no meaning.
    assert Graph.from_pandas(PAIR.set_axis([7, 7])).num_links == 2


TABLES = [
    *["source,target", "person,friend", "u,v,w", "from,to,year", "FromNodeId,ToNodeId,x"],
    *["id,source,target,weight", "city_a,city_b,km", "source,target,timestamp", "a,b,c"],
    *["sender,receiver,count,score", "node1,node2,strength", "u,v,flux", "head,tail,relation"],
    *["weight,source,target", "src,dst,source,target", "src,dst,from,to", "index,x,y"],
    *["source,target,score,probability,rank", "eid,x,y", "Source,Target,Type,Id,Weight"],
    *["u,v,known", "p,weight"],
]
VALUES = {
    "tenths": lambda row: row / 10 + 0.5,
    "rows": lambda row: row,
    "few": lambda row: row % 7 + 1,
    "times": lambda row: 1_500_000_000 + 60 * row,
    "years": lambda row: 1990 + row,
    "dates": lambda row: f"2020-01-{row % 28 + 1:02d}",
    "zeros": lambda row: row % 3,
}


@pytest.mark.parametrize("header", TABLES)
def test_a_frame_and_its_csv_are_one_graph_or_one_refusal(header, tmp_path):
    columns = header.split(",")
    others = {"index", "id", "Id", "eid", "weight", "c"} if len(columns) > 2 else set()
    ends = [c for c in columns if c not in others][:4] if "src,dst" in header else None
    ends = ends or [c for c in columns if c not in others][:2]
    for kind in VALUES.values():
        frame = pd.DataFrame(
            {
                name: ["Directed"] * 25
                if name == "Type"
                else ["abcdefg"[row * (k + 1) % 7] for row in range(25)]
                if name in ends
                else [kind(row) for row in range(25)]
                for k, name in enumerate(columns)
            }
        )
        frame.to_csv(tmp_path / "g.csv", index=False)
        found = []
        for given, options in ((frame, {}), (tmp_path / "g.csv", {"header": True})):
            try:
                found.append(read_graph(given, **options).fingerprint)
            except DataError as error:
                same = error.code in ("FIELDS", "COLUMNS", "FRAME_COLUMNS")
                found.append("columns" if same else error.code)
        assert found[0] == found[1]


def test_names_of_nodes_are_in_a_column_where_the_index_is_the_default(caplog):
    for column in ("id", "Node_ID", "name"):
        nodes = NODES.reset_index(names=column)
        assert Graph.from_pandas(PAIR, nodes).node_ids == ("d", "c", "b", "a")
    nodes = NODES.reset_index(names="who")
    assert Graph.from_pandas(PAIR, nodes, id_column="who").node_ids == ("d", "c", "b", "a")
    assert Graph.from_pandas(PAIR, pl.from_pandas(nodes)).node_ids == ("d", "c", "b", "a")
    numbers = pd.DataFrame({"u": [0, 1], "v": [1, 2]})
    numbered = pd.DataFrame({"age": [5, 6, 7], "name": [1.5, 2, 3]})
    graph = Graph.from_pandas(numbers, numbered)
    assert (graph.node_ids, graph.num_features) == (None, 2)
    assert "the rows of nodes are the nodes 0, 1, ...; 'name' is a feature" in caplog.text


def test_integers_and_text_are_compared_as_text():
    edges = pd.DataFrame({"u": [1, 2], "v": [2, 3]})
    graph = Graph.from_pandas(edges, pd.DataFrame({"age": [9, 8, 7]}, index=["3", "2", "1"]))
    assert graph.node_ids == ("3", "2", "1")
    assert graph.x[:, 0].tolist() == [9, 8, 7]


def test_nodes_without_a_row_are_refused_or_get_zeros_or_means():
    nodes = NODES.drop("a")
    with pytest.raises(DataError, match=r"1 of 3 nodes in edges have no row in nodes \('a'\)"):
        Graph.from_pandas(PAIR, nodes)
    options = {"y": pd.Series([1, 0, None, 2], index=list("abcd"))}
    graph = Graph.from_pandas(PAIR, nodes, missing_features="zero", **options)
    assert (graph.node_ids[-1], graph.x[-1].tolist()) == ("a", [0, 0])
    assert graph.y.tolist() == [2, -1, 0, 1]
    mean = Graph.from_pandas(PAIR, nodes, missing_features="mean", y="ok")
    assert (mean.x[-1].tolist(), mean.y[-1].item()) == ([2], -1)


@pytest.mark.parametrize("missing", ["refuse", "zero", "mean"])
def test_a_table_of_none_of_the_nodes_is_refused_with_the_column_that_has_them(missing):
    # The index of filtered rows is one of integers with gaps, and has no names.
    nodes = pd.DataFrame({"who": list("cabd"), "age": [1, 2, 3, 4]})[lambda t: t.age != 2]
    edges = pd.DataFrame({"source": ["b", "c"], "target": ["c", "d"]})
    with pytest.raises(DataError, match=r"3 of 3 nodes .* as in id_column='who'") as caught:
        Graph.from_pandas(edges, nodes, missing_features=missing)
    assert caught.value.code == "NODE_SET_MISMATCH"
    found = Graph.from_pandas(edges, nodes, id_column="who", missing_features=missing)
    assert found.node_ids == ("c", "b", "d")


def test_columns_of_two_sides_and_directions_are_those_of_files():
    edges = pd.DataFrame({"user": ["b", "a"], "item": ["a", "b"]})
    graph = Graph.from_pandas(edges, two_sided=True)
    assert graph.node_ids == ("item:a", "item:b", "user:a", "user:b")
    assert graph.links.tolist() == [[2, 3], [1, 0]]
    directed = PAIR.assign(Type="Directed")
    with pytest.raises(DataError) as caught:
        Graph.from_pandas(directed, directed="error")
    assert caught.value.code == "DIRECTED"
    assert Graph.from_pandas(PAIR.assign(Type="Undirected"), directed="error").num_links == 2


def test_an_index_with_the_name_of_a_column_has_no_ends():
    edges = PAIR.set_index(pd.Index([5, 6], name="source"))
    assert Graph.from_pandas(edges).node_ids == ("a", "b", "c")


def test_selected_columns_are_the_ends_and_perhaps_the_weight():
    edges = EDGES.rename(columns={"source": "p", "target": "q", "weight": "w"})
    assert read_graph(edges, columns=("q", "p")).link_weight is None
    assert read_graph(edges, columns=("q", "p", "w")).link_weight.tolist() == [1, 4.5, 2]
    with pytest.raises(DataError, match="there is no column 'qq'"):
        read_graph(edges, columns=("p", "qq"))


def test_durations_are_days():
    nodes = pd.DataFrame({"since": pd.to_timedelta([1, 3, 5.5, None], "D")}, index=list("abcd"))
    graph = Graph.from_pandas(PAIR, nodes, encode="auto")
    assert graph.feature_names == ("since", "since=missing")
    assert graph.feature_encoder.columns[0].mean == pytest.approx(9.5 / 3)


def test_ids_from_1_beside_rows_from_0_are_refused_or_said(caplog):
    edges = pd.DataFrame({"u": [1, 2], "v": [2, 3]})
    with pytest.raises(DataError, match=r"begin at 1 .*\(3\)") as caught:
        Graph.from_pandas(edges, pd.DataFrame({"age": [9, 8, 7]}))
    assert caught.value.code == "NODE_SET_MISMATCH"
    graph = Graph.from_pandas(edges, pd.DataFrame({"age": [9, 8, 7, 6]}))
    assert graph.node_ids is None
    assert "ids of the nodes begin at 1, but the 4 rows" in caplog.text


def test_zero_weights_are_left_out_on_request_and_their_nodes_kept():
    edges = EDGES.assign(weight=[1, 1, 0])
    edges.loc[3] = ["d", "a", 0]
    with pytest.raises(DataError, match="drop_zero=True") as caught:
        Graph.from_pandas(edges)
    assert caught.value.code == "ZERO_WEIGHT"
    graph = Graph.from_pandas(edges, drop_zero=True)
    assert (graph.num_links, graph.node_ids, graph.num_isolated) == (2, tuple("abcd"), 1)


def test_sparse_columns_of_pandas_stay_sparse():
    x = np.array([[0, 1, 0], [2, 0, 0], [0, 0, 0]])
    nodes = pd.DataFrame(x, index=list("abc")).astype(pd.SparseDtype(np.int64, 0))
    graph = Graph.from_pandas(PAIR, nodes)
    assert graph.x.is_sparse_csr
    assert graph.dense_x.tolist() == x.tolist()


@pytest.mark.parametrize(
    ("edges", "nodes", "options", "code", "words"),
    [
        pytest.param([("a", "b")], None, {}, "FRAME", "got list; Graph.from_edges", id="list"),
        pytest.param(pl.from_pandas(PAIR).lazy(), None, {}, "FRAME", r"\.collect\(\)", id="lazy"),
        pytest.param(
            pd.DataFrame([["a", "b"]], columns=["u", "u"]), None, {}, "FRAME_COLUMNS", "different"
        ),
        pytest.param(
            EDGES.assign(weight="r").set_axis(list("xyz"), axis=1),
            None,
            {},
            "FRAME_COLUMNS",
            "'x', 'y', 'z'.*source='x', target='y'",
        ),
        pytest.param(PAIR, None, {"weight": "sorce"}, "FRAME_COLUMNS", "did you mean 'source'"),
        pytest.param(PAIR, None, {"source": "source"}, "FRAME_COLUMNS", "given together"),
        pytest.param(
            PAIR, None, {"source": "source", "target": "source"}, "FRAME_COLUMNS", "are both"
        ),
        pytest.param(PAIR, None, {"mrge": "sum"}, "OPTION", "Did you mean merge"),
        pytest.param(PAIR, None, {"missing_features": "0"}, "MISSING_FEATURES", "'refuse'"),
        pytest.param(PAIR, None, {"y": "age"}, "LABELS", "pass nodes too"),
        pytest.param(PAIR, NODES, {"y": "agee"}, "FRAME_COLUMNS", "Did you mean age"),
        pytest.param(PAIR, NODES, {"id_column": "okk"}, "FRAME_COLUMNS", "Did you mean ok"),
        pytest.param(
            PAIR, NODES, {"y": pd.Series([0, 1], index=["a", "b"])}, "NODE_SET_MISMATCH", "in y"
        ),
        pytest.param(
            PAIR, NODES, {"y": pd.Series([0.5] * 4, index=list("abcd"))}, "LABELS", "int"
        ),
        pytest.param(
            pd.DataFrame({"u": [1, None], "v": [2, 3]}), None, {}, "NODE_ID", "floats .*1 rows"
        ),
        pytest.param(PAIR.assign(source=["a", None]), None, {}, "NODE_ID", "first is row 1"),
        pytest.param(PAIR.assign(source=["", "b"]), None, {}, "NODE_ID", "first is row 0"),
        pytest.param(PAIR.assign(source=[1, "b"]), None, {}, "NODE_ID", "1 and 'b'"),
        pytest.param(PAIR.assign(source=[1, 2]), None, {}, "NODE_ID", "one type"),
        pytest.param(PAIR.assign(source=[True, False]), None, {}, "NODE_ID", "a bool, in row 0"),
        pytest.param(EDGES.assign(weight="x"), None, {}, "BAD_WEIGHT", "got String"),
        pytest.param(EDGES.assign(weight=[1, None, 2]), None, {}, "BAD_WEIGHT", "row 1 with nan"),
        pytest.param(
            EDGES.assign(weight=[1, 2, -3]), None, {}, "NEGATIVE_WEIGHT", "row 2 with -3"
        ),
        pytest.param(
            PAIR,
            NODES.assign(city="B", born=pd.Timestamp(0), gap=[1, None, 2, 3]),
            {},
            "FEATURE_DTYPE",
            r"'city' \(.*'B'\), 'born' .*encode='auto'.* missing in 'gap' \(1, the first in row 1",
        ),
        pytest.param(
            PAIR, NODES.assign(gap=[1, None, 2, 3]), {}, "FEATURE_NONFINITE", "'gap' .*row 1"
        ),
        pytest.param(PAIR, pd.concat([NODES, NODES]), {}, "NODE_ID", "'d' is twice in its index"),
        pytest.param(
            PAIR, NODES.reset_index(), {}, "NODE_SET_MISMATCH", "as in id_column='index'"
        ),
        pytest.param(
            PAIR, NODES.set_index("age", append=True), {}, "NODE_ID", "one level", id="levels"
        ),
    ],
)
@pytest.mark.row("G35")
def test_what_is_no_graph_is_refused_with_the_place(edges, nodes, options, code, words):
    with pytest.raises(VgaeError, match=words) as caught:
        Graph.from_pandas(edges, nodes, **options)
    assert caught.value.code == code
    assert isinstance(caught.value, DataError | UsageError)
