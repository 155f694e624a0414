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
    status, _, err = command("train", "--resume", tmp_path / "run", "--max-memory", 500)
    assert (status, err.split(":")[0]) == (2, "error[IMAGES]")
    status, _, err = command("train", "--resume", tmp_path / "run", "--val", 0.3)
    assert (status, err.split(":")[0]) == (2, "error[IMAGES]")


@pytest.mark.parametrize(
    "option",
    [
        ("--val", 0.3),
        ("--val", 0.05),
        ("--test", 0.1),
        ("--features", "raw"),
        ("--directed", "symmetrize"),
        ("--max-memory", 500),
        ("--max-memory", 0),
        ("--cuda-graph",),
    ],
    ids=str,
)
def test_images_refuse_the_options_of_graphs_whatever_their_values(option, tmp_path, command):
    status, out, err = command("train", "digits", *option, "-o", tmp_path / "run")
    assert (status, out) == (2, "")
    expected = f"a run on images has no {option[0]}; leave that out for digits.\n"
    assert err == f"error[IMAGES]: {expected}"
    assert not (tmp_path / "run").exists()


def test_options_of_graphs_that_are_not_given_are_not_refused(tmp_path, command):
    status, _, err = command(
        *("train", "digits", "--epochs", 0, "--set", "hidden_channels=8"),
        *("-o", tmp_path / "run", "-q", "--val", 0.05, "--test", 0.1),
    )
    assert (status, err) == (
        2,
        "error[IMAGES]: a run on images has no --val, --test; leave that out for digits.\n",
    )


def test_a_recipe_field_that_is_no_setting_is_not_offered(command):
    _, out, _ = command("train", "--help")
    assert "weight_decay" in out
    assert "chosen" not in out
    assert "ranges" not in out


def test_the_same_line_after_a_kill_goes_on_where_the_rule_of_best_chose(
    sbm_file, command, tmp_path
):
    run = tmp_path / "run"
    line = ("train", sbm_file, "--features", "none", "--recipe", "best", "--epochs", "2")
    line += ("--quiet", "--resume", run)
    assert command(*line)[0] == 0
    assert command(*line)[0] == 0
    status, _, err = command(*line[:5], "paper", *line[6:])
    assert status == 4
    assert "began with recipe = best-links, not paper" in err
