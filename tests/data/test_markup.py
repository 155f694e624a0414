"""What networkx writes as GraphML, GEXF or GML is read back; hostile XML is refused."""

import gzip
import logging

import networkx as nx
import pytest

from vgae.data.files import read_graph
from vgae.errors import DataError, UsageError

WRITE = {"graphml": nx.write_graphml, "gexf": nx.write_gexf, "gml": nx.write_gml}
XML = ("graphml", "gexf")


def sample():
    graph = nx.Graph([("é n", "b", {"weight": 2.5}), ("b", "c", {"weight": 0.5})])
    graph.add_node("alone")
    for k, (_, node) in enumerate(graph.nodes(data=True)):
        node |= {"age": 20 + k, "town": "Ulm" if k % 2 else "Bern"}
    return graph


def links_of(graph):
    pairs = [(graph.ids[u], graph.ids[v]) for u, v in graph.links.T.tolist()]
    return dict(zip(map(frozenset, pairs), graph.link_weight.tolist(), strict=True))


@pytest.mark.parametrize("suffix", WRITE)
def test_a_graph_of_networkx_is_read_as_it_was_written(suffix, tmp_path):
    there = sample()
    WRITE[suffix](there, tmp_path / f"g.{suffix}")
    graph = read_graph(tmp_path / f"g.{suffix}", label_column="town")
    assert graph.node_ids == ("é n", "b", "c", "alone")
    assert links_of(graph) == {frozenset(p): w for *p, w in there.edges(data="weight")}
    assert (graph.feature_names, graph.x[:, 0].tolist()) == (("age",), [20, 21, 22, 23])
    assert (graph.y.tolist(), graph.label_names) == ([0, 1, 0, 1], ("Bern", "Ulm"))


@pytest.mark.parametrize("suffix", WRITE)
def test_directions_and_parallel_edges_are_counted(suffix, tmp_path):
    there = nx.MultiDiGraph([(1, 2), (2, 1), (1, 2), (2, 3)])
    WRITE[suffix](there, tmp_path / f"g.{suffix}")
    graph = read_graph(tmp_path / f"g.{suffix}")
    assert graph.node_ids == (1, 2, 3)
    assert dict(graph.notes) == {"repeats": 1, "both_ways": 1, "one_way": 1}
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / f"g.{suffix}", directed="error")
    assert caught.value.code == "DIRECTED"


def test_compressed_markup_is_read(tmp_path):
    nx.write_graphml(sample(), tmp_path / "g.graphml")
    packed = gzip.compress((tmp_path / "g.graphml").read_bytes())
    (tmp_path / "g.graphml.gz").write_bytes(packed)
    assert read_graph(tmp_path / "g.graphml.gz").num_links == 2


def test_labels_of_gml_name_the_nodes_only_if_they_are_unique(tmp_path, caplog):
    text = 'Creator "me"\ngraph [\n  node [ id 7 label "%s" ]\n  node [ id 9 label "b" ]\n'
    text += "  edge [ source 7 target 9 value 3 ]\n  edge [ source 9 target 7 value 3 ]\n]\n"
    (tmp_path / "g.gml").write_text(text % "a")
    graph = read_graph(tmp_path / "g.gml")
    assert (graph.node_ids, graph.link_weight.tolist()) == (("a", "b"), [3])
    (tmp_path / "g.gml").write_text(text % "b")
    with caplog.at_level(logging.INFO, logger="vgae"):
        assert read_graph(tmp_path / "g.gml").node_ids == (7, 9)
    assert "'label' is not unique" in caplog.text


def test_an_edge_that_is_there_twice_is_merged_in_gml(tmp_path):
    """networkx refuses such a file unless the graph states that it is a multigraph."""
    text = "graph [\n node [ id 1 ]\n node [ id 2 ]\n"
    text += " edge [ source 1 target 2 ]\n" * 2 + "]\n"
    (tmp_path / "g.gml").write_text(text)
    assert read_graph(tmp_path / "g.gml").num_links == 1


def test_gml_in_another_encoding(tmp_path):
    text = 'graph [\n node [ id 1 label "Zoë" ]\n node [ id 2 label "b" ]\n'
    (tmp_path / "g.gml").write_bytes((text + "edge [ source 1 target 2 ]\n]").encode("latin-1"))
    with pytest.raises(DataError, match="--encoding latin-1") as caught:
        read_graph(tmp_path / "g.gml")
    assert caught.value.code == "ENCODING"
    assert read_graph(tmp_path / "g.gml", encoding="latin-1").node_ids == ("Zoë", "b")
    with pytest.raises(UsageError, match="codec"):
        read_graph(tmp_path / "g.gml", encoding="latin-x")


DTD = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("suffix", XML)
@pytest.mark.parametrize(
    "head",
    [DTD, '<!DOCTYPE x SYSTEM "file:///etc/passwd">'],
    ids=["L31-entities", "L31-external"],
)
def test_xml_with_a_dtd_is_refused(head, suffix, tmp_path):
    WRITE[suffix](sample(), tmp_path / f"g.{suffix}")
    text = (tmp_path / f"g.{suffix}").read_text(encoding="utf-8")
    body = text.split("?>", 1)[-1]
    (tmp_path / f"g.{suffix}").write_text(head + body, encoding="utf-8")
    with pytest.raises(DataError, match="<!DOCTYPE") as caught:
        read_graph(tmp_path / f"g.{suffix}")
    assert caught.value.code == "XML_UNSAFE"
    # What the message says mends it.
    (tmp_path / f"g.{suffix}").write_text(body, encoding="utf-8")
    assert read_graph(tmp_path / f"g.{suffix}").num_nodes == 4


@pytest.mark.row("L32")
@pytest.mark.parametrize("suffix", WRITE)
@pytest.mark.parametrize("cut", [0.3, 0.8])
def test_damaged_markup_is_one_error(suffix, cut, tmp_path):
    WRITE[suffix](sample(), tmp_path / f"g.{suffix}")
    content = (tmp_path / f"g.{suffix}").read_bytes()
    (tmp_path / f"g.{suffix}").write_bytes(content[: int(cut * len(content))])
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / f"g.{suffix}")
    assert caught.value.code == f"{suffix.upper()}_CORRUPT"


def test_nested_markup_is_one_error(tmp_path):
    text = "<gexf><graph><nodes>" + "<node id='1'><nodes>" * 5000
    (tmp_path / "g.gexf").write_text(text + "</nodes></node>" * 5000 + "</nodes></graph></gexf>")
    with pytest.raises(DataError):
        read_graph(tmp_path / "g.gexf")


def test_features_of_a_file_replace_attributes(tmp_path):
    nx.write_graphml(sample(), tmp_path / "g.graphml")
    (tmp_path / "x.csv").write_text("id,f\nalone,4\nc,3\nb,2\né n,1\n")
    graph = read_graph(tmp_path / "g.graphml", features=tmp_path / "x.csv")
    assert (graph.feature_names, graph.x[:, 0].tolist()) == (("f",), [1, 2, 3, 4])


def graphml(inside, default="undirected", keys=""):
    return f'<graphml>{keys}<graph edgedefault="{default}">{inside}</graph></graphml>'


NODES = '<node id="a"/><node id="b"/><node id="c"/>'


def test_nested_graphs_mixed_edges_and_defaults_of_graphml(tmp_path):
    path = tmp_path / "g.graphml"
    inner = '<node id="d"><graph><node id="e"/><edge source="e" target="a"/></graph></node>'
    path.write_text(graphml(NODES + inner + '<edge source="a" target="b"/>'))
    graph = read_graph(path)
    assert (graph.num_nodes, graph.links.shape[1]) == (5, 2)
    edges = '<edge source="a" target="b" directed="true"/><edge source="b" target="c"/>'
    path.write_text(graphml(NODES + edges))
    assert read_graph(path).links.tolist() == [[0, 1], [1, 2]]
    keys = (
        '<key id="w" for="edge" attr.name="weight" attr.type="double"><default>1.5</default></key>'
    )
    edges = (
        '<edge source="a" target="b"><data key="w">4</data></edge><edge source="b" target="c"/>'
    )
    path.write_text(graphml(NODES + edges, keys=keys))
    assert read_graph(path).link_weight.tolist() == [4, 1.5]


def test_edges_with_one_id_are_different_edges(tmp_path):
    path = tmp_path / "g.graphml"
    path.write_text(graphml(NODES + '<edge id="0" source="a" target="b"/>' * 3))
    assert read_graph(path).notes["repeats"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (graphml(NODES + '<edge source="a" target="zz"/>'), "leads to 'zz'"),
        (graphml(NODES + NODES), "two nodes have the id 'a'"),
        (graphml(NODES + "<hyperedge/>"), "hyperedges"),
        ("<graphml><graph/><graph/></graphml>", "it holds 2 graphs"),
    ],
    ids=["L37-end", "L37-twice", "L37-hyperedge", "L37-graphs"],
)
def test_what_would_be_another_graph_is_refused(text, message, tmp_path):
    path = tmp_path / "g.graphml"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_graph(path)
    assert caught.value.code == "GRAPHML_CORRUPT"
