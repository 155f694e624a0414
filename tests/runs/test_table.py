from dataclasses import replace

import pytest

from vgae.errors import UsageError
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
