import pytest

from vgae.errors import UsageError
from vgae.recipes import BEST, PAPER, RECIPES
from vgae.recipes.spaces import SPACES, Choice, Span, ends, space_for


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_has_values_that_it_may_have(name):
    space = SPACES[name]
    assert space_for(RECIPES[name]) == space
    for end in (0, -1):
        RECIPES[name].override({field: ends(values)[end] for field, values in space.items()})


def test_what_is_fixed_is_not_searched():
    space = space_for(PAPER.override({"lr": 0.02, "epochs": 3}))
    assert space == {name: v for name, v in SPACES["paper"].items() if name != "lr"}
    with pytest.raises(UsageError, match="nothing is left to search"):
        space_for(PAPER.override({name: ends(v)[0] for name, v in SPACES["paper"].items()}))


def test_the_user_names_fields_as_text_or_as_values():
    words = {
        "lr": "0.001:0.1:log",
        "mask": "0:0.5",
        "hidden_channels": "32,64",
        "bias": "true,false",
    }
    expected = {
        "lr": Span(0.001, 0.1, log=True),
        "mask": Span(0.0, 0.5),
        "hidden_channels": Choice((32, 64)),
        "bias": Choice((True, False)),
    }
    assert space_for(PAPER, words) == expected
    values = {"lr": (0.001, 0.1, "log"), "mask": (0, 0.5), "hidden_channels": [32, 64]}
    assert space_for(PAPER, {**values, "bias": [True, False]}) == expected
    assert space_for(PAPER, ["lr"]) == {"lr": SPACES["paper"]["lr"]}
    assert space_for(PAPER, {"lr": "", "epochs": "50:200"})["epochs"] == Span(50, 200)
    assert isinstance(space_for(PAPER, {"epochs": "50:200"})["epochs"].low, int)
    # What is written to a file is read again.
    assert space_for(PAPER, {k: str(v) for k, v in expected.items()}) == expected


def test_numbers_have_few_digits_and_stay_inside():
    assert Span(0.001, 0.1, log=True).rounded(0.0123456) == 0.0123
    assert Span(0.12345, 0.5).rounded(0.12345) == 0.12345


@pytest.mark.row("R37")
@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"lrr": "1:2"}, "'lrr' is no field of a recipe; see --search. Did you mean lr?"),
        ({"name": "a,b"}, "'name' is no field"),
        ({"beta": ""}, "beta has no values of its own to search; name them, such as beta=LOW"),
        ({"lr": "0.1:0.01"}, "a span rises"),
        ({"lr": "0:1:log"}, "a span rises from above 0"),
        ({"lr": "a:b"}, "values are choices such as 32,64, or a span such as"),
        ({"lr": "0.1:0.2:lin"}, "values are choices"),
        ({"lr": "nan:1"}, "a span rises"),
        ({"lr": 3}, "values are choices .* got 3"),
        ({"hidden_channels": "1.5:3"}, "the ends must be integers"),
        ({"activation": "a:b"}, "values are choices"),
        ({"activation": (1, 2)}, "activation is no number; give choices"),
        ({"activation": "relu,elo"}, "activation must be one of .* Did you mean elu"),
        ({"mask": "0.5:2"}, "mask must lie in"),
        ({"hidden_channels": "32,x"}, "hidden_channels"),
        ({"hidden_channels": "32,32"}, "choices must differ"),
        (["mask", "beta"], "beta has no values of its own"),
    ],
)
def test_bad_values_are_named(search, message):
    with pytest.raises(UsageError, match=message):
        space_for(PAPER, search)


def test_a_field_is_not_fixed_and_searched():
    with pytest.raises(UsageError, match=r"lr is both fixed \(--set\) and searched \(--search\)"):
        space_for(BEST.override({"lr": 0.01}), ["lr"])
