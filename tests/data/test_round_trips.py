"""Graphs that other libraries write are read back equal."""

import csv
import gzip

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import vgae
from vgae.data.files import write_npz
from vgae.runtime.tables import write_table

TEXT = st.one_of(
    st.sampled_from(
        ["New York", "a,b", 'the "city"', "a;b", "Zürich", "東京", "007", "1.0", "1e3"]
    ),
    st.sampled_from(["=1+1", "'quoted'", "-5", "NA", "nan", "e\u0301", "a\tb", "x#", "note"]),
    st.text("abc ,;\"'", min_size=1, max_size=4).filter(lambda name: name == name.strip()),
)
# Names that need no quotes where white space separates.
WORDS = st.sampled_from(
    ["a", "b", "Zürich", "東京", "007", "1.0", "1e3", "x-1", "=1", "it's", "-5"]
)
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9)
WEIGHTS = st.floats(2.0**-100, 2.0**100, width=32) | st.sampled_from([0.5, 3.0])


@st.composite
def edge_columns(draw, *kinds):
    """Columns source, target and perhaps weight: each link once, no self-loops."""
    names = draw(st.sampled_from(kinds or (TEXT, INTEGERS)))
    nodes = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    pairs = [(u, v) for place, u in enumerate(nodes) for v in nodes[:place]]
    pairs = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=8, unique=True))
    if isinstance(nodes[0], str):
        # Text of integers only would be read as integers.
        pairs.append(("word", "other word" if kinds == () else "other"))
    columns = {"source": [u for u, _ in pairs], "target": [v for _, v in pairs]}
    if draw(st.booleans()):
        columns["weight"] = draw(st.lists(WEIGHTS, min_size=len(pairs), max_size=len(pairs)))
    return columns


def links_of(graph):
    """Weight of each link, by the names of its ends; names keep their type."""
    pairs = [frozenset((graph.ids[u], graph.ids[v])) for u, v in graph.links.T.tolist()]
    ones = [1.0] * len(pairs)
    weight = ones if graph.link_weight is None else graph.link_weight.tolist()
    return dict(zip(pairs, weight, strict=True))


def check(path, columns, /, **options):
    """Read a file, and compare names, links and weights with what was written."""
    graph = vgae.read_graph(path, **options)
    pairs = map(frozenset, zip(columns["source"], columns["target"], strict=True))
    weight = columns.get("weight", [1.0] * len(columns["source"]))
    assert links_of(graph) == dict(zip(pairs, weight, strict=True))
    assert list(graph.ids) == sorted({*columns["source"], *columns["target"]})


def no_header(columns):
    """Options of a list without a header: large weights are taken for times without a name."""
    return {"header": False, "columns": tuple(columns)}


def graph_of(columns):
    """A networkx graph of the columns."""
    graph = nx.Graph()
    graph.add_edges_from(zip(columns["source"], columns["target"], strict=True))
    if "weight" in columns:
        graph.add_weighted_edges_from(zip(*columns.values(), strict=True))
    return graph


def adjacency_of(columns):
    """A symmetric matrix of the links between the places of the names, with an isolated node."""
    names = sorted({*columns["source"], *columns["target"]})
    places = [[names.index(name) for name in columns[end]] for end in ("source", "target")]
    weight = columns.get("weight", [1.0] * len(places[0]))
    half = sp.coo_array((weight, places), shape=(len(names) + 1,) * 2).tocsr()
    return half + half.T


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trips")


# A test that fails is not reduced to its smallest example, which takes long.
FEW = settings(max_examples=15, phases=[Phase.generate])
SEPARATORS = st.sampled_from(",\t;")
QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC, csv.QUOTE_ALL])


@settings(max_examples=40)
@given(columns=edge_columns(), sep=SEPARATORS, quoting=QUOTING, header=..., packed=...)
def test_csv_of_pandas(columns, sep, quoting, header: bool, packed: bool, folder):
    path = folder / ("a.csv.gz" if packed else "a.csv")
    pd.DataFrame(columns).to_csv(path, index=False, sep=sep, quoting=quoting, header=header)
    # Names may be quoted lists with another separator; a first line of words may be a header.
    check(path, columns, delimiter=sep, **({} if header else no_header(columns)))


@settings(max_examples=30)
@given(columns=edge_columns(WORDS, INTEGERS), sep=SEPARATORS)
def test_csv_of_pandas_is_read_without_options(columns, sep, folder):
    pd.DataFrame(columns).to_csv(folder / "b.csv", index=False, sep=sep)
    check(folder / "b.csv", columns)


@pytest.mark.parametrize("names", [("source", "target"), ("Source", "Target"), ("from", "to")])
@pytest.mark.parametrize("index", [True, False])
@FEW
@given(columns=edge_columns(WORDS, INTEGERS), extra=...)
def test_csv_of_pandas_with_other_columns(columns, extra: bool, names, index, folder):
    frame = pd.DataFrame(columns).rename(columns={"source": names[0], "target": names[1]})
    if extra and index:
        frame.insert(0, "note", "x y")
    frame.to_csv(folder / "c.csv", index=index)
    check(folder / "c.csv", columns)


@pytest.mark.parametrize("name", ["#sun", "%41"])
def test_csv_of_pandas_with_names_like_comments(name, folder):
    columns = {"source": ["a", name, "b"], "target": [name, "b", "c"]}
    pd.DataFrame(columns).to_csv(folder / "d.csv", index=False)
    check(folder / "d.csv", columns)


@settings(max_examples=30)
@given(columns=edge_columns(), sep=SEPARATORS, header=...)
def test_csv_of_polars(columns, sep, header: bool, folder):
    pl.DataFrame(columns).write_csv(folder / "e.csv", separator=sep, include_header=header)
    check(folder / "e.csv", columns, delimiter=sep, **({} if header else no_header(columns)))


@settings(max_examples=30)
@given(columns=edge_columns(), library=st.sampled_from(["pandas", "polars", "pandas category"]))
def test_parquet(columns, library, folder):
    path = folder / "f.parquet"
    if library == "polars":
        pl.DataFrame(columns).write_parquet(path)
    else:
        ends = "category" if library == "pandas category" else None
        frame = pd.DataFrame(columns)
        frame = frame.astype({"source": ends, "target": ends}) if ends else frame
        frame.to_parquet(path, index=False)
    check(path, columns)


@pytest.mark.parametrize("index", [False, True])
def test_parquet_with_other_columns(index, folder):
    columns = {
        "note": ["x", "y"],
        "target": ["1", "2"],
        "source": ["2", "3"],
        "weight": [1.5, 2.0],
    }
    frame = pd.DataFrame(columns, index=["p", "q"] if index else None)
    frame.to_parquet(folder / "g.parquet")
    check(folder / "g.parquet", columns)


@pytest.mark.parametrize("data", [False, ["weight"], True])
@pytest.mark.parametrize("delimiter", [" ", "\t", ","])
@FEW
@given(columns=edge_columns(WORDS, INTEGERS))
def test_edge_list_of_networkx(columns, data, delimiter, folder):
    path = folder / "h.edgelist"
    nx.write_edgelist(graph_of(columns), path, delimiter=delimiter, data=data)
    if data is False:
        columns = {end: columns[end] for end in ("source", "target")}
    options = {} if "weight" in columns else {"delimiter": delimiter}
    check(path, columns, **options, **no_header(columns))


@settings(max_examples=20)
@given(columns=edge_columns(WORDS, INTEGERS).filter(lambda columns: "weight" in columns))
def test_weighted_edge_list_of_networkx(columns, folder):
    nx.write_weighted_edgelist(graph_of(columns), folder / "i.edgelist")
    check(folder / "i.edgelist", columns, **no_header(columns))


@pytest.mark.parametrize("kind", ["npz", "mtx", "mtx.gz"])
@settings(max_examples=20)
@given(columns=edge_columns())
def test_matrix_of_scipy(columns, kind, folder):
    matrix, path = adjacency_of(columns), folder / f"j.{kind}"
    if kind == "npz":
        sp.save_npz(path, matrix)
    else:
        with (gzip.open if kind == "mtx.gz" else open)(path, "wb") as file:
            scipy.io.mmwrite(file, matrix, precision=17)
    graph = vgae.read_graph(path)
    assert graph.num_isolated == 1
    np.testing.assert_array_equal(graph.to_scipy().todense(), matrix.todense().astype(np.float32))


@settings(max_examples=20)
@given(columns=edge_columns(INTEGERS), delimiter=st.sampled_from(" ,\t"), packed=...)
def test_text_of_numpy(columns, delimiter, packed: bool, folder):
    path = folder / ("k.txt.gz" if packed else "k.txt")
    table = np.array(list(columns.values())[:2]).T
    np.savetxt(path, table, fmt="%d", delimiter=delimiter, header="source target")
    check(path, {"source": table[:, 0].tolist(), "target": table[:, 1].tolist()})


@settings(max_examples=30)
@given(columns=edge_columns())
def test_graphs_and_tables_of_this_package(columns, folder):
    for suffix in ("csv", "tsv", "parquet"):
        write_table(folder / f"l.{suffix}", columns)
        check(folder / f"l.{suffix}", columns)
    graph = vgae.read_graph(folder / "l.csv")
    write_npz(graph, folder / "l.npz")
    check(folder / "l.npz", columns)
    assert vgae.read_graph(folder / "l.npz").fingerprint == graph.fingerprint
