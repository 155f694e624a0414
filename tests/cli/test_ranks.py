"""The command under torchrun: one process speaks for all, and errors end all of them."""

import json

import pytest

EPOCHS = ["--epochs", "3"]


def no_figures(rank):
    import vgae.cli.train

    vgae.cli.train.draw_figures = id


def test_the_first_process_writes_and_speaks(together, sbm_file, tmp_path):
    run, more = tmp_path / "run", tmp_path / "more"
    more.mkdir()
    arguments = ["train", sbm_file, *EPOCHS, "--recipe", "paper", "-o", run, "--json"]
    trained = together.command(2, arguments, tmp_path, no_figures)
    assert trained.wait() == [0, 0], trained.err()
    out, err = trained.out(), trained.err()
    assert json.loads(out[0])["run"] == str(run)
    assert err[0].count("pairs exact") == 1
    assert (out[1], err[1]) == ("", "")
    assert json.loads((run / "config.json").read_text())["processes"] == 2
    assert len((run / "history.jsonl").read_text().splitlines()) == 3
    # Again, there is a run: an error of the first process alone.
    again = together.command(2, arguments, more)
    assert again.wait() == [2, 2]
    first, second = again.err()
    assert (first.count("error[RUN_EXISTS]: "), first.count("error["), second) == (1, 1, "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["evaluate", "run"], "TORCHRUN", "start that without torchrun."),
        (["table"], "TORCHRUN", "--jobs N"),
        (["train", "missing.csv"], "CANNOT_READ", "missing.csv"),
    ],
    ids=["R32-evaluate", "R32-table", "R29-all"],
)
def test_errors_of_all_processes_are_told_once(arguments, code, words, together, tmp_path):
    run = together.command(2, arguments, tmp_path)
    statuses = run.wait()
    told = [line for text in run.err() for line in text.splitlines()]
    assert len(told) == 1
    assert told[0].startswith(f"error[{code}]: ")
    assert words in told[0]
    assert statuses[0] == statuses[1] > 0


@pytest.mark.row("R32")
def test_half_an_environment_is_refused(command, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "2")
    status, _, err = command("train")
    assert status == 2
    assert err.startswith("error[TORCHRUN]: the environment has RANK = '2' and WORLD_SIZE = '2';")


def test_help_is_printed_once(together, tmp_path):
    run = together.command(2, ["train", "--help"], tmp_path)
    assert run.wait() == [0, 0]
    assert "Usage: vgae train" in run.out()[0]
    assert run.out()[1] == ""
