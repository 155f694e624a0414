import pytest

from vgae.evaluation.metrics import LinkScores
from vgae.recipes import PAPER
from vgae.recipes.spaces import Choice, Span
from vgae.runs.trial_sampler import Candidate, importances, levelled, proposed

pytest.importorskip("optuna")
SPACE = {
    "lr": Span(0.001, 0.1, log=True),
    "mask": Span(0.0, 0.5),
    "epochs": Span(10, 20),
    "hidden_channels": Choice((8, 16, 32)),
}


def history(number, seed=0):
    """Return trials whose AUC depends on the mask alone."""
    done = []
    for k in range(number):
        settings = proposed(SPACE, PAPER, done, seed)
        auc = 0.9 - abs({"mask": 0.0, **settings}["mask"] - 0.3)
        done.append(Candidate(k, settings, [LinkScores(auc, auc)]))
    return done


def test_the_first_trial_is_the_recipe_and_the_others_follow_from_those_before():
    one, two = history(14), history(14)
    assert one == two
    assert one[0].settings == {}
    assert len({str(trial.settings) for trial in one}) == 14
    assert history(3, seed=1)[1] != one[1]
    for trial in one[1:]:
        assert 0.001 <= trial.settings["lr"] <= 0.1
        assert type(trial.settings["epochs"]) is int
        assert trial.settings["hidden_channels"] in (8, 16, 32)


def test_later_trials_lie_where_the_score_was_high():
    done = history(40)
    far = [abs(trial.settings["mask"] - 0.3) for trial in done[1:]]
    assert sum(far[-15:]) / 15 < sum(far[:10]) / 10


def test_a_trial_that_diverged_is_not_tried_as_a_score():
    done = history(3)
    done[2] = done[2]._replace(scores=[])
    assert done[2].auc is None
    assert proposed(SPACE, PAPER, done, 0)


def test_what_matters_is_what_the_score_depends_on():
    found = importances(SPACE, PAPER, history(25))
    assert max(found, key=found.get) == "mask"
    assert sum(found.values()) == pytest.approx(1)
    assert importances(SPACE, PAPER, history(3)) == {}


def test_a_trial_of_an_easy_split_alone_is_compared_on_that_split():
    """The recipe has 0.9 and 0.8; a trial with 0.89 on the first split is worse by 0.01."""
    scores = [[0.9, 0.8], [0.89], [], [0.92, 0.81]]
    done = [Candidate(k, {}, [LinkScores(a, a) for a in row]) for k, row in enumerate(scores)]
    assert levelled(done) == [pytest.approx(0.85), pytest.approx(0.84), None, pytest.approx(0.865)]
    assert levelled([]) == []
    diverged = [done[2]._replace(number=0), done[0]._replace(number=1)]
    assert levelled(diverged) == [None, pytest.approx(0.85)]
