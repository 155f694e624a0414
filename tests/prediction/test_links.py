"""Proposed links by name, with scores and probabilities that are those of the model."""

import logging
from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch

import vgae
from vgae.decoders import InnerProductDecoder
from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation.calibration import fit_calibration
from vgae.evaluation.links import PairScorer
from vgae.prediction import searches
from vgae.prediction.ends import Search
from vgae.prediction.link_table import LinkTable
from vgae.prediction.links import predict_links, score_links


class Fixed(torch.nn.Module):
    """An encoder that knows where the nodes are."""

    def __init__(self, z):
        super().__init__()
        self.z = z

    def forward(self, x, edge_index, edge_weight=None):
        return vgae.PointMass(self.z)


class Distance(torch.nn.Module):
    """A decoder with logits of its own."""

    def logits(self, z, edge_label_index):
        u, v = edge_label_index
        return 1 - (z[u] - z[v]).square().sum(dim=1)

    def log_prob(self, z, target):
        raise NotImplementedError


class FactoredDistance(Distance):
    """The same logits as inner products."""

    def factors(self, z):
        length, one = z.square().sum(dim=1, keepdim=True), torch.ones(len(z), 1)
        return torch.cat([2 * z, 1 - length, one], 1), torch.cat([z, one, -length], 1)


def made(z, decoder=None):
    decoder = decoder or InnerProductDecoder(bias=True)
    if getattr(decoder, "bias", None) is not None:
        torch.nn.init.constant_(decoder.bias, -0.75)
    return vgae.VAE(Fixed(z), decoder)


@pytest.fixture
def named(generator):
    edges = torch.randint(20, (2, 40), generator=generator)
    return vgae.Graph.from_edges(edges, node_ids=[f"node {k}" for k in range(20)])


@pytest.fixture
def z(generator):
    return torch.randn(20, 4, generator=generator)


def expected(scores, graph, k):
    """The k best unknown partners of each node, as names and scores."""
    scores = scores.double().numpy().copy()
    scores[graph.to_scipy().toarray() > 0] = -np.inf
    np.fill_diagonal(scores, -np.inf)
    rows = []
    for u in range(len(scores)):
        order = np.argsort(-scores[u], kind="stable")[:k]
        rows += [
            (graph.ids[u], graph.ids[v], scores[u, v]) for v in order if scores[u, v] > -np.inf
        ]
    return rows


def rows_of(table):
    return [(u, v, s) for (u, v), s in zip(table.names(), table.score.tolist(), strict=True)]


def assert_rows(table, expected):
    assert [row[:2] for row in rows_of(table)] == [row[:2] for row in expected]
    assert table.score.tolist() == pytest.approx([row[2] for row in expected], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("k", [1, 3, 100])
def test_each_node_gets_its_best_unknown_partners(named, z, k):
    table = predict_links(made(z), named, k)
    assert_rows(table, expected(z @ z.T - 0.75, named, k))
    per_node = [int((table.source == u).sum()) for u in range(20)]
    assert table.rank.tolist() == [r for count in per_node for r in range(1, count + 1)]


def test_cosines_rank_and_a_mean_of_zero_has_none(named, z):
    z[3] = 0
    table = predict_links(made(z), named, 4, metric="cosine")
    assert_rows(
        table,
        expected(
            torch.nn.functional.normalize(z.double())
            @ torch.nn.functional.normalize(z.double()).T,
            named,
            4,
        ),
    )
    assert table.score[table.source == 3].tolist() == [0] * 4


@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_a_decoder_with_logits_of_its_own_is_asked_for_them(named, z, metric):
    table = predict_links(made(z, Distance()), named, 3, metric=metric)
    if metric == "inner_product":
        assert_rows(table, expected(1 - torch.cdist(z, z).square(), named, 3))
    else:
        assert_rows(table, rows_of(predict_links(made(z), named, 3, metric=metric)))


def test_factors_of_a_decoder_replace_its_logits(named, z):
    left, right = InnerProductDecoder(bias=True).factors(z)
    assert torch.equal(left, torch.cat([z, torch.zeros(20, 1)], 1))
    assert torch.equal(right, torch.cat([z, torch.ones(20, 1)], 1))
    one, other = (predict_links(made(z, d()), named, 3) for d in (Distance, FactoredDistance))
    assert_rows(one, rows_of(other))
    scorers = [PairScorer(made(z, d()), named) for d in (Distance, FactoredDistance)]
    rows = [scorer.logits_of(torch.tensor([3, 1])) for scorer in scorers]
    torch.testing.assert_close(*rows, rtol=1e-4, atol=1e-5)
    assert not torch.equal(*rows)


@pytest.mark.parametrize("index", ["with", "without"])
def test_an_index_finds_the_same_links(named, z, index, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("vgae.prediction.searches._uses_faiss", lambda *_: index == "with")
    for metric, scores in {
        "inner_product": z @ z.T - 0.75,
        "cosine": torch.nn.functional.normalize(z) @ torch.nn.functional.normalize(z).T,
    }.items():
        found = predict_links(made(z), named, 3, metric=metric)
        assert_rows(found, expected(scores, named, 3))


@pytest.mark.parametrize(
    ("decoder", "num_wanted", "k", "expected"),
    [
        (InnerProductDecoder, 20_000, 100, True),
        (InnerProductDecoder, 19_999, 100, False),
        (InnerProductDecoder, 20_000, 101, False),
        (Distance, 20_000, 100, False),
    ],
)
def test_an_index_serves_large_searches_of_inner_products(
    named, z, decoder, num_wanted, k, expected
):
    pytest.importorskip("faiss")
    every = Search(torch.arange(20), torch.arange(20))
    scores = searches._scores(PairScorer(made(z, decoder()), named), "inner_product", every)
    assert searches._uses_faiss(scores, num_wanted, k) is expected


def test_a_scorer_brings_its_edges_and_its_calibration(sbm, generator):
    model = vgae.VAE(vgae.GCNEncoder(sbm.num_features, 8, 4), InnerProductDecoder())
    edges = sbm.edge_index[:, :200]
    scorer = PairScorer(model, sbm, edges)
    z = vgae.embed(model, sbm, edges).mu
    assert_rows(predict_links(scorer, sbm, 2), expected((z @ z.T).detach(), sbm, 2))
    pairs = [("node-0", "node-5"), ("node-7", "node-3")]
    score = score_links(scorer, sbm, pairs).score
    torch.testing.assert_close(score, (z[[0, 7]] * z[[5, 3]]).sum(dim=1))
    assert not torch.equal(score, score_links(model, sbm, pairs).score)

    class Run:
        def __init__(self):
            self.model = model
            self.calibration = fit_calibration(
                torch.tensor([1.0, 2, 3, 0]), torch.tensor([0, 1, 1, 0])
            )

    run = Run()
    probability = score_links(PairScorer(run, sbm, edges), sbm, pairs).probability
    assert torch.equal(probability, run.calibration.probability(score))


def test_the_best_of_all_pairs_stand_once_each(named, z):
    table = predict_links(made(z), named, 12, per_node=False)
    both = sorted(expected(z @ z.T - 0.75, named, 20), key=lambda row: -row[2])
    assert [{u, v} for u, v, _ in rows_of(table)] == [{u, v} for u, v, _ in both[::2][:12]]
    assert table.rank.tolist() == list(range(1, 13))


def test_nodes_are_asked_for_by_name(named, z):
    table = predict_links(made(z), named, 2, nodes=["node 7", "node 2", "node 7"])
    wanted = [
        row
        for name in ("node 7", "node 2")
        for row in expected(z @ z.T - 0.75, named, 2)
        if row[0] == name
    ]
    assert_rows(table, wanted)
    assert len(predict_links(made(z), named, 2, nodes=[])) == 0


def test_the_same_links_are_proposed_however_the_nodes_are_numbered(named, z, generator):
    order = torch.randperm(20, generator=generator)
    place = order.argsort()
    ids = [named.ids[k] for k in order.tolist()]
    other = vgae.Graph.from_edges(place[named.links], node_ids=ids)
    a = predict_links(made(z), named, 3).names()
    assert set(a) == set(predict_links(made(z[order]), other, 3).names())


def test_what_a_search_takes_is_said_before(named, z, caplog):
    caplog.set_level(logging.INFO, "vgae.prediction")
    predict_links(made(z), named, nodes=["node 7", "node 2"])
    expected = "40 pairs to be scored: about 0.0 s on one core; takes about 0 MB"
    assert caplog.messages[0] == expected


def test_a_complete_graph_and_a_greedy_k_are_said(caplog, z):
    caplog.set_level(logging.INFO, "vgae.prediction")
    complete = vgae.Graph.from_networkx(nx.complete_graph(20))
    assert len(predict_links(made(z), complete, 3)) == 0
    assert "20 nodes have fewer than 3 pairs that are not linked" in caplog.text
    assert len(predict_links(made(z), complete, 3, per_node=False)) == 0
    assert "the graph has fewer than 3" in caplog.text


def test_probabilities_are_those_of_the_calibration_at_the_logit(named, z, generator):
    logits = torch.randn(200, generator=generator)
    labels = (logits + torch.randn(200, generator=generator) > 0).float()
    calibration = fit_calibration(logits, labels)
    model = made(z)
    assert predict_links(model, named, 2).probability is None
    for metric in ("inner_product", "cosine"):
        table = predict_links(model, named, 2, metric=metric, calibration=calibration)
        logit = model.decoder.logits(z, torch.stack([table.source, table.target]))
        assert torch.equal(table.probability, calibration.probability(logit))

    dense = fit_calibration(logits, labels, prior="density", density=0.1)
    for fitted, name in ((calibration, "balanced_probability"), (dense, "probability")):
        for table in (
            predict_links(model, named, 2, calibration=fitted),
            score_links(model, named, [("node 3", "node 9")], calibration=fitted),
        ):
            assert table.prior == fitted.prior
            assert [c for c in table.columns() if "probability" in c] == [name]

    class Run:
        def __init__(self):
            self.model, self.calibration = model, calibration

    assert torch.equal(
        predict_links(Run(), named, 2).probability,
        predict_links(model, named, 2, calibration=calibration).probability,
    )


def test_given_pairs_are_scored_in_their_order_and_known_links_marked(named, z):
    u, v = (named.ids[k] for k in named.links[:, 0].tolist())
    pairs = [("node 3", "node 9"), (v, u), ("node 9", "node 3")]
    table = score_links(made(z), named, pairs)
    assert table.names() == pairs
    expected = [float(z[3] @ z[9]), float(z[named.links[0, 0]] @ z[named.links[1, 0]])]
    assert table.score.tolist() == pytest.approx([s - 0.75 for s in (*expected, expected[0])])
    assert table.known.tolist()[1] is True
    assert sorted(table.rank.tolist()) == [1, 2, 3]
    assert np.array_equal(score_links(made(z), named, np.array(pairs)).score, table.score)
    assert len(score_links(made(z), named, [])) == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, g: predict_links(m, g, 0), UsageError, "at least 1, got 0"),
        (lambda m, g: predict_links(m, g, metric="l2"), UsageError, "metric must be one of"),
        (
            lambda m, g: predict_links(m, g, nodes=["node 1"], per_node=False),
            UsageError,
            "per_node=True",
        ),
        pytest.param(
            lambda m, g: predict_links(m, g, nodes=["x", 1, "node 1"]),
            DataError,
            "2 names are not in graph, first 'x', 1; names of its nodes are like 'node 0'",
            id="R16-name",
        ),
        pytest.param(
            lambda m, g: predict_links(m, g, nodes=["x"]),
            DataError,
            "1 name is not in graph, first 'x'",
            id="R16-one-name",
        ),
        pytest.param(
            lambda m, g: predict_links(m, g, nodes="nod 4"),
            DataError,
            "first 'nod 4'; .* Did you mean 'node 4' for 'nod 4'",
            id="R16-near",
        ),
        pytest.param(
            lambda m, g: score_links(m, g, [("node 1", "node 1")]),
            DataError,
            "1 pairs link a node to itself, first 'node 1'",
            id="R16-self",
        ),
        (lambda m, g: score_links(m, g, [("node 1",)]), DataError, "two names each"),
        (lambda m, g: score_links(m, g, ("ab", "cd")), DataError, "two names each"),
        (
            lambda m, g: predict_links(PairScorer(m, g), vgae.Graph.from_edges([[0], [1]])),
            DataError,
            "must have the 2 nodes of graph, got 20",
        ),
        *(
            (call, NumericalError, words)
            for scored, words in (
                (lambda: made(torch.full((20, 2), torch.nan)), "embedding is not finite"),
                (
                    lambda: made(1e30 * torch.arange(20.0)[:, None], Distance()),
                    "logits that are not",
                ),
            )
            for call in (
                lambda m, g, scored=scored: predict_links(scored(), g),
                lambda m, g, scored=scored: predict_links(scored(), g, per_node=False),
                lambda m, g, scored=scored: score_links(scored(), g, [("node 1", "node 2")]),
            )
        ),
    ],
)
def test_what_cannot_be_proposed_or_scored_is_refused(named, z, call, error, words):
    with pytest.raises(error, match=words):
        call(made(z), named)


def test_numbers_are_names_where_there_are_no_others(z):
    graph = vgae.Graph.from_edges([[0, 1], [1, 2]], num_nodes=20)
    table = predict_links(made(z), graph, 1)
    assert isinstance(table, LinkTable)
    assert table.names()[0][0] == 0
    for pairs in ([[0, 5]], np.array([[0, 5]]), torch.tensor([[0, 5]])):
        assert score_links(made(z), graph, pairs).names() == [(0, 5)]


def test_a_name_of_the_other_type_is_the_same_node(named, z):
    numbered = replace(named, node_ids=None)
    pairs = [("3", "9"), (3, 9), (np.int64(3), "9")]
    assert score_links(made(z), numbered, pairs).names() == [(3, 9)] * 3
    texts = replace(named, node_ids=tuple(map(str, range(20))))
    assert score_links(made(z), texts, [(3, "9")]).names() == [("3", "9")]
    assert set(predict_links(made(z), texts, 1, nodes=[3]).source.tolist()) == {3}
    with pytest.raises(DataError, match="first 20; names of its nodes are like '0'"):
        predict_links(made(z), texts, nodes=[20])


def test_pairs_may_be_in_a_frame_and_one_node_a_string(named, z):
    pairs = pd.DataFrame(
        {"score": [1, 2], "source": ["node 3", "node 1"], "target": ["node 9"] * 2}
    )
    found = score_links(made(z), named, pairs)
    assert found.names() == [("node 3", "node 9"), ("node 1", "node 9")]
    assert set(predict_links(made(z), named, 2, nodes="node 3").source.tolist()) == {3}


class Source(torch.nn.Module):
    """A decoder with direction: the first half of z is that of a source."""

    def logits(self, z, edge_label_index):
        (u, _), (_, v) = (z[end].chunk(2, dim=1) for end in edge_label_index)
        return (u * v).sum(dim=1)

    def log_prob(self, z, target):
        raise NotImplementedError


class FactoredSource(Source):
    def factors(self, z):
        return z.chunk(2, dim=1)


def ranked(scores, graph, rows, columns, k):
    """The k best pairs by a sort of all that may be links and are none."""
    known = set(zip(*graph.links.tolist(), strict=True))
    known |= set() if graph.directed else {(v, u) for u, v in known}
    pairs = [(u, v) for u in rows for v in columns if u != v and (u, v) not in known]
    return sorted(pairs, key=lambda pair: -float(scores[pair]))[:k]


@pytest.fixture
def arrows(generator):
    edges = torch.randint(20, (2, 60), generator=generator)
    return vgae.Graph.from_edges(edges, num_nodes=20, directed="keep")


@pytest.fixture
def shop(generator):
    """Eight users and twelve items, whose numbers are mixed, with links across."""
    sides = torch.zeros(20, dtype=torch.bool)
    sides[torch.randperm(20, generator=generator)[:12]] = True
    users, items = (~sides).nonzero()[:, 0], sides.nonzero()[:, 0]
    chosen = torch.randperm(96, generator=generator)[:30].sort().values
    links = torch.stack([users[chosen // 12], items[chosen % 12]])
    names = [f"{'i' if second else 'u'}{k}" for k, second in enumerate(sides.tolist())]
    graph = vgae.Graph.from_edges(torch.empty(2, 0, dtype=torch.int64), node_ids=names)
    return replace(graph, links=links, sides=sides, side_names=("user", "item"))


def listed(table):
    return list(zip(table.source.tolist(), table.target.tolist(), strict=True))


@pytest.mark.parametrize("decoder", [Source, FactoredSource])
def test_links_with_a_direction_are_proposed_from_source_to_target(arrows, z, decoder):
    model, every = made(z, decoder()), range(20)
    scores = z[:, :2] @ z[:, 2:].T
    table = predict_links(model, arrows, 3)
    assert listed(table) == [p for u in every for p in ranked(scores, arrows, [u], every, 3)]
    overall = predict_links(model, arrows, 40, per_node=False)
    assert listed(overall) == ranked(scores, arrows, every, every, 40)
    assert any((v, u) in listed(overall) for u, v in listed(overall))
    sources = predict_links(model, arrows, 2, targets=[4, 7])
    wanted = [p for v in (4, 7) for p in ranked(scores, arrows, every, [v], 2)]
    assert listed(sources) == wanted
    assert sources.rank.tolist() == [1, 2, 1, 2]
    assert listed(predict_links(model, arrows, 2, sources=[4])) == listed(
        predict_links(model, arrows, 2, nodes=[4])
    )
    given = score_links(model, arrows, [wanted[0], wanted[0][::-1]])
    assert given.score.tolist() == pytest.approx([float(scores[p]) for p in listed(given)])
    graph = table.to_networkx()
    assert graph.is_directed()
    assert set(graph.edges) == set(listed(table))


def test_a_known_link_does_not_exclude_the_other_direction(arrows, z):
    known = set(zip(*arrows.links.tolist(), strict=True))
    u, v = next((u, v) for u, v in known if (v, u) not in known)
    model = made(z, FactoredSource())
    assert (v, u) in listed(predict_links(model, arrows, 20, nodes=[v]))
    assert (u, v) not in listed(predict_links(model, arrows, 20, nodes=[u]))
    assert score_links(model, arrows, [(u, v), (v, u)]).known.tolist() == [True, False]


@pytest.mark.parametrize("decoder", [InnerProductDecoder, Distance, Source, FactoredSource])
def test_proposals_of_a_two_sided_graph_go_across(shop, z, decoder):
    model = made(z, decoder())
    pairs = torch.cartesian_prod(torch.arange(20), torch.arange(20)).T
    scores = model.decoder.logits(z, shop.grid.ordered(pairs)).detach().view(20, 20)
    users, items = ((shop.sides == side).nonzero()[:, 0].tolist() for side in (False, True))
    table = predict_links(model, shop, 3)
    assert listed(table) == [p for u in users for p in ranked(scores, shop, [u], items, 3)]
    overall = predict_links(model, shop, 25, per_node=False)
    assert listed(overall) == ranked(scores, shop, users, items, 25)
    back = predict_links(model, shop, 2, sources="items", targets="user")
    assert listed(back) == [p for i in items for p in ranked(scores, shop, [i], users, 2)]
    mixed = predict_links(model, shop, 1, nodes=[shop.ids[items[0]], shop.ids[users[0]]])
    assert set(listed(mixed)) == {
        *ranked(scores, shop, users[:1], items, 1),
        *ranked(scores, shop, items[:1], users, 1),
    }
    some = [shop.ids[i] for i in items[2:6]]
    found = predict_links(model, shop, 4, sources="users", targets=some, per_node=False)
    assert listed(found) == ranked(scores, shop, users, items[2:6], 4)
    best = predict_links(model, shop, 2, targets=some[:1])
    assert listed(best) == ranked(scores, shop, users, items[2:3], 2)
    given = score_links(model, shop, best.names() + [pair[::-1] for pair in best.names()])
    assert given.score.tolist() == pytest.approx(2 * best.score.tolist())
    assert not table.to_networkx().is_directed()


def test_of_an_undirected_graph_some_pairs_stand_once_each(named, z):
    model, some = made(z), [f"node {k}" for k in (11, 3, 5, 8)]
    scores, known = z @ z.T, named.to_scipy().toarray()
    near, far = (3, 5, 8, 11), (5, 8, 9, 10)
    pairs = [(u, v) for u in near for v in far if u != v and not known[u, v]]
    pairs = [(u, v) for u, v in pairs if u < v or not (v in near and u in far)]
    pairs.sort(key=lambda pair: -float(scores[pair]))
    table = predict_links(
        model, named, 50, sources=some, targets=[f"node {v}" for v in far], per_node=False
    )
    assert listed(table) == pairs
    near = predict_links(model, named, 2, sources=["node 3"], targets=["node 9", "node 1"])
    assert {v for _, v in listed(near)} <= {9, 1}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        pytest.param(
            lambda m, g: predict_links(m, g, sources="user", targets="users"),
            DataError,
            "sources and targets are of the same side",
            id="R16-same-side",
        ),
        pytest.param(
            lambda m, g: score_links(m, g, [(g.ids[u], g.ids[v]) for u, v in [(0, 1), (0, 2)]]),
            DataError,
            "pairs? join two nodes of one side \\('user' and 'item'\\), which are never linked",
            id="R16-pair",
        ),
        (
            lambda m, g: predict_links(m, g, sources="usr"),
            DataError,
            "first 'usr'.*sides are 'user' and 'item'",
        ),
        (
            lambda m, g: predict_links(m, g, sources=list(g.ids), per_node=False),
            DataError,
            "of one side, got nodes of both",
        ),
        (
            lambda m, g: predict_links(m, g, nodes=[g.ids[0]], targets="item"),
            UsageError,
            "no sources or targets, got sources and targets",
        ),
    ],
)
def test_pairs_within_a_side_are_refused(shop, z, call, error, words):
    order = shop.sides.int().argsort(stable=True)
    ids = tuple(shop.ids[k] for k in order.tolist())
    place = order.argsort()
    graph = replace(shop, links=place[shop.links], sides=shop.sides[order], node_ids=ids)
    with pytest.raises(error, match=words):
        call(made(z[order]), graph)


def test_cosines_where_dimensions_repel_are_refused(shop, z):
    model = made(z)
    model.decoder.repel = 1
    with pytest.raises(UsageError, match="no direction and no repel"):
        predict_links(model, shop, metric="cosine")


def test_cosines_of_a_directed_graph_are_refused(arrows, z):
    with pytest.raises(UsageError, match="cosines know no direction"):
        predict_links(made(z), arrows, metric="cosine")
