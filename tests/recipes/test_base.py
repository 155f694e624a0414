import math
from dataclasses import asdict

import pytest

from vgae.errors import UsageError
from vgae.recipes import PAPER
from vgae.recipes.base import Training
from vgae.recipes.images import KINGMA2013


def test_every_training_has_a_name_and_settings_that_do_nothing_odd():
    plain = Training(name="plain")
    assert (plain.optimizer, plain.beta, plain.warmup, plain.average) == ("adam", 1.0, 0, False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "sgd"}, r"optimizer must be one of \('adam', 'rmsprop', 'adagrad'\)"),
        ({"lr": math.nan}, "lr must lie in"),
        ({"lr": "fast"}, "lr must lie in"),
        ({"epochs": 1.5}, r"epochs must be an integer, got 1\.5"),
        ({"epochs": True}, "epochs must be an integer, got True"),
        ({"warmup": -1}, "warmup must lie in"),
        ({"eval_every": 0}, "eval_every must lie in"),
        ({"keep": "first"}, "keep must be one of"),
    ],
)
def test_values_that_make_no_sense_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        Training(name="odd", **values)


def test_widths_are_read_with_commas_between():
    changed = KINGMA2013.override({"hidden_channels": "200, 100"})
    assert changed.hidden_channels == (200, 100)
    assert changed.chosen == {"hidden_channels"}
    assert KINGMA2013.override({"hidden_channels": ""}).hidden_channels == ()
    with pytest.raises(UsageError, match="hidden_channels must be int, got 'many'"):
        KINGMA2013.override({"hidden_channels": "200,many"})
    with pytest.raises(UsageError, match=r"hidden_channels must lie in \[1"):
        KINGMA2013.override({"hidden_channels": "200,0"})


@pytest.mark.parametrize("field", ["lr", "beta", "epochs"])
def test_a_truth_value_is_no_number(field):
    with pytest.raises(UsageError, match=field):
        PAPER.override({field: True})


ODD = [
    None,
    True,
    0,
    -1,
    0.5,
    10**400,
    math.nan,
    "x",
    "",
    [],
    {},
    [-1],
    [[1]],
    [{}],
    ["x"],
    [1, 0.5],
]


@pytest.mark.row("C23")
@pytest.mark.parametrize("recipe", [PAPER, KINGMA2013], ids=lambda recipe: recipe.name)
def test_any_value_from_a_file_is_a_setting_or_a_usage_error(recipe):
    known = asdict(recipe)
    for name in [*known, "chosen"]:
        for value in ODD:
            try:
                found = type(recipe).from_dict({**known, name: value})
            except UsageError:
                continue
            # What is accepted can be compared, changed and printed.
            assert found.override({"epochs": "1"}).identity()
            assert str(found)
