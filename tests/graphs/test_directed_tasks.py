import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from vgae import Graph, LinkSplit, split_links
from vgae.errors import DataError, UsageError
from vgae.graphs.directed_tasks import reciprocal


def directed_graph(seed=0, num_nodes=60, both=0.2):
    """Random one-way links, a part of which have their reverse."""
    rng = np.random.default_rng(seed)
    u, v = np.triu_indices(num_nodes, k=1)
    chosen = rng.random(len(u)) < 0.2
    pairs = np.stack([u, v])[:, chosen]
    turned = rng.random(pairs.shape[1]) < 0.5
    pairs = np.where(turned, pairs[::-1], pairs)
    back = pairs[::-1][:, rng.random(pairs.shape[1]) < both]
    edges = np.concatenate([pairs, back], axis=1)
    return Graph.from_edges(edges, num_nodes=num_nodes, directed="keep")


def pairs_of(links):
    return set(zip(*links.tolist(), strict=True))


def reverse_of(links):
    return pairs_of(links.flip(0))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_biased_parts_are_one_way_links_against_their_reverses(seed):
    graph = directed_graph(seed)
    split = split_links(graph, val=0.1, test=0.2, seed=seed, task="biased")
    links = pairs_of(graph.links)
    for part, fraction in ((split.val, 0.1), (split.test, 0.2)):
        assert part.pos.shape[1] == int(fraction * graph.num_links)
        assert pairs_of(part.pos) <= links
        assert torch.equal(part.neg, part.pos.flip(0))
        assert not reverse_of(part.pos) & links
    parts = [pairs_of(p) for p in (split.train, split.val.pos, split.test.pos)]
    assert sum(map(len, parts)) == graph.num_links
    assert set.union(*parts) == links
    assert not any(check.violations for check in split.audit(graph))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_bidirectional_parts_are_one_direction_of_reciprocal_links(seed):
    graph = directed_graph(seed)
    split = split_links(graph, seed=seed, task="bidirectional")
    links, train = pairs_of(graph.links), pairs_of(split.train)
    held = pairs_of(split.val.pos) | pairs_of(split.test.pos)
    assert len(held) == int(reciprocal(graph).sum()) // 2
    # Of every reciprocal link one direction stays, so that training links are all one-way.
    assert {(v, u) for u, v in held} <= train
    assert not train & {(v, u) for u, v in train}
    assert split.test.pos.shape[1] == round(len(held) * 2 / 3)
    for part in (split.val, split.test):
        assert part.neg.shape == part.pos.shape
        assert reverse_of(part.neg) <= train
        assert not pairs_of(part.neg) & links
        assert not pairs_of(part.neg) & {(v, u) for u, v in held}
    split.audit(graph)  # S7 is not for this task


def test_neither_the_lower_nor_the_higher_node_is_always_the_source_of_a_held_out_link():
    split = split_links(directed_graph(), val=0, test=0.1, task="bidirectional")
    forward = (split.test.pos[0] < split.test.pos[1]).double().mean()
    assert 0.3 < forward < 0.7


@pytest.mark.parametrize("task", ["general", "biased", "bidirectional"])
def test_the_same_seed_gives_the_same_split_and_its_file_keeps_the_task(task, tmp_path):
    graph = directed_graph()
    split = split_links(graph, seed=3, task=task)
    assert split.digest == split_links(graph, seed=3, task=task).digest
    split.save(tmp_path / "split.npz")
    loaded = LinkSplit.load(tmp_path / "split.npz")
    assert (loaded.task, loaded.digest) == (task, split.digest)
    loaded.audit(graph)


def test_symmetric_scores_are_blind_in_the_tasks_about_direction():
    graph = directed_graph()
    embedding = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    part = split_links(graph, test=0.3, task="biased").test
    u, v = part.edge_label_index
    assert roc_auc_score(part.edge_label, (embedding[u] * embedding[v]).sum(1)) == 0.5


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_the_general_task_does_not_reward_a_memory_of_reverses(seed):
    """The leak canary: all links are reciprocal, and that is the only signal."""
    graph = directed_graph(seed, both=1.0)
    assert reciprocal(graph).all()
    split = split_links(graph, val=0.2, test=0.2, seed=seed)
    seen = pairs_of(split.train) | reverse_of(split.train)
    for part in (split.val, split.test):
        score = [float(pair in seen) for pair in zip(*part.edge_label_index.tolist(), strict=True)]
        assert roc_auc_score(part.edge_label, score) <= 0.5


@pytest.mark.row("G50")
@pytest.mark.parametrize("task", ["biased", "bidirectional"])
def test_an_undirected_graph_has_no_task_about_direction(task):
    graph = Graph.from_edges([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(UsageError, match="--directed keep") as caught:
        split_links(graph, task=task)
    assert caught.value.code == "TASK"


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match="Did you mean biased") as caught:
        split_links(directed_graph(), task="biassed")
    assert caught.value.code == "TASK"


@pytest.mark.row("G51")
def test_too_few_links_for_a_task_are_refused_with_their_number():
    edges = np.array([[0, 1, 1, 2, 2, 3, 0, 2], [1, 0, 2, 1, 3, 2, 2, 0]])
    mutual = Graph.from_edges(edges, num_nodes=40, directed="keep")
    with pytest.raises(DataError, match="has 0 of them for 2") as caught:
        split_links(mutual, val=0.25, test=0.25, task="biased")
    assert caught.value.code == "SPLIT_TOO_SMALL"
    with pytest.raises(DataError, match="one-way links, and graph has 0") as caught:
        split_links(mutual, task="bidirectional")
    assert caught.value.code == "NO_NEGATIVES"
    one_way = Graph.from_edges(edges[:, ::2], num_nodes=40, directed="keep")
    with pytest.raises(DataError, match="has 0, which leaves none for val") as caught:
        split_links(one_way, task="bidirectional")
    assert caught.value.code == "SPLIT_TOO_SMALL"
