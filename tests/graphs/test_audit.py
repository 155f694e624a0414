"""The audit refuses each planted leak, and states each deviation."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.errors import DataError, LeakageError
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.grid import Grid
from vgae.graphs.split import LabelledPairs, LinkSplit, split_links


def ring(n=40, **options):
    return Graph.from_edges([range(n), [*range(1, n), 0]], num_nodes=n, **options)


@pytest.fixture
def split():
    return split_links(ring())


def join(*pairs):
    return torch.cat(pairs, dim=1)


def put(pairs, column):
    """The pairs with another last one."""
    return join(pairs[:, :-1], column)


def with_neg(split, part, neg, per_link=0):
    pairs = LabelledPairs(getattr(split, part).pos, neg, per_link)
    return replace(split, **{part: pairs})


def of_each_link(links):
    """Two non-links of each link: the next link of the part, and a pair that is none."""
    others = torch.stack([torch.arange(links.shape[1]), torch.arange(links.shape[1]) + 20])
    return torch.stack([links.roll(1, dims=1), others], dim=2).flatten(1)


LEAKS = {
    "a test link in train": ("S3", lambda s: replace(s, train=join(s.train, s.test.pos[:, :1]))),
    "a test link in train, reversed": (
        "S3",
        lambda s: replace(s, train=join(s.train, s.test.pos[:, :1].flip(0))),
    ),
    "a val link in test too": (
        "S3",
        lambda s: replace(s, test=LabelledPairs(put(s.test.pos, s.val.pos[:, :1]), s.test.neg)),
    ),
    "a training link twice": ("S1", lambda s: replace(s, train=join(s.train, s.train[:, :1]))),
    "a training link twice, reversed": (
        "S1",
        lambda s: replace(s, train=join(s.train, s.train[:, :1].flip(0))),
    ),
    "a training link that is none": (
        "S1",
        lambda s: replace(s, train=put(s.train, torch.tensor([[3], [17]]))),
    ),
    "a test link that is none": (
        "S1",
        lambda s: replace(s, test=LabelledPairs(put(s.test.pos, s.val.neg[:, :1]), s.test.neg)),
    ),
    "a test link that is a self-pair": (
        "S1",
        lambda s: replace(
            s, test=LabelledPairs(put(s.test.pos, torch.tensor([[5], [5]])), s.test.neg)
        ),
    ),
    "nothing to train on": ("S6", lambda s: replace(s, train=s.train[:, :0])),
    "a link and non-link of test": (
        "S4",
        lambda s: with_neg(s, "test", put(s.test.neg, s.test.pos[:, :1].flip(0))),
    ),
    "a link among its own non-links": (
        "S4",
        lambda s: with_neg(s, "test", s.test.pos.repeat_interleave(2, dim=1), 2),
    ),
    "no non-links": ("S5", lambda s: with_neg(s, "val", s.val.neg[:, :0])),
    "another fingerprint": ("S12", lambda s: replace(s, fingerprint="0" * 64)),
    "another number of nodes": ("S12", lambda s: replace(s, num_nodes=41)),
}


@pytest.mark.parametrize(("invariant", "plant"), LEAKS.values(), ids=LEAKS)
def test_a_planted_leak_is_named(invariant, plant, split):
    with pytest.raises(LeakageError) as caught:
        plant(split).audit(ring())
    assert caught.value.code == "SPLIT_LEAKS"
    assert str(caught.value).startswith(f"the split breaks {invariant} (")
    assert str(caught.value).count(" (S") == 0
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", ["one graph", "merged graphs", "no sides"])
def test_a_split_has_the_pairs_of_its_graph(other):
    graph: Graph = GraphCollection.from_graphs([ring(12), ring(12), ring(16)])
    grid = BlockGrid(torch.tensor([24, 16])) if other == "merged graphs" else Grid(40)
    if other == "no sides":
        graph = ring(sides=[0, 1] * 20)
    own = split_links(graph)
    own.audit(graph)
    parts = (own.train, own.val, own.test, own.fingerprint, 0)
    with pytest.raises(LeakageError, match=r"give grid=graph\.grid") as caught:
        LinkSplit(40, *parts, grid=grid).audit(graph)
    assert str(caught.value).startswith("the split breaks S12 (")


def test_all_leaks_are_listed_with_their_first_pairs_by_name(split):
    graph = ring(node_ids=[f"n{k}" for k in range(40)])
    leaky = replace(split, train=graph.links)
    u, v = split.test.pos[:, 0].tolist()
    with pytest.raises(LeakageError) as caught:
        leaky.audit(graph)
    text = str(caught.value)
    assert f"4 of test are training links too: first n{u} - n{v} (nodes {u}, {v})" in text
    assert "2 of val are training links too: n" in text
    assert "leave each of them in one part" in text


DEVIATIONS = {
    "a training link in no part": (["D1"], lambda s: replace(s, train=s.train[:, 1:])),
    "a val link in train instead of in val": (
        ["D2"],
        lambda s: replace(
            s,
            train=join(s.train, s.val.pos[:, :1]),
            val=LabelledPairs(s.val.pos[:, 1:], s.val.neg),
        ),
    ),
    "a non-link too few": (["D2"], lambda s: with_neg(s, "test", s.test.neg[:, 1:])),
    "more non-links than links": (
        ["D2"],
        lambda s: with_neg(s, "val", join(s.val.neg, torch.tensor([[5, 6], [20, 30]]))),
    ),
    "a test non-link that is a link": (
        ["D3"],
        lambda s: with_neg(s, "test", put(s.test.neg, s.train[:, :1])),
    ),
    "a val non-link that is a test link, reversed": (
        ["D3"],
        lambda s: with_neg(s, "val", put(s.val.neg, s.test.pos[:, :1].flip(0))),
    ),
    "a self-pair": (
        ["D4"],
        lambda s: with_neg(s, "val", put(s.val.neg, torch.tensor([[5], [5]]))),
    ),
    "a non-link twice": (
        ["D5"],
        lambda s: with_neg(s, "test", put(s.test.neg, s.test.neg[:, :1].flip(0))),
    ),
    "a non-link of val in test, reversed": (
        ["D6"],
        lambda s: with_neg(s, "test", put(s.test.neg, s.val.neg[:, :1].flip(0))),
    ),
    "non-links of each link, another link of the part among them": (
        ["D2", "D3", "D7"],
        lambda s: with_neg(s, "test", of_each_link(s.test.pos), 2),
    ),
}


@pytest.mark.parametrize(("invariants", "change"), DEVIATIONS.values(), ids=DEVIATIONS)
def test_a_deviation_is_counted_and_not_refused(invariants, change, split):
    found = [check for check in change(split).audit(ring()) if check.violations]
    assert [check.invariant for check in found] == invariants
    assert all(check.finding for check in found)
    assert not any(check.severity == "leak" for check in found)


def test_deviations_are_logged_once_and_those_that_change_scores_as_warnings(split, caplog):
    caplog.set_level(logging.INFO)
    odd = replace(split, train=split.train[:, 3:], val=split.val._replace(neg=split.test.neg))
    for _ in range(3):
        odd.audit(ring())
    assert [(record.levelname, record.message) for record in caplog.records] == [
        (
            "INFO",
            "split: 3 links of the graph are in no part: they carry no messages and are not"
            " scored",
        ),
        (
            "WARNING",
            "split: val has 4 non-links for 2 links: AP and Hits@k are lower the more non-links"
            " there are",
        ),
        ("INFO", "split: 4 non-links are in validation and test"),
    ]


def test_repeats_among_the_non_links_of_links_are_those_of_one_link():
    graph = ring()
    neg = [[[0, 20], [20, 0]], [[0, 20], [1, 21]]]
    found = LinkSplit.from_pairs(graph, test=[[0, 4], [1, 5]], test_neg=neg).audit(graph)
    assert {c.invariant: c.violations for c in found}["D5"] == 1


@pytest.mark.parametrize(
    "other",
    [
        ring(41),
        Graph.from_edges([[*range(39), 0], [*range(1, 40), 2]], num_nodes=40),
        Graph.from_edges([[0], [1]], num_nodes=2),
    ],
    ids=["one node more", "another link", "much smaller"],
)
def test_the_split_of_another_graph_is_refused(other, split):
    with pytest.raises(LeakageError, match=r"S12 .*made from another graph, of 40 nodes"):
        split.audit(other)


def test_the_split_of_a_graph_is_that_of_its_links(split):
    assert split.audit(ring(x=np.eye(40), name="other")) == split.audit(ring())


def test_the_audit_lists_what_it_proved(split):
    checks = split.audit(ring())
    assert not any(check.violations or check.finding for check in checks)
    leaks = [check.invariant for check in checks if check.severity == "leak"]
    assert leaks == ["S1", "S3", "S4", "S5", "S6", "S7", "S12"]
    assert len({check.invariant for check in checks}) == len(checks)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: replace(s, train=s.train.double()), "train must be numbers of nodes"),
        (lambda s: replace(s, train=s.train.T), r"train must have shape \(2, P\), got \(34, 2\)"),
        (lambda s: replace(s, train=s.train - 1), r"in \[0, 40\), got -1 - 38 as pair 0"),
        (lambda s: with_neg(s, "val", torch.tensor([[5], [40]])), r"val.neg .*got 5 - 40"),
        (lambda s: with_neg(s, "test", s.test.neg, 3), "per_link = 3 non-links for each of 4"),
        (lambda s: with_neg(s, "test", s.test.neg, -1), "per_link = -1"),
    ],
)
def test_a_part_that_is_not_of_pairs_of_nodes_is_refused(change, words, split):
    with pytest.raises(DataError, match=words):
        change(split)


def test_direction_and_dtype_of_the_pairs_are_nothing(split):
    """A reversed split was called a leak, with a violation for each link."""
    turned = replace(
        split,
        train=split.train.flip(0, 1).int(),
        val=LabelledPairs(split.val.pos.flip(0).short(), split.val.neg.numpy()),
        test=LabelledPairs(split.test.pos.flip(0), split.test.neg.flip(0).tolist()),
    )
    assert turned.audit(ring()) == split.audit(ring())
    for part, same in zip(split._parts().values(), turned._parts().values(), strict=True):
        assert torch.equal(part, same)
