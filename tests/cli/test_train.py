"""The command train: what it writes; what it refuses is in tests/bad_input."""

import json

import pytest

import vgae.cli.train


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """They take longer than the trainings; tests/test_cli.py has them."""
    monkeypatch.setattr(vgae.cli.train, "draw_figures", lambda run: None)


def test_the_same_command_writes_the_same_weights_bit_for_bit(sbm_file, tmp_path, command):
    for name in "ab":
        command("train", sbm_file, "--epochs", 5, "-o", tmp_path / name, "--quiet")
    weights = [(tmp_path / n / "model/model.safetensors").read_bytes() for n in "ab"]
    assert weights[0] == weights[1]


def test_train_with_json_says_nothing_else_and_overwrite_replaces(sbm_file, tmp_path, command):
    arguments = ("train", sbm_file, "--set", "epochs=3", "-o", tmp_path / "run", "--json")
    status, out, _ = command(*arguments)
    assert (status, json.loads(out)["epochs"]) == (0, 3)
    assert command(*arguments)[0] == 2
    assert command(*arguments, "--overwrite")[0] == 0


def test_images_take_the_same_options_and_refuse_those_of_graphs(tmp_path, command):
    words = ("train", "digits", "--epochs", 1, "--set", "hidden_channels=8")
    status, out, _ = command(*words, "--deterministic", "--resume", tmp_path / "run", "--json")
    assert (status, json.loads(out)["epochs"]) == (0, 1)
    status, out, _ = command(*words, "--resume", tmp_path / "run", "--json")
    assert (status, json.loads(out)["epochs"]) == (0, 1)
    status, _, err = command(*words, "--val", 0.3)
    assert status == 2
    assert err.startswith("error[IMAGES]: ")


def test_a_recipe_field_that_is_no_setting_is_not_offered(command):
    _, out, _ = command("train", "--help")
    assert "weight_decay" in out
    assert "chosen" not in out
    assert "ranges" not in out
