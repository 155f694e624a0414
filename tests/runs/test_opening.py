"""Graphs by name or path, also as those of a run."""

import shlex

import pytest

from vgae.data.reading import Reading
from vgae.data.splits import read_split
from vgae.errors import DataError, UsageError
from vgae.recipes import PAPER
from vgae.report.views import GRAPHS as VIEW
from vgae.runs.graphs import GraphSource, train_run
from vgae.runs.opening import open_graph, open_like, split_config

SHORT = PAPER.override({"epochs": 2})


def test_a_name_is_a_data_set_and_a_path_is_a_file(sbm_file):
    assert open_graph("stdlib").name == "stdlib"
    assert open_graph(str(sbm_file)).name == "sbm"
    with pytest.raises(DataError, match="nowhere"):
        open_graph("nowhere/graph.npz")


@pytest.fixture
def timed(sbm, tmp_path):
    """Edge lists with times, and a run that is split by them."""
    lines = [f"{u},{v},{1_400_000_000 + k}" for k, (u, v) in enumerate(sbm.links.T.tolist())]
    for name, column in (("g", "when"), ("next", "when"), ("other", "weight")):
        (tmp_path / f"{name}.csv").write_text("\n".join([f"from,to,{column}", *lines]))
    source = GraphSource(str(tmp_path / "g.csv"), features="none", split_by_time="when")
    return train_run(source, tmp_path / "run", recipe=SHORT)


def test_the_times_of_a_run_are_no_weights_of_another_graph(timed, sbm_file):
    folder = timed.folder.parent
    assert open_like(timed.config, str(folder / "next.csv")).link_weight is None
    assert open_like(timed.config, str(folder / "other.csv")).link_weight is not None
    assert open_like(timed.config, str(sbm_file)).name == "sbm"
    with pytest.raises(DataError, match="nowhere"):
        open_like(timed.config, "nowhere/graph.csv")


def test_the_next_table_has_split_and_graph_of_a_run_by_time(timed, monkeypatch, command):
    """Its times were weights there, and its split another one."""
    proposed = next(line for line in VIEW.commands(timed) if "vgae table" in line)
    words = shlex.split(proposed)[1:]
    assert words[words.index("--split") + 1] == str(timed.folder / "split.npz")
    read = []
    monkeypatch.setattr(
        "vgae.runs.trials.read_split", lambda path, graph: read.append(graph) or timed.split
    )
    out = timed.folder.parent / "table.json"
    status, _, err = command(*words, "--epochs", 1, "--seeds", 1, "--out", out)
    assert status == 0, err
    assert read[0].fingerprint == timed.graph.fingerprint


def test_predict_and_embed_read_the_file_of_a_run_by_time_as_it_did(timed, command, caplog):
    folder = timed.folder.parent
    caplog.set_level("INFO")
    same = timed.folder, folder / "g.csv"
    assert command("predict", *same, "-k", 1, "-o", folder / "links.csv")[0] == 0
    assert command("embed", *same, "-o", folder / "z.csv")[0] == 0
    assert "read as weights" not in caplog.text


def test_the_folder_of_a_run_is_its_split(timed, tmp_path):
    assert read_split(timed.folder, timed.graph).digest == timed.split.digest
    for given in (timed.folder, timed.folder / "split.npz"):
        assert split_config(given)["split"]["by_time"] == "when"
    assert split_config(None) == split_config(tmp_path) == {}


@pytest.mark.parametrize("option", [{"merge": "sum"}, {"weight": "none"}, {"columns": ("a", "b")}])
def test_options_of_files_are_refused_beside_a_data_set(option):
    with pytest.raises(UsageError, match="stdlib is a data set") as caught:
        open_graph("stdlib", "raw", Reading(**option))
    assert caught.value.code == "OPTION"


MOLECULES = "mol,source,target\n" + "".join(
    f"m{k},{node},{(node + 1) % 8}\n" for k in range(6) for node in range(8 - k % 2)
)


def test_a_run_opens_many_graphs_again_with_their_labels(tmp_path, monkeypatch):
    (tmp_path / "mols.csv").write_text(MOLECULES)
    (tmp_path / "labels.csv").write_text(
        "graph,label\n" + "".join(f"m{k},{k % 2}\n" for k in range(6))
    )
    (tmp_path / "more.csv").write_text(MOLECULES.replace("m5", "m9"))
    (tmp_path / "one.csv").write_text("source,target\n0,1\n1,2\n")
    monkeypatch.chdir(tmp_path)
    reading = Reading(graph_column="mol", graph_labels="labels.csv")
    source = GraphSource("mols.csv", reading=reading)
    run = train_run(source, tmp_path / "run", recipe=SHORT.override({"degrees": True}))
    assert run.config["graph"]["reading"] == {"graph_column": "mol", "graph_labels": "labels.csv"}
    monkeypatch.chdir(tmp_path / "run")
    assert run.graph.graph_y.tolist() == [0, 1] * 3
    other = open_like(run.config, str(tmp_path / "more.csv"))
    assert other.graph_names[-1] == "m9"
    assert other.graph_y is None
    assert open_like(run.config, str(tmp_path / "one.csv")).num_nodes == 3


def test_times_and_graphs_are_not_in_one_list(timed):
    reading = Reading(time="when", graph_column="from")
    with pytest.raises(UsageError, match="graph_column"):
        open_graph(str(timed.folder.parent / "g.csv"), reading=reading)
