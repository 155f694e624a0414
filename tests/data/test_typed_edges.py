"""Tests of edge lists with a column of relations."""

import pytest

from vgae.data.typed_edges import read_typed_graph
from vgae.errors import DataError, UsageError

ROWS = [
    *(("Ann", "knows", "Bob", 1), ("Bob", "knows", "Cid", 2)),
    *(("Ann", "buys", "tea", 3), ("Cid", "buys", "ink", 1)),
]


def written(path, header=("source", "relation", "target"), columns=3, separator=","):
    rows = [header, *ROWS] if header else ROWS
    text = "\n".join(separator.join(map(str, row[:columns])) for row in rows)
    path.write_text(text + "\n")
    return path


def sizes(graph):
    return {name: relation.num_links for name, relation in graph.relations.items()}


@pytest.mark.row("G45")
def test_a_column_divides_the_edges(tmp_path):
    graph = read_typed_graph(written(tmp_path / "shop.csv"), relation="relation")
    assert sizes(graph) == {"buys": 2, "knows": 2}
    assert graph.name == "shop"
    assert graph.node_ids == ("Ann", "Bob", "Cid", "ink", "tea")
    assert graph.relations["buys"].links.tolist() == [[0, 2], [4, 3]]


def test_weights_and_tabs_are_read(tmp_path):
    header = ("from", "kind", "to", "weight")
    path = written(tmp_path / "shop.tsv", header, 4, "\t")
    graph = read_typed_graph(path, relation="kind")
    assert graph.relations["buys"].link_weight.tolist() == [3, 1]


def test_columns_name_those_of_a_file_without_header(tmp_path):
    path = written(tmp_path / "shop.csv", header=None)
    graph = read_typed_graph(path, relation="kind", columns=("source", "kind", "target"))
    assert sizes(graph) == {"buys": 2, "knows": 2}
    with pytest.raises(DataError, match=r"no header.*--columns source,kind,target"):
        read_typed_graph(path, relation="kind")


def test_parquet_is_read_alike(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = zip(*(row[:3] for row in ROWS), strict=True)
    table = pa.table(dict(zip(("source", "relation", "target"), map(list, columns), strict=True)))
    pq.write_table(table, tmp_path / "shop.parquet")
    graph = read_typed_graph(tmp_path / "shop.parquet", relation="relation")
    text = read_typed_graph(written(tmp_path / "shop.csv"), relation="relation")
    assert graph.fingerprint == text.fingerprint


def test_features_are_joined_by_name(tmp_path):
    path, features = written(tmp_path / "shop.csv"), tmp_path / "x.csv"
    features.write_text("id,age\ntea,5\nAnn,1\nBob,2\nCid,3\nink,4\nDan,6\n")
    with pytest.raises(DataError, match="Dan"):
        read_typed_graph(path, relation="relation", features=features)
    how = {"relation": "relation", "missing_features": "zero"}
    graph = read_typed_graph(path, features=features, **how)
    age = dict(zip(graph.ids, graph.dense_x[:, 0].tolist(), strict=True))
    assert age == {"Ann": 1, "Bob": 2, "Cid": 3, "ink": 4, "tea": 5, "Dan": 6}
    buys = graph.relations["buys"].links.T.tolist()
    assert {(graph.ids[u], graph.ids[v]) for u, v in buys} == {("Ann", "tea"), ("Cid", "ink")}


@pytest.mark.row("G45")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"relation": "relatio"}, r"no column 'relatio'.*Did you mean relation\?"),
        ({"relation": "relation", "drop_zero": True}, "drop_zero is not for typed graphs"),
        ({"relation": "relation", "time": "t"}, "--split-by-time"),
        ({"relation": "relation", "id_column": "x"}, "does not take id_column"),
        ({"relation": "relation", "format": "gml"}, "column of an edge list"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, words):
    with pytest.raises((DataError, UsageError), match=words):
        read_typed_graph(written(tmp_path / "shop.csv"), **options)


def test_a_missing_relation_names_its_row(tmp_path):
    path = tmp_path / "gap.csv"
    path.write_text("source,relation,target\na,knows,b\nb,,c\n")
    with pytest.raises(DataError, match="no relation in 1 rows, the first is row 1"):
        read_typed_graph(path, relation="relation")
