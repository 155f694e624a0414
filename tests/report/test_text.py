import pytest

from vgae.graphs.graph import Graph
from vgae.report.text import (
    calibration_error,
    columns,
    graph_line,
    health_text,
    image_scores_text,
    kind_text,
    likelihood_text,
    link_scores_text,
    tasks_text,
    values_text,
)

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


def test_numbers_are_flush_right():
    assert columns([["a", "1"], ["bcd", "100"]], right=[1]) == "a      1\nbcd  100"


def test_scores_name_what_their_probabilities_are():
    out = link_scores_text({"val": ROW, "test": ROW})
    assert "validation  90.00  85.00 - 95.00  80.00" in out
    assert "hard MRR" not in out
    assert "ECE: of the bare sigmoid" in out
    out = link_scores_text(
        {"test": ROW | {"calibrated": {"ece": 0.01}, "hard": RANKS | {"mrr": 0.125}}}
    )
    assert "12.50  0.010" in out
    assert "hard MRR" in out
    heart = {"hard": RANKS | {"rule": "heart"}}
    assert "HeaRT MRR" in link_scores_text({"test": ROW | heart})
    assert "the bare sigmoid has 0.250" in out
    assert "first of all" not in out
    assert "7 test links, the first of all" in link_scores_text(
        {"test": ROW | {"num_links": 9000}}
    )


def test_any_number_of_non_links_is_said_with_what_follows_from_it():
    calibrated = {"calibrated": {"ece": 0.01}}
    assert "on as many non-links as links" in link_scores_text({"test": ROW | calibrated})
    out = link_scores_text({"test": ROW | calibrated | {"num_non_links": 3500, "given": RANKS}})
    assert "own MRR  own hit@10" in out
    assert "25.00       50.00  0.010" in out
    assert "own MRR, own hit@10: rank of a link among its own 500 non-links." in out
    assert "AUC, AP, Hits@50: among all non-links of a part, 3,500 for 7 test links." in out
    assert "calibrated probabilities, links and non-links weighing the same" in out
    out = link_scores_text({"val": ROW, "test": ROW | {"num_non_links": 3500, "given": RANKS}})
    assert "rank of a link among its own" not in out


def test_equal_probabilities_of_all_pairs_have_no_calibration_error():
    """Those of a model without any skill have an error of 0, which would look perfect."""
    one = {"ece": 0.0, "reliability": {"num_pairs": [14]}}
    two = {"ece": 0.0, "reliability": {"num_pairs": [7, 7]}}
    assert (calibration_error(one), calibration_error(two)) == (None, 0.0)
    out = link_scores_text({"test": ROW | {"calibrated": one}})
    assert "0.000" not in out
    assert "none where all pairs have about the same probability" in out
    assert "0.000" in link_scores_text({"test": ROW | {"calibrated": two}})


def test_findings_are_a_line_each_without_control_characters():
    text = health_text({"health": ["one", "two\x1b[2J"]})
    assert text.splitlines() == ["health  one", "health  two\\x1b[2J"]
    assert health_text({}) == ""


def test_nothing_held_out_is_said():
    assert "nothing to score" in image_scores_text(None)
    assert "nothing to score" in link_scores_text({})


def test_tasks_leave_out_what_there_is_not():
    figures = dict.fromkeys(
        ("accuracy", "accuracy_deviation", "macro_f1", "macro_f1_deviation"), 0.5
    )
    out = tasks_text({"classes": {"public": None, "random": figures}})
    assert "public" not in out
    assert "50.00 ± 50.00" in out
    assert "50.00  25.00  12.50" in tasks_text(
        {"clusters": {"acc": 0.5, "nmi": 0.25, "ari": 0.125}}
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({}, "g: 5 nodes, 4 links, 0 features"),
        ({"directed": "symmetrize"}, "g: 5 nodes, 4 links, 0 features"),
        ({"directed": "error"}, "g: 5 nodes, 4 links, 0 features"),
        (
            {"directed": "symmetrize", "sides": [3, 2], "side_names": []},
            "g: 5 nodes, 4 links, 0 features, two-sided: 3 first side, 2 second side",
        ),
        ({"directed": True}, "g: 5 nodes, 4 links, 0 features, directed"),
        ({"directed": "keep"}, "g: 5 nodes, 4 links, 0 features, directed"),
        (
            {"sides": [3, 2], "side_names": ["user", "item"]},
            "g: 5 nodes, 4 links, 0 features, two-sided: 3 user, 2 item",
        ),
        (
            {"sides": [3, 2], "side_names": []},
            "g: 5 nodes, 4 links, 0 features, two-sided: 3 first side, 2 second side",
        ),
    ],
)
def test_the_kind_of_a_graph_is_in_its_line(kind, words):
    counts = {"num_nodes": 5, "num_links": 4, "num_features": 0}
    assert graph_line({"name": "g", "notes": {}, **counts, **kind}) == words


def test_scores_of_weights_and_signs_have_a_line_each():
    weights = {"log_scale": True, "rmse": 0.5, "rmse_of_mean": 1.0, "coverage": {"80": 0.79}}
    signs = {"auc": 0.9, "accuracy": 0.8, "accuracy_of_most": 0.6}
    found = values_text({"test": {"weights": weights, "signs": signs}}).splitlines()
    assert found[1] == (
        "test weights: root mean squared error of logarithms 0.5 (1 of their mean); 79.00 % lie in"
        " the 80 % intervals."
    )
    assert found[2] == "test signs: AUC 90.00, accuracy 80.00 (60.00 of the more frequent sign)."
    assert values_text({"val": {"weights": None}}) == ""


def test_likelihoods_of_graphs_have_a_line_each():
    row = {"log_marginal": -1234.56, "log_marginal_error": 1.25, "log_marginal_per_pair": -0.5}
    row |= {"elbo": -1300.0, "effective_samples": 1.04, "num_samples": 20, "num_graphs": 1}
    row |= {"loose_bound": True}
    text = (
        "\nlog p(A | X), all links: -1,234.6 nats (standard error 1.2), -0.5 per pair; ELBO"
        " -1,300.0; 1.0 effective of 20 samples, so a loose lower bound."
    )
    assert likelihood_text({"val": {"likelihood": row}, "test": {"likelihood": row}}) == text
    other = row | {"num_graphs": 3, "loose_bound": False}
    lines = likelihood_text({"val": {"likelihood": row}, "test": {"likelihood": other}})
    assert lines.splitlines()[1].startswith("log p(A | X), validation: ")
    assert "(mean of 3 graphs, standard error 1.2)" in lines.splitlines()[2]
    assert lines.endswith("20 samples.")
    assert likelihood_text({"test": {}}) == ""


def test_the_sizes_of_many_graphs_are_a_range_or_one_number():
    many = {"num_graphs": 1200, "graph_sizes": [5, 7, 2000]}
    assert kind_text(many) == "1,200 graphs of 5 to 2,000 nodes, median 7"
    assert kind_text(many | {"graph_sizes": [20, 20, 20]}) == "1,200 graphs of 20 nodes"
