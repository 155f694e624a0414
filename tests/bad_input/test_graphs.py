"""Graphs that cannot be, or look as if they could not: rows G of the catalogue."""

import json

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest

from vgae.errors import DataError
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit

MTX = "%%MatrixMarket matrix coordinate"
RING = "".join(f"n{k:02},n{(k + 1) % 40:02}\n" for k in range(40))


def mtx(size, *entries, kind="pattern general"):
    lines = [f"{MTX} {kind}", f"{size} {size} {len(entries)}"]
    return "\n".join([*lines, *(" ".join(map(str, entry)) for entry in entries), ""])


def complete(size, without=0):
    pairs = [f"{u} {v}" for u in range(size) for v in range(u)]
    return "\n".join(pairs[without:]) + "\n"


def floats(**columns):
    return pa.table({"source": [1.0, 2.0], "target": [2, 3]} | columns)


WEIGHTED = pa.table({"source": ["a", "b"], "target": ["b", "c"], "weight": [1.0, 0.0]})


@pytest.mark.parametrize(
    ("files", "command_line", "code", "says"),
    [
        pytest.param({"g.mtx": mtx(0)}, "train g.mtx", "GRAPH_EMPTY", ["one"], id="G01-mtx"),
        pytest.param({"g.mtx": mtx(1)}, "train g.mtx", "NO_EDGES", ["other methods"], id="G02"),
        pytest.param({"g.mtx": mtx(5)}, "train g.mtx", "NO_EDGES", ["other methods"], id="G03"),
        pytest.param(
            {"g.csv": "a,a\nb,b\na,a\n"}, "train g.csv", "NO_EDGES", ["3 self-loops"], id="G04"
        ),
        pytest.param(
            {"g.csv": "a,b\nb,a\nb,c\n"},
            "convert g.csv --directed error",
            "DIRECTED",
            ["1 links? go.* one way", "from node 1 to node 2", "symmetrize"],
            id="G08-error",
        ),
        pytest.param(
            {"g.csv": "a,b,1\nb,c,-2\n"},
            "train g.csv",
            "NEGATIVE_WEIGHT",
            [r"g\.csv, line 2: .* positive, got '-2'"],
            id="G11-csv",
        ),
        pytest.param(
            {"g.mtx": mtx(6, *((k, k + 1, -k) for k in range(1, 6)), kind="real general")},
            "train g.mtx",
            "NEGATIVE_WEIGHT",
            [r"g\.mtx: .*5 such, first 0 - 1 \(-1\), .*3 \(-3\); signed=True \(--signed\)"],
            id="G11-mtx",
        ),
        *(
            pytest.param(
                {"g.csv": f"a,b,1\nb,c,{weight}\n"},
                "train g.csv",
                "BAD_WEIGHT",
                [rf"g\.csv, line 2: .* finite number, got '{weight}'"],
                id=f"{row}-{weight}",
            )
            for row, weight in [
                ("G12", "nan"),
                ("G12", "inf"),
                ("G12", "1e999"),
                ("G13", "heavy"),
                ("G13", "1_0"),
            ]
        ),
        pytest.param(
            {"g.csv": "a,b,1\nb,c,0\n"},
            "train g.csv",
            "ZERO_WEIGHT",
            [r"g\.csv, line 2: ", r"--drop-zero\)"],
            id="G12-zero",
        ),
        pytest.param(
            {"g.parquet": WEIGHTED},
            "train g.parquet",
            "ZERO_WEIGHT",
            [r"g\.parquet: .*1 - 2 \(0\)", r"--drop-zero\)"],
            id="G12-zero-parquet",
        ),
        pytest.param(
            {"g.txt": complete(30)},
            "train g.txt",
            "NO_NEGATIVES",
            ["has 0 pairs", "64 are needed", "hold fewer out"],
            id="G15",
        ),
        pytest.param(
            {"g.txt": complete(30, without=2)},
            "train g.txt",
            "NO_NEGATIVES",
            ["has 2 pairs", "hold fewer out"],
            id="G16",
        ),
        pytest.param(
            {"g.csv": RING[:48]},
            "train g.csv",
            "SPLIT_TOO_SMALL",
            ["0.05 of 6 links", "val needs at least 20 links"],
            id="G17",
        ),
        pytest.param(
            {"g.csv": RING, "x.csv": "id,f\nn00,1\nn77,2\n"},
            "train g.csv --features x.csv",
            "NODE_SET_MISMATCH",
            [
                r"40 nodes and features of 2: 39 \('n01', 'n02', 'n03', \.\.\.\) have no features",
                r"1 \('n77'\) are not among the nodes",
                "--missing-features zero",
            ],
            id="G23",
        ),
        pytest.param(
            {"g.parquet": pa.table({"u": pa.array([2**63, 1], pa.uint64()), "v": [2, 3]})},
            "train g.parquet",
            "NODE_ID",
            [r"g\.parquet: .*9223372036854775808"],
            id="G25-beyond-64-bits",
        ),
        pytest.param(
            {"g.parquet": floats()},
            "train g.parquet",
            "NODE_ID",
            [r"source \(double\)", "lost digits"],
            id="G26-parquet",
        ),
        pytest.param(
            {"g.csv": RING, "x.npy": np.ones((40, 2))},
            "train g.csv --features x.npy",
            "NODE_SET_MISMATCH",
            ["40 rows and no names", "save them as npz with ids and x"],
            id="G33-by-position",
        ),
        pytest.param(
            {"g.graphml": "<graphml/>"},
            "train g.graphml",
            "GRAPHML_CORRUPT",
            [r"g\.graphml", r"not GraphML that networkx reads"],
            id="G34-file",
        ),
    ],
)
def test_a_graph_that_cannot_be_is_one_line(refused, files, command_line, code, says):
    refused(files, command_line, code, *says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param("--val 1.5", "val must be a fraction .* got 1.5", id="G18-above-1"),
        pytest.param("--val=-0.1", "val must be a fraction .* got -0.1", id="G18-negative"),
        pytest.param("--test nan", "test must be a fraction .* got nan", id="G18-nan"),
        pytest.param("--val 5", "val must be a fraction .* got 5", id="G18-a-number-of-links"),
        pytest.param("--val 0.6 --test 0.6", r"val \+ test must be .* 1.2", id="G18-together"),
    ],
)
def test_a_share_that_is_none_is_a_fault_of_usage(refused, options, says):
    refused({"g.csv": RING}, f"train g.csv {options}", "SPLIT_SHARE", says, status=2)


# What works, and what is said of it.


@pytest.mark.parametrize(
    ("text", "links", "notes"),
    [
        pytest.param("a,b\na,a\nb,b\nb,c\n", 2, {"self_loops": 2}, id="G05"),
        pytest.param("a,b\na,b\nb,c\na,b\n", 2, {"repeats": 2}, id="G06"),
        pytest.param("a,b\nb,a\nb,c\nc,b\n", 2, {}, id="G07"),
        pytest.param("a,b\nb,a\nc,b\n", 2, {"both_ways": 1, "one_way": 1}, id="G08"),
        pytest.param("b,a\nb,c\nd,c\na,d\n", 4, {}, id="G09"),
    ],
)
def test_edges_are_brought_to_links_and_counted(accepted, text, links, notes):
    said = json.loads(accepted({"g.csv": text}, "convert g.csv --json").out)
    assert (said["num_links"], said["notes"]) == (links, notes)
    words = {"self_loops": "2 self-loops dropped", "repeats": "2 repeated edges merged"}
    words |= {"both_ways": "1 links given in both directions", "one_way": "1 in one"}
    out = accepted({}, "convert g.csv").out
    assert all(words[note] in out for note in notes)


@pytest.mark.parametrize(
    ("merge", "weight"),
    [
        pytest.param(merge, weight, id=f"G10-{merge}")
        for merge, weight in [("mean", 3), ("sum", 9), ("max", 6), ("first", 2)]
    ],
)
def test_parallel_edges_become_one_whose_weight_is_as_asked(converted, merge, weight):
    graph = converted({"g.csv": "a,b,2\nb,a,1\na,b,6\n"}, f"convert g.csv --merge {merge}")
    assert graph.link_weight.tolist() == [weight]
    assert graph.notes["repeats"] == 1


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"g.csv": "a,b,1\nb,c,0\n"}, id="G12-drop-zero"),
        pytest.param({"g.parquet": WEIGHTED}, id="G12-drop-zero-parquet"),
    ],
)
def test_edges_of_weight_zero_are_left_out_where_that_is_asked_for(converted, files):
    graph = converted(files, f"convert {next(iter(files))} --drop-zero")
    assert (graph.ids, graph.num_links) == (("a", "b", "c"), 1)


@pytest.mark.row("G02")
def test_one_node_is_embedded(accepted, known_run, tmp_path):
    files = {"one.mtx": mtx(1), "x.npy": np.ones((1, 2))}
    out = accepted(files, f"embed {known_run} one.mtx --features x.npy -o one.csv").out
    assert "1 nodes, 128 dimensions" in out
    values = (tmp_path / "one.csv").read_text().splitlines()[1].split(",")[1:]
    assert np.isfinite(np.array(values, float)).all()


@pytest.mark.parametrize(
    ("files", "said", "links"),
    [
        pytest.param(
            {"g.mtx": mtx(48, *((k, k % 40 + 1) for k in range(1, 41)))},
            "8 nodes without a link, 9 components",
            40,
            id="G14",
        ),
        pytest.param(
            {"g.csv": "".join(f"{k}a,{k}b\n{k}b,{k}c\n{k}c,{k}a\n" for k in range(12))},
            "12 components",
            36,
            id="G20",
        ),
        pytest.param(
            {"g.csv": "".join(f"user {u},item {i}\n" for u in range(6) for i in range(5))},
            "30 links",
            30,
            id="G21",
        ),
        pytest.param(
            {"g.csv": "".join(f"hub,{k}\n" for k in range(60))}, "60 links", 60, id="G22"
        ),
    ],
)
def test_shapes_of_graphs_that_others_stumble_over(trained, tmp_path, files, said, links):
    source = next(iter(files))
    answer, arrays = trained(files, f"train {source} --epochs 2")
    assert said in answer.out
    assert "audited, nothing leaks" in answer.out
    split = LinkSplit.load(tmp_path / "run" / "split.npz")
    parts = (split.train, split.val.pos, split.test.pos)
    assert sum(part.shape[1] for part in parts) == links
    assert len(arrays["mu"]) == split.num_nodes


@pytest.mark.row("G15")
def test_a_complete_graph_can_be_trained_on_where_nothing_is_held_out(trained):
    answer, _ = trained({"g.txt": complete(12)}, "train g.txt --epochs 2 --val 0 --test 0")
    assert "nothing to score" in answer.out


@pytest.mark.row("G19")
def test_without_validation_links_the_last_epoch_is_kept_and_that_is_said(trained, tmp_path):
    line = "train g.csv --val 0 --epochs 3 --set patience=1 --set eval_every=1 --set keep=best"
    answer, _ = trained({"g.csv": RING}, line)
    assert "patience is ignored, the last epoch is kept" in answer.notices
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["epochs"] == metrics["epoch"] == 3
    assert "val" not in metrics
    assert "audited, nothing leaks" in answer.out


@pytest.mark.row("G23")
def test_nodes_and_features_are_all_kept_where_that_is_asked_for(converted):
    files = {"g.csv": "a,b\n", "x.csv": "id,f\nb,1\nc,2\n"}
    line = "convert g.csv --features x.csv --missing-features zero"
    graph = converted(files, line)
    assert graph.ids == ("a", "b", "c")
    assert graph.x.flatten().tolist() == [0, 1, 2]


@pytest.mark.row("G24")
def test_large_numbers_are_names_and_come_out_again(accepted, converted, tmp_path):
    graph = converted({"g.txt": "0 4000000000\n4000000000 7\n"}, "convert g.txt")
    assert (graph.num_nodes, graph.ids) == (3, (0, 7, 4_000_000_000))
    accepted({}, "train g.txt --val 0 --test 0 --epochs 0")
    accepted({}, "embed run -o z.csv")
    lines = (tmp_path / "z.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "7", "4000000000"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=f"G25-{name[:20]}")
        for name in ["9223372036854775808", "1.0", "1e3", "007", "9" * 5000]
    ]
    + [pytest.param("9007199254740993.0", id="G26-text")],
)
def test_what_is_no_plain_integer_stays_text(converted, name):
    assert set(converted({"g.txt": f"{name} 5\n"}, "convert g.txt").ids) == {name, "5"}


@pytest.mark.row("G25")
def test_negative_integers_are_names_like_others(converted):
    assert converted({"g.txt": "-5 3\n"}, "convert g.txt").ids == (-5, 3)


@pytest.mark.row("G33")
def test_features_find_their_nodes_by_name_in_any_order(converted):
    def fingerprint(edges, rows):
        files = {"g.csv": "\n".join(edges), "x.csv": "\n".join(["id,f", *rows])}
        return converted(files, "convert g.csv --features x.csv").fingerprint

    edges, rows = ["5,1", "0,2", "1,0"], ["5,50", "1,10", "0,1", "2,20"]
    assert fingerprint(edges, rows) == fingerprint(edges[::-1], sorted(rows))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda g: nx.freeze(g.copy()), id="G34-frozen"),
        pytest.param(lambda g: g.subgraph(list(g)), id="G34-view"),
        pytest.param(lambda g: nx.to_directed(g), id="G34-directed-view"),
        pytest.param(nx.DiGraph, id="G34-directed"),
        pytest.param(nx.MultiGraph, id="G34-multigraph"),
        pytest.param(nx.MultiDiGraph, id="G34-directed-multigraph"),
    ],
)
def test_graphs_of_networkx_of_any_kind_are_read_and_not_changed(make):
    there = make(nx.path_graph(["c", "a", "b"]))
    before = nx.node_link_data(there, edges="edges")
    graph = Graph.from_networkx(there)
    assert graph.ids == ("c", "a", "b")
    assert {frozenset(graph.ids[i] for i in pair) for pair in graph.links.T.tolist()} == {
        frozenset("ca"),
        frozenset("ab"),
    }
    assert nx.node_link_data(there, edges="edges") == before


@pytest.mark.parametrize(
    "node",
    [
        pytest.param((1, 2), id="G34-tuple"),
        pytest.param(frozenset([1]), id="G34-set"),
        pytest.param(object(), id="G34-object"),
        pytest.param(1.5, id="G34-float"),
    ],
)
def test_nodes_that_are_neither_text_nor_integers_are_refused(node):
    with pytest.raises(DataError, match="node ids must be strings or integers, got") as caught:
        Graph.from_networkx(nx.Graph([("a", node)]))
    assert caught.value.code == "NODE_ID"
