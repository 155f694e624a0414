"""From a file of names to proposed links with the same names, by the command."""

import csv
import json
import random
import re

import numpy as np
import pytest

from vgae import Graph, load_run, predict_links
from vgae.cli.app import main
from vgae.data.files import read_graph, write_npz

FIRST = ["Ada", "Émilie", "Grace", "Hedy", "Ида", "李"]


def written(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def name_of(node):
    """An invented name with all that a name may hold."""
    return f"{FIRST[node % len(FIRST)]}, no. {node}" if node % 7 else f'=HYPERLINK("{node}")'


@pytest.fixture(scope="module")
def people(sbm, tmp_path_factory):
    """Links of the graph of the tests as a CSV: shuffled, some both ways, repeated, to itself."""
    links = [(name_of(u), name_of(v)) for u, v in sbm.links.T.tolist()]
    rows = [*links, *[link[::-1] for link in links[:50]], *links[100:130]]
    rows += [(links[0][0],) * 2, (links[1][1],) * 2]
    random.Random(0).shuffle(rows)
    folder = tmp_path_factory.mktemp("people")
    features = folder / "features.csv"
    head = ["name", *(f"f{k}" for k in range(sbm.num_features))]
    x = sbm.dense_x.tolist()
    written(features, [head, *([name_of(k), *x[k]] for k in range(sbm.num_nodes))])
    return written(folder / "people.csv", [("source", "target"), *rows]), features, set(links)


@pytest.fixture(scope="module")
def run(people, tmp_path_factory):
    path, features, _ = people
    out = tmp_path_factory.mktemp("run") / "run"
    arguments = ["train", path, "--features", features, "-o", out, "--epochs", 30, "--quiet"]
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments)])
    assert not end.value.code
    return out


def read_back(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def bare(name):
    """A name without the apostrophe that keeps a spreadsheet from running it."""
    return name.removeprefix("'")


def test_what_was_merged_and_dropped_is_counted(people, sbm, tmp_path, command):
    path, features, links = people
    status, out, _ = command("convert", path, "--features", features, "-o", tmp_path / "g.npz")
    assert status == 0
    n = len(links)
    expected = (
        f"people: {sbm.num_nodes} nodes, {n} links, {sbm.num_features} features (2 self-loops"
        f" dropped, 30 repeated edges merged, 50 links given in both directions, {n - 50} in one)"
    )
    assert out.splitlines()[0].replace(",", "") == expected.replace(",", "")
    summary = command("convert", path, "-o", tmp_path / "h.npz", "--json")[1]
    assert json.loads(summary)["notes"] == {
        "self_loops": 2,
        "repeats": 30,
        "both_ways": 50,
        "one_way": n - 50,
    }


def test_embeddings_come_out_with_the_names_that_went_in(run, people, tmp_path, command):
    nodes = {name for link in people[2] for name in link}
    for suffix in (".csv", ".npz", ".vec"):
        status, out, _ = command("embed", run, "-o", tmp_path / f"e{suffix}")
        assert (status, f"{len(nodes)} nodes" in out) == (0, True)
    assert {bare(row["id"]) for row in read_back(tmp_path / "e.csv")} == nodes
    with np.load(tmp_path / "e.npz", allow_pickle=False) as stored:
        assert set(stored["ids"].tolist()) == nodes


def test_proposed_links_are_new_and_bear_names_and_probabilities(run, people, tmp_path, command):
    path = tmp_path / "links.csv"
    status, out, _ = command("predict", run, "-k", 5, "-o", path)
    rows, links = read_back(path), people[2]
    assert status == 0
    assert len(rows) == 5 * load_run(run).graph.num_nodes
    for row in rows:
        pair = bare(row["source"]), bare(row["target"])
        assert pair[0] != pair[1]
        assert pair not in links
        assert pair[::-1] not in links
        assert 0 <= float(row["probability"]) <= 1
    assert "probability" in out
    balanced = tmp_path / "balanced.csv"
    _, out, _ = command("predict", run, "-k", 5, "-o", balanced, "--prior", "balanced")
    assert "balanced probability" in out
    # At even odds each is likelier than among all pairs.
    assert all(
        float(a["balanced_probability"]) > float(b["probability"])
        for a, b in zip(read_back(balanced), rows, strict=True)
    )


def test_links_are_proposed_for_some_nodes_or_overall(run, command):
    def listed(*options):
        _, out, _ = command("predict", run, "-k", 3, "--json", *options)
        assert json.loads(out)["path"] == str(run / "links.csv")
        return read_back(run / "links.csv")

    assert len(listed("--overall")) == 3
    name = next(name for name in load_run(run).graph.ids if "," not in name)
    assert {bare(row["source"]) for row in listed("--nodes", f" {name}")} == {name}
    assert listed() != listed("--metric", "cosine")


def test_given_pairs_are_scored_in_their_order(run, people, tmp_path, command):
    links = sorted(people[2])
    pairs = [links[0], (links[0][0], links[5][1]), links[3][::-1]]
    path = written(tmp_path / "pairs.csv", pairs)
    out = tmp_path / "scores.csv"
    assert command("predict", run, "--pairs", path, "-o", out)[0] == 0
    rows = read_back(out)
    assert [(bare(row["source"]), bare(row["target"])) for row in rows] == pairs
    assert [row["known"] for row in rows][::2] == ["True", "True"]
    # Such a table is a file of pairs too: its scores are no weights.
    assert command("predict", run, "--pairs", out, "-o", tmp_path / "again.csv")[0] == 0
    assert (tmp_path / "again.csv").read_text() == out.read_text()


def test_another_graph_is_embedded_and_predicted_with_the_same_features(
    run, people, sbm, tmp_path, command
):
    _, features, links = people
    half = written(tmp_path / "next.csv", sorted(links)[: len(links) // 2])
    options = ("--features", features)
    status, _, err = command("embed", run, half, *options, "-o", tmp_path / "e.npz")
    assert (status, "NODE_SET_MISMATCH" in err) == (3, True)  # some nodes have no link left
    whole = tmp_path / "next.npz"
    arguments = ("convert", half, *options, "--missing-features", "zero", "-o", whole)
    assert command(*arguments)[0] == 0
    assert command("embed", run, whole, "-o", tmp_path / "e.npz")[0] == 0
    with np.load(tmp_path / "e.npz", allow_pickle=False) as stored:
        assert len(stored["ids"]) == sbm.num_nodes
    assert command("predict", run, whole, "-k", 1, "-o", tmp_path / "p.json")[0] == 0
    assert len(json.loads((tmp_path / "p.json").read_text())) == sbm.num_nodes


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["predict", "{run}", "stdlib"], 3, "error[FEATURE_DIM_MISMATCH]: stdlib has"),
        (["embed", "{run}", "stdlib", "--features", "none"], 3, "error[NO_FEATURES]"),
        (["predict", "{run}", "--nodes", "nobody"], 3, "error[UNKNOWN_NODE]"),
        (["predict", "{run}", "--pairs", "nowhere.csv"], 3, "error[CANNOT_READ]"),
        (["predict", "{run}", "--metric", "l2"], 2, "error[METRIC]"),
        (["predict", "{run}", "--prior", "high"], 2, "error[CALIBRATION_PRIOR]"),
        (["predict", "{run}", "-k", "0"], 2, "invalid value for '--top-k'"),
        (["predict", "{run}", "-o", "x.docx"], 2, "error[EXPORT_FORMAT]"),
        (["predict", "nowhere"], 4, "error[NOT_A_RUN]"),
        (["embed", "{run}", "-o", "x.docx"], 2, "error[EXPORT_FORMAT]"),
        (["convert", "nowhere.csv", "-o", "x.npz"], 3, "error[CANNOT_READ]"),
        (["convert", "{people}", "-o", "x.csv"], 2, "error[EXPORT_FORMAT]"),
        (["convert", "{people}", "-o", "x.npz", "--merge", "min"], 2, "error[MERGE]"),
        (["convert", "{people}", "-o", "x.npz", "--directed", "error"], 3, "error[DIRECTED]"),
        (["convert", "{people}", "-o", "x.npz", "--delimiter", ";;"], 2, "error[DELIMITER]"),
    ],
)
def test_every_fault_is_one_line_and_writes_nothing(
    arguments, status, message, run, people, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = [word.format(run=run, people=people[0]) for word in arguments]
    found, out, err = command(*words)
    assert found == status
    assert message in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


NAMES = [
    "a,b",
    " padded ",
    "-dash",
    '"q"',
    "plain",
    "tab\t,x",
    "é ",
    "a",
    "b",
    "--json",
    "c",
    "#name",
]


@pytest.fixture(scope="module")
def named_run(tmp_path_factory):
    """A run on a graph whose names have commas, blanks, quotes and dashes."""
    folder = tmp_path_factory.mktemp("names")
    count = len(NAMES)
    edges = [[u, (u + step) % count] for u in range(count) for step in (1, 2)]
    write_npz(Graph.from_edges(np.array(edges).T, node_ids=NAMES), folder / "names.npz")
    with pytest.raises(SystemExit) as end:
        main(
            ["train", str(folder / "names.npz"), "-o", str(folder / "run"), "--epochs", "1", "-q"]
        )
    assert not end.value.code
    return folder / "run"


def sources(command, run, tmp_path, *words):
    """The nodes that links are proposed for, in the order of the table."""
    status, _, err = command("predict", run, "-k", 1, "-o", tmp_path / "p.json", *words)
    assert status == 0, err
    rows = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    return list(dict.fromkeys(row["source"] for row in rows))


@pytest.mark.row("R16")
def test_a_node_is_named_as_it_is_or_else_with_others_between_commas(
    named_run, tmp_path, command, caplog
):
    words = [word for name in NAMES for word in ("--nodes", name)]
    assert sorted(sources(command, named_run, tmp_path, *words)) == sorted(NAMES)
    for name in NAMES:
        assert sources(command, named_run, tmp_path, "--nodes", name) == [name]
    assert sorted(sources(command, named_run, tmp_path, "--nodes", "a, b,plain")) == [
        *("a", "b", "plain")
    ]
    assert sources(command, named_run, tmp_path, "--nodes", "c, padded ") == ["c", " padded "]
    several = sources(command, named_run, tmp_path, "--nodes", "plain,a,b, tab\t,x")
    assert sorted(several) == ["a,b", "plain", "tab\t,x"]
    assert sources(command, named_run, tmp_path, "--nodes", "a,b,plain") == ["a,b", "plain"]
    assert "'a,b' is taken as one name, though its parts are names too" in caplog.text


@pytest.mark.row("R16")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "a,bb",
            "'a,bb' is no name in graph, .* has 'bb', which is none either. Did you mean 'a,b'?",
        ),
        ("a,plian", "'a,plian' is no name .* has 'plian', .* Did you mean plain?"),
        ("plian", "1 name is not in graph, first 'plian'; .* Did you mean 'plain' for 'plian'?"),
        ("x,y", "'x,y' is no name in graph, .* has 'x', which is none either."),
    ],
)
def test_a_misspelt_name_with_a_comma_is_not_cut_without_a_word(
    text, words, named_run, tmp_path, command
):
    status, _, err = command("predict", named_run, "-o", tmp_path / "p.json", "--nodes", text)
    assert status == 3
    assert re.search(".*".join(map(re.escape, words.split(".*"))), err), err


@pytest.mark.row("R16")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_has_a_name_a_line_as_it_is(end, named_run, tmp_path, command):
    path = tmp_path / "nodes.txt"
    path.write_bytes(end.join([*NAMES[:6], ""]).encode())
    found = sources(command, named_run, tmp_path, "--nodes-file", path, "--nodes", "c")
    assert sorted(found) == sorted([*NAMES[:6], "c"])
    path.write_bytes(end.join(["# nodes", "a", "#b", "#name", ""]).encode())
    assert sorted(sources(command, named_run, tmp_path, "--nodes-file", path)) == ["#name", "a"]
    path.write_bytes(b"a, b\n")
    status, _, err = command("predict", named_run, "--nodes-file", path, "-o", tmp_path / "x.csv")
    assert (status, "error[UNKNOWN_NODE]" in err, "'a, b'" in err) == (3, True, True)
    path.write_bytes(b"\xff\xfe")
    for other in (path, tmp_path / "none.txt", tmp_path):
        status, _, err = command("predict", named_run, "--nodes-file", other)
        assert (status, err.startswith(f"error[CANNOT_READ]: {other}: ")) == (3, True)


@pytest.mark.row("R23")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--pairs", "p.csv", "--nodes", "a"], "error[PAIRS]: with --pairs there is no --nodes;"),
        (["--pairs", "p.csv", "-k", "3"], "error[PAIRS]: with --pairs there is no --top-k;"),
        (["--nodes", "a", "--overall"], "error[PER_NODE]: with --overall there is no --nodes;"),
        (
            ["--nodes-file", "n.txt", "--overall"],
            "error[PER_NODE]: with --overall there is no --nodes-file;",
        ),
        (["--features", "raw"], "error[FEATURES]: without another GRAPH there is no --features;"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(words, says, named_run, command):
    status, out, err = command("predict", named_run, *words)
    assert (status, out, err) == (2, "", f"{says} leave that out.\n")


def test_links_are_proposed_from_some_nodes_to_some(named_run, tmp_path, command):
    table = tmp_path / "p.json"
    (tmp_path / "to.txt").write_text("é \n--json\na,b\n", encoding="utf-8")
    words = ["--from", "plain, a", "--to-file", tmp_path / "to.txt", "-o", table]
    for more in ([], ["--overall"]):
        status, _, err = command("predict", named_run, *words, *more)
        assert status == 0, err
        rows = json.loads(table.read_text(encoding="utf-8"))
        assert {row["source"] for row in rows} <= {"plain", "a"}
        assert {row["target"] for row in rows} <= {"é ", "--json", "a,b"}
        assert rows
    status, _, err = command("predict", named_run, "--nodes", "a", "--to", "plain")
    assert status == 2
    assert "error[PER_NODE]: with --nodes there is no --to; leave that out." in err


def test_many_graphs_are_converted_with_their_labels_and_announced(command, tmp_path, caplog):
    path, labels, out = (tmp_path / name for name in ("m.csv", "labels.csv", "g.npz"))
    path.write_text("mol,source,target\na,0,1\na,1,2\nb,0,1\n")
    labels.write_text("graph,label\na,toxic\nb,fine\n")
    options = ("--graph-column", "mol", "--graph-labels", labels)
    status, text, _ = command("convert", path, *options, "-o", out)
    assert status == 0
    assert "m: 5 nodes, 3 links, 0 features, 2 graphs" in text
    assert "pairs of nodes of two graphs are never scored" in caplog.text
    graphs = read_graph(out)
    assert graphs.graph_label_names == ("fine", "toxic")
    assert graphs.graph_y.tolist() == [1, 0]
    assert json.loads(command("convert", out, "-o", out, "--json")[1])["num_graphs"] == 2
    assert command("convert", path, "--graph-labels", labels, "-o", out)[0] == 2


def test_options_of_collections_are_refused_before_the_trainings(run, command, monkeypatch):
    monkeypatch.setattr("vgae.runs.calibrations.with_folds", None)  # never called
    status, _, err = command("predict", run, "--overall", "--within", "x")
    assert status == 2
    assert "error[COLLECTION]" in err


@pytest.mark.parametrize("words", [("embed", ".csv"), ("report", ".html"), ("figure", ".pdf")])
def test_results_that_cannot_be_written_are_refused_before_the_run_is_read(
    run, words, command, monkeypatch
):
    monkeypatch.setattr("vgae.runs.graphs.GRAPHS.load", None)  # never called
    kind = ["roc"] if words[0] == "figure" else []
    status, _, err = command(words[0], run, *kind, "-o", f"/dev/null/x{words[1]}")
    assert status == 5
    assert err.startswith("error[CANNOT_WRITE]: /dev/null/x")


def test_the_best_pairs_have_one_name_in_python_and_on_the_command_line(run):
    loaded = load_run(run)
    tables = [
        predict_links(loaded, loaded.graph, 5, **{name: value}).names()
        for name, value in (("overall", True), ("per_node", False))
    ]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 5
