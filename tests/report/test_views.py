from dataclasses import replace

from vgae.graphs.graph import Graph
from vgae.report.views import GRAPHS, IMAGES, _near


def test_the_summary_has_data_model_and_scores(graph_run, image_run):
    assert "audited, nothing leaks\nmodel   vgae" in GRAPHS.summary(graph_run)
    assert "images  digits: 8 x 8, grey; 1,258 for training" in IMAGES.summary(image_run)


def test_the_summary_states_each_deviation_of_the_split(graph_run):
    split = replace(graph_run.split, train=graph_run.split.train[:, 5:])
    run = replace(graph_run, split=split)
    vars(run)["graph"] = graph_run.graph
    assert (
        "audited, no held-out link leaks\n        5 links of the graph are in no part: they carry"
        " no messages and are not scored\nmodel   vgae" in GRAPHS.summary(run)
    )


def test_the_next_table_has_the_same_split(graph_run):
    config = graph_run.config | {"split": {"path": "/data/a b"}}
    run = replace(graph_run, config=config)
    vars(run)["graph"] = graph_run.graph
    assert any("--split '/data/a b'" in line for line in GRAPHS.commands(run))


def test_the_next_table_of_a_directed_graph_has_models_of_directions(graph_run):
    run = replace(graph_run)
    vars(run)["graph"] = Graph.from_edges([[0, 1], [1, 2]], directed="keep")
    table = [*GRAPHS.commands(run)][-1]
    assert table.endswith("--models source-target-gae,source-target-vgae")
    vars(run)["graph"] = graph_run.graph
    assert "--models" not in [*GRAPHS.commands(run)][-1]


def test_the_next_table_has_the_features_and_the_recipe(graph_run):
    source = graph_run.config["graph"]
    reading = {"header": True, "encode": {"a b": "hash"}}
    changed = {"graph": source | {"features": "people.csv", "reading": reading}}
    recipe = {"recipe": graph_run.config["recipe"] | {"name": "paper"}}
    run = replace(graph_run, config=graph_run.config | changed | recipe)
    vars(run)["graph"] = graph_run.graph
    lines = [*GRAPHS.commands(run)]
    convert = next(line for line in lines if line.startswith("vgae convert"))
    assert "--header --encode 'a b=hash' --features people.csv -o " in convert
    assert convert.rpartition(" ")[2] != source["source"]  # which is not written over
    table = lines[-1]
    assert f"--datasets {convert.rpartition(' ')[2]} --seeds 3 --recipe paper" in table
    without = replace(run, config=run.config | {"graph": source | {"features": "none"}})
    vars(without)["graph"] = graph_run.graph
    assert "--features none" in [*GRAPHS.commands(without)][-1]


def test_a_folder_near_by_is_not_taken_for_a_data_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert _near(str(tmp_path / "MOL")) == "./MOL"
    assert _near(str(tmp_path / "mol.csv")) == "mol.csv"
    assert _near("/elsewhere/MOL") == "/elsewhere/MOL"
    assert _near("cora") == "cora"


def test_the_summary_has_what_the_health_check_found(graph_run, image_run):
    for view, run in ((GRAPHS, graph_run), (IMAGES, image_run)):
        ill = replace(run, metrics=run.metrics | {"health": ["a finding"]})
        assert "\nhealth  a finding\n\n" in view.summary(ill)


def test_scores_of_tasks_alone_have_no_scores_of_links():
    clusters = {"clusters": {"acc": 0.5, "nmi": 0.25, "ari": 0.125}}
    assert GRAPHS.scores(clusters).startswith("\nEmbedding of the whole graph")
    assert "nothing to score" in GRAPHS.scores({})


def test_figures_are_those_that_can_be_drawn(graph_run, image_run):
    named = {*GRAPHS.figures(), *GRAPHS.shared_figures()}
    assert {*GRAPHS.drawable(graph_run)} == named - {"clusters"}  # the run has none yet
    assert {*IMAGES.drawable(image_run)} <= {*IMAGES.figures()}


def test_the_next_table_has_the_changed_settings(graph_run):
    (table,) = (c for c in GRAPHS.commands(graph_run) if c.startswith("vgae table"))
    assert table.endswith("--seeds 3 --recipe paper --set epochs=60")
    lines = GRAPHS.text(graph_run).split("Try next:\n")[1].splitlines()
    assert f"  {table}  # mean and deviation of GAE and VGAE" in lines
