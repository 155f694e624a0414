import re

import pytest


@pytest.mark.row("R35")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "--recpie", "best"],
            "there is no option '--recpie'; see 'vgae train --help'. Did you mean --recipe?",
        ),
        (["train", "-Z"], "there is no option '-Z'; see 'vgae train --help'."),
        (["--nope"], "there is no option '--nope'; see 'vgae --help'."),
        (["trian"], "no such command 'trian'; see 'vgae --help'. Did you mean 'train'?"),
        (
            ["datasets", "lst"],
            "no such command 'lst'; see 'vgae datasets --help'. Did you mean 'list'?",
        ),
        (["evaluate"], "missing argument 'run': vgae evaluate RUN; see 'vgae evaluate --help'."),
        (["figure", "runs/a"], "vgae figure RUN KIND; see 'vgae figure --help'."),
        (["decode", "runs/a"], "missing option '--z'; see 'vgae decode --help'."),
        (["train", "--seed", "x"], "invalid value for '--seed': "),
        (["train", "a", "b"], "got unexpected extra argument"),
        (["predict", "r", "--out"], "requires an argument; see 'vgae predict --help'"),
        (["table", "stdlib"], "(stdlib); graphs are named by --datasets; see 'vgae table --help'"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments, message, command):
    status, out, err = command(*arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("error[USAGE]: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["datasets"]])
def test_summaries_of_commands_are_whole_on_eighty_columns(words, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = command(*words, "--help")[1]
    rows = out.split("Commands:\n")[1]
    assert "..." not in rows
    assert len(re.findall(r"^  \w+ +.*", rows, flags=re.MULTILINE)) >= 4
    assert max(map(len, out.splitlines())) <= 80
