import logging
import pickle
from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch

import vgae
from vgae.data.graph_npz import read_npz, write_npz
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.missing import column_sums, entries_of, filled, marked, rows_dense, with_gaps

NAN = float("nan")
LINKS = [[0, 1, 2], [1, 2, 3]]
X = np.array([[1.0, NAN, 2], [3, 4, NAN], [NAN, 8, 2], [5, 0, 5]])
MISSING = [[0, 1, 2], [1, 2, 0]]
FILLED = [[1.0, 4, 2], [3, 4, 3], [3, 8, 2], [5, 0, 5]]


def of(x, **options):
    return vgae.Graph.from_edges(LINKS, x=x, missing_features="impute", **options)


def sparse(x):
    rows, columns = np.nonzero(x)  # NaN is not zero, and is stored
    return sp.coo_array((x[rows, columns], (rows, columns)), shape=x.shape)


def sparse_frame(x):
    return pd.DataFrame(x).astype(pd.SparseDtype(float, 0))


@pytest.mark.parametrize("form", [np.asarray, torch.tensor, pd.DataFrame, pl.DataFrame])
def test_nan_is_missing_and_an_encoder_gets_the_mean_of_the_column(form):
    graph = of(form(X))
    assert entries_of(graph.missing).tolist() == MISSING
    assert graph.x.tolist() == FILLED
    assert torch.equal(graph.observed, ~torch.tensor(X).isnan())


@pytest.mark.parametrize("form", [sparse, sparse_frame])
def test_missing_entries_of_sparse_features_are_stored_nan_and_count_as_zero(form):
    graph = of(form(X))
    assert graph.x.is_sparse_csr
    assert entries_of(graph.missing).tolist() == MISSING
    assert np.array_equal(graph.x.to_dense(), np.nan_to_num(X))
    assert graph.x.values().count_nonzero() == len(graph.x.values()) == 8


def test_features_without_gaps_are_as_before():
    graph = of(np.nan_to_num(X))
    plain = vgae.Graph.from_edges(LINKS, x=np.nan_to_num(X))
    assert graph.missing is None
    assert graph.observed is None
    assert graph.fingerprint == plain.fingerprint


@pytest.mark.row("F17")
@pytest.mark.parametrize("form", [np.asarray, sparse, pd.DataFrame])
def test_nan_is_refused_with_the_option_that_takes_it(form):
    with pytest.raises(DataError, match=r"missing_features='impute' \(--missing-features impute"):
        vgae.Graph.from_edges(LINKS, x=form(X))


def test_infinity_is_no_missing_entry():
    with pytest.raises(DataError, match=r"the first in row 0, column 0\.$"):
        of(np.array([[np.inf, NAN]] * 4))
    with pytest.raises(UsageError, match="missing_features must be one of"):
        vgae.Graph.from_edges(LINKS, x=X, missing_features="mean")


@pytest.mark.row("F17")
def test_a_column_without_a_known_entry_is_zero_and_a_warning(caplog):
    x = X.copy()
    x[:, 1] = NAN
    with caplog.at_level(logging.INFO, "vgae"):
        graph = of(x)
    assert graph.x[:, 1].tolist() == [0.0] * 4
    assert "6 of 12 features are missing" in caplog.text
    assert "1 columns of the features have no known entry" in caplog.text


def test_the_fingerprint_has_the_missing_entries():
    same = np.where(np.isnan(X), FILLED, X)
    assert of(X).fingerprint != vgae.Graph.from_edges(LINKS, x=same).fingerprint
    assert of(X).fingerprint == of(X.copy()).fingerprint
    assert len({of(X).fingerprint, of(sparse(X)).fingerprint}) == 2  # other values for them


def test_a_column_and_a_row_may_be_missing_in_tables():
    nodes = pd.DataFrame({"id": ["a", "b", "c"], "age": [1.0, NAN, 4], "big": [True, False, True]})
    edges = pd.DataFrame({"source": ["a", "b", "c"], "target": ["b", "c", "d"]})
    graph = vgae.Graph.from_pandas(edges, nodes, missing_features="impute")
    assert graph.ids == ("a", "b", "c", "d")
    assert entries_of(graph.missing).tolist() == [[1, 3, 3], [0, 0, 1]]
    torch.testing.assert_close(graph.x[:, 0], torch.tensor([1, 2.5, 4, 2.5]))


def test_empty_cells_of_files_may_be_missing(tmp_path):
    (tmp_path / "edges.csv").write_text("u,v\na,b\nb,c\nc,d\n")
    (tmp_path / "nodes.csv").write_text("id,age,size\na,1,2\nb,,4\nc,4,\n")
    files = tmp_path / "edges.csv", tmp_path / "nodes.csv"
    with pytest.raises(DataError, match="missing-features impute"):
        vgae.read_graph(files[0], features=files[1])
    graph = vgae.read_graph(files[0], features=files[1], missing_features="impute")
    assert entries_of(graph.missing).tolist() == [[1, 2, 3, 3], [0, 1, 0, 1]]
    assert graph.feature_names == ("age", "size")


@pytest.mark.parametrize("form", [np.asarray, sparse])
def test_copies_keep_the_missing_entries(form, tmp_path):
    graph = of(form(X), name="g")
    write_npz(graph, tmp_path / "g.npz")
    copies = [read_npz(tmp_path / "g.npz"), pickle.loads(pickle.dumps(graph))]
    for other in copies:
        assert other.fingerprint == graph.fingerprint
        assert entries_of(other.missing).tolist() == MISSING
        assert torch.equal(other.dense_x, graph.dense_x)
    assert graph.without_features().missing is None


def test_a_stored_graph_of_an_earlier_format_has_no_gaps(tmp_path):
    graph = of(X, name="g")
    write_npz(graph, tmp_path / "g.npz")
    with np.load(tmp_path / "g.npz") as file:
        content = dict(file)
    assert str(content["format"]) == "vgae-graph-3"
    content["format"] = np.array("vgae-graph-1")
    np.savez(tmp_path / "old.npz", **content)
    with pytest.raises(DataError, match="must be finite"):
        read_npz(tmp_path / "old.npz")


@pytest.mark.parametrize("form", [np.asarray, sparse])
def test_collections_stack_and_select_missing_entries(form):
    other = vgae.Graph.from_edges(LINKS, x=form(np.ones((4, 3))))
    graphs = GraphCollection.from_graphs([of(form(X)), other, of(form(2 * X))])
    assert entries_of(graphs.missing).tolist() == [[0, 1, 2, 8, 9, 10], [1, 2, 0] * 2]
    assert graphs[1].missing is None
    assert graphs[1].fingerprint == other.fingerprint
    assert entries_of(graphs[2].missing).tolist() == MISSING
    dense = graphs[[0]].dense_x
    assert np.array_equal(dense, FILLED if form is np.asarray else np.nan_to_num(X))


def test_what_a_selection_gets_does_not_depend_on_the_other_graphs():
    graphs = GraphCollection.from_graphs([of(X), of(100 * X)])
    assert not torch.equal(graphs.x[:4], torch.tensor(FILLED))
    assert torch.equal(graphs[:1].x, torch.tensor(FILLED))


@pytest.mark.parametrize("form", [np.asarray, sparse])
def test_features_of_two_sides_may_be_missing(form):
    pair = (form(X[:2]), form(np.array([[NAN], [3.0], [5.0]])))
    graph = vgae.Graph.from_edges(
        [[0, 0, 1], [0, 1, 2]], x=pair, sides="columns", missing_features="impute"
    )
    assert entries_of(graph.missing).tolist() == [[0, 1, 2], [1, 2, 3]]


def test_sums_and_rows_are_those_of_the_known_entries():
    for form in (np.asarray, sparse):
        graph = of(form(X))
        total, count = column_sums(graph.x, graph.missing)
        assert total.tolist() == [9, 12, 9]
        assert count.tolist() == [3, 3, 3]
        assert torch.equal(rows_dense(graph.x, 1, 3), graph.dense_x[1:3])
        assert torch.equal(rows_dense(graph.missing, 1, 3), ~graph.observed[1:3])
        given = with_gaps(graph.x, graph.missing).to_dense().numpy()
        assert np.array_equal(given, X, equal_nan=True)
    means = torch.tensor([7.0, 8, 9])
    graph = of(X)
    assert filled(graph.x, graph.missing, means)[tuple(MISSING)].tolist() == [8, 9, 7]
    assert graph.x.tolist() == FILLED  # a copy
    assert filled(graph.x, None) is graph.x
    assert marked(np.zeros((2, 2))) is None
    assert replace(graph, missing=None).observed is None


@pytest.mark.parametrize("source", ["npz", "pyg", "scipy", "networkx"])
def test_every_source_of_features_takes_nan_for_missing(source, tmp_path):
    data = pytest.importorskip("torch_geometric.data")
    x, edges = np.array([[1.0, np.nan], [2, 3], [np.nan, 5]]), np.array([[0, 1], [1, 2]])
    np.savez(tmp_path / "g.npz", edge_index=edges, x=x)
    pyg = data.Data(x=torch.tensor(x), edge_index=torch.tensor(edges))
    nodes = nx.path_graph(3)
    read = {
        "npz": lambda **how: vgae.read_graph(tmp_path / "g.npz", **how),
        "pyg": lambda **how: vgae.Graph.from_pyg(pyg, **how),
        "scipy": lambda **how: vgae.Graph.from_scipy(nx.to_numpy_array(nodes), x=x, **how),
        "networkx": lambda **how: vgae.Graph.from_networkx(nodes, x=x, **how),
    }[source]
    with pytest.raises(DataError, match="missing_features='impute'"):
        read()
    graph = read(missing_features="impute")
    assert graph.missing.to_dense().tolist() == np.isnan(x).tolist()
    assert graph.x.tolist() == [[1, 4], [2, 3], [1.5, 5]]


def test_a_pyg_graph_whose_gaps_are_filled_says_so(caplog):
    pytest.importorskip("torch_geometric")
    assert of(X).to_pyg().x.tolist() == FILLED
    assert "3 missing features filled in" in caplog.text
