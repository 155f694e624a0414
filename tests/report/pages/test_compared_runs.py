import pytest

from vgae.evaluation.differences import Difference
from vgae.report.pages.compared_runs import (
    best_of,
    colour_of,
    curve,
    difference_text,
    differing,
    is_dashed,
    is_significant,
    listed,
    score_cell,
)


def test_the_first_sixteen_runs_look_different():
    looks = {(colour_of(i), is_dashed(i)) for i in range(16)}
    assert len(looks) == 16
    assert (colour_of(0), is_dashed(0)) == ("run-0", False)


def test_only_settings_that_differ_are_kept_under_names_that_people_know():
    settings = [
        {"name": "paper", "lr": "0.01", "seed": "0"},
        {"name": "best", "lr": "0.01", "seed": "0", "mask": "0.7"},
    ]
    assert differing(settings) == {"recipe": ["paper", "best"], "mask": ["", "0.7"]}
    assert differing(settings[:1] * 3) == {}


def test_long_settings_are_cut():
    found = differing([{"fingerprint": "a" * 64}, {"fingerprint": "b" * 64}])
    assert found == {"fingerprint": ["a" * 23 + "…", "b" * 23 + "…"]}


@pytest.mark.parametrize(
    ("values", "comparable", "best"),
    [
        ([0.5, 0.7, 0.6], True, 1),
        ([-3.0, -2.0], True, 1),
        ([None, 0.1, 0.0], True, 1),
        ([0.5, 0.7], False, None),
        ([None, 0.5], True, None),
    ],
)
def test_the_best_is_the_highest_of_what_can_be_compared(values, comparable, best):
    assert best_of(values, comparable=comparable) == best


def test_texts_of_scores_and_differences():
    assert score_cell(1.0, None, is_best=True) == ("★ 1.00", 1.0)
    assert score_cell(-0.5, 0.25, is_best=False) == ("−0.50 ± 0.25", -0.5)
    assert score_cell(0.875, None, (100, 1), is_best=False) == ("87.5", 0.875)
    assert score_cell(None, None, is_best=False) == "–"
    assert difference_text(None, 1, 2) == "–"
    found = Difference(0.0125, -0.005, 0.03)
    assert difference_text(found, 100, 1) == "+1.2 (−0.5 to +3.0)"
    assert not is_significant(found)
    assert is_significant(Difference(-0.02, -0.03, -0.01))
    assert is_significant(Difference(0.02, 0.01, 0.03))


def test_names_are_listed_as_in_english():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_curves_are_thinned_and_keep_their_ends():
    line = curve(9, "run", range(2000), [float(k) for k in range(2000)])
    assert len(line.x) == 500
    assert (line.x[0], line.x[-1]) == (0, 1999)
    assert (line.colour, line.dash, line.kind) == ("run-1", True, "line")
    assert curve(0, "run", [1, 2], [1.0, 2.0]).kind == "line+dots"
