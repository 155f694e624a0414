"""The card of a run has its scores and their protocol, and nothing of this machine."""

import json

import pytest

from vgae.recipes import PAPER
from vgae.runs.cards import run_card, write_run_card
from vgae.runs.graphs import train_run


@pytest.fixture(scope="module")
def run(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train_run(str(sbm_file), folder, recipe=PAPER.override({"epochs": "2"}), progress=False)


def test_a_run_on_a_graph(run, sbm_file):
    text = (run.folder / "model" / "README.md").read_text(encoding="utf-8")
    test = run.metrics["test"]
    assert f"| ROC AUC of test links | {test['auc']:.4f} |" in text
    assert "120 nodes and 530 links, 40 features" in text
    assert "5% of the links were held out for validation and 10% for test" in text
    assert f"{test['num_links']} test links among {test['num_non_links']} pairs" in text
    assert "recipe paper" in text
    for place in (run.folder.parent, sbm_file.parent):
        assert str(place) not in text


def test_equal_runs_have_equal_cards(run, tmp_path):
    (tmp_path / "model").mkdir()
    write_run_card(tmp_path, run.config, run.metrics)
    written = [f / "model" / "README.md" for f in (tmp_path, run.folder)]
    assert written[0].read_bytes() == written[1].read_bytes()
    later = {**run.metrics, "seconds": 99.0}
    assert run_card(run.config, later) == run_card(run.config, run.metrics)


def test_without_held_out_links_there_are_no_scores(run):
    card = run_card(run.config, {**run.metrics, "test": None, "val": None})
    assert (card.scores, card.protocol) == ([], "")
    given = {**run.config, "split": {"path": "s.npz"}}
    assert run_card(given, run.metrics).protocol.startswith("The held-out links are those of a")


def test_without_features_it_says_whom_it_embeds(run):
    graph = {**run.config["graph"], "num_features": 0}
    limits = run_card({**run.config, "graph": graph}, run.metrics).limits
    assert limits[0].startswith("Without features, it embeds the nodes of its training")


def test_a_run_on_images():
    images = {"name": "digits", "shape": [1, 8, 8], "num_train": 1258}
    recipe = {"name": "small2d", "latent_channels": 2}
    config = {"images": images, "model": "vae", "recipe": recipe, "seed": 3}
    test = {"elbo": -30.5, "log_marginal": -29.5, "num_images": 359, "num_samples": 100}
    card = run_card(config, {"epoch": 1, "epochs": 2, "test": json.loads(json.dumps(test))})
    assert [score.value for score in card.scores] == [-30.5, -29.5]
    assert card.facts[0] == "It was trained on 1,258 images of digits, 1 x 8 x 8."
    assert run_card(config, {"epoch": 1, "epochs": 2, "test": None}).scores == []
    plain = {**test, "elbo": None, "log_marginal": None}
    card = run_card(config, {"epoch": 1, "epochs": 2, "test": plain})
    assert (card.scores, card.protocol) == ([], "359 test images.")


def test_kinds_of_other_packages_have_none(tmp_path):
    write_run_card(tmp_path, {"sounds": {}}, {})
    assert not (tmp_path / "model").exists()
