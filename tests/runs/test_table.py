import json
from dataclasses import replace

import pytest

from vgae.data.files import read_graph, write_npz
from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.links import evaluate_links
from vgae.graphs.split import split_links
from vgae.recipes import PAPER
from vgae.runs.table import protocol, run_table, to_json
from vgae.runs.trials import TableSettings
from vgae.training.links import fit

SHORT = replace(PAPER, epochs=5)


def test_each_row_is_a_split_a_training_and_a_test_of_its_seed(sbm, sbm_file):
    seen = []
    (summary,) = run_table([str(sbm_file)], ["gae"], seeds=2, recipes=SHORT, on_trial=seen.append)
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
    options = {"seeds": 2, "recipes": SHORT, "progress": True}
    _, vgae = run_table([str(sbm_file)], ["gae", "vgae"], **options)
    shown = capsys.readouterr().err
    assert "4/4" in shown
    mean = f"mean AUC {100 * vgae.mean.auc:.1f} AP {100 * vgae.mean.ap:.1f} of 2"
    assert f"{mean}, sbm vgae, paper, seed 1" in shown
    run_table([str(sbm_file)], ["gae"], seeds=1, recipes=SHORT)
    assert capsys.readouterr().err == ""


def test_a_wrong_name_costs_no_training(sbm_file):
    seen = []
    for datasets, models in (
        ([str(sbm_file), "typo"], ["gae"]),
        ([str(sbm_file)], ["gae", "typo"]),
    ):
        with pytest.raises(ValueError, match="typo"):
            run_table(datasets, models, recipes=SHORT, on_trial=seen.append)
    assert seen == []


def test_the_protocol_says_split_messages_and_epoch():
    text = protocol(TableSettings(recipes="paper", features="none"), ["vgae"])
    for words in (
        "10 seeds,",
        "own random split",
        "travel on no held-out link",
        "last epoch",
        "inner products of the posterior means",
        "none",
    ):
        assert words in text
    some = TableSettings(recipes=("paper", "best"), seeds=[5, 2, 9])
    text = protocol(some, ["vgae", "gravity-vgae"])
    assert "3 seeds (5, 2, 9)" in text
    assert "paper, the last epoch of at most 200; best, the best epoch by validation" in text
    assert "logits of the decoders at the posterior means" in text


def test_rows_of_two_graphs_of_one_name_are_two(sbm_file, tmp_path):
    (tmp_path / "sbm.csv").write_text("\n".join(f"{k},{k + 1}" for k in range(60)))
    both = [str(sbm_file), str(tmp_path / "sbm.csv")]
    one, two = run_table(both, ["gae"], seeds=2, recipes=SHORT)
    assert (one.dataset, two.dataset) == ("sbm", "sbm")
    assert one.trials[0].data != two.trials[0].data
    assert [len(row.trials) for row in (one, two)] == [2, 2]


def test_a_split_of_the_user_is_that_of_every_seed(sbm, sbm_file, tmp_path):
    split = split_links(sbm, val=0, seed=7)
    split.save(tmp_path / "mine.npz")
    options = {"seeds": 2, "recipes": SHORT, "split": tmp_path / "mine.npz"}
    (summary,) = run_table([str(sbm_file)], ["gae"], **options)
    for seed, row in enumerate(summary.trials):
        result = fit(sbm, split, model="gae", recipe=SHORT, seed=seed)
        assert row.test == evaluate_links(result.model, sbm, split)["test"]
        assert row.val is None
    table = run_table(str(sbm_file), ["gae", "linear-gae"], **options)
    words = "2 seeds, all with the same split of the links and the same non-links, mine.npz."
    assert words in table.protocol
    assert "random split" not in table.protocol
    assert "All seeds have one split: p says nothing about other splits." in table.tests
    assert to_json(table, [SHORT])["rows"][0]["trials"][0]["val"] is None


def test_a_split_that_no_table_can_be_of_costs_no_training(sbm, sbm_file, tmp_path):
    split_links(sbm, test=0).save(tmp_path / "mine.npz")
    options = {"recipes": SHORT, "split": tmp_path / "mine.npz"}
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
    options = {"seeds": 1, "recipes": recipe, "split_by": "graphs"}
    (summary,) = run_table([str(tmp_path / "rings.npz")], ["vgae"], **options)
    split = split_links(graph, by="graphs", seed=0)
    assert summary.trials[0].split == split.digest
    text = protocol(TableSettings(split_by="graphs"))
    assert "split of the graphs (85 % train, 5 % validation, 10 % test; 20 % of the links" in text


@pytest.mark.row("R01")
def test_a_worker_that_is_killed_in_a_trial_changes_nothing(
    sbm_file, tmp_path, caplog, workers_of
):
    """Its trial is repeated; the file is that of one process, byte for byte."""
    one, two, large = (tmp_path / name for name in ("1.json", "2.json", "large.csv"))
    links = [f"{u},{(u * u + d) % 4000}" for u in range(4000) for d in (1, 7, 20, 33)]
    large.write_text("\n".join(links))
    sources = [str(sbm_file), str(large)]
    options = {"seeds": 1, "recipes": replace(PAPER, epochs=50, pairs="exact")}
    expected = run_table(sources, ["vgae"], jobs=1, out=one, **options)
    killed = []

    def kill(trial):
        """Kill the process of the large graph when that of the small one has ended."""
        if not killed:
            assert trial.dataset == sbm_file.stem
            killed.append(workers_of()[1])
            killed[0].kill()

    found = run_table(sources, ["vgae"], jobs=2, out=two, on_trial=kill, **options)
    assert caplog.text.count("was ended by SIGKILL; this is repeated") == 1
    for own, others in zip(found, expected, strict=True):
        assert [row.test for row in own.trials] == [row.test for row in others.trials]
    assert one.read_bytes() == two.read_bytes()
    assert not killed[0].is_running()


def test_finished_trials_are_not_repeated(sbm_file, tmp_path):
    out, seen, options = tmp_path / "table.json", [], {"recipes": SHORT, "resume": True}
    options |= {"out": out, "on_trial": seen.append}
    run_table([str(sbm_file)], ["gae"], seeds=2, **options)
    summaries = run_table([str(sbm_file)], ["vgae", "gae"], seeds=3, **options)
    assert [(t.model, t.seed) for t in seen[2:]] == [*(("vgae", k) for k in range(3)), ("gae", 2)]
    again = run_table([str(sbm_file)], ["vgae", "gae"], seeds=3, recipes=SHORT)
    assert [row.mean for row in again] == [row.mean for row in summaries]
    assert json.loads(out.read_text())["rows"][0]["mean"] == again[0].mean._asdict()


def test_a_table_of_something_else_is_refused(sbm_file, tmp_path, caplog):
    out, path = tmp_path / "table.json", tmp_path / "mine.csv"
    links = [f"{u},{(u * u + d) % 60}" for u in range(60) for d in (1, 7, 20)]
    path.write_text("\n".join(links))
    options = {"seeds": 2, "recipes": SHORT, "out": out, "resume": True}
    run_table([str(path)], ["gae"], **options)
    before = out.read_bytes()
    for more, message in (
        ({"recipes": replace(SHORT, lr=0.1)}, "began with lr = 0.01, not 0.1"),
        ({"features": "none"}, "began with features = raw, not none"),
        ({"seeds": 1}, "has mine gae, paper, seed 1, which the table would lose"),
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


def test_recipes_and_seeds_of_a_table_are_named_and_their_splits_shared(sbm_file, tmp_path):
    out, options = tmp_path / "table.json", {"seeds": [3, 1], "resume": True}
    other = replace(SHORT, name="other", hidden_channels=4)
    run_table(str(sbm_file), "gae", recipes=SHORT, out=out, **options)
    table = run_table(str(sbm_file), "gae, vgae,gae", recipes=[SHORT, other], out=out, **options)
    assert [row.name for row in table] == [
        "gae, paper",
        "gae, other",
        "vgae, paper",
        "vgae, other",
    ]
    assert [trial.seed for trial in table[0].trials] == [3, 1]
    assert [t.split for t in table[0].trials] == [t.split for t in table[3].trials]
    assert table[0].mean != table[1].mean
    content = json.loads(out.read_text())
    assert [recipe["name"] for recipe in content["recipes"]] == ["paper", "other"]
    assert len(content["comparisons"][0]["auc"]) == 6
    with pytest.raises(ArtifactError, match="sbm vgae, other, seed 1, which the table would lose"):
        run_table(str(sbm_file), "gae,vgae", recipes=SHORT, out=out, **options)


def test_a_table_of_an_earlier_version_goes_on(sbm_file, tmp_path):
    """It had one recipe, and its trials no name of it."""
    out = tmp_path / "table.json"
    options = {"recipes": SHORT, "seeds": 1, "out": out}
    run_table(str(sbm_file), "gae", **options)
    content = json.loads(out.read_text())
    content["recipe"] = content.pop("recipes")[0]
    content["rows"][0].pop("recipe")
    content["rows"][0]["trials"][0].pop("settings")
    out.write_text(json.dumps(content))
    seen = []
    run_table(str(sbm_file), "gae,vgae", on_trial=seen.append, resume=True, **options)
    assert [(trial.model, trial.settings) for trial in seen] == [("vgae", "paper")]


def test_a_model_of_your_own_has_a_row(sbm_file, tmp_path, monkeypatch):
    (tmp_path / "rows_of_test.py").write_text(
        "from torch_geometric.nn import GCNConv\n"
        "def make(in_channels): return GCNConv(in_channels, 8)\n"
    )
    monkeypatch.chdir(tmp_path)
    options = {"recipes": SHORT, "seeds": 2, "progress": False}
    one = run_table(str(sbm_file), ["rows_of_test:make"], jobs=1, **options)
    two = run_table(str(sbm_file), ["rows_of_test:make"], jobs=2, **options)
    assert one[0].name == "rows_of_test:make, paper"
    assert one[0].mean == two[0].mean


def test_the_bar_moves_within_a_training(sbm_file, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    options = {"seeds": 1, "recipes": replace(PAPER, epochs=400), "progress": True}
    run_table(str(sbm_file), "gae", **options)
    assert "of 400" in capsys.readouterr().err
