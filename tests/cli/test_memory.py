"""The option --max-memory of the commands."""

import json

import pytest


@pytest.mark.parametrize(
    "name", ["train", "evaluate", "embed", "predict", "report", "convert", "calibrate"]
)
def test_commands_of_the_road_take_a_size(name, command):
    status, out, _ = command(name, "--help")
    assert status == 0
    assert "--max-memory" in out


def test_a_command_within_its_limit_does_what_it_does_without(sbm_file, tmp_path, command):
    words = "convert", sbm_file, "-o", tmp_path / "g.npz", "--json"
    plain = json.loads(command(*words)[1])
    assert json.loads(command(*words, "--max-memory", "4GiB")[1]) == plain


def test_what_is_no_size_is_refused_with_an_example(sbm_file, tmp_path, command):
    words = "convert", sbm_file, "-o", tmp_path / "g.npz", "--max-memory", "4X"
    status, _, err = command(*words)
    assert (status, err.split(":")[0]) == (2, "error[MAX_MEMORY]")
    assert "4GiB" in err
    assert not (tmp_path / "g.npz").exists()
