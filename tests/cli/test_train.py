"""The command train: what it writes; what it refuses is in tests/bad_input."""

import json
from dataclasses import replace

import pytest
import torch

import vgae.cli.train
from vgae.data.files import write_npz
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import LabelledPairs, LinkSplit, split_links


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """They take longer than the trainings; tests/test_cli.py has them."""
    monkeypatch.setattr(vgae.cli.train, "draw_figures", lambda run: None)


def test_the_same_command_writes_the_same_weights_bit_for_bit(sbm_file, tmp_path, command):
    for name in "ab":
        command("train", sbm_file, "--epochs", 5, "-o", tmp_path / name, "--quiet")
    weights = [(tmp_path / n / "model/model.safetensors").read_bytes() for n in "ab"]
    assert weights[0] == weights[1]


def test_train_with_json_says_nothing_else_and_overwrite_replaces(sbm_file, tmp_path, command):
    arguments = ("train", sbm_file, "--set", "epochs=3", "-o", tmp_path / "run", "--json")
    status, out, _ = command(*arguments)
    assert (status, json.loads(out)["epochs"]) == (0, 3)
    assert command(*arguments)[0] == 2
    assert command(*arguments, "--overwrite")[0] == 0


def test_images_take_the_same_options_and_refuse_those_of_graphs(tmp_path, command):
    words = ("train", "digits", "--epochs", 1, "--set", "hidden_channels=8")
    status, out, _ = command(*words, "--deterministic", "--resume", tmp_path / "run", "--json")
    assert (status, json.loads(out)["epochs"]) == (0, 1)
    status, out, _ = command(*words, "--resume", tmp_path / "run", "--json")
    assert (status, json.loads(out)["epochs"]) == (0, 1)
    status, _, err = command("train", "--resume", tmp_path / "run", "--max-memory", 500)
    assert (status, err.split(":")[0]) == (2, "error[IMAGES]")
    status, _, err = command("train", "--resume", tmp_path / "run", "--val", 0.3)
    assert (status, err.split(":")[0]) == (2, "error[IMAGES]")


@pytest.mark.parametrize(
    "option",
    [
        ("--val", 0.3),
        ("--val", 0.05),
        ("--test", 0.1),
        ("--features", "raw"),
        ("--directed", "symmetrize"),
        ("--max-memory", 500),
        ("--max-memory", 1),
    ],
    ids=str,
)
def test_images_refuse_the_options_of_graphs_whatever_their_values(option, tmp_path, command):
    status, out, err = command("train", "digits", *option, "-o", tmp_path / "run")
    assert (status, out) == (2, "")
    expected = f"a run on images has no {option[0]}; leave that out for digits.\n"
    assert err == f"error[IMAGES]: {expected}"
    assert not (tmp_path / "run").exists()


def test_options_of_graphs_that_are_not_given_are_not_refused(tmp_path, command):
    status, _, err = command(
        *("train", "digits", "--epochs", 0, "--set", "hidden_channels=8"),
        *("-o", tmp_path / "run", "-q", "--val", 0.05, "--test", 0.1),
    )
    assert (status, err) == (
        2,
        "error[IMAGES]: a run on images has no --val, --test; leave that out for digits.\n",
    )


def test_a_recipe_field_that_is_no_setting_is_not_offered(command):
    _, out, _ = command("train", "--help")
    assert "weight_decay" in out
    assert "chosen" not in out
    assert "ranges" not in out


def test_the_same_line_after_a_kill_goes_on_where_the_rule_of_best_chose(
    sbm_file, command, tmp_path
):
    run = tmp_path / "run"
    line = ("train", sbm_file, "--features", "none", "--recipe", "best", "--epochs", "2")
    line += ("--quiet", "--resume", run)
    assert command(*line)[0] == 0
    assert command(*line)[0] == 0
    status, _, err = command(*line[:5], "paper", *line[6:])
    assert status == 4
    assert "began with recipe = best-links, not paper" in err


@pytest.fixture
def split_file(sbm, tmp_path):
    split = split_links(sbm, seed=7)
    neg = torch.cat([split.test.neg, split.val.neg], dim=1)
    replace(split, test=LabelledPairs(split.test.pos, neg)).save(tmp_path / "mine.npz")
    return tmp_path / "mine.npz"


def test_a_split_of_the_user_is_trained_on_and_its_deviations_are_said(
    sbm_file, split_file, tmp_path, command
):
    line = ("train", sbm_file, "--split", split_file, "--epochs", 3, "--resume", tmp_path / "run")
    status, out, err = command(*line)
    assert status == 0, err
    said = "test has 79 non-links for 53 links: AP and Hits@k are lower the more non-links"
    assert f"audited, no held-out link leaks\n        {said}" in out
    assert "among all non-links of a part, 79 for 53 test links" in out
    assert command(*line)[0] == 0  # the same line after a kill
    other = split_file.rename(tmp_path / "other.npz")
    status, _, err = command(*line[:3], other, *line[4:])
    assert (status, err.split(":")[0]) == (4, "error[RUN_OTHER]")


@pytest.mark.parametrize(
    "option", [("--val", 0.05), ("--test", 0.2), ("--split-by-time", "when")], ids=str
)
def test_a_split_of_the_user_is_the_whole_split(option, sbm_file, split_file, tmp_path, command):
    out = tmp_path / "run"
    status, _, err = command("train", sbm_file, "--split", split_file, *option, "-o", out)
    assert (status, err) == (
        2,
        f"error[SPLIT]: --split is the whole split; leave {option[0]} out.\n",
    )
    assert not out.exists()


def test_a_graph_is_split_by_the_time_of_its_links(sbm, tmp_path, command):
    lines = [f"{u},{v},{1.5 * u}\n" for u, v in sbm.links.T.tolist()]
    (tmp_path / "g.csv").write_text("a,b,when\n" + "".join(lines))
    line = ("train", tmp_path / "g.csv", "--epochs", 2, "-o", tmp_path / "run", "--json")
    status, out, err = command(*line, "--split-by-time", "when")
    assert status == 0, err
    assert json.loads(out)["test"]["num_links"] == len(lines) // 10
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["graph"]["weighted"] is False
    status, _, err = command(*line, "--overwrite", "--split-by-time", "then")
    assert (status, err.split(":")[0]) == (3, "error[TIME_COLUMN]")


def test_images_have_no_split_of_links(split_file, tmp_path, command):
    for option in (("--split", split_file), ("--split-by-time", "t")):
        status, _, err = command("train", "digits", *option, "-o", tmp_path / "run")
        assert (status, err) == (
            2,
            f"error[IMAGES]: a run on images has no {option[0]}; leave that out for digits.\n",
        )


def test_one_command_encodes_a_table_and_proposes_links(sbm, tmp_path, command):
    links = "".join(f"{sbm.ids[u]},{sbm.ids[v]}\n" for u, v in sbm.links.T.tolist())
    (tmp_path / "g.csv").write_text("source,target\n" + links)
    rows = "".join(
        f"{name},{'' if k % 9 == 0 else k % 17},{'ABCD'[k % 4]},written {k} by hand\n"
        for k, name in enumerate(sbm.ids)
    )
    (tmp_path / "x.csv").write_text("name,age,city,notes\n" + rows)
    run = tmp_path / "run"
    line = ("train", tmp_path / "g.csv", "--features", tmp_path / "x.csv", "--epochs", 2)
    status, _, err = command(*line, "--encode", "auto", "-o", run)
    assert (status, err.split(":")[0]) == (3, "error[FEATURE_DTYPE]")
    assert "encode={'notes': 'hash'} (--encode notes=hash)" in err
    assert not run.exists()
    line += ("--encode", "auto", "--encode", "notes=hash")
    status, out, err = command(*line, "--propose", 10, "-o", run, "--quiet")
    assert (status, err) == (0, "")
    assert f"{run / 'links.csv'}: 10 links" in out
    assert f"{run / 'nodes.csv'}: 120 nodes" in out
    assert "model/feature_encoder.json" in out
    table = (run / "links.csv").read_text()
    assert len(table.splitlines()) == 11
    nodes = (run / "nodes.csv").read_text().splitlines()
    assert nodes[0].startswith("name,age,city,notes,z_0,")
    assert nodes[1].startswith("node-0,,A,written 0 by hand,")
    command("predict", run, "--overall", "-k", 10, "-o", tmp_path / "same.csv")
    assert (tmp_path / "same.csv").read_text() == table
    status, out, _ = command(*line, "--propose", 3, "--resume", run, "--json")
    assert (status, json.loads(out)["nodes"]) == (0, str(run / "nodes.csv"))
    assert len((run / "links.csv").read_text().splitlines()) == 4
    for verb in ("embed", "predict"):
        status, _, err = command(verb, run, *line[1:4], "-o", tmp_path / "out.csv")
        assert status == 0, err
    status, _, err = command("embed", run, *line[1:4], "--encode", "auto")
    assert (status, err.split(":")[0]) == (2, "error[ENCODE]")


def test_a_tu_folder_goes_to_a_page_in_one_command(tmp_path, command):
    """Rings and chains of 6 to 9 nodes: from the four files to the names in a page."""
    sizes = [6 + k % 4 for k in range(24)]
    edges, first = [], 1
    for k, n in enumerate(sizes):
        pairs = [(first + i, first + (i + 1) % n) for i in range(n - k % 2)]
        edges += [f"{u}, {v}\n{v}, {u}\n" for u, v in pairs]
        first += n
    files = {
        "A": "".join(edges),
        "graph_indicator": "".join(f"{k + 1}\n" * n for k, n in enumerate(sizes)),
        "graph_labels": "1\n-1\n" * 12,
        "node_labels": "".join(f"{node % 3}\n" for node in range(sum(sizes))),
    }
    folder = tmp_path / "SMALL"
    folder.mkdir()
    for key, text in files.items():
        (folder / f"SMALL_{key}.txt").write_text(text)
    run = tmp_path / "run"
    status, out, err = command("train", folder, "--epochs", 3, "--page", "-o", run, "-q")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].startswith(f"{run / 'report.html'}: ")
    page = (run / "report.html").read_text(encoding="utf-8")
    for text in ("24 graphs of 6 to 9 nodes", "Vectors of the graphs", "Proposed links"):
        assert text in page
    status, out, _ = command("train", "--resume", run, "--page", "--json")
    assert (status, json.loads(out)["page"]) == (0, str(run / "report.html"))


def test_images_have_no_proposals(tmp_path, command):
    status, _, err = command("train", "digits", "--propose", 3, "-o", tmp_path / "run")
    assert (status, err.split(":")[0]) == (2, "error[IMAGES]")


def test_a_directed_graph_has_its_model_and_its_tasks(tmp_path, command):
    generator = torch.Generator().manual_seed(0)
    edges = (torch.rand(25, 25, generator=generator) < 0.2).fill_diagonal_(0).nonzero().tolist()
    path = tmp_path / "follows.csv"
    path.write_text("source,target\n" + "".join(f"n{u},n{v}\n" for u, v in edges))
    words = ("train", path, "--directed", "keep", "--task", "biased", "--epochs", 1)
    status, out, err = command(*words, "-o", tmp_path / "run", "--json")
    assert status == 0, err
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["model"], config["split"]["task"]) == ("source-target-vgae", "biased")
    again = ("--resume", tmp_path / "run", "--json", "--model")
    assert json.loads(command(*words, *again, "auto")[1]) == json.loads(out)
    assert command(*words, *again, "vgae")[2].startswith("error[RUN_OTHER]")
    status, _, err = command("train", *again[:2], "--task", "general")
    assert "began with task = biased" in err
    status, _, err = command("train", path, "--task", "biased", "--epochs", 1)
    assert (status, err.split("\n")[-2].split(":")[0]) == (2, "error[TASK]")


def test_whole_graphs_of_a_collection_are_held_out(tmp_path, command):
    rings = [torch.stack([torch.arange(n), (torch.arange(n) + 1) % n]) for n in [5, 6, 7] * 4]
    graphs = [Graph.from_edges(edges, num_nodes=edges.shape[1]) for edges in rings]
    write_npz(GraphCollection.from_graphs(graphs), tmp_path / "rings.npz")
    words = ("train", tmp_path / "rings.npz", "--split-by", "graphs", "--val", 0.2, "--test", 0.2)
    short = ("--epochs", 2, "--set", "batch_size=4", "--set", "latent_channels=8")
    status, out, err = command(*words, *short, "-o", tmp_path / "run", "--json")
    assert status == 0, err
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["split"]["by"], config["recipe"]["batch_size"]) == ("graphs", 4)
    assert (config["recipe"]["name"], config["in_channels"]) == ("best-graphs", 0)
    split = LinkSplit.load(tmp_path / "run/split.npz")
    assert split.graph_part.bincount().tolist() == [8, 2, 2]
    again = ("--resume", tmp_path / "run", "--json")
    assert json.loads(command(*words, *again)[1]) == json.loads(out)
    assert "began with split_by = graphs" in command("train", *again, "--split-by", "links")[2]
    status, _, err = command(*words[:2], "--split", tmp_path, *words[2:4])
    assert (status, err.split(":")[0]) == (2, "error[SPLIT]")
    status, _, err = command("train", "stdlib", "--split-by", "graphs", "-o", tmp_path / "one")
    assert (status, "error[BY]" in err) == (2, True)
