import json
from dataclasses import replace

import pytest

from vgae.data.files import read_graph, write_npz
from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.links import evaluate_links
from vgae.evaluation.metrics import LinkScores
from vgae.graphs.split import split_links
from vgae.recipes import PAPER
from vgae.runs.table import PUBLISHED, Trial, protocol, run_table, summarise, to_json
from vgae.training.links import fit

SHORT = replace(PAPER, epochs=5)


def trial(auc, ap, dataset="cora"):
    scores = LinkScores(auc, ap)
    return Trial(dataset, "vgae", 0, "paper", scores, scores, 5, 5, 0.1)


def test_mean_and_deviation_worked_by_hand():
    (summary,) = summarise([trial(0.8, 0.7), trial(0.9, 0.7), trial(1.0, 0.7)], "raw")
    assert summary.mean == pytest.approx((0.9, 0.7))
    assert summary.deviation == pytest.approx((0.1, 0.0))
    assert summary.published == LinkScores(0.914, 0.926)


def test_one_seed_has_no_deviation_and_an_unknown_data_set_nothing_published():
    summary, other = summarise([trial(0.8, 0.7, "mine"), trial(0.9, 0.9)], "raw")
    assert other.published == LinkScores(0.914, 0.926)
    assert summary.deviation == (0, 0)
    assert summary.published is None


def test_published_figures_are_table_1_of_the_paper():
    assert PUBLISHED["citeseer", "vgae", "raw"] == LinkScores(0.908, 0.920)
    assert PUBLISHED["pubmed", "gae", "none"] == LinkScores(0.822, 0.874)
    assert len(PUBLISHED) == 12


def test_each_row_is_a_split_a_training_and_a_test_of_its_seed(sbm, sbm_file):
    seen = []
    (summary,) = run_table(
        [str(sbm_file)], ["gae"], num_seeds=2, recipe=SHORT, on_trial=seen.append
    )
    assert summary.trials == seen
    for seed, row in enumerate(seen):
        split = split_links(sbm, seed=seed)
        result = fit(sbm, split, model="gae", recipe=SHORT, seed=seed)
        assert row.recipe == "paper"
        assert row.test == evaluate_links(result.model, sbm, split)["test"]
    assert seen[0].test != seen[1].test


def test_progress_says_which_trial_is_at_work_and_the_mean_of_those_like_it(
    sbm_file, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "120")
    options = {"num_seeds": 2, "recipe": SHORT, "progress": True}
    _, vgae = run_table([str(sbm_file)], ["gae", "vgae"], **options)
    shown = capsys.readouterr().err
    assert "4/4" in shown
    mean = f"mean AUC {100 * vgae.mean.auc:.1f} AP {100 * vgae.mean.ap:.1f} of 2"
    assert f"{mean}, sbm vgae seed 1" in shown
    run_table([str(sbm_file)], ["gae"], num_seeds=1, recipe=SHORT)
    assert capsys.readouterr().err == ""


def test_a_wrong_name_costs_no_training(sbm_file):
    seen = []
    for datasets, models in (
        ([str(sbm_file), "typo"], ["gae"]),
        ([str(sbm_file)], ["gae", "typo"]),
    ):
        with pytest.raises(ValueError, match="typo"):
            run_table(datasets, models, recipe=SHORT, on_trial=seen.append)
    assert seen == []


def test_the_protocol_says_split_messages_and_epoch():
    text = protocol(PAPER, "none", 10)
    for words in (
        "10 seeds",
        "own random split",
        "travel on no held-out link",
        "last epoch",
        "none",
    ):
        assert words in text
    assert "best epoch by validation" in protocol(replace(PAPER, keep="best"), "raw", 3)
    assert "inner products of the posterior means" in protocol(PAPER, "raw", 3, None, ["vgae"])
    directed = protocol(PAPER, "raw", 3, None, ["vgae", "gravity-vgae"])
    assert "logits of the decoders at the posterior means" in directed


def test_rows_of_two_graphs_of_one_name_are_two(sbm_file, tmp_path):
    (tmp_path / "sbm.csv").write_text("\n".join(f"{k},{k + 1}" for k in range(60)))
    both = [str(sbm_file), str(tmp_path / "sbm.csv")]
    one, two = run_table(both, ["gae"], num_seeds=2, recipe=SHORT)
    assert (one.dataset, two.dataset) == ("sbm", "sbm")
    assert one.trials[0].data != two.trials[0].data
    assert [len(row.trials) for row in (one, two)] == [2, 2]


def test_json_holds_the_protocol_the_recipe_and_every_seed():
    content = to_json(summarise([trial(0.8, 0.7)], "raw"), PAPER, "how")
    assert content["protocol"] == "how"
    assert content["recipe"]["epochs"] == 200
    assert content["rows"][0]["trials"][0]["test"] == {"auc": 0.8, "ap": 0.7}
    assert content["rows"][0]["mean"] == {"auc": 0.8, "ap": 0.7}


def test_a_split_of_the_user_is_that_of_every_seed(sbm, sbm_file, tmp_path):
    split = split_links(sbm, val=0, seed=7)
    split.save(tmp_path / "mine.npz")
    options = {"num_seeds": 2, "recipe": SHORT, "split": tmp_path / "mine.npz"}
    (summary,) = run_table([str(sbm_file)], ["gae"], **options)
    for seed, row in enumerate(summary.trials):
        result = fit(sbm, split, model="gae", recipe=SHORT, seed=seed)
        assert row.test == evaluate_links(result.model, sbm, split)["test"]
        assert row.val is None
    text = protocol(SHORT, "raw", 2, tmp_path / "mine.npz")
    assert (
        "2 seeds, all with the same split of the links and the same non-links, mine.npz." in text
    )
    assert "random split" not in text
    assert to_json([summary], SHORT, text)["rows"][0]["trials"][0]["val"] is None


def test_a_split_that_no_table_can_be_of_costs_no_training(sbm, sbm_file, tmp_path):
    split_links(sbm, test=0).save(tmp_path / "mine.npz")
    options = {"recipe": SHORT, "split": tmp_path / "mine.npz"}
    with pytest.raises(UsageError, match="has no test links"):
        run_table([str(sbm_file)], ["gae"], **options)
    with pytest.raises(UsageError, match="a split is one of a single data set, not of"):
        run_table([str(sbm_file), "stdlib"], ["gae"], **options)


def test_whole_graphs_are_held_out(tmp_path):
    lines = [f"{g},{u},{(u + 1) % 8}" for g in range(20) for u in range(8)]
    (tmp_path / "rings.csv").write_text("graph,from,to\n" + "\n".join(lines))
    graph = read_graph(tmp_path / "rings.csv", graph_column="graph")
    write_npz(graph, tmp_path / "rings.npz")
    recipe = replace(SHORT, degrees=True)
    options = {"num_seeds": 1, "recipe": recipe, "split_by": "graphs"}
    (summary,) = run_table([str(tmp_path / "rings.npz")], ["vgae"], **options)
    split = split_links(graph, by="graphs", seed=0)
    assert summary.trials[0].split == split.digest
    text = protocol(recipe, "raw", 1, None, ["vgae"], "graphs")
    assert "split of the graphs (85 % train, 5 % validation, 10 % test; 20 % of the links" in text


@pytest.mark.row("R01")
def test_a_worker_that_is_killed_in_a_trial_changes_nothing(
    sbm_file, tmp_path, caplog, workers_of
):
    """Its trial is repeated; the file is that of one process, byte for byte."""
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    options = {"num_seeds": 3, "recipe": replace(PAPER, epochs=50)}
    expected = run_table([str(sbm_file)], ["vgae"], jobs=1, out=one, **options)
    killed = []

    def kill(trial):
        """Kill the other one of two processes, which were started for seeds 0 and 1."""
        if not killed:
            killed.append(workers_of()[1 - trial.seed])
            killed[0].kill()

    found = run_table([str(sbm_file)], ["vgae"], jobs=2, out=two, on_trial=kill, **options)
    assert caplog.text.count("was ended by SIGKILL; this is repeated") == 1
    assert [row.test for row in found[0].trials] == [row.test for row in expected[0].trials]
    assert one.read_bytes() == two.read_bytes()
    assert not killed[0].is_running()


def test_finished_trials_are_not_repeated(sbm_file, tmp_path):
    out, seen, options = tmp_path / "table.json", [], {"recipe": SHORT, "resume": True}
    options |= {"out": out, "on_trial": seen.append}
    run_table([str(sbm_file)], ["gae"], num_seeds=2, **options)
    summaries = run_table([str(sbm_file)], ["vgae", "gae"], num_seeds=3, **options)
    assert [(t.model, t.seed) for t in seen[2:]] == [*(("vgae", k) for k in range(3)), ("gae", 2)]
    again = run_table([str(sbm_file)], ["vgae", "gae"], num_seeds=3, recipe=SHORT)
    assert [row.mean for row in again] == [row.mean for row in summaries]
    assert json.loads(out.read_text())["rows"][0]["mean"] == again[0].mean._asdict()


def test_a_table_of_something_else_is_refused(sbm_file, tmp_path, caplog):
    out, path = tmp_path / "table.json", tmp_path / "mine.csv"
    links = [f"{u},{(u * u + d) % 60}" for u in range(60) for d in (1, 7, 20)]
    path.write_text("\n".join(links))
    options = {"num_seeds": 2, "recipe": SHORT, "out": out, "resume": True}
    run_table([str(path)], ["gae"], **options)
    before = out.read_bytes()
    for more, message in (
        ({"recipe": replace(SHORT, lr=0.1)}, "began with lr = 0.01, not 0.1"),
        ({"features": "none"}, "began with features = raw, not none"),
        ({"num_seeds": 1}, "has mine gae seed 1, which the table would lose"),
    ):
        with pytest.raises(ArtifactError, match=message) as error:
            run_table([str(path)], ["gae"], **options | more)
        assert error.value.code == "RUN_OTHER"
    path.write_text("\n".join(links[2:]))
    with pytest.raises(ArtifactError, match="of a graph that has changed since") as error:
        run_table([str(path)], ["gae"], **options)
    assert error.value.code == "DATA_CHANGED"
    path.write_text("\n".join(links))
    out.write_text(before.decode().replace('"test"', '"tests"'))
    with pytest.raises(ArtifactError, match="KeyError"):
        run_table([str(path)], ["gae"], **options)
    out.write_text(before.decode().replace('"threads": ', '"threads": 9'))
    run_table([str(path)], ["gae"], **options)
    assert "not to the same last bits" in caplog.text
