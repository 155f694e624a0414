"""An option that several commands have means the same in each."""

from collections import defaultdict

import typer

from vgae.cli.app import app


def test_options_of_one_name_have_one_help_text():
    commands = typer.main.get_command(app).commands
    texts = defaultdict(set)
    for command in commands.values():
        for option in command.params:
            if option.name in ("as_json", "quiet", "directed", "features"):
                texts[option.name].add(option.help)
    assert {name: len(found) for name, found in texts.items()} == {
        "as_json": 1,
        "quiet": 1,
        "directed": 1,
        "features": 2,  # a table of data sets has no file of features
    }
