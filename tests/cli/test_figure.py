import json
from dataclasses import replace

import pytest

from vgae.recipes import PAPER
from vgae.runs.graphs import train_run


@pytest.fixture(scope="module")
def run(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    return train_run(str(sbm_file), folder, recipe=replace(PAPER, epochs=5), progress=False).folder


def test_a_figure_goes_into_the_run_unless_told_where(run, command, tmp_path):
    status, out, err = command("figure", run, "histogram")
    assert (status, err) == (0, "")
    path = run / "figures" / "histogram.pdf"
    assert path.read_bytes().startswith(b"%PDF")
    assert out == f"{path}: logits of 106 test pairs\n"
    status, out, _ = command("figure", run, "roc", "-o", tmp_path / "x.svg", "--json")
    said = json.loads(out)
    assert (status, said["path"], said["kind"]) == (0, str(tmp_path / "x.svg"), "roc")
    assert "AUC" in said["caption"]


def test_several_runs_stand_before_the_kind(run, command, tmp_path):
    out = tmp_path / "x.png"
    arguments = ("--labels", "GAE, VGAE", "--title", "t", "--width", 4, "--dpi", 100)
    status, said, err = command("figure", run, run, "pr", "-o", out, *arguments)
    assert (status, err) == (0, "")
    assert "GAE: AP" in said
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["{run}", "manifold"], 2, "error[FIGURE]: {run} is a run on a graph"),
        (["{run}", "rock"], 2, "error[FIGURE]: there is no figure 'rock'"),
        (["roc", "{run}", "-o", "x.pdf"], 2, "error[FIGURE]: there is no figure '{run}'"),
        (["{run}", "{run}", "curves"], 2, "error[FIGURE]: 'curves' is of one run, not of 2"),
        (["{run}", "roc", "-o", "x.jpg"], 2, "error[EXPORT_FORMAT]: x.jpg must end in"),
        (["{run}", "roc", "-o", "/dev/null/x.png"], 5, "error[CANNOT_WRITE]"),
        (["{run}", "roc", "--width", "0"], 2, "error[WIDTH]"),
        (["{run}", "roc", "--labels", "a,b"], 2, "error[LABELS]: --labels must name"),
        (["{run}/nowhere", "roc"], 4, "error["),
    ],
)
def test_what_makes_no_sense_is_one_line(run, command, arguments, status, words):
    given = [word.format(run=run) for word in arguments]
    found, out, err = command("figure", *given)
    assert (found, out) == (status, "")
    assert err.startswith(words.format(run=run))
    assert err.count("\n") == 1
