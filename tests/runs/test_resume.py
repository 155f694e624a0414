"""What a run may go on with; the command line's part is in tests/bad_input/test_checkpoints.py."""

import json
from dataclasses import asdict

import pytest
import torch

from vgae.errors import ArtifactError
from vgae.recipes import PAPER, Recipe
from vgae.runs.folder import versions
from vgae.runs.resume import recipe_to_resume, store_recipe, tell_changes
from vgae.training.checkpoint import Checkpoint, Checkpoints


@pytest.fixture
def config(tmp_path):
    return {"recipe": json.loads(json.dumps(asdict(PAPER)))}


def test_unchanged_settings_are_those_of_the_run_and_nothing_is_written(config, tmp_path):
    assert recipe_to_resume(tmp_path, config, Recipe, {}, override=False) == PAPER
    assert not list(tmp_path.iterdir())


def test_a_longer_training_is_stored(config, tmp_path):
    recipe = recipe_to_resume(tmp_path, config, Recipe, {"epochs": "999"}, override=False)
    assert recipe.epochs == 999
    assert not list(tmp_path.iterdir())  # until all of it is accepted
    store_recipe(tmp_path, config, recipe)
    assert json.loads((tmp_path / "config.json").read_text())["recipe"]["epochs"] == 999


def test_another_training_is_refused_and_with_override_its_checkpoints_are_adopted(
    config, tmp_path
):
    identity = {"graph": "a", "recipe": PAPER.identity(), "model": "VAE"}
    folder = tmp_path / "checkpoints"
    Checkpoints(folder, identity).save(1, Checkpoint({}, {"w": torch.ones(2)}))
    changes = {"lr": "0.5"}
    with pytest.raises(ArtifactError, match=r"began with lr = 0\.01"):
        recipe_to_resume(tmp_path, config, Recipe, changes, override=False)
    recipe = recipe_to_resume(tmp_path, config, Recipe, changes, override=True)
    store_recipe(tmp_path, config, recipe)
    theirs = {"graph": "a", "recipe": recipe.identity(), "model": "VAE()"}
    assert Checkpoints(folder, theirs).load() is not None
    # What the data are is never forgotten.
    with pytest.raises(ArtifactError, match="another graph"):
        Checkpoints(folder, theirs | {"graph": "b"}).load()


def test_a_complete_run_is_none_and_cannot_be_changed(config, tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / ".tmp-old").touch()
    with pytest.raises(ArtifactError, match="is complete, with epochs = 200"):
        recipe_to_resume(tmp_path, config, Recipe, {"epochs": "300"}, override=False)
    assert recipe_to_resume(tmp_path, config, Recipe, {"epochs": "200"}, override=False) is None
    assert not (tmp_path / ".tmp-old").exists()


def test_what_may_change_the_last_bits_is_told_and_nothing_else(caplog):
    same = {"device": "cpu", "threads": torch.get_num_threads(), "versions": versions()}
    tell_changes(same, torch.device("cpu"))
    assert caplog.text == ""
    tell_changes(same | {"versions": None}, torch.device("cpu"))
    assert "torch None is now" in caplog.text
    tell_changes(same | {"device": "\x1b[31mcuda" + 99 * "a"}, torch.device("cpu"))
    assert "\x1b" not in caplog.text
    assert 60 * "a" not in caplog.text
    tell_changes(same | {"device": "cuda"}, torch.device("cpu"))
    assert "device cuda is now cpu" in caplog.text
