"""Files of MATLAB and AnnData, read in a process of their own."""

import logging

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from vgae.data.files import read_graph
from vgae.errors import DataError
from vgae.graphs.graph import Graph

ADJ = sp.csc_array(np.array([[0, 2.0, 0, 0], [2, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]))
ONE_HOT = sp.csc_array(np.eye(3)[[0, 2, 2, 0]])


def mat(path, **variables):
    scipy.io.savemat(path, variables)
    return path


def test_the_usual_names_of_matlab_files(tmp_path, caplog):
    path = tmp_path / "g.mat"
    mat(path, Network=ADJ, group=ONE_HOT, Attributes=np.eye(4, 2), version=7)
    with caplog.at_level(logging.INFO, logger="vgae"):
        graph = read_graph(path)
    assert graph.fingerprint == Graph.from_scipy(ADJ, x=np.eye(4, 2)).fingerprint
    assert graph.y.tolist() == [0, 2, 2, 0]
    assert "graph from Network, features from Attributes, labels from group" in caplog.text
    assert "left out: version" in caplog.text


@pytest.mark.parametrize(
    "variables",
    [
        {"Problem": {"A": ADJ, "name": "x", "id": 1}},
        {"something": ADJ, "dense": np.ones((4, 4))},
        {"net": ADJ, "gnd": np.array([[1, 3, 3, 1]])},
    ],
    ids=["suitesparse", "only-sparse", "row-of-labels"],
)
def test_other_layouts_of_matlab_files(variables, tmp_path):
    graph = read_graph(mat(tmp_path / "g.mat", **variables))
    assert graph.link_fingerprint == Graph.from_scipy(ADJ).link_fingerprint
    if "gnd" in variables:
        assert (graph.y.tolist(), graph.label_names) == ([0, 1, 1, 0], ("1", "3"))


@pytest.mark.row("L35")
def test_matlab_files_without_a_graph_are_refused(tmp_path):
    with pytest.raises(DataError, match="network, net, A or adjacency; found z") as caught:
        read_graph(mat(tmp_path / "g.mat", z=np.ones((2, 3))))
    assert caught.value.code == "MAT_GRAPH"
    (tmp_path / "h.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match="-v7") as caught:
        read_graph(tmp_path / "h.mat")
    assert caught.value.code == "FILE_FORMAT"


@pytest.mark.row("L34")
def test_damage_that_crashes_scipy_is_one_error(tmp_path):
    """An index of a sparse matrix that points outside ended the process by a signal."""
    good = mat(tmp_path / "g.mat", network=ADJ).read_bytes()
    (tmp_path / "cut.mat").write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "cut.mat")
    assert caught.value.code == "MAT_CORRUPT"
    place = good.index(np.array([1, 0, 2, 1], "<i4").tobytes())
    bad = good[:place] + np.array([2**30] * 4, "<i4").tobytes() + good[place + 16 :]
    (tmp_path / "bad.mat").write_bytes(bad)
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "bad.mat")
    assert caught.value.code in ("MAT_CORRUPT", "SPARSE_CORRUPT")


def cells(**parts):
    anndata, pd = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    names = np.array(["c1", "c2", "c3", "c4"], object)
    # anndata 0.12 does not write the type of text that pandas 3 has.
    types = pd.CategoricalDtype(pd.Index(np.array(["B", "T"], object), dtype=object))
    kind = pd.Categorical.from_codes([0, 1, -1, 0], dtype=types)
    obs = pd.DataFrame({"kind": kind, "n": [1, 2, 3, 4]}, index=pd.Index(names, dtype=object))
    var = pd.DataFrame(index=pd.Index(np.array(["g1", "g2"], object), dtype=object))
    found = anndata.AnnData(X=sp.csr_matrix(np.eye(4, 2, dtype=np.float32)), obs=obs, var=var)
    found.obs["n"] = pd.array([3, None, 3, 4], dtype="Int64")
    for kind, matrices in parts.items():
        for name, matrix in matrices.items():
            getattr(found, kind)[name] = matrix
    return found


def test_cells_with_their_neighbours(tmp_path):
    path, adj = tmp_path / "g.h5ad", sp.csr_matrix(ADJ, dtype=np.float32)
    cells(obsp={"connectivities": adj, "distances": 3 * adj}).write_h5ad(path)
    graph = read_graph(path, label_column="kind")
    assert graph.fingerprint == Graph.from_scipy(ADJ, x=np.eye(4, 2)).fingerprint
    assert (graph.node_ids, graph.feature_names) == (("c1", "c2", "c3", "c4"), ("g1", "g2"))
    assert (graph.y.tolist(), graph.label_names) == ([0, 1, -1, 0], ("B", "T"))
    labels = read_graph(path, label_column="n")
    assert (labels.y.tolist(), labels.label_names) == ([0, -1, 0, 1], ("3", "4"))
    assert read_graph(path, weight="distances").link_weight.tolist() == [6, 3]
    with pytest.raises(DataError, match="kind, n") as caught:
        read_graph(path, label_column="type")
    assert caught.value.code == "LABEL_COLUMN"


def test_principal_components_go_before_counts(tmp_path):
    adj, pca = sp.csc_matrix(ADJ), np.arange(8.0).reshape(4, 2)
    cells(obsp={"mine": adj}, obsm={"X_pca": pca}).write_h5ad(tmp_path / "g.h5ad")
    graph = read_graph(tmp_path / "g.h5ad")
    assert graph.x.tolist() == pca.tolist()
    assert graph.link_weight.tolist() == [2, 1]


@pytest.mark.row("L35")
def test_cells_without_one_graph_are_refused(tmp_path):
    cells().write_h5ad(tmp_path / "g.h5ad")
    with pytest.raises(DataError, match=r"scanpy\.pp\.neighbors") as caught:
        read_graph(tmp_path / "g.h5ad")
    assert caught.value.code == "H5AD_GRAPH"
    adj = sp.csr_matrix(ADJ)
    cells(obsp={"a": adj, "b": adj}).write_h5ad(tmp_path / "g.h5ad")
    with pytest.raises(DataError, match="a, b, by weight='NAME'"):
        read_graph(tmp_path / "g.h5ad")
    assert read_graph(tmp_path / "g.h5ad", weight="b").num_links == 2


@pytest.mark.row("L34")
@pytest.mark.parametrize("kind", ["link", "external"])
def test_a_file_that_leads_to_another_is_refused(kind, tmp_path):
    h5py = pytest.importorskip("h5py")
    cells(obsp={"connectivities": sp.csr_matrix(ADJ)}).write_h5ad(tmp_path / "g.h5ad")
    (tmp_path / "secret").write_bytes(np.ones(4).tobytes())
    with h5py.File(tmp_path / "g.h5ad", "a") as file:
        group = file["obsp/connectivities"]
        del group["data"]
        if kind == "link":
            group["data"] = h5py.ExternalLink("secret", "x")
        else:
            place = [(str(tmp_path / "secret"), 0, 32)]
            group.create_dataset("data", (4,), "f8", external=place)
    with pytest.raises(DataError, match="leads to another file") as caught:
        read_graph(tmp_path / "g.h5ad")
    assert caught.value.code == "H5AD_CORRUPT"


def test_damaged_cells_are_one_error(tmp_path):
    cells(obsp={"connectivities": sp.csr_matrix(ADJ)}).write_h5ad(tmp_path / "g.h5ad")
    good = (tmp_path / "g.h5ad").read_bytes()
    for bad in (good[: len(good) // 3], b"text", good[:8] + b"\xff" * 500):
        (tmp_path / "bad.h5ad").write_bytes(bad)
        with pytest.raises(DataError) as caught:
            read_graph(tmp_path / "bad.h5ad")
        assert caught.value.code == "H5AD_CORRUPT"
