import base64
import itertools
import json
import re
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.data.files import write_npz
from vgae.data.reading import Reading
from vgae.errors import ArtifactError
from vgae.graphs.graph import Graph
from vgae.models.files import write_json
from vgae.recipes import BEST_LINKS, PAPER, RECIPES
from vgae.report.pages import frame as page
from vgae.report.pages.graphs import command as command_of
from vgae.report.pages.graphs import (
    evaluation_sentence,
    graph_page,
    link_rate,
    stills,
    top_proposal,
    verdict,
)
from vgae.report.pages.proposals import TopPairs, best_links
from vgae.runs.graphs import GraphSource, train_run
from vgae.runs.lifecycle import load_run

TEST = {
    "auc": 0.97,
    "auc_interval": [0.96, 0.98],
    "calibrated": {"ece": 0.0184},
    "sigmoid": {"reliability": {"num_pairs": [30, 20]}},
}


@pytest.fixture(autouse=True)
def _without_plotly(monkeypatch):
    """Its megabytes are of no use without a browser."""
    monkeypatch.setattr(page, "plotly_js", lambda: "0")


@pytest.fixture(scope="module")
def html(graph_run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "plotly_js", lambda: "0")
        return graph_page(graph_run, top_k=20)


def test_a_run_without_clusters_has_no_section_on_them(html):
    assert 'id="clusters"' not in html
    assert '<option value="cluster">' not in html


def data_of(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


def words_of(html):
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_the_page_has_data_model_and_scores(html, graph_run):
    words, test = words_of(html), graph_run.metrics["test"]
    assert "A variational graph auto-encoder, trained on the links of sbm" in words
    assert f"{100 * test['auc']:.1f} %" in words
    assert f"{100 * test['ap']:.1f} %" in words
    low, high = test["auc_interval"]
    assert f"95 % interval: {100 * low:.1f} to {100 * high:.1f} %" in words
    assert "nodes 120" in words
    assert "epoch kept 60 of 60" in words
    assert "Best proposed link node-" in words


def test_the_top_link_is_the_first_row_of_the_table(html):
    top = re.search(r'id="top-link"><bdi>(.*?)</bdi>.*?<bdi>(.*?)</bdi>', html)
    row = re.search(r'id="proposals".*?<tbody>\s*<tr>(.*?)</tr>', html, re.DOTALL)[1]
    cells = [re.sub("<[^>]*>", "", cell).strip() for cell in row.split("</td>")]
    assert cells[1:3] == [top[1], top[2]]
    assert len(re.findall(r"<tr>", html.split('id="proposals"')[1].split("</table>")[0])) == 21


def test_headings_are_in_order_and_ids_are_unique(html):
    body = html.split("<script")[0]
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", body)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = re.findall(r'\bid="([^"]+)"', html.split('id="data"')[0])
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([^"]+)"', html):
        assert target in ids


def test_every_chart_has_its_place_and_its_words(html):
    for name, chart in data_of(html)["charts"].items():
        place = re.search(rf'id="{name}" role="img" aria-label="([^"]+)"', html)
        assert place[1].startswith(chart["title"])
        assert chart["summary"]


def test_without_javascript_there_are_the_figures(html):
    images = re.findall(
        r'<noscript><figure class="still"><img src="data:image/png;base64,([^"]+)"', html
    )
    assert len(images) == 3
    assert all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)


def test_the_same_run_gives_the_same_page(html, graph_run):
    assert graph_page(load_run(graph_run.folder), top_k=20) == html


def test_names_from_strangers_stay_text(tmp_path):
    hostile = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<b>x</b>"]
    hostile += ["a\u202egnp", "javascript:alert(1)", "{{ 7 * 7 }}"]
    names = [*hostile, *(f"n{i}" for i in range(34))]
    rng = np.random.default_rng(0)
    edges = np.stack(np.nonzero(np.triu(rng.random((40, 40)) < 0.3, k=1)))
    graph = Graph.from_edges(
        edges, node_ids=names, y=[0] * 20 + [1] * 20, label_names=["<i>", "</title>"], name="<u>"
    )
    path = tmp_path / "graph.npz"
    write_npz(graph, path)
    run = train_run(str(path), tmp_path / "run", recipe=replace(PAPER, epochs=2))
    made = graph_page(run, top_k=500)
    assert len(re.findall(r"<script", made)) == 5
    body = re.sub(r"<style>.*?</style>", "", made, flags=re.DOTALL).split('id="data"')[0]
    assert not re.search(r"<img src=x|<b>x|<u>|\u202e|<script>alert", body)
    assert data_of(made)["graph"]["names"][0] == "</script><script>alert(1)</script>"
    assert "a\\u202egnp" in data_of(made)["graph"]["names"]


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.1), (0.1, 0.0), (0.0, 0.0)])
def test_runs_that_held_nothing_out_have_pages_too(sbm_file, tmp_path, val, test):
    recipe = replace(PAPER, epochs=2)
    source = GraphSource(str(sbm_file), val=val, test=test)
    run = train_run(source, tmp_path / "run", recipe=recipe)
    words = words_of(graph_page(run, top_k=5))
    assert ("so there is no evaluation" in words) == (test == 0)
    assert ("so there are no probabilities" in words) == (val == 0)
    assert "Computed again for this page" in words


def test_the_page_of_a_run_without_epochs_states_that_it_was_not_trained(sbm_file, tmp_path):
    run = train_run(str(sbm_file), tmp_path / "run", recipe=replace(PAPER, epochs=0))
    assert "The model was not trained" in words_of(graph_page(run, top_k=5))


def test_the_latent_dimensions_of_a_page_include_content(tmp_path):
    torch.manual_seed(0)
    x = (torch.rand(40, 12) < 0.15).float()
    links = torch.combinations(torch.arange(40))[torch.randperm(780)[:120]].T
    graph = Graph.from_edges(links, x=x, num_nodes=40, sides="none")
    recipe = RECIPES["ranks"].override({"latent_channels": 8, "epochs": 2})
    write_npz(graph, tmp_path / "graph.npz")
    run = train_run(str(tmp_path / "graph.npz"), tmp_path / "run", recipe=recipe)
    assert "latent dimensions 20 recipe ranks" in words_of(graph_page(run, top_k=5))


def test_the_page_has_what_the_health_check_found(graph_run):
    ill = replace(graph_run, metrics=graph_run.metrics | {"health": ["a <finding>"]})
    vars(ill)["graph"] = graph_run.graph
    assert "<strong>Warning.</strong> A &lt;finding&gt;." in graph_page(ill, top_k=5)
    old = {k: v for k, v in graph_run.metrics.items() if k != "health"}
    assert "Warning." not in words_of(graph_page(replace(ill, metrics=old), top_k=5))


def test_damaged_metrics_are_one_error(graph_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(graph_run.folder, folder)
    metrics = graph_run.metrics | {"test": {"auc": "high"}}
    write_json(folder / "metrics.json", metrics)
    with pytest.raises(ArtifactError, match="has content that no run has"):
        graph_page(load_run(folder))


def test_the_top_link_comes_with_the_evaluation_of_the_best_pairs(graph_run):
    found = best_links(graph_run, graph_run.calibration, 1)
    found = replace(found, probability=torch.tensor([0.291], dtype=torch.float64))
    rows = [TopPairs(10, 2, 0.5), TopPairs(200, 1, 0.4)]
    made = top_proposal(found, rows)
    assert made["evaluation"] == (
        "Of the 10 best pairs from the training links alone, 2 are held-out links: 20 %, with a"
        " 95 % interval of 6 to 51 %."
    )
    assert made["own"] == "Predicted probability: 29.1 %."  # within 6 to 51
    above = top_proposal(found, [TopPairs(10, 0, 0.5), TopPairs(200, 150, 0.4)])
    assert above["own"].endswith("29.1 %, above this interval.")
    assert (
        top_proposal(found, [])["evaluation"]
        == "No links were held out to evaluate the proposals."
    )


def test_the_top_link_comes_with_the_number_of_pairs_of_its_probability(graph_run):
    found = best_links(graph_run, graph_run.calibration, 4)

    def own(*probability):
        return top_proposal(replace(found, probability=torch.tensor(probability)), [])["own"]

    assert own(0.5, 0.5, 0.5, 0.4).endswith(
        " 2 other pairs have the same probability and no higher score."
    )
    assert " 1 other pair has the same" in own(0.5, 0.5, 0.4, 0.4)
    assert " At least 3 other pairs have the same" in own(0.5, 0.5, 0.5, 0.5)
    assert own(0.5, 0.4, 0.4, 0.4) == "Predicted probability: 50.0 %."


def test_the_proposals_begin_with_their_evaluation(html):
    section = words_of(html.split('id="proposed-title">')[1]).removeprefix("Proposed links ")
    assert section.startswith("Evaluation: ")
    assert "<summary>Interpretation of the probabilities</summary>" in html
    one = evaluation_sentence([TopPairs(7, 2, None)])
    assert one == (
        "Evaluation: 2 of the 7 best pairs from the training links alone are held-out links."
    )


@pytest.mark.parametrize(
    ("change", "simple", "said"),
    [
        (
            {},
            0.7,
            "the model ranks the link first in 97 of 100 cases. Random guessing is right in 50",
        ),
        ({}, 0.7, "the number of common neighbours, in 70."),
        ({}, 0.7, "The calibration error of the probabilities is 1.8 points."),
        (
            {"auc": 0.52, "auc_interval": [0.47, 0.56]},
            0.4,
            "not significantly better than random guessing",
        ),
        (
            {"auc": 0.3, "auc_interval": [0.27, 0.36]},
            0.4,
            "The model is worse than random guessing.",
        ),
        ({}, 0.98, "The baseline is as good or better."),
        ({"auc": 0.999}, 0.5, "first in more than 99 of 100"),
        ({"auc": 1.0}, 0.5, "first in 100 of 100"),
    ],
)
def test_the_verdict_follows_from_the_numbers(change, simple, said):
    assert said in verdict(TEST | change, simple, 50)


def test_a_run_without_calibration_has_no_calibration_error():
    assert "calibration" not in verdict(TEST | {"calibrated": None}, 0.5, 50)
    one = {"ece": 0.0, "reliability": {"num_pairs": [100]}}
    assert "about the same probability" in verdict(TEST | {"calibrated": one}, 0.5, 50)


def test_few_pairs_give_no_calibration_error():
    few = TEST | {"sigmoid": {"reliability": {"num_pairs": [30, 19]}}}
    for said in (verdict(TEST, 0.5, 49), verdict(few, 0.5, 50)):
        assert "too few to measure its error" in said
        assert "1.8 points" not in said


def test_the_prior_is_the_rate_of_links_among_unknown_pairs(html, graph_run):
    graph, train = graph_run.graph, graph_run.split.train.shape[1]
    odds = (120 * 119 // 2 - train) / (graph.num_links - train)
    assert f"one in {round(odds):,} is a link" in words_of(html)
    nothing = replace(graph_run.split, train=graph_run.graph.links)
    all_known = replace(graph_run, split=nothing)
    vars(all_known)["graph"] = graph  # read from its file, it would be audited
    assert link_rate(all_known) == "none"


def test_the_command_trains_the_same(graph_run, sbm_file, tmp_path, command, monkeypatch):
    monkeypatch.chdir(sbm_file.parent)  # it has the name of the file, without a path
    words = shlex.split(command_of(graph_run))
    assert words[:2] == ["vgae", "train"]
    assert command(*words[1:], "--out", tmp_path / "again", "--quiet")[0] == 0
    again = load_run(tmp_path / "again")
    assert again.metrics["test"] == graph_run.metrics["test"]


def test_the_command_names_a_variant_and_what_was_changed(graph_run):
    recipe = vars(replace(BEST_LINKS, lr=0.5, average=False))
    config = graph_run.config | {"recipe": recipe, "split": {"val": 0.2, "test": 0.1}}
    config["graph"] = config["graph"] | {"features": "none", "source": "a b.csv"}
    words = shlex.split(command_of(replace(graph_run, config=config)))
    assert words[2] == "a b.csv"
    assert words[words.index("--recipe") + 1] == "best-links"
    assert words[words.index("--features") + 1] == "none"
    assert words[words.index("--val") + 1] == "0.2"
    assert "--test" not in words
    sets = [b for a, b in itertools.pairwise(words) if a == "--set"]
    assert sets == ["lr=0.5", "average=false"]
    assert set(RECIPES) >= {"best-links"}


def test_the_words_of_a_page_are_those_of_the_kind_of_graph(html, tmp_path):
    rng = np.random.default_rng(0)
    edges = np.stack(np.nonzero(np.triu(rng.random((24, 24)) < 0.4, k=1)))
    for name, target in (("g", "b"), ("d", "a")):
        lines = "\n".join(f"a{u},{target}{v}" for u, v in edges.T)
        (tmp_path / f"{name}.csv").write_text(lines)
    recipe = replace(PAPER, epochs=2)
    drawn = "as many pairs without a link were drawn"
    near = "Nodes that the model expects to be linked are close"
    texts = {"plain": words_of(html)}
    for name, reading, task in (
        ("g", Reading(sides="columns"), "general"),
        ("d", Reading(directed="keep"), "biased"),
    ):
        source = GraphSource(str(tmp_path / f"{name}.csv"), reading=reading, task=task)
        texts[name] = words_of(graph_page(train_run(source, tmp_path / name, recipe=recipe)))
    assert [near in text for text in texts.values()] == [True, True, False]
    assert [drawn in text for text in texts.values()] == [True, True, False]
    ranked = "rank among all nodes of its side"
    assert [ranked in text for text in texts.values()] == [False, True, False]
    assert "with the reverses of as many one-way links" in texts["d"]


def test_the_command_names_the_task_of_a_directed_graph(graph_run):
    config = graph_run.config | {"split": {"val": 0.05, "test": 0.1, "task": "biased"}}
    config["graph"] = config["graph"] | {"directed": "keep"}
    words = shlex.split(command_of(replace(graph_run, config=config)))
    assert words[words.index("--task") + 1] == "biased"
    assert words[words.index("--directed") + 1] == "keep"
    assert "--task" not in shlex.split(command_of(graph_run))


def test_the_figures_of_the_folder_are_taken_as_they_are(graph_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(graph_run.folder, folder)
    (folder / "figures").mkdir(exist_ok=True)
    for name in ("training", "embedding", "links"):
        (folder / "figures" / f"{name}.png").write_bytes(name.encode())
    found = stills(replace(graph_run, folder=folder))
    assert found["links"][1] == "data:image/png;base64," + base64.b64encode(b"links").decode()
    assert not (graph_run.folder / "figures").exists()
