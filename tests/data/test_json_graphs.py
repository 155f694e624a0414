"""Graphs in JSON as networkx, d3, Cytoscape, graphology and others write them."""

import json

import networkx as nx
import pytest

from vgae.data.files import read_graph
from vgae.errors import DataError
from vgae.graphs.graph import Graph


def read(tmp_path, content, **options):
    (tmp_path / "g.json").write_text(json.dumps(content))
    return read_graph(tmp_path / "g.json", **options)


def sample():
    graph = nx.Graph([("a", "b", {"weight": 2.5}), ("b", "c", {"weight": 0.5})])
    nx.set_node_attributes(graph, {"a": 1, "b": 2, "c": 4}, "age")
    return graph


@pytest.mark.parametrize(
    "write",
    [
        lambda graph: nx.node_link_data(graph, edges="links"),
        lambda graph: nx.node_link_data(graph, edges="edges"),
        nx.cytoscape_data,
        nx.adjacency_data,
    ],
    ids=["links", "edges", "cytoscape", "adjacency"],
)
def test_what_networkx_writes_is_read_back(write, tmp_path):
    graph = read(tmp_path, write(sample()))
    assert graph.node_ids == ("a", "b", "c")
    assert graph.links.tolist() == [[0, 1], [1, 2]]
    assert graph.link_weight.tolist() == [2.5, 0.5]
    assert (graph.feature_names, graph.x[:, 0].tolist()) == (("age",), [1, 2, 4])


PAIR = [{"source": 0, "target": 1}, {"source": 2, "target": 1}]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"nodes": [{"name": n} for n in "abc"], "links": PAIR}, ("a", "b", "c")),
        ({"nodes": [{"id": n} for n in "abc"], "links": PAIR}, ("a", "b", "c")),
        ({"nodes": [{}, {}, {}], "links": PAIR}, None),
        ({"nodes": [*"abc"], "edges": [{"from": "a", "to": "b"}, ["b", "c"]]}, ("a", "b", "c")),
        ({"nodes": [{"id": k} for k in (5, 6, 7)], "links": [[5, 6], [6, 7]]}, (5, 6, 7)),
        ({"nodes": [{"id": str(k)} for k in (5, 6, 7)], "links": [[5, 6], [6, 7]]}, (5, 6, 7)),
        ([["a", "b"], ["b", "c"]], ("a", "b", "c")),
        (
            {
                "graph": {
                    "nodes": {n: {"label": n} for n in "abc"},
                    "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}],
                }
            },
            ("a", "b", "c"),
        ),
        (
            {
                "nodes": [{"key": n, "attributes": {"label": "x"}} for n in "abc"],
                "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}],
            },
            ("a", "b", "c"),
        ),
        (
            {
                "nodes": [{"id": n} for n in "abc"],
                "links": [{"source": {"id": "a"}, "target": {"id": "b"}}, ["c", "b"]],
            },
            ("a", "b", "c"),
        ),
        (
            [
                *({"data": {"id": n}} for n in "abc"),
                {"data": {"id": "e", "source": "a", "target": "b"}},
                {"data": {"id": "f", "source": "b", "target": "c"}},
            ],
            ("a", "b", "c"),
        ),
    ],
    ids=[
        *("d3-places", "ids-places", "no-names", "vis", "integers", "digits", "pairs", "jgf"),
        *("graphology", "d3-after", "cytoscape-list"),
    ],
)
def test_other_layouts(content, names, tmp_path):
    graph = read(tmp_path, content)
    assert graph.node_ids == names
    assert graph.links.tolist() == [[0, 1], [1, 2]]


def test_our_own_export_to_networkx_is_read_back(tmp_path):
    first = Graph.from_edges([[0, 1], [1, 2]], x=[[1.0, 2], [3, 4], [5, 6]], y=[0, 1, 0])
    data = nx.node_link_data(first.to_networkx(features=True), edges="links")
    again = read(tmp_path, data)
    assert again.fingerprint == first.fingerprint
    assert again.y.tolist() == [0, 1, 0]


@pytest.mark.row("L37")
@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{", "JSON_CORRUPT", "not JSON"),
        ('{"nodes": [], "links": [NaN]}', "JSON_CORRUPT", "NaN"),
        ("[" * 100_000, "JSON_CORRUPT", "nested too deep"),
        ("7", "JSON_GRAPH", "neither an object nor a list"),
        ('{"a": 1}', "JSON_GRAPH", "it has a; .*node_link_data"),
        ('{"nodes": {"a": 1}, "links": [["a", "b"]]}', "JSON_GRAPH", "'b', which is no node"),
        ('{"nodes": ["a", "a"], "links": []}', "JSON_GRAPH", "same id"),
        ('{"nodes": ["a", null], "links": []}', "JSON_GRAPH", "id of node 1"),
        ('{"nodes": ["a"], "links": [["a"]]}', "JSON_GRAPH", "edge 0 has no source"),
        ('{"nodes": ["a"], "links": [["a", [1]]]}', "JSON_GRAPH", "an end of edge 0"),
        ('{"nodes": 7, "links": []}', "JSON_GRAPH", "nodes are not a list"),
        ('{"nodes": ["a"], "adjacency": [7]}', "JSON_GRAPH", "adjacency"),
        ("[]", "GRAPH_EMPTY", "no nodes"),
    ],
)
def test_what_is_no_graph_is_refused(text, code, message, tmp_path):
    (tmp_path / "g.json").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_graph(tmp_path / "g.json")
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_json_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "g.json").write_bytes('[["é", "b"]]'.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "g.json")
    assert caught.value.code == "ENCODING"


def test_ends_of_edges_are_names_where_nodes_have_no_ids(tmp_path):
    nodes, links = [{"name": "A"}, {"name": "B"}], [{"source": "B", "target": "A"}]
    (tmp_path / "g.cyjs").write_text(json.dumps({"nodes": nodes, "links": links}))
    graph = read_graph(tmp_path / "g.cyjs")
    assert (list(graph.ids), graph.links.tolist()) == (["A", "B"], [[0], [1]])


def several():
    for number, label in enumerate("xyx"):
        graph = nx.path_graph(2 + number)
        nx.set_node_attributes(graph, {node: float(node) for node in graph}, "age")
        yield {**nx.node_link_data(graph, edges="links"), "name": f"m{number}", "label": label}


@pytest.mark.row("L59")
@pytest.mark.parametrize("kind", ["list", "lines", "named"])
def test_several_graphs_are_a_collection(kind, tmp_path):
    graphs = list(several())
    path = tmp_path / ("g.jsonl" if kind == "lines" else "g.json")
    content = {"graphs": {graph["name"]: graph for graph in graphs}} if kind == "named" else graphs
    text = "\n\n".join(map(json.dumps, graphs)) if kind == "lines" else json.dumps(content)
    path.write_text(text)
    found = read_graph(path)
    assert found.graph_names == ("m0", "m1", "m2")
    assert found.sizes.tolist() == [2, 3, 4]
    assert found.x[:, 0].tolist() == [0, 1, 0, 1, 2, 0, 1, 2, 3]
    assert found.graph_y.tolist() == [0, 1, 0]
    assert found.graph_label_names == ("x", "y")


@pytest.mark.row("L60")
@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('{"nodes": [1], "links": []}\n{bad', "JSON_CORRUPT", "jsonl, line 2: it is not JSON"),
        ('{"nodes": [1], "links": []}\n{"nodes": [1]}', "JSON_GRAPH", "graph 1: it has nodes"),
        ("[1, 2]\n", "JSON_GRAPH", "graph 0 is no object"),
        ("\n", "COLLECTION", "no graphs"),
        ('{"nodes": [1], "links": [[1, 2]]}\n', "JSON_GRAPH", "graph 0: .*no source|leads to 2"),
    ],
)
def test_lines_that_are_no_graphs_are_refused(text, code, words, tmp_path):
    (tmp_path / "g.jsonl").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_graph(tmp_path / "g.jsonl")
    assert caught.value.code == code


def test_numbers_of_graphs_are_their_names_unless_all_have_one(tmp_path):
    graphs = list(several())
    del graphs[0]["name"], graphs[1]["label"]
    (tmp_path / "g.json").write_text(json.dumps(graphs))
    found = read_graph(tmp_path / "g.json")
    assert found.graph_names == ()
    assert found.graph_y.tolist() == [0, -1, 0]
