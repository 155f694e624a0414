import pickle
from typing import Literal

import pytest

from vgae import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
KINDS = [kind for kind in KINDS if issubclass(kind, errors.VgaeError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_passes_from_one_process_to_another(kind):
    error = pickle.loads(pickle.dumps(kind("CODE", "what, where, how")))
    assert type(error) is kind
    assert (error.code, str(error)) == ("CODE", "what, where, how")


def test_the_status_of_a_signal_passes_too():
    error = errors.Interrupted("INTERRUPTED", "what", 1)
    assert (error.exit_code, pickle.loads(pickle.dumps(error)).exit_code) == (129, 129)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("bets", ["paper", "best", "best-dense"], "best"),
        ("VGAE", ["gae", "vgae"], "vgae"),
        ("Anna Baur", ["Otto Meier", "Baur, Anna"], "Baur, Anna"),
        ("lrr", ["epochs", "lr"], "lr"),
        (12, [120, 1, 3], 120),
        ("qqq", ["paper", "best"], None),
        ("", ["paper"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case_and_order_of_words(name, known, expected):
    assert errors.nearest(name, known) == expected


@pytest.mark.parametrize(
    "typo", ["nod 4711", "node 47111", "ndoe 4711", "NODE  4711", "nose 4711"]
)
def test_a_name_is_found_among_many_alike(typo):
    names = [f"node {k}" for k in range(4000, 6000)]
    assert errors.nearest(typo, names) == "node 4711"


def test_a_question_quotes_what_is_no_word():
    assert errors.did_you_mean("bets", ["best"]) == " Did you mean best?"
    assert errors.did_you_mean("Ann Baur", ["Anna Baur"]) == " Did you mean 'Anna Baur'?"
    assert errors.did_you_mean("7", [7]) == " Did you mean 7?"
    assert errors.did_you_mean("qqq", ["best"]) == ""


def test_a_choice_that_is_none_is_answered_with_the_nearest():
    errors.check_choice("merge", "mean", Literal["mean", "sum"])
    with pytest.raises(
        errors.UsageError, match=r"'mean', 'sum', got 'meen'\. Did you mean mean\?"
    ):
        errors.check_choice("merge", "meen", Literal["mean", "sum"])
