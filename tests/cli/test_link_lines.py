"""Lines of the terminal on proposed links."""

import json
from dataclasses import replace

import pytest
import torch

from vgae.cli.link_lines import numbers_true, print_links
from vgae.evaluation.expected import ExpectedTrue
from vgae.prediction.link_table import LinkTable


def table(come_true):
    ends = torch.arange(3), torch.arange(3) + 1
    score, rank = torch.tensor([3.0, 2.0, 1.0]), torch.arange(3) + 1
    p = torch.tensor([0.5, 0.25, 0.1]).double()
    return LinkTable(*ends, score, p, rank, ids=list("abcd"), come_true=come_true)


def test_the_number_that_comes_true_is_a_line_and_entries_of_json(capsys, tmp_path):
    found = ExpectedTrue(0.85, 0, 2, 3, 0.95)
    print_links(table(found), tmp_path / "links.csv", proposed=True)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("about 0.8 of these 3 pairs come true (95 % interval 0 to 2): are")
    assert json.loads(json.dumps(numbers_true(table(found)))) == {
        "expected_true": 0.85,
        "expected_true_low": 0,
        "expected_true_high": 2,
        "expected_true_interval": 0.95,
    }


def test_scores_and_equal_probabilities_are_explained(capsys, tmp_path):
    found = replace(table(None), probability=torch.tensor([0.5, 0.2501, 0.2502]).double())
    print_links(found, tmp_path / "links.csv", proposed=True)
    score, probability = capsys.readouterr().out.splitlines()[-2:]
    assert score.startswith("score: logit of the model, which only ranks pairs")
    assert probability == (
        "probability: that the pair is a missing link, if as many are missing as were held out; 2"
        " of those shown have the same one to three digits, and the score ranks them"
    )
    print_links(
        replace(found, probability=None), tmp_path / "l.csv", proposed=True, metric="cosine"
    )
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "score: cosine of the vectors of both nodes, from -1 to 1; no probabilities, as the run"
        " has no calibration"
    )


@pytest.mark.parametrize("proposed", [True, False])
def test_without_standard_errors_there_is_no_number(capsys, tmp_path, proposed):
    print_links(table(None), tmp_path / "links.csv", proposed=proposed)
    assert "come true" not in capsys.readouterr().out
    assert numbers_true(table(None)) == {}
