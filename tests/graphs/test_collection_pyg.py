"""Collections from and to PyG."""

import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData

from vgae import Graph, GraphCollection
from vgae.errors import DataError, UsageError

PATH, BACK = torch.tensor([[0, 1], [1, 2]]), torch.tensor([[1, 2], [0, 1]])


def items(**more) -> list[Data]:
    """Return two graphs with features, given once and in both directions."""
    both = torch.cat([PATH, BACK], dim=1)
    return [
        Data(edge_index=PATH, x=torch.eye(3), **{k: v[0] for k, v in more.items()}),
        Data(edge_index=both, x=torch.ones(4, 3), **{k: v[1] for k, v in more.items()}),
    ]


@pytest.mark.row("G53")
@pytest.mark.parametrize("kind", ["batch", "list", "tuple", "data"])
def test_several_graphs_of_pyg_are_a_collection_and_announced(kind, caplog):
    caplog.set_level("INFO")
    given = items(y=(torch.tensor([1]), torch.tensor([0])))
    batch = Batch.from_data_list(given)
    if kind == "batch":
        given = batch
    elif kind == "tuple":
        given = tuple(given)
    elif kind == "data":
        given = Data(edge_index=batch.edge_index, x=batch.x, y=batch.y, batch=batch.batch)
    graphs = Graph.from_pyg(given)
    assert isinstance(graphs, GraphCollection)
    assert graphs.sizes.tolist() == [3, 4]
    assert graphs.links.tolist() == [[0, 1, 3, 4], [1, 2, 4, 5]]
    assert graphs.graph_y.tolist() == [1, 0]
    assert graphs.graph_names == ()
    assert "2 graphs of 3 to 4 nodes" in caplog.text


def test_a_batch_of_one_graph_is_a_graph(caplog):
    graph = Graph.from_pyg(Batch.from_data_list(items()[:1]))
    assert type(graph) is Graph
    assert "leaves out" not in caplog.text


def test_nodes_of_a_batch_may_be_in_any_order():
    data = Data(edge_index=torch.tensor([[0, 1], [2, 3]]), num_nodes=4)
    data.batch = torch.tensor([1, 0, 1, 0])
    graphs = Graph.from_pyg(data)
    assert graphs.sizes.tolist() == [2, 2]
    assert graphs.links.tolist() == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("y", "graph_y", "node_y"),
    [
        ((torch.tensor([2.0]), torch.tensor([0.0])), [2, 0], None),
        ((torch.tensor([[1]]), torch.tensor([[0]])), [1, 0], None),
        ((1, 0), [1, 0], None),
        ((torch.tensor([-1]), torch.tensor([1])), [0, 1], None),
        ((torch.tensor([1]), None), [1, -1], None),
        ((torch.arange(3), torch.arange(4)), None, [0, 1, 2, 0, 1, 2, 3]),
        ((torch.tensor([0.5]), torch.tensor([0.0])), None, None),
        ((torch.ones(1, 4), torch.ones(1, 4)), None, None),
    ],
)
def test_labels_are_of_graphs_or_of_nodes_by_their_number(y, graph_y, node_y, caplog):
    graphs = Graph.from_pyg(items(y=y))
    assert (None if graphs.graph_y is None else graphs.graph_y.tolist()) == graph_y
    assert (None if graphs.y is None else graphs.y.tolist()) == node_y
    assert ("left out" in caplog.text) == (graph_y is None and node_y is None)


def test_weights_and_features_of_links_are_kept_and_others_named(caplog):
    more = {"edge_attr": (torch.ones(2, 2), torch.ones(4, 2)), "pos": (torch.ones(3, 2),) * 2}
    given = items(**more)
    given[0].edge_weight = torch.tensor([2.0, 3.0])
    graphs = Graph.from_pyg(given)
    assert graphs.link_weight.tolist() == [2, 3, 1, 1]
    assert graphs.link_attr.shape == (4, 2)
    assert "leaves out pos (3, 2)" in caplog.text
    assert "leaves out edge_attr" not in caplog.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "no graphs"),
        ([Data(edge_index=PATH, num_nodes=3), HeteroData()], "HeteroData as graph 1"),
        ([Data(edge_index=PATH, num_nodes=3), 3], "int as graph 1"),
        ([Batch.from_data_list(items())], "a batch of several graphs"),
        ([Data(edge_index=PATH, x=torch.eye(3)), Data(edge_index=PATH, num_nodes=3)], "no x"),
        ([Data(edge_index=PATH, x=torch.eye(3)), Data(edge_index=PATH, x=torch.ones(3, 1))], "x"),
        ([Data(edge_index=PATH, num_nodes=2), Data(edge_index=PATH, num_nodes=3)], "node 2"),
        (Data(edge_index=PATH, num_nodes=3, batch=torch.tensor([0, 0, 1])), "two graphs"),
        (Data(edge_index=PATH, num_nodes=4, batch=torch.tensor([0, 0, 1])), "each of 4 nodes"),
    ],
)
def test_what_is_no_collection_is_refused(given, words):
    with pytest.raises(DataError, match=words):
        Graph.from_pyg(given)


@pytest.mark.parametrize("options", [{"sides": "columns"}, {"directed": "keep"}])
def test_graphs_of_a_collection_have_no_sides_or_direction(options):
    with pytest.raises((DataError, UsageError)):
        Graph.from_pyg(items(), **options)


def test_a_batch_of_hetero_data_is_refused():
    data = HeteroData()
    data["a"].num_nodes = data["b"].num_nodes = 2
    data["a", "to", "b"].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(DataError, match="to_homogeneous"):
        Graph.from_pyg(Batch.from_data_list([data, data]))


def test_a_collection_goes_to_pyg_and_back():
    given = items(y=(torch.tensor([1]), torch.tensor([0])))
    graphs = GraphCollection.from_pyg(given)
    batch = graphs.to_pyg()
    assert batch.num_graphs == 2
    assert batch.y.tolist() == [1, 0]
    again = Graph.from_pyg(batch)
    assert again.fingerprint == graphs.fingerprint
    assert again.graph_y.tolist() == [1, 0]


def test_labels_of_graphs_and_nodes_go_to_pyg_and_back():
    given = items(y=(torch.tensor([0, 1, 0]), torch.tensor([1, 1, 0, 0])))
    own = GraphCollection.from_pyg(given)
    graphs = GraphCollection.from_graphs(list(own), y=[1, 0])
    again = Graph.from_pyg(graphs.to_pyg())
    assert again.y.tolist() == own.y.tolist()
    assert again.graph_y.tolist() == [1, 0]
    assert own.to_pyg().y.tolist() == own.y.tolist()
