"""Attributes of nodes and edges become features, labels and weights, or are left out aloud."""

import json
import logging

import pytest

from vgae.data.files import read_graph
from vgae.errors import DataError, UsageError

PEOPLE = [
    {"id": "ann", "age": 31, "city": "Bern", "degree": 2, "x": 0.5, "team": 1, "nick": "A"},
    {"id": "bob", "age": 40.5, "city": "Ulm", "degree": 1, "x": 7, "team": 0, "nick": "B"},
    {"id": "cy", "age": 22, "city": None, "degree": 1, "x": 3, "team": 1, "nick": "C"},
]
TIES = [
    {"source": "ann", "target": "bob", "weight": 2.0, "cost": 5},
    {"source": "cy", "target": "ann", "weight": 0.5, "cost": 7},
]


def read(tmp_path, nodes=PEOPLE, links=TIES, **options):
    path = tmp_path / "g.json"
    path.write_text(json.dumps({"nodes": nodes, "links": links}))
    return read_graph(path, **options)


def test_numbers_are_features_and_the_rest_is_named(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="vgae"):
        graph = read(tmp_path)
    assert graph.node_ids == ("ann", "bob", "cy")
    assert graph.feature_names == ("age", "team")
    assert graph.x.tolist() == [[31, 1], [40.5, 0], [22, 1]]
    assert graph.link_weight.tolist() == [2.0, 0.5]
    assert "degree left out: computed from the links" in caplog.text
    assert "city, nick left out: not a number at every node" in caplog.text


def test_a_label_and_a_name_can_be_chosen(tmp_path):
    graph = read(tmp_path, label_column="city", id_column="nick", weight="cost")
    assert (graph.y.tolist(), graph.label_names) == ([0, 1, -1], ("Bern", "Ulm"))
    assert graph.node_ids == ("A", "B", "C")
    assert graph.link_weight.tolist() == [5, 7]
    assert read(tmp_path, label_column="team").y.tolist() == [1, 0, 1]
    assert read(tmp_path, label_column="team").feature_names == ("age",)
    assert read(tmp_path, weight="none").link_weight is None


def test_an_edge_without_weight_counts_as_one_and_is_announced(tmp_path, caplog):
    graph = read(tmp_path, links=[TIES[0], {"source": "cy", "target": "ann"}])
    assert graph.link_weight.tolist() == [2.0, 1.0]
    assert "1 edges have no weight" in caplog.text


def test_edges_of_weight_zero_are_dropped_if_asked(tmp_path):
    links = [TIES[0], TIES[1] | {"weight": 0}]
    graph = read(tmp_path, links=links, drop_zero=True)
    assert (graph.num_nodes, graph.num_links) == (3, 1)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"weight": "length"}, "WEIGHT_COLUMN", "one of weight, cost"),
        ({"label_column": "none"}, "LABEL_COLUMN", "--label-column"),
        ({"id_column": "none"}, "NODE_ID", "3 nodes have no attribute 'none'"),
        ({"id_column": "team"}, "NODE_ID", "1"),
        ({"links": [TIES[0] | {"weight": "much"}]}, "BAD_WEIGHT", "edge 1.*'much'.*none ignores"),
        ({"links": [TIES[0] | {"weight": 0}]}, "ZERO_WEIGHT", "--drop-zero"),
        ({"links": [TIES[0] | {"weight": -1}]}, "NEGATIVE_WEIGHT", "-1"),
        ({"nodes": [], "links": []}, "GRAPH_EMPTY", "no nodes"),
        ({"nodes": [*PEOPLE, {"id": ""}]}, "NODE_ID", "must be text or integers"),
    ],
)
def test_what_makes_no_graph_is_refused(options, code, message, tmp_path):
    with pytest.raises((DataError, UsageError), match=message) as caught:
        read(tmp_path, **options)
    assert caught.value.code == code


def test_attributes_of_any_kind_are_encoded_and_classes_are_no_features(tmp_path, caplog):
    nodes = [{"id": k, "town": "Bern" if k % 2 else "Genf", "group": k % 3} for k in range(6)]
    links = [{"source": k, "target": k + 1} for k in range(5)]
    path = tmp_path / "g.json"
    path.write_text(json.dumps({"nodes": nodes, "links": links}))
    graph = read_graph(path)
    assert graph.x is None
    assert "'group' may be classes" in caplog.text
    graph = read_graph(path, encode="auto", label_column="group")
    assert graph.y.tolist() == [0, 1, 2] * 2
    assert graph.feature_names == graph.feature_encoder.feature_names
    assert graph.x[0].tolist() != graph.x[1].tolist()
    assert graph.x[0].tolist() == graph.x[2].tolist()
