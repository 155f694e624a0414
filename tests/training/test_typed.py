"""Tests of training on typed graphs, end to end."""

import logging

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import DataError, LeakageError, UsageError
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import link_scores
from vgae.evaluation.typed import RelationScorer
from vgae.graphs.pairs import LabelledPairs
from vgae.models.typed import message_kinds, messages

SHORT = vgae.recipes.PAPER.override({"epochs": 20})


def planted(seed=0, num_nodes=120, degree=14):
    """Two groupings: one relation within groups of the first, one within those of the second."""
    generator = np.random.default_rng(seed)
    first, second = generator.integers(3, size=(2, num_nodes))
    rules = {"friend": first[:, None] == first, "colleague": second[:, None] == second}
    edges = {}
    for name, rule in rules.items():
        inside = np.argwhere(np.triu(rule, 1))
        edges[name] = inside[generator.choice(len(inside), num_nodes * degree // 2)].T, None
    types = {"node_type": np.zeros(num_nodes, int), "node_type_names": ("node",)}
    return vgae.TypedGraph.of(edges, **types)


@pytest.fixture(scope="module")
def problem():
    graph = planted()
    return graph, vgae.split_links(graph, val=0.1, test=0.1)


def test_relations_are_told_apart_where_one_graph_of_all_links_confuses_them(problem):
    graph, split = problem
    recipe = vgae.recipes.PAPER.override({"epochs": 150})
    result = vgae.fit(graph, split, model="rgcn-vgae", recipe=recipe, progress=False)
    every = torch.cat([part.train for part in split.parts.values()], dim=1)
    one = vgae.Graph.from_edges(every, num_nodes=graph.num_nodes, sides="none")
    none = LabelledPairs(every[:, :0], every[:, :0])
    whole = vgae.LinkSplit(one.num_nodes, one.links, none, none, one.link_fingerprint, 0)
    untyped = PairScorer(vgae.fit(one, whole, recipe=recipe, progress=False), one)
    edges, gains = messages(graph, split), []
    for name, part in split.parts.items():
        pairs, label = part.test.edge_label_index, part.test.edge_label
        typed = RelationScorer(result, graph, name, edges)
        scores = [link_scores(s.logits(pairs), label).auc for s in (typed, untyped)]
        gains.append(scores[0] - scores[1])
    assert min(gains) > 0.05, gains


def test_validation_is_the_mean_over_relations(problem):
    graph, split = problem
    result = vgae.fit(graph, split, model="rgcn-gae", recipe=SHORT, progress=False)
    found = vgae.evaluate(result, graph, split)["val"]
    assert result.history[-1].val_auc == pytest.approx(found.auc, abs=1e-6)
    assert result.history[-1].val_ap == pytest.approx(found.ap, abs=1e-6)
    aucs = [score.auc for score in found.relations.values()]
    assert found.auc == pytest.approx(sum(aucs) / 2)
    assert found.to_dict()["relations"]["friend"]["auc"] == aucs[0]


def test_a_training_continues_to_the_same_bits(problem, tmp_path):
    how = {"model": "rgcn-vgae", "progress": False}
    whole = vgae.fit(*problem, recipe=SHORT, **how)
    vgae.fit(*problem, recipe=SHORT.override({"epochs": 8}), checkpoints=tmp_path, **how)
    rest = vgae.fit(*problem, recipe=SHORT, checkpoints=tmp_path, **how)
    assert rest.history == whole.history
    assert all(torch.equal(v, whole.last[k]) for k, v in rest.last.items())


def test_a_model_of_ones_own_and_names_of_one_graph_are_taken(problem, caplog):
    graph, split = problem
    encoder = vgae.RGCNEncoder(graph.num_nodes, 8, 4, messages=message_kinds(graph), bases=1)
    model = vgae.VAE(encoder, vgae.DistMultDecoder(4, [*graph.relations]))
    assert vgae.fit(graph, split, model=model, recipe=SHORT, progress=False).model is model
    with caplog.at_level(logging.INFO):
        once = SHORT.override({"epochs": 1})
        prepared = vgae.fit(graph, split, model="vgae", recipe=once, progress=False)
    assert prepared.model.encoder.model_name == "rgcn-vgae"
    assert "vgae: of a typed graph, it is rgcn-vgae" in caplog.text


def test_a_relation_at_chance_is_a_finding(caplog):
    random = np.random.default_rng(0).integers(60, size=(2, 400))
    types = {"node_type": np.zeros(60, int), "node_type_names": ("node",)}
    graph = vgae.TypedGraph.of({"noise": (random, None)}, **types)
    split = vgae.split_links(graph, val=0.3, test=0.0)
    recipe = vgae.recipes.PAPER.override({"epochs": 1})
    result = vgae.fit(graph, split, model="rgcn-vgae", recipe=recipe, progress=False)
    auc = vgae.evaluate(result, graph, split)["val"].auc
    assert f"relation 'noise': the validation AUC is {auc:.2f}, near chance" in result.health[0]


@pytest.mark.row("G49")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recipe": vgae.recipes.BEST}, "mask = 0.7 is not for typed graphs"),
        ({"recipe": SHORT.override({"weighted": True})}, "set weighted = false"),
        ({"model": "linear-vgae"}, "takes one relation"),
        ({"model": "rgcn"}, "no model 'rgcn'"),
        ({"model": 3}, "got int"),
        ({"recipe": "best"}, "vgae.recipes"),
    ],
)
def test_what_typed_graphs_have_not_is_refused(problem, options, words):
    with pytest.raises(UsageError, match=words):
        vgae.fit(*problem, **options)


def test_models_and_splits_of_another_kind_are_refused(problem, two_cliques):
    graph, split = problem
    with pytest.raises(UsageError, match="is for typed graphs"):
        vgae.fit(two_cliques, vgae.split_links(two_cliques), model="rgcn-vgae")
    with pytest.raises(UsageError, match="split must be a TypedSplit"):
        vgae.fit(graph, split.parts["friend"])
    with pytest.raises(LeakageError, match="another typed graph"):
        vgae.fit(planted(seed=4), split)
    decoder = vgae.DistMultDecoder(4, ["friend"])
    encoder = vgae.RGCNEncoder(graph.num_nodes, 8, 4, messages=message_kinds(graph))
    with pytest.raises(UsageError, match="DistMultDecoder of its relations"):
        vgae.fit(graph, split, model=vgae.VAE(encoder, decoder))


def test_no_name_of_a_model_takes_the_relational_one(problem):
    graph, split = problem[:2]
    result = vgae.fit(graph, split, recipe=SHORT.override({"epochs": 1}))
    assert type(result.model.decoder).__name__ == "DistMultDecoder"
    with pytest.raises(DataError, match=r"messages of several relations.*relation="):
        vgae.predict_links(result, graph.relations[next(iter(graph.relations))], 3)
