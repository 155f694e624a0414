import pytest
import torch

from vgae.cli.console import (
    graph_line,
    print_calibration,
    print_columns,
    print_scores,
    print_tasks,
)
from vgae.evaluation.calibration import fit_calibration
from vgae.graphs.graph import Graph

RANKS = {"mrr": 0.25, "hits_at_10": 0.5, "num_links": 7}
ROW = {
    "auc": 0.9,
    "ap": 0.8,
    "auc_interval": [0.85, 0.95],
    "ap_interval": [0.7, 0.9],
    "hits_at_50": 1.0,
    "num_links": 7,
    "ranks": RANKS,
    "hard": None,
    "sigmoid": {"ece": 0.25},
    "calibrated": None,
}


@pytest.mark.parametrize(
    ("nodes", "told"),
    [(3, ""), (5, " (2 nodes without a link, 3 components, 1 self-loops dropped)")],
)
def test_a_graph_in_one_piece_is_not_worth_a_word(nodes, told):
    edges = [[0, 1], [1, 2]] if nodes == 3 else [[0, 1, 4], [1, 2, 4]]
    line = graph_line(Graph.from_edges(edges, num_nodes=nodes, name="g").summary())
    assert line == f"g: {nodes} nodes, 2 links, 0 features{told}"


def test_numbers_stand_flush_right(capsys):
    print_columns([["a", "1"], ["bcd", "100"]], right=[1])
    assert capsys.readouterr().out == "a      1\nbcd  100\n"


def test_scores_name_what_their_probabilities_are(capsys):
    print_scores({"val": ROW, "test": ROW})
    out = capsys.readouterr().out
    assert "validation  90.00  85.00 - 95.00  80.00" in out
    assert "hard MRR" not in out
    assert "ECE: of the bare sigmoid" in out
    print_scores({"test": ROW | {"calibrated": {"ece": 0.01}, "hard": RANKS | {"mrr": 0.125}}})
    out = capsys.readouterr().out
    assert "12.50  0.010" in out
    assert "the bare sigmoid has 0.250" in out
    assert "first of all" not in out
    print_scores({"test": ROW | {"num_links": 9000}})
    assert "7 test links, the first of all" in capsys.readouterr().out


def test_nothing_held_out_is_said(capsys):
    print_scores({})
    assert "nothing to score" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["platt", "temperature", "isotonic"])
def test_a_calibration_says_what_it_does_and_what_its_threshold_gave(capsys, method, generator):
    logits = torch.randn(60, generator=generator)
    print_calibration(fit_calibration(logits, (logits > 0).float().roll(1), method=method))
    out = capsys.readouterr().out
    assert out.startswith(method)
    assert "for f1: precision" in out


def test_tasks_leave_out_what_there_is_not(capsys):
    figures = dict.fromkeys(
        ("accuracy", "accuracy_deviation", "macro_f1", "macro_f1_deviation"), 0.5
    )
    print_tasks({"classes": {"public": None, "random": figures}})
    out = capsys.readouterr().out
    assert "public" not in out
    assert "50.00 ± 50.00" in out
    print_tasks({"clusters": {"acc": 0.5, "nmi": 0.25, "ari": 0.125}})
    assert "50.00  25.00  12.50" in capsys.readouterr().out
