import shlex
from dataclasses import replace

import pytest

from vgae.recipes.images import IMAGE_RECIPES, KERAS2D
from vgae.report.pages.repeating import (
    duration,
    file_size,
    folder_files,
    setting,
    shell_command,
)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (89.9, "89.9 s"), (90, "1.5 min"), (7200, "2.0 h")]
)
def test_times_have_a_fitting_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [((1, 2), "1, 2"), ((), "none"), (True, "true"), (0.1, "0.1"), ("a\nb", "a\\nb")],
)
def test_settings_are_one_line_of_text(value, text):
    assert setting(value) == text


def test_a_command_sets_the_fields_that_differ_and_restores_the_recipe():
    recipe = replace(KERAS2D, epochs=7, hidden_channels=(9, 8), average=True)
    words = shlex.split(shell_command(["vgae", "train", "a b.npy"], recipe, KERAS2D))
    assert words[:3] == ["vgae", "train", "a b.npy"]
    changes = dict(word.split("=") for word in words[4::2])
    assert changes == {"epochs": "7", "hidden_channels": "9,8", "average": "true"}
    assert KERAS2D.override(changes) == recipe


@pytest.mark.parametrize("recipe", IMAGE_RECIPES.values(), ids=IMAGE_RECIPES)
def test_a_named_recipe_needs_no_more_words(recipe):
    assert shell_command(["vgae"], recipe, recipe) == "vgae"


def test_files_that_are_there_are_listed_with_their_size(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 2500)
    assert folder_files(tmp_path, {"a": "one", "b": "two"}) == [("a", "one", "2.5 kB")]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (2_442_400, "2.4 MB")],
)
def test_from_a_thousand_kilobytes_on_sizes_are_megabytes(count, text):
    assert file_size(count) == text
