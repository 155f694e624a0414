import pytest

from vgae.cli.app import main


@pytest.mark.parametrize("option", ["--samples", "--entries", "--out"])
def test_help_names_the_options(option, capsys):
    with pytest.raises(SystemExit) as error:
        main(["impute", "--help"])
    assert error.value.code == 0
    assert option in capsys.readouterr().out


def test_options_of_another_graph_need_one(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(["impute", str(tmp_path), "--features", "x.csv"])
    assert error.value.code == 2
    assert "--features" in capsys.readouterr().err
