"""Tests of splits of typed graphs."""

import copy
import logging

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import ArtifactError, LeakageError, UsageError


def graph(seed=0, num_nodes=60, **more):
    generator = np.random.default_rng(seed)
    edges = {name: generator.integers(num_nodes, size=(2, 150)) for name in ("a", "b")} | more
    types = {"node_type": np.zeros(num_nodes, int), "node_type_names": ("node",)}
    return vgae.TypedGraph.of({name: (pairs, None) for name, pairs in edges.items()}, **types)


def test_each_relation_is_split_as_alone_and_comes_back_from_its_file(tmp_path):
    typed = graph()
    split = vgae.split_links(typed, val=0.1, test=0.2, seed=3)
    for name, part in split.parts.items():
        alone = vgae.split_links(typed.relations[name], val=0.1, test=0.2, seed=3)
        assert part.digest == alone.digest
    split.save(tmp_path / "split.npz")
    again = vgae.TypedSplit.load(tmp_path / "split.npz")
    assert (again.digest, again.train_digest) == (split.digest, split.train_digest)
    assert [*again.audit(typed)] == ["a", "b"]
    (tmp_path / "bad.npz").write_bytes(b"PK")
    for path in (tmp_path / "bad.npz", tmp_path / "none.npz"):
        with pytest.raises(ArtifactError, match="not a readable link split"):
            vgae.TypedSplit.load(path)
    split.parts["a"].save(tmp_path / "one.npz")
    with pytest.raises(ArtifactError, match="expected vgae-typed-split-1"):
        vgae.TypedSplit.load(tmp_path / "one.npz")


@pytest.mark.row("G46")
def test_nearly_the_same_relation_is_a_leak(caplog):
    edges = np.random.default_rng(1).integers(60, size=(2, 150))
    typed = graph(a=edges, near=np.concatenate([edges[::-1, :140], [[0], [1]]], axis=1))
    with pytest.raises(LeakageError, match=r"are links of the relation.*graph\.only") as found:
        vgae.split_links(typed)
    assert found.value.code == "SPLIT_LEAKS"
    half = graph(a=edges, half=np.concatenate([edges[:, :50], graph(7).relations["b"].links], 1))
    with caplog.at_level(logging.INFO):
        vgae.split_links(half)
    assert "join pairs that" in caplog.text


def test_a_split_of_another_graph_or_with_a_leak_is_refused():
    typed = graph()
    split = vgae.split_links(typed, val=0.1, test=0.1)
    with pytest.raises(LeakageError, match="another typed graph"):
        split.audit(graph(seed=5))
    part = split.parts["a"]
    leaking = vgae.LinkSplit(
        part.num_nodes,
        torch.cat([part.train, part.test.pos[:, :1]], dim=1),
        part.val,
        part.test,
        part.fingerprint,
        0,
    )
    bad = vgae.TypedSplit({**split.parts, "a": leaking}, split.fingerprint, 0)
    with pytest.raises(LeakageError, match=r"relation 'a'.*S3"):
        bad.audit(typed)


@pytest.mark.row("G48")
def test_a_small_relation_is_all_training(caplog):
    split = vgae.split_links(graph(few=np.array([[0, 1], [1, 2]])), val=0.1, test=0.1)
    assert split.parts["few"].train.shape[1] == 2
    assert split.parts["few"].test.pos.shape[1] == 0
    assert "too few links to hold any out" in caplog.text
    with pytest.raises(UsageError, match="'general'"):
        vgae.split_links(graph(), task="biased")


def test_a_relation_that_the_others_have_together_is_a_leak():
    generator = np.random.default_rng(2)
    whole = generator.integers(60, size=(2, 150))
    own = [np.arange(60 + 60 * k, 120 + 60 * k).reshape(2, -1) for k in range(3)]
    parts = {
        f"part{k}": np.concatenate([whole[:, k::3], own[k], own[k] + [[0], [1]]], axis=1)
        for k in range(3)
    }
    with pytest.raises(LeakageError, match=r"of 'whole' are links of other relations") as found:
        vgae.split_links(graph(num_nodes=260, whole=whole, **parts))
    remedy = "graph.only('a', 'b', 'part0', 'part1', 'part2')"
    assert remedy in str(found.value)
    kept = graph(num_nodes=260, whole=whole, **parts).only("a", "b", *parts)
    assert [*vgae.split_links(kept).parts] == ["a", "b", *parts]


def test_relations_that_cover_nearly_all_pairs_by_chance_are_no_leak(caplog):
    generator = np.random.default_rng(3)
    many = {f"r{k}": generator.integers(20, size=(2, 60)) for k in range(12)}
    with caplog.at_level(logging.INFO):
        split = vgae.split_links(graph(num_nodes=20, **many), val=0.1, test=0.1)
    assert len(split.parts) == 14
    assert caplog.text.count("join pairs that") == 10
    assert "81 more pairs of relations have links in common" in caplog.text


def test_a_split_can_be_copied():
    split = vgae.split_links(graph())
    assert copy.deepcopy(split).digest == split.digest
