import pandas as pd
import pytest
import torch

from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.graphs.typed import TypedGraph

RING = [[*range(20)], [*range(1, 20), 0]]


def words(value):
    """Return the cells of a preview by the first of their row."""
    rows = value._repr_html_().split("<tr>")[1:]
    cells = [row.replace("</th>", "|").replace("</td>", "|").split("|")[:-1] for row in rows]
    texts = [[cell.split(">")[-1] for cell in row] for row in cells]
    return {row[0]: row[1:] for row in texts}


def test_a_graph_shows_its_counts_and_first_names():
    graph = Graph.from_edges(
        [["b", "c", "a", "a"], ["c", "d", "a", "b"]],
        edge_weight=[0.5, 2.0, 1.0, 1.0],
        name="<i>",
    )
    found = words(graph)
    assert found["nodes"] == ["4"]
    assert found["links"] == ["3, weights 0.5 to 2"]
    assert found["components"] == ["1"]
    assert found["first links"] == ["a – b, b – c, c – d"]
    text = graph._repr_html_()
    assert "Graph &lt;i&gt;" in text
    assert "1 self-loops left out." in text


def test_a_graph_shows_direction_sides_classes_and_missing_features():
    nan = float("nan")
    arrows = Graph.from_edges(
        [[0, 1], [1, 0]],
        x=[[1.0, nan], [2.0, 1.0]],
        feature_names=["age", "size"],
        y=[0, 1],
        label_names=["old", "new"],
        directed="keep",
        ordered=True,
        missing_features="impute",
    )
    found = words(arrows)
    assert found["directed"] == ["yes"]
    assert found["features"] == ["2: age, size"]
    assert found["features that are missing"] == ["1"]
    assert found["classes of nodes"] == ["2: old, new"]
    assert found["first links"] == ["0 → 1, 1 → 0"]
    sided = Graph.from_pandas(pd.DataFrame({"user_id": ["u", "v"], "item_id": ["i", "i"]}))
    assert words(sided)["sides"] == ["2 user and 1 item"]
    signed = Graph.from_edges([[0, 1], [1, 2]], edge_weight=[1, -1], num_nodes=3, signed=True)
    assert words(signed)["links"] == ["2, 1 negative"]


def test_a_graph_without_links_or_known_classes_is_shown_too():
    empty = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), num_nodes=2, y=[-1, -1])
    found = words(empty)
    assert found["links"] == ["0"]
    assert "first links" not in found
    assert found["classes of nodes"] == ["0"]


def test_a_collection_and_a_typed_graph_show_their_parts():
    ring = Graph.from_edges(RING, num_nodes=20)
    many = GraphCollection.from_graphs([ring, ring, ring], y=["x", "y", "x"])
    assert words(many)["graphs"] == ["3 of 20 nodes"]
    assert words(many)["classes of graphs"] == ["2: x, y"]
    part = Graph.from_edges([[0, 1], [5, 7]], num_nodes=20)
    uneven = GraphCollection.from_graphs([ring, Graph.from_edges([[0], [1]])])
    assert words(uneven)["graphs"] == ["2 of 2 to 20 nodes, median 2"]
    typed = TypedGraph.from_graphs({"likes": ring, "<b>": part})
    assert words(typed)["likes"] == ["20", "no"]
    assert "&lt;b&gt;" in typed._repr_html_()


@pytest.mark.parametrize("by", ["links", "graphs"])
def test_a_split_shows_the_size_of_each_part(by):
    ring = Graph.from_edges(RING, num_nodes=20)
    graph = GraphCollection.from_graphs([ring] * 10)
    split = split_links(graph, by=by, val=0.2, test=0.2)
    found = words(split)
    assert isinstance(split, LinkSplit)
    assert found["train"][0] == str(split.train.shape[1])
    assert found["test"][:2] == [str(split.test.pos.shape[1]), str(split.test.neg.shape[1])]
    assert (found["part"][-1] == "graphs") == (by == "graphs")


def test_a_typed_split_shows_each_relation():
    ring = Graph.from_edges(RING, num_nodes=20)
    split = split_links(TypedGraph.from_graphs({"r": ring}), val=0.1, test=0.1)
    assert words(split)["r"] == ["16", "2", "2"]
