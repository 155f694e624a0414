"""Networks of Pajek, as networkx and Pajek write them."""

import networkx as nx
import pytest

from vgae.data.files import read_graph
from vgae.errors import DataError


def read(tmp_path, text, **options):
    (tmp_path / "g.net").write_text(text, encoding="utf-8")
    return read_graph(tmp_path / "g.net", **options)


def test_what_networkx_writes_is_read_back(tmp_path):
    there = nx.les_miserables_graph()
    nx.write_pajek(there, tmp_path / "g.net")
    graph = read_graph(tmp_path / "g.net")
    assert graph.node_ids == tuple(there)
    expected = {frozenset(pair): weight for *pair, weight in there.edges(data="weight")}
    pairs = [frozenset((graph.ids[u], graph.ids[v])) for u, v in graph.links.T.tolist()]
    assert dict(zip(pairs, graph.link_weight.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ("*Edges\n1 2\n3 1 2.5\n", [[0, 0], [1, 2]]),
        ("*Arcs\n2 1\n*Edges\n1 3 1\n", [[0, 0], [1, 2]]),
        ("*Edgeslist\n1 2 3\n", [[0, 0], [1, 2]]),
        ("*Arcslist\n2 1\n3 1\n", [[0, 0], [1, 2]]),
        ("*Matrix\n0 1 2\n0 0 0\n0 0.0 0\n", [[0, 0], [1, 2]]),
    ],
)
@pytest.mark.parametrize("nodes", ["", '1 "a b" 0.1 0.2 0.5\n2 b\n% comment\n3 "c"\n'])
def test_each_kind_of_links(links, expected, nodes, tmp_path):
    graph = read(tmp_path, f"*Network x\n*Vertices 3\n{nodes}{links}")
    assert graph.links.tolist() == expected
    assert graph.node_ids == (("a b", "b", "c") if nodes else (1, 2, 3))
    assert ("one_way" in graph.notes) == ("Arcs" in links or "Matrix" in links)


def test_equal_labels_do_not_merge_nodes(tmp_path):
    """networkx makes one node of them without a word."""
    graph = read(tmp_path, '*Vertices 3\n1 "a"\n2 "a"\n3 "b"\n*Edges\n1 3\n2 3\n')
    assert (graph.node_ids, graph.num_links) == ((1, 2, 3), 2)


def test_the_network_of_a_project_is_read_without_its_partitions(tmp_path):
    text = "*Network a\n*Vertices 2\n*Edges\n1 2\n*Partition p\n*Vertices 2\n1\n2\n"
    (tmp_path / "g.paj").write_text(text)
    assert read_graph(tmp_path / "g.paj").num_links == 1


@pytest.mark.row("L39")
@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("1 2\n", "PAJEK_CORRUPT", "line 1: expected \\*Vertices"),
        ("*Edges\n1 2\n", "PAJEK_CORRUPT", "line 2: expected \\*Vertices N before"),
        ("*Vertices\n", "PAJEK_CORRUPT", "line 1: expected a whole number"),
        ("*Vertices 2\n*Edges\n1 3\n", "PAJEK_CORRUPT", "line 3: expected a vertex from 1 to 2"),
        ("*Vertices 2\n*Edges\n1\n", "PAJEK_CORRUPT", "line 3: expected two numbers"),
        ("*Vertices 2\n*Edges\n1 x\n", "PAJEK_CORRUPT", "instead of 'x'"),
        ("*Vertices 2\n*Matrix\n1 0 0\n", "PAJEK_CORRUPT", "2 rows of 2"),
        ("*Vertices 2\n*Edges\n1 2 x\n", "BAD_WEIGHT", "'x'"),
        ("*Vertices 999999999\n*Edges\n1 2\n", "GRAPH_SIZE", "999999999 vertices"),
        ("*Vertices 2\n*Vertices 2\n", "PAJEK_CORRUPT", "once"),
        (
            "*Network\n*Vertices 2\n*Edges\n1 2\n*Network\n",
            "PAJEK_NETWORKS",
            "several networks; save one",
        ),
    ],
)
def test_what_is_no_network_is_refused(text, code, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert caught.value.code == code


def test_a_matrix_of_two_kinds_and_relations(tmp_path, caplog):
    path = tmp_path / "g.net"
    path.write_text("*Vertices 5 2\n*Matrix\n1 0 1\n0 3 0\n")
    graph = read_graph(path)
    assert (graph.links.tolist(), graph.num_nodes) == ([[0, 0, 1], [2, 4, 3]], 5)
    assert graph.link_weight.tolist() == [1, 1, 3]
    path.write_text("*Vertices 3\n*Arcs :1 'a'\n1 2 1\n*Arcs :2 'b'\n2 3 1\n")
    assert read_graph(path).links.tolist() == [[0, 1], [1, 2]]
    assert "links of 2 relations" in caplog.text


@pytest.mark.parametrize("label", ['"Ann \\"x\\" Lee"', '"Ann Lee'])
def test_a_quote_within_a_label_is_refused(label, tmp_path):
    path = tmp_path / "g.net"
    path.write_text(f'*Vertices 2\n1 {label}\n2 "b"\n*Edges\n1 2\n')
    with pytest.raises(DataError, match="line 2: expected a quote") as caught:
        read_graph(path)
    assert caught.value.code == "PAJEK_CORRUPT"
