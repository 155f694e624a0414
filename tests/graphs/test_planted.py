import numpy as np
import pytest
import torch

from vgae.errors import UsageError
from vgae.graphs import planted as module
from vgae.graphs.planted import PlantedGraph


def links_of(planted):
    return np.concatenate(list(planted.strips()), axis=1)


@pytest.fixture
def short_strips(monkeypatch):
    monkeypatch.setattr(module, "_STRIP", 300)
    monkeypatch.setattr(module, "_ROWS", 32)


def test_links_are_ascending_distinct_and_of_two_nodes(short_strips):
    planted = PlantedGraph(5_000, nodes=700)
    assert len(list(planted.strips())) == 17
    u, v = links_of(planted)
    assert (u < v).all()
    assert u.min() >= 0
    assert v.max() < 700
    assert (np.diff(u * 700 + v) > 0).all()


def test_pairs_are_links_as_often_as_their_probabilities_say(short_strips):
    """In classes of probability up to 0.9, within five standard errors in each."""
    planted = PlantedGraph(40_000, 1_000, 2, mixing=0.3)
    u, v = np.triu_indices(1_000, 1)
    p = planted.probabilities([u, v])
    is_link = np.zeros((1_000, 1_000), bool)
    is_link[tuple(links_of(planted))] = True
    class_of = np.digitize(p, np.arange(0.1, 1, 0.1))
    assert class_of.max() == 8
    expected, drawn, variance = (
        np.bincount(class_of, values) for values in (p, is_link[u, v], p * (1 - p))
    )
    assert (abs(drawn - expected) < 5 * np.sqrt(variance)).all()


def test_numbers_of_links_within_and_across_are_as_asked():
    planted = PlantedGraph(20_000, 2_000, 5, mixing=0.3)
    pairs = np.triu_indices(2_000, 1)
    p = planted.probabilities(pairs)
    across = planted.planted.community[pairs[0]] != planted.planted.community[pairs[1]]
    assert p.sum() == pytest.approx(20_000, rel=1e-6)
    assert p[across].sum() == pytest.approx(6_000, rel=1e-6)
    u, _v = links_of(planted)
    assert u.size == pytest.approx(20_000, abs=5 * 20_000**0.5)


def test_degrees_follow_the_weights_and_their_power_law():
    planted = PlantedGraph(200_000, 20_000, exponent=2.5)
    weight = planted.planted.weight
    assert weight.min() >= 1
    assert weight.max() <= planted.largest_weight
    # P(theta > t) = t^-1.5, but for the cut of the largest ones
    assert (weight > 4).mean() == pytest.approx(4**-1.5, abs=0.01)
    degree = np.bincount(links_of(planted).reshape(-1), minlength=20_000)
    assert np.corrcoef(degree, weight)[0, 1] > 0.98
    assert degree.max() > 10 * degree.mean()


def test_the_seed_decides_and_strips_stand_alone():
    first, again, other = (PlantedGraph(3_000, 600, features=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(links_of(first), links_of(again))
    assert not np.array_equal(links_of(first), links_of(other))
    blocks = [np.concatenate(list(p.feature_blocks())) for p in (first, again, other)]
    assert np.array_equal(blocks[0], blocks[1])
    assert not np.array_equal(blocks[0], blocks[2])


def test_features_tell_communities_apart_by_two_deviations():
    planted = PlantedGraph(10_000, 4_000, 4, features=50)
    x = np.concatenate(list(planted.feature_blocks()))
    y = planted.planted.community
    assert x.dtype == np.float32
    assert x.shape == (4_000, 50)
    means = np.stack([x[y == k].mean(0) for k in range(4)])
    assert (x - means[y]).std() == pytest.approx(1, abs=0.01)
    apart = [np.linalg.norm(means[a] - means[b]) for a in range(4) for b in range(a)]
    assert np.mean(apart) == pytest.approx(2, abs=0.4)


def test_sparse_features_are_ones_of_which_communities_have_their_own():
    planted = PlantedGraph(5_000, 1_000, 4, features=200, sparse=True)
    graph = planted.graph()
    assert graph.x.layout == torch.sparse_csr
    assert set(graph.x.values().tolist()) == {1.0}
    x = graph.x.to_dense().numpy()
    assert 15 < x.sum(1).mean() < 20
    y = graph.y.numpy()
    means = np.stack([x[y == k].mean(0) for k in range(4)])
    assert ((means > 0.2).sum(1) == 20).all()


def test_graph_has_communities_as_labels():
    planted = PlantedGraph(2_000, features=3, communities=2)
    graph = planted.graph("known")
    assert graph.num_nodes == 200
    assert graph.name == "known"
    assert np.array_equal(graph.links.numpy(), links_of(planted))
    assert graph.y.tolist() == planted.planted.community.tolist()
    assert graph.label_names == ("community 0", "community 1")
    assert graph.num_features == 3
    assert graph.sides is None


def test_one_community_is_a_model_of_degrees_alone():
    planted = PlantedGraph(2_000, 400, 1, mixing=0)
    p = planted.probabilities(np.triu_indices(400, 1))
    assert p.sum() == pytest.approx(2_000, rel=1e-6)


@pytest.mark.row("G61")
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"links": 0}, r"links \(--links\) must be at least 1, got 0"),
        ({"links": 1.5}, "must be an integer"),
        ({"nodes": 1}, r"nodes \(--nodes\) must be at least 2"),
        ({"nodes": 2**40}, "at most 2,147,483,648"),
        ({"communities": 101, "nodes": 100}, "at most 100"),
        ({"exponent": 2}, "above 2 and at most 100"),
        ({"exponent": float("nan")}, "above 2"),
        ({"mixing": 0.9}, "below 1 - 1 / communities, which is 0.9, got 0.9"),
        ({"mixing": 0.1, "communities": 1}, "must be 0 for one community"),
        ({"features": -1}, "at least 0"),
        ({"features": 10**12}, "at most 16,777,216"),
        ({"links": 10**6, "nodes": 1000}, "1,000,000 links do not fit into 10 communities"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(UsageError, match=message) as caught:
        PlantedGraph(**values)
    assert caught.value.code == "PLANTED"


@pytest.mark.parametrize(("links", "communities"), [(50, 10), (1_000, 10), (2_000, 300)])
def test_few_links_have_as_many_nodes_as_they_need(links, communities):
    planted = PlantedGraph(links, communities=communities)
    pairs = np.triu_indices(planted.nodes, 1)
    assert planted.nodes > links // 10
    assert planted.probabilities(pairs).sum() == pytest.approx(links, rel=1e-3)


def test_the_usual_number_of_nodes_is_a_tenth_of_the_links():
    assert PlantedGraph(10_000).nodes == 1_000
    assert PlantedGraph(10**8).nodes == 10**7


def test_more_links_than_pairs_of_these_weights_are_refused():
    planted = PlantedGraph(4_000, 100, 1, mixing=0)  # of 4,950 pairs
    with pytest.raises(UsageError, match="do not fit"):
        links_of(planted)
