import csv
import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgae.errors import ArtifactError, DataError, ResourceError, UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.prediction.export import (
    graph_labels,
    networkx_with_embeddings,
    node_from_word2vec,
    node_labels,
    read_embeddings,
    to_anndata_dict,
    word2vec_name,
    write_embeddings,
    write_projector,
)

IDS = [
    "plain",
    "=1+1",
    "@x",
    "a,b",
    '"q"',
    "two\nlines",
    "a\tb",
    "</script>",
    "\u202eleft",
    "",
    " ",
    "Ada  Lovelace ",
    "non\xa0breaking",
    "line\u2028separator",
    "%20",
    "%",
    "Zürich 🦉",
    7,
]
TEXT = [str(node) for node in IDS]
LABELS = [None if k == 3 else ["one", "and one", "tab\there"][k % 3] for k in range(len(IDS))]


@pytest.fixture
def q(generator):
    mu, logvar = torch.randn(2, len(IDS), 3, generator=generator)
    return DiagGaussian(mu, logvar)


@pytest.fixture
def graph():
    return Graph.from_edges(
        [[0, 1, 2], [1, 2, 3]],
        x=[[1, 0], [0, 2], [3, 4], [0, 0]],
        feature_names=["age", "height"],
        y=[0, 1, -1, 0],
        label_names=["red", "blue"],
        node_ids=["a", "b", 3, 4],
    )


@pytest.fixture
def q_of_graph(generator):
    return DiagGaussian(*torch.randn(2, 4, 3, generator=generator))


def test_sides_and_directions_come_out_too():
    graph = Graph.from_edges([[0, 2], [1, 1]], sides=["u", "i", "u"])
    assert to_anndata_dict(graph, PointMass(torch.ones(3, 2)))["obs"]["side"] == ["u", "i", "u"]
    nodes = networkx_with_embeddings(graph, PointMass(torch.ones(3, 2))).nodes
    assert [nodes[node]["bipartite"] for node in range(3)] == [0, 1, 0]
    graph = Graph.from_edges([[0, 2], [1, 1]], directed="keep")
    adj = to_anndata_dict(graph, PointMass(torch.ones(3, 2)))["obsp"]["connectivities"]
    assert adj.toarray().tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_npz_brings_back_names_means_and_log_variances_bit_for_bit(q, tmp_path):
    write_embeddings(tmp_path / "e.npz", IDS, q)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert file["ids"].tolist() == TEXT
        assert np.array_equal(file["mu"], q.mu.numpy())
        assert np.array_equal(file["logvar"], q.logvar.numpy())


def test_a_point_mass_has_no_log_variance(q, tmp_path):
    write_embeddings(tmp_path / "e.npz", range(len(IDS)), PointMass(q.mu))
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["ids", "mu"]
        assert file["ids"].tolist() == list(range(len(IDS)))


def test_npy_is_the_means(q, tmp_path):
    write_embeddings(tmp_path / "e.npy", IDS, q)
    assert np.array_equal(np.load(tmp_path / "e.npy", allow_pickle=False), q.mu.numpy())


def test_csv_brings_back_every_name_and_number_and_runs_no_formula(q, tmp_path):
    write_embeddings(tmp_path / "e.csv", IDS, q)
    with (tmp_path / "e.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "z_0", "z_1", "z_2"]
    assert [row[0] for row in rows] == ["'" + i if i in ("=1+1", "@x") else i for i in TEXT]
    assert np.array_equal(np.array([row[1:] for row in rows], dtype=np.float32), q.mu.numpy())


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_pandas_reads_names_labels_and_numbers_of_each_table(suffix, q, tmp_path):
    pandas = pytest.importorskip("pandas")
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"e{suffix}"
    write_embeddings(path, IDS, q, labels=LABELS)
    read = {
        ".csv": lambda: pandas.read_csv(path, dtype={"id": str}, keep_default_na=False),
        ".tsv": lambda: pandas.read_csv(path, sep="\t", dtype={"id": str}, keep_default_na=False),
        ".json": lambda: pandas.read_json(path, dtype=False),
        ".jsonl": lambda: pandas.read_json(path, dtype=False, lines=True),
        ".parquet": lambda: pandas.read_parquet(path),
    }
    frame = read[suffix]()
    assert frame.columns.tolist() == ["id", "label", "z_0", "z_1", "z_2"]
    if suffix in (".csv", ".tsv"):
        assert frame["label"].tolist() == [label or "" for label in LABELS]
        frame["id"] = frame["id"].str.replace(r"^'(?=[=@])", "", regex=True)
    else:
        labels = [None if pandas.isna(label) else label for label in frame["label"]]
        assert labels == LABELS
    assert [str(node) for node in frame["id"]] == TEXT
    numbers = frame[["z_0", "z_1", "z_2"]].to_numpy(dtype=np.float32)
    assert np.array_equal(numbers, q.mu.numpy())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("suffix", [".txt", ".vec", ".w2v"])
def test_gensim_reads_the_text_of_word2vec_bit_for_bit(suffix, q, tmp_path):
    models = pytest.importorskip("gensim.models")
    write_embeddings(tmp_path / f"e{suffix}", IDS, q)
    vectors = models.KeyedVectors.load_word2vec_format(str(tmp_path / f"e{suffix}"))
    assert [node_from_word2vec(name) for name in vectors.index_to_key] == TEXT
    assert vectors.vectors.dtype == np.float32
    assert np.array_equal(vectors.vectors, q.mu.numpy())


def test_the_text_of_word2vec_has_a_line_of_sizes_and_single_spaces(tmp_path):
    q = PointMass(torch.tensor([[0.5, -2.0], [0.25, 1 / 3]]))
    write_embeddings(tmp_path / "e.vec", ["New York", 7], q)
    assert (tmp_path / "e.vec").read_bytes() == b"2 2\nNew%20York 0.5 -2.0\n7 0.25 0.333333343\n"
    write_embeddings(tmp_path / "d.vec", ["New York", 7], PointMass(q.mu.double() / 3))
    *_, last = (tmp_path / "d.vec").read_text().split()
    assert float(last) == q.mu[1, 1].double().item() / 3


def test_names_that_word2vec_could_not_tell_apart_are_refused(tmp_path):
    with pytest.raises(DataError, match="node ids must differ as text, got '7' twice") as error:
        write_embeddings(tmp_path / "e.vec", [7, "a", "7"], PointMass(torch.zeros(3, 2)))
    assert error.value.code == "NODE_ID"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (7, "7"),
        ("", "%"),
        ("%", "%25"),
        ("New York", "New%20York"),
        ("a\t\n\x00", "a%09%0A%00"),
        ("\xa0\u2028", "%C2%A0%E2%80%A8"),
        ("Zürich🦉", "Zürich🦉"),
    ],
)
def test_word2vec_name_encodes_what_would_end_a_word(node, name):
    assert word2vec_name(node) == name
    assert node_from_word2vec(name) == str(node)


@given(st.text())
def test_each_name_is_one_word_that_brings_it_back(node):
    name = word2vec_name(node)
    assert name.split() == name.splitlines() == name.split(" ") == [name]
    assert node_from_word2vec(name) == node


def served(folder):
    """Return what TensorBoard's projector answers for the only tensor of a log folder."""
    base_plugin = pytest.importorskip("tensorboard.plugins.base_plugin")
    projector = pytest.importorskip("tensorboard.plugins.projector.projector_plugin")
    from werkzeug.test import Client

    plugin = projector.ProjectorPlugin(base_plugin.TBContext(logdir=str(folder)))
    apps = plugin.get_plugin_apps()

    def answer(route):
        response = Client(apps[route]).get(query_string={"run": ".", "name": "mu"})
        assert response.status_code == 200
        return response.get_data()

    config = json.loads(answer("/info"))["embeddings"]
    numbers = np.frombuffer(answer("/tensor"), dtype=np.float32).reshape(config[0]["tensorShape"])
    # The page leaves out blank lines, and takes a first line with a tab for the header.
    lines = [line for line in answer("/metadata").decode().split("\n") if line.strip()]
    header = lines.pop(0).split("\t") if "\t" in lines[0] else ["label"]
    return [embedding["tensorName"] for embedding in config], numbers, header, lines


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_names_and_vectors(q, tmp_path):
    write_embeddings(tmp_path / "e.projector", IDS, q)
    tensors, numbers, header, lines = served(tmp_path / "e.projector")
    assert tensors == ["mu"]
    assert np.array_equal(numbers, q.mu.numpy())
    assert header == ["label"]
    assert [node_from_word2vec(line) for line in lines] == TEXT
    assert "Ada  Lovelace " in lines


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_names_and_labels(q, tmp_path):
    write_projector(tmp_path / "new" / "folder", IDS, q, labels=LABELS)
    _, numbers, header, lines = served(tmp_path / "new" / "folder")
    assert np.array_equal(numbers, q.mu.numpy())
    assert header == ["name", "label"]
    names, labels = zip(*(line.split("\t") for line in lines), strict=True)
    assert [node_from_word2vec(name) for name in names] == TEXT
    assert [node_from_word2vec(label) if label else None for label in labels] == LABELS


def test_a_folder_written_in_part_shows_nothing(q, tmp_path):
    write_projector(tmp_path, IDS, q)
    (tmp_path / "metadata.tsv").unlink()
    (tmp_path / "metadata.tsv").mkdir()
    with pytest.raises(ResourceError, match=r"metadata\.tsv"):
        write_projector(tmp_path, IDS, q)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metadata.tsv", "vectors.tsv"]


def test_networkx_nodes_bear_their_means_and_log_variances(graph, q_of_graph):
    nodes = networkx_with_embeddings(graph, q_of_graph).nodes
    assert list(nodes) == ["a", "b", 3, 4]
    assert nodes["b"]["y"] == 1
    for name in ("mu", "logvar"):
        assert [nodes[node][name] for node in nodes] == getattr(q_of_graph, name).tolist()
    plain = networkx_with_embeddings(graph, PointMass(q_of_graph.mu))
    assert plain.nodes[3].keys() == {"y", "mu"}
    assert set(plain.edges) == {("a", "b"), ("b", 3), (3, 4)}


@pytest.mark.parametrize("sparse", [False, True])
def test_anndata_dict_holds_features_labels_embedding_and_links(sparse, graph, q_of_graph):
    dense = graph.x.numpy().copy()
    if sparse:
        graph = Graph.from_edges(
            graph.links,
            x=sp.csr_array(dense),
            y=graph.y,
            label_names=graph.label_names,
            node_ids=graph.node_ids,
        )
    parts = to_anndata_dict(graph, q_of_graph)
    x = parts["X"].toarray() if sparse else parts["X"]
    assert np.array_equal(x, dense)
    assert parts["obs"] == {
        "obs_names": ["a", "b", "3", "4"],
        "label": ["red", "blue", None, "red"],
    }
    assert parts["var"] == {"var_names": ["x_0", "x_1"] if sparse else ["age", "height"]}
    assert np.array_equal(parts["obsm"]["X_vgae"], q_of_graph.mu.numpy())
    assert np.array_equal(parts["obsm"]["vgae_logvar"], q_of_graph.logvar.numpy())
    path = np.eye(4, k=1) + np.eye(4, k=-1)
    assert np.array_equal(parts["obsp"]["connectivities"].toarray(), path)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_change_to_the_anndata_dict_does_not_reach_the_graph(sparse, graph, q_of_graph):
    x = graph.x.numpy()
    graph = Graph.from_edges(graph.links, x=sp.csr_array(x) if sparse else x)
    before = graph.fingerprint, q_of_graph.mu.clone()
    parts = to_anndata_dict(graph, q_of_graph)
    parts["X"] *= 2
    parts["obsm"]["X_vgae"] *= 2
    vars(graph).pop("fingerprint")
    assert graph.fingerprint == before[0]
    assert torch.equal(q_of_graph.mu, before[1])


def test_anndata_dict_of_a_bare_graph_has_no_columns(q_of_graph):
    graph = Graph.from_edges([[0, 1, 2], [1, 2, 3]])
    parts = to_anndata_dict(graph, PointMass(q_of_graph.mu))
    assert parts["X"].shape == (4, 0)
    assert parts["var"] == {"var_names": []}
    assert parts["obs"] == {"obs_names": ["0", "1", "2", "3"]}
    assert parts["obsm"].keys() == {"X_vgae"}


@pytest.mark.parametrize("features", [True, False])
def test_anndata_takes_the_dict(features, graph, q_of_graph):
    anndata = pytest.importorskip("anndata", reason="anndata is not installed")
    graph = graph if features else graph.without_features()
    result = anndata.AnnData(**to_anndata_dict(graph, q_of_graph))
    assert result.shape == (4, 2 if features else 0)
    assert result.obs_names.tolist() == ["a", "b", "3", "4"]
    assert result.obs["label"].isna().tolist() == [False, False, True, False]
    assert np.array_equal(result.obsm["X_vgae"], q_of_graph.mu.numpy())
    assert result.obsp["connectivities"].nnz == 6


def test_labels_are_names_or_else_numbers(graph):
    assert node_labels(graph) == ["red", "blue", None, "red"]
    numbered = Graph.from_edges(graph.links, num_nodes=4, y=graph.y)
    assert node_labels(numbered) == [0, 1, None, 0]
    unknown = Graph.from_edges(graph.links, num_nodes=4, y=[-1] * 4)
    assert node_labels(unknown) == [None] * 4
    assert node_labels(Graph.from_edges(graph.links, num_nodes=4)) is None


def test_labels_of_graphs_that_are_integers_are_numbers_in_a_table(q, tmp_path):
    one = Graph.from_edges([[0], [1]])
    graphs = GraphCollection.from_graphs([one] * 18, y=[-1, 1] * 9)
    assert graph_labels(graphs) == [-1, 1] * 9
    write_embeddings(tmp_path / "e.csv", range(18), q, labels=graph_labels(graphs))
    with (tmp_path / "e.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["-1", "1"] * 9
    named = GraphCollection.from_graphs([one] * 3, y=["1", "-x", None])
    assert graph_labels(named) == ["1", "-x", None]


@pytest.mark.parametrize(
    ("ids", "labels", "name"), [(range(3), None, "ids"), (range(18), ["a"], "labels")]
)
def test_names_and_labels_must_be_as_many_as_the_nodes(ids, labels, name, q, tmp_path):
    for write in (write_embeddings, write_projector):
        with pytest.raises(ValueError, match=f"{name} must name all 18 nodes, got"):
            write(tmp_path / "e.projector", ids, q, labels=labels)
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused_and_nothing_is_written(q, tmp_path):
    with pytest.raises(UsageError, match=r"must end in one of .npz, .npy, .csv.*, got '.xyz'"):
        write_embeddings(tmp_path / "e.xyz", IDS, q)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ids", [IDS, range(5, 5 + len(IDS))])
def test_a_posterior_is_read_as_it_was_written(ids, q, tmp_path):
    path = tmp_path / "e.npz"
    for posterior in (q, PointMass(q.mu)):
        write_embeddings(path, ids, posterior)
        found = read_embeddings(path, ids)
        assert type(found) is type(posterior)
        for name, value in vars(posterior).items():
            assert torch.equal(getattr(found, name), value)


MU = np.ones((4, 2), np.float32)


@pytest.mark.row("C17")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mu": MU[:3]}, "mu must have a row for each of 4 nodes, got 3"),
        ({"mu": MU[:, 0]}, r"of shape \(N, d\), d at least 1, got float32 of shape \(4,\)"),
        ({"mu": MU[:, :0]}, r"got float32 of shape \(4, 0\)"),
        ({"mu": MU.astype(complex)}, "got complex128"),
        ({"mu": MU.astype(int)}, "got int64"),
        ({"mu": MU.astype(str)}, "got <U32"),
        ({"mu": MU * np.nan}, "mu has values that are NaN or infinite"),
        ({"mu": MU * np.inf}, "mu has values that are NaN or infinite"),
        ({"logvar": MU[:, :1]}, "mu and logvar differ in shape"),
        ({"logvar": MU * np.nan}, "logvar has values"),
        ({"ids": np.array([*"abce"])}, "its ids are not the names of the 4 nodes"),
        ({"ids": np.arange(4)}, "its ids are not"),
        ({"ids": np.zeros(4, [("a", "i4")])}, "its ids are not"),
        ({"mu": None}, "it lacks 'mu'"),
        ({"ids": None}, "it lacks 'ids'"),
    ],
)
def test_other_arrays_than_one_finite_vector_per_node_are_refused(change, words, tmp_path):
    arrays = {"ids": np.array([*"abcd"]), "mu": MU, "logvar": MU} | change
    path = tmp_path / "e.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ArtifactError, match=words) as caught:
        read_embeddings(path, [*"abcd"])
    assert caught.value.code == "EMBEDDINGS_CORRUPT"


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "e.npz").write_bytes(b"PK")
    for name in ("e.npz", "none.npz"):
        with pytest.raises(ArtifactError, match=f"{name}: .*vgae embed RUN"):
            read_embeddings(tmp_path / name, [*"abcd"])


def test_wide_numbers_and_other_byte_orders_are_read(tmp_path):
    for dtype in (">f8", "<f8", ">f4", "f2", np.longdouble):
        np.savez(tmp_path / "e.npz", ids=np.arange(4), mu=MU.astype(dtype))
        assert np.array_equal(read_embeddings(tmp_path / "e.npz", range(4)).mu.numpy(), MU)


def test_graphs_have_named_labels_and_further_columns(tmp_path):
    parts = [Graph.from_edges([[0], [1]]) for _ in range(3)]
    y, names = torch.tensor([1, 0, -1]), ["rings", "tree"]
    graphs = GraphCollection.from_graphs(parts, names=["a", "b", "c"], y=y, label_names=names)
    assert graph_labels(graphs) == ["tree", "rings", None]
    more = {"anomaly": np.array([0.5, np.nan, 2.0])}
    means = PointMass(torch.arange(3.0)[:, None])
    path = tmp_path / "graphs.csv"
    write_embeddings(path, graphs.graph_ids, means, labels=graph_labels(graphs), more=more)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["label"] for row in rows] == ["tree", "rings", ""]
    assert [row["anomaly"] for row in rows] == ["0.5", "", "2.0"]
    assert [float(row["z_0"]) for row in rows] == [0, 1, 2]


def test_further_columns_go_into_networkx_anndata_and_the_projector(graph, q_of_graph, tmp_path):
    count = graph.num_nodes
    more = {"cluster": np.arange(count) % 2, "sure": np.full(count, np.nan)}
    nodes = networkx_with_embeddings(graph, q_of_graph, more=more).nodes
    assert [nodes[name]["cluster"] for name in graph.ids] == more["cluster"].tolist()
    obs = to_anndata_dict(graph, q_of_graph, more={"cluster": more["cluster"].astype(str)})["obs"]
    assert obs["cluster"].tolist() == more["cluster"].astype(str).tolist()
    write_projector(tmp_path, graph.ids, q_of_graph, more=more)
    lines = (tmp_path / "metadata.tsv").read_text().split("\n")
    assert lines[0] == "name\tcluster\tsure"
    assert lines[2].endswith("\t1\t")
