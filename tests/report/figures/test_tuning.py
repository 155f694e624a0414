import numpy as np
import pytest

from vgae.evaluation.metrics import LinkScores
from vgae.recipes import PAPER
from vgae.recipes.spaces import Span
from vgae.report.figures.tuning import tuning_figure, write_tuning_figure
from vgae.runs.trial_sampler import Candidate
from vgae.runs.tuning import Tuning

pytest.importorskip("optuna")
AUCS = [[0.9, 0.9], [0.6], [0.92, 0.94], [], [0.91, 0.91], [0.7], [0.95, 0.95]]


def tuning_of(aucs):
    trials = [
        Candidate(k, {"lr": 0.01 + 0.001 * k} if k else {}, [LinkScores(a, a) for a in row])
        for k, row in enumerate(aucs)
    ]
    return Tuning(PAPER, "vgae", {"lr": Span(0.001, 0.1)}, trials, 2, {})


def test_trials_and_the_best_so_far_are_at_their_places(tmp_path):
    figure = tuning_figure(tuning_of(AUCS))
    left, right = figure.axes
    whole, early = (points.get_offsets() for points in left.collections)
    assert np.allclose(whole, [(0, 90), (2, 93), (4, 91), (6, 95)])
    assert np.allclose(early, [(1, 60), (5, 70)])
    assert list(left.lines[0].get_ydata()) == pytest.approx([90, 93, 93, 95, 95])
    assert left.get_xlabel() == "trial (1 below the axis)"
    assert [text.get_text() for text in right.get_yticklabels()] == ["lr"]
    (path,) = write_tuning_figure(tmp_path, tuning_of(AUCS))
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_one_trial_is_drawn_too():
    left, right = tuning_figure(tuning_of(AUCS[:1])).axes
    assert len(left.collections[0].get_offsets()) == 1
    assert right.texts[0].get_text() == "too few trials"
