import base64
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.evaluation import links
from vgae.evaluation.links import PairScorer
from vgae.gaussian import PointMass
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.graphs.grid import TwoSidedGrid
from vgae.models.embedding import embed
from vgae.prediction.links import score_links
from vgae.report.pages import proposals
from vgae.report.pages.proposals import (
    TopPairs,
    best_links,
    evaluate_proposals,
    evaluation_rows,
    map_data,
    percent,
    probability_cell,
    proposal_table,
)
from vgae.runs.calibrations import calibration_at


@pytest.fixture(scope="module")
def calibration(graph_run):
    return calibration_at(graph_run, "density")


def unpacked(array):
    return np.frombuffer(base64.b64decode(array["base64"]), array["type"])


def test_the_stored_calibration_is_taken_where_it_fits(graph_run, calibration):
    assert calibration is graph_run.calibration
    assert calibration.prior == "density"
    assert calibration_at(graph_run, "balanced").prior == "balanced"
    assert calibration.log_odds_shift < 0
    assert calibration_at(replace(graph_run, calibration=None), "density") is None


def test_the_table_has_no_known_link_and_the_right_counts(graph_run, calibration):
    graph = graph_run.graph
    found = best_links(graph_run, calibration, 30)
    rows = proposal_table(found, graph).rows
    numbers = {name: i for i, name in enumerate(graph.ids)}
    adjacency = graph.to_scipy().toarray()
    assert len(rows) == 30
    for _, source, target, _, _, first, second, shared in rows:
        u, v = numbers[source], numbers[target]
        assert adjacency[u, v] == 0
        assert first[1] == adjacency[u].sum()
        assert second[1] == adjacency[v].sum()
        assert shared[1] == adjacency[u] @ adjacency[v]
    chances = [row[3][1] for row in rows]
    assert chances == sorted(chances, reverse=True)
    scores = [row[4][1] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(set(chances))  # each pair has a probability of its own


def test_the_probabilities_are_those_of_predict(graph_run, calibration):
    found = best_links(graph_run, calibration, 3)
    scored = score_links(graph_run, graph_run.graph, found.names(), calibration=calibration)
    for i in range(3):
        assert probability_cell(found, i)[1] == pytest.approx(
            float(scored.probability[i]), rel=1e-5
        )


def test_without_probabilities_there_are_scores(graph_run):
    found = best_links(replace(graph_run, calibration=None), None, 3)
    assert found.probability is None
    titles = [column.title for column in proposal_table(found, graph_run.graph).columns]
    assert titles[3:5] == ["score", "links of the first"]
    assert probability_cell(found, 0)[0] == f"{float(found.score[0]):.3f}"


def kinds(graph_run, generator):
    """The run with its graph as a directed and as a two-sided one, whatever it was trained on."""
    grid = TwoSidedGrid(torch.arange(120) >= 70)
    links = grid.pairs(torch.randperm(grid.num_pairs, generator=generator)[:300].sort().values)
    plain = graph_run.graph
    sided = replace(plain, links=links, sides=grid.sides, side_names=("user", "item"), y=None)
    arrows = Graph.from_edges(links, x=plain.x, node_ids=plain.node_ids, directed="keep")
    for graph in (sided, arrows):
        run = replace(graph_run, calibration=None)
        vars(run)["graph"] = graph
        yield run, graph


def test_proposals_and_map_have_the_sides_or_the_direction(graph_run, generator):
    (shop, sided), (cites, arrows) = kinds(graph_run, generator)
    found = best_links(shop, None, 20)
    table = proposal_table(found, sided)
    assert [column.title for column in table.columns][1:3] == ["user", "item"]
    assert table.columns[-1].title == "paths of three links"
    assert not sided.sides[found.source].any()
    assert sided.sides[found.target].all()
    drawn = map_data(shop, None, 0)
    assert unpacked(drawn["side"]).tolist() == sided.sides.int().tolist()
    assert drawn["side_names"] == ["user", "item"]
    u, v = torch.from_numpy(unpacked(drawn["proposals"]["pairs"]).reshape(-1, 2).T.copy()).long()
    assert bool((sided.sides[u] != sided.sides[v]).all())
    assert set(u.tolist()) == set(range(120))
    found = best_links(cites, None, 20)
    table = proposal_table(found, arrows)
    assert [column.title for column in table.columns][1:3] == ["from", "to"]
    dense = torch.zeros(120, 120)
    dense[arrows.links[0], arrows.links[1]] = 1
    for (*_, out, into, shared), a, b in zip(
        table.rows, found.source.tolist(), found.target.tolist(), strict=True
    ):
        assert (out[1], into[1]) == (dense[a].sum(), dense[:, b].sum())
        assert shared[1] == dense[a] @ dense[:, b]
    assert map_data(cites, None, 0)["directed"] is True


def test_proposals_are_evaluated_on_the_held_out_links(graph_run, calibration):
    graph, split = graph_run.graph, graph_run.split
    rows = evaluate_proposals(graph_run, calibration)
    assert [row.num_pairs for row in rows] == [10, 50, 200]
    # The same by looking at every pair.
    scorer = PairScorer(graph_run.model, graph, split.message_edge_index)
    u, v = torch.triu_indices(120, 120, offset=1)
    known = link_positions(torch.stack([u, v]), split.train, graph.grid) >= 0
    pairs = torch.stack([u, v])[:, ~known]
    logits = scorer.logits(pairs)
    best = logits.argsort(descending=True)[:200]
    is_link = link_positions(pairs[:, best], graph.links, graph.grid) >= 0
    assert rows[-1].num_links == int(is_link.sum())
    assert rows[-1].probability == pytest.approx(
        float(calibration.probability(logits[best]).mean())
    )


def test_the_predicted_probability_is_beside_the_interval_of_the_observed_fraction(
    graph_run, calibration
):
    sure = replace(calibration, log_odds_shift=50.0)
    rows = evaluate_proposals(graph_run, sure)
    assert all(row.probability > row.interval()[1] for row in rows)
    assert evaluation_rows(rows)[0][4] == "100.0"


def test_the_interval_of_two_in_ten_is_wilsons():
    assert TopPairs(10, 2, None).interval() == pytest.approx((0.0567, 0.5098), abs=1e-4)
    assert evaluation_rows([TopPairs(10, 2, None)])[0][2:] == ["20.0", "5.7 – 51.0", ""]


def test_without_a_calibration_there_is_no_predicted_probability(graph_run):
    rows = evaluate_proposals(replace(graph_run, calibration=None), None)
    assert {row.probability for row in rows} == {None}
    assert evaluation_rows(rows)[0][4] == ""


def test_the_test_of_a_weighted_graph_uses_its_weights(graph_run, calibration):
    weight = torch.linspace(0.5, 2, graph_run.graph.num_links)
    other = replace(graph_run)
    vars(other)["graph"] = replace(graph_run.graph, link_weight=weight)
    rows = evaluate_proposals(other, calibration)
    assert rows[-1].probability != evaluate_proposals(graph_run, calibration)[-1].probability


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "> 99.9 %"), (0.5, "50.0 %"), (0.001, "0.1 %"), (0.0, "< 0.1 %")]
)
def test_nothing_is_certain(value, text):
    assert percent(value) == text


def test_the_map_has_every_node_link_and_proposal(graph_run, calibration):
    graph = graph_run.graph
    data = map_data(graph_run, calibration, 7)
    assert data["names"] == [*graph.ids]
    assert data["first"] == 7
    degree = np.asarray(graph.to_scipy().sum(axis=1)).ravel()
    np.testing.assert_array_equal(unpacked(data["degree"]), degree)
    links = unpacked(data["links"]["pairs"]).reshape(-1, 2)
    np.testing.assert_array_equal(links.T, graph.links.numpy())
    scored = score_links(graph_run, graph, [(graph.ids[u], graph.ids[v]) for u, v in links])
    # No probability: those are of pairs that are not known as links.
    np.testing.assert_allclose(unpacked(data["links"]["value"]), scored.score, rtol=1e-4)
    deviation = (0.5 * embed(graph_run, graph).logvar).exp().mean(dim=1)
    np.testing.assert_allclose(unpacked(data["uncertainty"]), deviation, rtol=1e-5)
    proposed = unpacked(data["proposals"]["pairs"]).reshape(-1, 2)
    assert np.bincount(proposed[:, 0]).tolist() == [6] * 120
    again = score_links(
        graph_run, graph, [(graph.ids[u], graph.ids[v]) for u, v in proposed]
    ).score.view(120, 6)
    assert (proposed[:, 0].reshape(120, 6) == proposed[::6, :1]).all()
    assert (again.diff(dim=1) <= 1e-6).all()  # the order in which the panel lists them
    assert not graph.to_scipy().toarray()[tuple(proposed.T)].any()


def test_classes_are_in_the_order_of_their_labels(graph_run, calibration):
    graph = graph_run.graph
    y = torch.tensor([2] * 60 + [-1] * 20 + [0] * 40)
    other = replace(graph_run)
    vars(other)["graph"] = replace(graph, y=y)
    data = map_data(other, calibration, 0)
    assert data["label_names"] == ["community 0", "community 2", "unknown"]
    assert unpacked(data["label"]).tolist() == [1] * 60 + [2] * 20 + [0] * 40


def test_few_features_are_columns_of_the_map(graph_run, calibration):
    x = torch.rand(120, 3)
    x[:, 1] = (x[:, 1] > 0.5).float()
    graph = replace(graph_run.graph, feature_names=("age", "<b>", "height"))
    columns = proposals._columns(replace(graph, x=x), torch.tensor([3, 1]))
    age, flag, height = columns
    assert (age["name"], age["is_date"]) == ("age", False)
    np.testing.assert_allclose(unpacked(age["value"]), x[[3, 1], 0])
    assert [float(end) for end in age["ends"]] == sorted(map(float, age["ends"]))
    assert (flag["names"], flag["unknown"]) == (["0", "1"], False)
    assert unpacked(flag["code"]).tolist() == x[[3, 1], 1].tolist()
    assert height["name"] == "height"
    many = replace(graph, x=torch.rand(120, 31), feature_names=tuple(map(str, range(31))))
    assert proposals._columns(many, torch.tensor([3, 1])) == []
    assert map_data(graph_run, calibration, 0)["columns"] == []


def test_a_model_without_spread_has_no_uncertainty(graph_run, calibration, monkeypatch):
    monkeypatch.setattr(links, "embed", lambda *given: PointMass(embed(*given).mu))
    assert "uncertainty" not in map_data(graph_run, calibration, 0)


def test_of_a_very_large_graph_a_part_is_shown(graph_run, calibration, monkeypatch):
    for name, number in (("_MAP_NODES", 100), ("_DRAWN", 5), ("_MAP_PART", 40)):
        monkeypatch.setattr(proposals, name, number)
    graph = graph_run.graph
    data = map_data(graph_run, calibration, 119)
    assert len(data["names"]) == 40
    assert (data["num_nodes"], data["num_drawn"]) == (120, 5)
    pairs = unpacked(data["proposals"]["pairs"]).reshape(-1, 2)
    assert len(pairs) == 5 * 6
    assert len(np.unique(pairs[:, 0])) == 5
    number = {name: i for i, name in enumerate(graph.ids)}
    chosen = [number[name] for name in data["names"]]
    adjacency = graph.to_scipy().toarray()
    links = unpacked(data["links"]["pairs"]).reshape(-1, 2)
    assert len(links) == adjacency[np.ix_(chosen, chosen)].sum() / 2
    for kind, is_link in (("links", 1), ("proposals", 0)):
        pairs = np.array(chosen)[unpacked(data[kind]["pairs"]).reshape(-1, 2)]
        assert (adjacency[tuple(pairs.T)] == is_link).all()
    np.testing.assert_array_equal(unpacked(data["degree"]), adjacency[chosen].sum(axis=1))
