"""Data sets of PyG and OGB by name, without a network."""

import sys
import types

import numpy as np
import pytest
import torch
from torch_geometric import datasets
from torch_geometric.data import Data, HeteroData, InMemoryDataset

from vgae.data.files import read_graph
from vgae.data.named import load_dataset
from vgae.data.pyg_ogb import run_name
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection

EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])


class Small(InMemoryDataset):
    """As most classes of PyG: files that are downloaded, then processed."""

    def __init__(self, root, name, graphs=1):
        self.name, self.graphs = name, graphs
        if name not in ("one", "two", "hetero"):
            raise AssertionError
        super().__init__(f"{root}/{name}")
        self.load(self.processed_paths[0])

    raw_file_names, processed_file_names = "edges.txt", "data.pt"

    def download(self):
        raise ConnectionError("no route")

    def process(self):
        data = Data(x=torch.eye(3), edge_index=EDGES, y=torch.tensor([0, 1, 0]))
        self.save([data] * (2 if self.name == "two" else 1), self.processed_paths[0])


class Made(InMemoryDataset):
    """Without files or a name."""

    def __init__(self):
        super().__init__(None)
        self.data, self.slices = self.collate([Data(edge_index=EDGES, num_nodes=4)])


class Hetero(Made):
    def __getitem__(self, index):
        return HeteroData()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VGAE_DATA", str(tmp_path))
    monkeypatch.delenv("VGAE_OFFLINE", raising=False)
    kinds = {"Small": Small, "Made": Made, "Hetero": Hetero}
    for name, kind in kinds.items():
        monkeypatch.setattr(datasets, name, kind, raising=False)
    monkeypatch.setattr(datasets, "__all__", [*datasets.__all__, *kinds])
    for name in ("one", "two"):
        raw = tmp_path / "pyg" / "Small" / name / "raw"
        raw.mkdir(parents=True)
        (raw / "edges.txt").write_text("x")
    return tmp_path


def test_a_data_set_of_pyg_is_read_twice(home, capsys):
    for _ in range(2):
        graph = load_dataset("pyg:Small/one", progress=False)
        assert (graph.name, graph.num_nodes, graph.num_links) == ("one", 3, 3)
        assert (graph.num_features, graph.y.tolist()) == (3, [0, 1, 0])
    assert (home / "pyg/Small/one/processed/data.pt").exists()
    assert capsys.readouterr() == ("", "")
    assert load_dataset("pyg:Small/one", features="none").x is None
    assert load_dataset("pyg:Made").num_nodes == 4


def test_a_data_set_of_several_graphs_is_a_collection(home, caplog):
    caplog.set_level("INFO")
    graphs = load_dataset("pyg:Small/two", progress=False)
    assert isinstance(graphs, GraphCollection)
    assert graphs.sizes.tolist() == [3, 3]
    assert graphs.y.tolist() == [0, 1, 0, 0, 1, 0]
    assert "two: 2 graphs of 3 nodes" in caplog.text
    assert load_dataset("pyg:Small/two", features="none").num_graphs == 2
    stored = read_graph(home / "pyg/Small/two/processed/data.pt")
    assert stored.fingerprint == graphs.fingerprint


@pytest.mark.row("L42")
@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("pyg:Smal/one", "UNKNOWN_DATASET", "did you mean pyg:Small"),
        ("pyg:Data", "UNKNOWN_DATASET", "'Data'"),
        ("pyg:Small", "UNKNOWN_DATASET", "needs a name: pyg:Small/NAME"),
        ("pyg:Made/x", "UNKNOWN_DATASET", "has no argument name"),
        ("pyg:Small/three", "UNKNOWN_DATASET", "none of this name"),
        ("pyg:Small/../../x", "UNKNOWN_DATASET", "no name of a data set"),
        ("pyg:Small/hetero", "OFFLINE", "no route.*raw"),
        ("pyg:Hetero", "DATASET_KIND", "a HeteroData"),
        ("ogb:collab", "UNKNOWN_DATASET", "ogbn-NAME"),
    ],
)
def test_what_is_no_graph_of_pyg_is_refused(source, code, message, home):
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(source)
    assert caught.value.code == code


def test_nothing_is_downloaded_offline(home, monkeypatch):
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    assert load_dataset("pyg:Small/one").num_nodes == 3
    for source in ("pyg:Small/hetero", "ogb:ogbn-arxiv"):
        if source.startswith("ogb"):
            ogb(monkeypatch)
        with pytest.raises(DataError, match="VGAE_OFFLINE is set") as caught:
            load_dataset(source)
        assert caught.value.code == "OFFLINE"


def ogb(monkeypatch):
    """Put modules like those of OGB in its place."""
    graph = {"edge_index": EDGES.numpy(), "node_feat": np.eye(4, 2), "num_nodes": 4}

    class Nodes:
        def __init__(self, name, root):
            self.name = name

        def __getitem__(self, index):
            return graph, np.array([[0], [1], [1], [0]])

    class Links(Nodes):
        def __getitem__(self, index):
            return graph | {"edge_weight": np.array([[1], [2], [3]])}

    package = types.ModuleType("ogb")
    package.__spec__ = types.SimpleNamespace()
    parts = {"nodeproppred": ("NodePropPredDataset", Nodes)}
    parts["linkproppred"] = ("LinkPropPredDataset", Links)
    monkeypatch.setitem(sys.modules, "ogb", package)
    for name, (title, kind) in parts.items():
        module = types.ModuleType(f"ogb.{name}")
        setattr(module, title, kind)
        monkeypatch.setitem(sys.modules, f"ogb.{name}", module)


def test_data_sets_of_ogb(home, monkeypatch):
    ogb(monkeypatch)
    nodes = load_dataset("ogb:ogbn-arxiv")
    assert (nodes.name, nodes.num_features, nodes.y.tolist()) == ("ogbn-arxiv", 2, [0, 1, 1, 0])
    links = load_dataset("ogb:ogbl-collab")
    assert (links.link_weight.tolist(), links.y) == ([1, 3, 2], None)


def test_ogb_that_is_missing_is_named(home, monkeypatch):
    monkeypatch.setattr("vgae.data.pyg_ogb.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install ogb") as caught:
        load_dataset("ogb:ogbn-arxiv")
    assert caught.value.code == "MISSING_PACKAGE"


def test_a_name_becomes_a_part_of_a_folder():
    assert run_name("pyg:Planetoid/Cora") == "pyg-Planetoid-Cora"
