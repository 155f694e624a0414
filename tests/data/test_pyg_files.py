"""Files .pt with graphs of PyG."""

import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData, InMemoryDataset

from vgae.data.files import read_graph
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph

EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def items(count=3):
    return [
        Data(
            x=torch.arange(6.0).reshape(3, 2) + k,
            edge_index=EDGES,
            edge_attr=torch.tensor([[2.0], [2.0], [3.0], [3.0]]),
            y=torch.tensor([k % 2]),
            smiles="CCO",
        )
        for k in range(count)
    ]


def collated(with_class):
    data, slices = InMemoryDataset.collate(items())
    return (data.to_dict(), slices, data.__class__) if with_class else (data, slices)


@pytest.mark.row("L57")
@pytest.mark.parametrize(
    "content",
    [
        items(),
        Batch.from_data_list(items()),
        collated(with_class=True),
        collated(with_class=False),
        [item.to_dict() for item in items()],
    ],
    ids=["list", "batch", "collated", "collated before 2.5", "dictionaries"],
)
def test_graphs_of_pyg_are_read_without_unpickling(content, tmp_path):
    torch.save(content, tmp_path / "mols.pt")
    graphs = read_graph(tmp_path / "mols.pt")
    assert isinstance(graphs, GraphCollection)
    assert graphs.sizes.tolist() == [3, 3, 3]
    assert graphs.x[3:6].tolist() == (torch.arange(6.0).reshape(3, 2) + 1).tolist()
    assert graphs.links.tolist() == [[0, 1, 3, 4, 6, 7], [1, 2, 4, 5, 7, 8]]
    assert graphs.graph_y.tolist() == [0, 1, 0]
    assert graphs.link_weight is None


def test_weights_are_chosen_by_name(tmp_path):
    torch.save(items(), tmp_path / "x.pt")
    weighted = read_graph(tmp_path / "x.pt", weight="edge_attr")
    assert weighted.link_weight.tolist() == [2, 3] * 3
    with pytest.raises(UsageError, match="of its edges it has edge_attr"):
        read_graph(tmp_path / "x.pt", weight="edge_weight")


def test_one_graph_stays_one(tmp_path):
    torch.save(items()[0], tmp_path / "x.pt")
    graph = read_graph(tmp_path / "x.pt")
    assert type(graph) is Graph
    assert graph.num_links == 2


class Other:
    pass


@pytest.mark.row("L58")
@pytest.mark.parametrize(
    "content",
    [
        Other(),
        [Other()],
        HeteroData(),
        {"a": torch.ones(2)},
        3,
        [torch.ones(2)],
        [{"edge_index": [[0], [1]]}],
        ({"edge_index": EDGES}, {"edge_index": torch.tensor([0, 9])}),
        ({"edge_index": EDGES}, {"edge_index": torch.tensor([0, 3, 1])}),
        ({"edge_index": EDGES, "x": torch.ones(3, 1)}, {"x": torch.tensor([0, 3])}),
        {"edge_index": torch.zeros(1, 1, dtype=torch.int64).expand(2, 10**7)},
    ],
)
def test_what_is_no_graph_of_pyg_is_refused(content, tmp_path):
    path = tmp_path / "x.pt"
    torch.save(content, path)
    with pytest.raises(DataError) as caught:
        read_graph(path)
    assert caught.value.code == "PT_REFUSED"
    assert str(path) in str(caught.value)


def test_damaged_bytes_are_refused(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(items(), path)
    content = bytearray(path.read_bytes())
    for place in range(60, len(content), len(content) // 20):
        path.write_bytes(content[:place] + bytes(8) + content[place + 8 :])
        try:
            found = read_graph(path)
        except DataError:
            continue
        assert found.num_graphs == 3
