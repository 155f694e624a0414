import json
import sys

import pytest

from vgae import load_dataset, split_links, tune
from vgae.errors import ArtifactError, NumericalError, UsageError
from vgae.evaluation.links import evaluate_links
from vgae.recipes import PAPER
from vgae.runs import tuning
from vgae.training.links import fit
from vgae.training.search import inner_splits, score_recipe, training_graph

pytest.importorskip("optuna")
SHORT = PAPER.override({"epochs": 3})
SEARCH = {"lr": "0.001:0.1:log", "hidden_channels": [4, 8]}
OPTIONS = {"recipe": SHORT, "search": SEARCH, "progress": False}


def test_the_first_trial_is_the_recipe_and_the_best_one_is_checked_on_validation_links(sbm):
    seen = []
    split = split_links(sbm)
    found = tune(sbm, split, trials=4, on_trial=seen.append, **OPTIONS)
    assert found.trials == seen
    inside = training_graph(sbm, split)
    scores = score_recipe(inside, inner_splits(inside), SHORT, model="vgae")
    assert found.trials[0] == tuning.Candidate(0, {}, scores)
    assert found.best == SHORT.override(found.best_trial.settings)
    model = fit(sbm, split, recipe=found.best, progress=False).model
    assert found.check["best"] == pytest.approx(evaluate_links(model, sbm, split)["val"])
    assert found.words[:2] == ["--recipe", "paper"]
    assert "epochs=3" in found.words
    assert f"hidden_channels={found.best.hidden_channels}" in found.words or not (
        found.best_trial.settings
    )


def test_a_search_that_was_interrupted_ends_with_the_same_bytes(sbm, tmp_path):
    def stop(trial):
        if trial.number == 2:
            raise KeyboardInterrupt

    out, whole = tmp_path / "a", tmp_path / "b"
    with pytest.raises(KeyboardInterrupt):
        tune(sbm, trials=5, out=out, on_trial=stop, **OPTIONS)
    assert len(json.loads((out / "tuning.json").read_text())["trials"]) == 3
    seen = []
    tune(sbm, trials=5, out=out, resume=True, on_trial=seen.append, **OPTIONS)
    assert [trial.number for trial in seen] == [3, 4]
    tune(sbm, trials=5, out=whole, resume=True, **OPTIONS)
    for name in ("tuning.json", "trials.csv", "best.toml"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    more = tune(sbm, trials=6, out=out, resume=True, **OPTIONS)
    assert len(more.trials) == 6
    assert len(tune(sbm, trials=2, out=out, resume=True, **OPTIONS).trials) == 6


def test_trials_do_not_depend_on_validation_and_test_links(sbm):
    """Another division of the links that are not for training changes no trial."""
    split = split_links(sbm)
    swapped = split_links(sbm)
    vars(swapped).update(val=split.test, test=split.val)
    one, two = (tune(sbm, given, trials=3, **OPTIONS) for given in (split, swapped))
    assert one.trials == two.trials
    assert one.check != two.check


def test_a_bad_first_split_and_a_divergence_end_a_trial(sbm, monkeypatch):
    real, calls = tuning.score_recipe, []

    def score(graph, splits, recipe, **options):
        calls.append(recipe.lr)
        if len(calls) == 3:
            return [real(graph, splits, recipe, **options)[0]._replace(auc=0.1)]
        if len(calls) == 4:
            raise NumericalError("DIVERGED", "the loss is nan in epoch 1.")
        return real(graph, splits, recipe, **options)

    monkeypatch.setattr(tuning, "score_recipe", score)
    found = tune(sbm, trials=3, **OPTIONS)
    assert [len(trial.scores) for trial in found.trials] == [2, 1, 0]
    assert found.best_trial.number == 0
    assert found.columns()["trial"] == [0, 1, 2]
    assert found.columns()["auc"][-1] is None


def test_the_time_is_a_limit(sbm):
    assert len(tune(sbm, trials=5, timeout=0, **OPTIONS).trials) == 1


def test_fields_that_a_model_does_not_have_are_not_searched(sbm, caplog):
    caplog.set_level("INFO", "vgae")
    found = tune(sbm, trials=1, model="linear-gae", **OPTIONS)
    assert [*found.space] == ["lr"]
    assert "not searched, as linear-gae does not have them: hidden_channels" in caplog.text
    with pytest.raises(UsageError, match="linear-gae has none of hidden_channels"):
        tune(sbm, model="linear-gae", recipe=SHORT, search={"hidden_channels": [4, 8]})


def test_other_settings_or_links_do_not_go_on(sbm, tmp_path):
    tune(sbm, trials=1, out=tmp_path / "a", **OPTIONS)
    again = {"trials": 2, "out": tmp_path / "a", **OPTIONS}
    with pytest.raises(UsageError, match=r"is not empty; go on with --resume"):
        tune(sbm, **again)
    again["resume"] = True
    for more, message in (
        ({"recipe": SHORT.override({"beta": 0.5})}, "began with beta = 1.0, not 0.5"),
        ({"search": {"lr": "0.01:0.1"}}, "began with lr = 0.001:0.1:log, not 0.01:0.1"),
        ({"splits": 3}, "began with splits = 2, not 3"),
        ({"seed": 3, "split": split_links(sbm)}, "began with seed = 0, not 3"),
    ):
        with pytest.raises(ArtifactError, match=message) as error:
            tune(sbm, **again | more)
        assert error.value.code == "RUN_OTHER"
    with pytest.raises(ArtifactError, match="the graph, or its split, has changed since"):
        tune(sbm, split_links(sbm, seed=1), **again)


@pytest.mark.parametrize("trials", [0, -1, 1.5, True, "3"])
def test_a_number_of_trials_that_is_none(trials, sbm):
    with pytest.raises(UsageError, match=r"trials \(--trials\) must be an integer"):
        tune(sbm, trials=trials)


def test_without_optuna_the_extra_is_named(sbm, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"optuna is missing: pip install 'vgae\[tune\]'"):
        tune(sbm)


@pytest.mark.slow
def test_the_search_on_cora_raises_the_auc_of_the_paper_by_two_points(data_home):
    found = tune(load_dataset("cora"), recipe="paper", trials=30)
    assert found.best_trial.auc > found.trials[0].auc + 0.02
    assert found.check["best"].auc > found.check["recipe"].auc + 0.02
