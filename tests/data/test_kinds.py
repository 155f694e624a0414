"""Directions and sides of links survive every format, or are refused where there are none."""

import json
import logging

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vgae.data.files import read_graph, write_npz
from vgae.errors import VgaeError
from vgae.graphs.graph import Graph

NODES = 5


@st.composite
def weighted_links(draw, first=NODES, second=NODES):
    """Ordered pairs with weights, none of them a loop, one of weight 2 at least."""
    pair = st.tuples(st.integers(0, first - 1), st.integers(0, second - 1))
    pairs = draw(st.sets(pair.filter(lambda p: first != second or p[0] != p[1]), min_size=1))
    found = {pair: draw(st.sampled_from([0.5, 1.0, 3.0])) for pair in sorted(pairs)}
    return found | {next(iter(found)): 2.0}


def found_in(graph):
    """Weight of each link by the names of its ends, as text without the sides."""
    names = [str(name).rpartition(":")[2] for name in graph.ids]
    weight = graph.link_weight.tolist()
    links = graph.links.T.tolist()
    return {(names[u], names[v]): w for (u, v), w in zip(links, weight, strict=True)}


def digraph(links):
    graph = nx.DiGraph()
    graph.add_nodes_from(f"n{k}" for k in range(NODES))
    graph.add_weighted_edges_from((f"n{u}", f"n{v}", w) for (u, v), w in links.items())
    return graph


def matrix(links, shape=(NODES, NODES)):
    rows, columns = zip(*links, strict=True)
    return sp.coo_array((list(links.values()), (rows, columns)), shape=shape).tocsr()


def frame(links, names=("source", "target")):
    rows = [(f"n{u}", f"n{v}", w) for (u, v), w in links.items()]
    return pd.DataFrame(rows, columns=[*names, "weight"])


def write_json(path, links):
    path.write_text(json.dumps(nx.node_link_data(digraph(links), edges="links")))


def write_pajek(path, links):
    arcs = [f"{u + 1} {v + 1} {w}" for (u, v), w in links.items()]
    names = [f'{k + 1} "n{k}"' for k in range(NODES)]
    path.write_text("\n".join([f"*Vertices {NODES}", *names, "*Arcs", *arcs]) + "\n")


def write_table(path, links):
    names = [f"n{k}" for k in range(NODES)]
    pd.DataFrame(matrix(links).toarray(), names, names).to_csv(path)


# Names of nodes in matrices are their numbers.
DIRECTED = {
    "a.csv": lambda path, links: frame(links).to_csv(path, index=False),
    "a.txt": lambda path, links: frame(links).to_csv(path, index=False, header=False, sep=" "),
    "a.parquet": lambda path, links: frame(links).to_parquet(path),
    "a.graphml": lambda path, links: nx.write_graphml(digraph(links), path),
    "a.gexf": lambda path, links: nx.write_gexf(digraph(links), path),
    "a.gml": lambda path, links: nx.write_gml(digraph(links), path),
    "a.json": write_json,
    "a.net": write_pajek,
    "a.mtx": lambda path, links: scipy.io.mmwrite(path, matrix(links), symmetry="general"),
    "a.npz": lambda path, links: sp.save_npz(path, matrix(links)),
    "a.npy": lambda path, links: np.save(path, matrix(links).toarray()),
    "table.csv": write_table,
    "own.npz": lambda path, links: write_npz(
        Graph.from_networkx(digraph(links), directed="keep"), path
    ),
    "arrays.npz": lambda path, links: np.savez(
        path, edge_index=np.array([*links]).T, edge_weight=[*links.values()], num_nodes=NODES
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kinds")


@pytest.mark.parametrize("name", DIRECTED)
@settings(max_examples=8, phases=[Phase.generate])
@given(links=weighted_links())
def test_a_direction_is_read_as_it_was_written(name, links, folder):
    DIRECTED[name](folder / name, links)
    options = {"weight": "weight", "columns": ("source", "target", "weight")}
    options = options | {"header": False} if name == "a.txt" else {}
    graph = read_graph(folder / name, directed="keep", **options)
    names = {(f"n{u}", f"n{v}"): w for (u, v), w in links.items()}
    if graph.node_ids is None:
        names = {(str(u), str(v)): w for (u, v), w in links.items()}
    assert found_in(graph) == names
    assert graph.directed
    if name != "own.npz":
        assert not read_graph(folder / name, sides="none", **options).directed


def two_mode(links):
    graph = nx.Graph()
    graph.add_nodes_from((f"u{k}" for k in range(NODES)), bipartite=0)
    graph.add_nodes_from((f"i{k}" for k in range(4)), bipartite=1)
    graph.add_weighted_edges_from((f"i{v}", f"u{u}", w) for (u, v), w in links.items())
    return graph


def write_two_mode_json(path, links):
    path.write_text(json.dumps(nx.node_link_data(two_mode(links), edges="links")))


def write_two_mode_pajek(path, links):
    names = [*(f"u{k}" for k in range(NODES)), *(f"i{k}" for k in range(4))]
    names = [f'{k + 1} "{name}"' for k, name in enumerate(names)]
    edges = [f"{u + 1} {NODES + v + 1} {w}" for (u, v), w in links.items()]
    path.write_text("\n".join([f"*Vertices {NODES + 4} {NODES}", *names, "*Edges", *edges]) + "\n")


def write_konect(path, links):
    lines = [f"{u} {v} {w}" for (u, v), w in links.items()]
    path.write_text("\n".join(["% bip weighted", *lines]) + "\n")


def rated(links):
    return frame(links, ("user_id", "item_id")).replace(r"^n", "", regex=True)


TWO_SIDED = {
    "b.csv": lambda path, links: rated(links).to_csv(path, index=False),
    "b.parquet": lambda path, links: rated(links).to_parquet(path),
    "b.txt": write_konect,
    "b.graphml": lambda path, links: nx.write_graphml(two_mode(links), path),
    "b.gexf": lambda path, links: nx.write_gexf(two_mode(links), path),
    "b.gml": lambda path, links: nx.write_gml(two_mode(links), path),
    "b.json": write_two_mode_json,
    "b.net": write_two_mode_pajek,
    "b.mtx": lambda path, links: scipy.io.mmwrite(path, matrix(links, (NODES, 4))),
    "b.npz": lambda path, links: sp.save_npz(path, matrix(links, (NODES, 4))),
    "ownb.npz": lambda path, links: write_npz(Graph.from_networkx(two_mode(links)), path),
}


@pytest.mark.parametrize("name", TWO_SIDED)
@settings(max_examples=8, phases=[Phase.generate])
@given(links=weighted_links(NODES, 4))
def test_two_sides_are_read_as_they_were_written(name, links, folder):
    TWO_SIDED[name](folder / name, links)
    graph = read_graph(folder / name)
    found = {
        (int("".join(filter(str.isdigit, u))), int("".join(filter(str.isdigit, v)))): w
        for (u, v), w in found_in(graph).items()
    }
    shift = NODES if name in ("b.mtx", "b.npz") else 0
    assert found == {(u, v + shift): w for (u, v), w in links.items()}
    assert graph.sides[graph.links].tolist() == [[False] * len(links), [True] * len(links)]
    if name not in ("b.mtx", "b.npz"):
        assert read_graph(folder / name, sides="none").sides is None


BLOCK = {
    k: "\n".join(lines) + "\n"
    for k, lines in {
        "konect": ["% sym unweighted", "1 2", "2 3"],
        "snap": ["# Undirected graph: x", "1\t2", "2\t3"],
        "gml": ["graph [", "node [ id 0 ]", "node [ id 1 ]", "edge [ source 0 target 1 ]", "]"],
        "pajek": ["*Vertices 2", "*Edges", "1 2"],
        "mtx": ["%%MatrixMarket matrix coordinate pattern symmetric", "2 2 1", "2 1"],
        "gephi": ["Source,Target,Type", "a,b,Undirected", "b,c,Undirected"],
    }.items()
}
UNDIRECTED = {
    "s.txt": BLOCK["konect"],
    "s.tsv": BLOCK["snap"],
    "s.gml": BLOCK["gml"],
    "s.net": BLOCK["pajek"],
    "s.mtx": BLOCK["mtx"],
    "s.csv": BLOCK["gephi"],
    "s.json": '{"directed": false, "nodes": [1, 2], "links": [{"source": 1, "target": 2}]}',
}


@pytest.mark.parametrize("name", [pytest.param(name, id=f"G44-{name}") for name in UNDIRECTED])
def test_what_states_that_it_is_undirected_has_no_direction_to_keep(name, tmp_path):
    (tmp_path / name).write_text(UNDIRECTED[name])
    with pytest.raises(
        VgaeError, match=r"is undirected.*directed='keep' \(--directed keep\)"
    ) as caught:
        read_graph(tmp_path / name, directed="keep")
    assert caught.value.code == "DIRECTED"
    assert not read_graph(tmp_path / name).directed


def test_stored_graphs_keep_their_kind(tmp_path):
    edges = [[0, 1, 2], [1, 2, 0]]
    write_npz(Graph.from_edges(edges), tmp_path / "u.npz")
    write_npz(Graph.from_edges(edges, directed="keep"), tmp_path / "d.npz")
    write_npz(Graph.from_edges([[0], [1]], sides=[1, 0]), tmp_path / "s.npz")
    assert read_graph(tmp_path / "d.npz").directed
    for name, options, code in (
        ("u.npz", {"directed": "keep"}, "DIRECTED"),
        ("d.npz", {"directed": "error"}, "DIRECTED"),
        ("u.npz", {"sides": "columns"}, "SIDES"),
    ):
        with pytest.raises(VgaeError) as caught:
            read_graph(tmp_path / name, **options)
        assert caught.value.code == code
    one = read_graph(tmp_path / "s.npz", sides="none")
    assert (one.sides, one.links.tolist()) == (None, [[0], [1]])
    with np.load(tmp_path / "s.npz") as stored:
        arrays = dict(stored)
    assert str(arrays["format"]) == "vgae-graph-2"
    np.savez(tmp_path / "bad.npz", **arrays | {"sides": np.array([True])})
    with pytest.raises(VgaeError, match="kind of graph is damaged") as caught:
        read_graph(tmp_path / "bad.npz")
    assert caught.value.code == "NPZ_CORRUPT"


def test_mixed_edges_go_both_ways_where_they_are_undirected(tmp_path):
    mixed = {
        "m.graphml": '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        '<graph edgedefault="directed"><node id="a"/><node id="b"/><node id="c"/>'
        '<edge source="a" target="b"/><edge source="b" target="c" directed="false"/>'
        "</graph></graphml>",
        "m.gexf": '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">'
        '<graph defaultedgetype="directed"><nodes><node id="a" label="a"/><node id="b" label="b"/>'
        '<node id="c" label="c"/></nodes><edges><edge id="0" source="a" target="b"/>'
        '<edge id="1" source="b" target="c" type="undirected"/></edges></graph></gexf>',
        "m.net": '*Vertices 3\n1 "a"\n2 "b"\n3 "c"\n*Arcs\n1 2\n*Edges\n2 3\n',
        "m.csv": "Source,Target,Type\na,b,Directed\nb,c,Undirected\n",
    }
    for name, text in mixed.items():
        (tmp_path / name).write_text(text)
        graph = read_graph(tmp_path / name, directed="keep")
        links = {(graph.ids[u], graph.ids[v]) for u, v in graph.links.T.tolist()}
        assert links == {("a", "b"), ("b", "c"), ("c", "b")}, name
        assert read_graph(tmp_path / name).num_links == 2


def test_an_attribute_of_any_name_has_the_sides(tmp_path):
    graph = two_mode({(0, 1): 2.0})
    nx.set_node_attributes(graph, {n: "user" if n[0] == "u" else "item" for n in graph}, "kind")
    nx.write_graphml(graph, tmp_path / "k.graphml")
    found = read_graph(tmp_path / "k.graphml", sides="kind")
    assert found.side_names == ("user", "item")
    with pytest.raises(VgaeError, match=r"no attribute 'sort' \(sides, --sides\)") as caught:
        read_graph(tmp_path / "k.graphml", sides="sort")
    assert caught.value.code == "SIDES"
    (tmp_path / "e.csv").write_text("a,b\nb,c\n")
    with pytest.raises(VgaeError, match="must be 'auto', 'columns', 'none'") as caught:
        read_graph(tmp_path / "e.csv", sides="kind")
    assert caught.value.code == "SIDES"


def test_two_sides_and_a_direction_in_one_file_are_refused(tmp_path):
    write_konect(tmp_path / "b.txt", {(1, 1): 2.0, (1, 2): 1.0})
    with pytest.raises(VgaeError, match=r"leave out directed='keep'.*sides='none'") as caught:
        read_graph(tmp_path / "b.txt", directed="keep")
    assert caught.value.code == "SIDES"


def test_one_command_reads_ratings(tmp_path, command, caplog):
    (tmp_path / "r.csv").write_text("user_id,item_id,rating\n1,1,5\n2,1,3\n2,7,4\n")
    with caplog.at_level(logging.WARNING, "vgae"):
        out = command("convert", tmp_path / "r.csv", "-o", tmp_path / "g.npz", "--json")[1]
    found = json.loads(out)
    assert (found["sides"], found["side_names"]) == ([2, 2], ["user", "item"])
    assert (found["num_links"], found["weighted"]) == (3, True)
    assert "two sides" in caplog.text
    words = ("convert", tmp_path / "r.csv", "-o", tmp_path / "h.npz", "--json", "--sides", "none")
    assert "sides" not in json.loads(command(*words)[1])
