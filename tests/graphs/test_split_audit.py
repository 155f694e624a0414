"""The audit catches each planted leak, and a split in a file is that split or an error."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.errors import ArtifactError, DataError, LeakageError
from vgae.graphs.graph import Graph
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


LEAKS = {
    "a test link in train": (
        ["S1", "S3"],
        lambda s: replace(s, train=join(s.train, s.test.pos[:, :1])),
    ),
    "a test link in train, reversed": (
        ["S1", "S3"],
        lambda s: replace(s, train=join(s.train, s.test.pos[:, :1].flip(0))),
    ),
    "a val link in train instead of in val": (
        ["S5"],
        lambda s: replace(
            s,
            train=join(s.train, s.val.pos[:, :1]),
            val=LabelledPairs(s.val.pos[:, 1:], s.val.neg),
        ),
    ),
    "a val link in test too": (
        ["S1"],
        lambda s: replace(s, test=LabelledPairs(put(s.test.pos, s.val.pos[:, :1]), s.test.neg)),
    ),
    "a training link dropped": (["S1"], lambda s: replace(s, train=s.train[:, 1:])),
    "a training link twice": (["S1"], lambda s: replace(s, train=join(s.train, s.train[:, :1]))),
    "a training link that is none": (
        ["S1"],
        lambda s: replace(s, train=put(s.train, torch.tensor([[3], [17]]))),
    ),
    "nothing to train on": (["S1", "S6"], lambda s: replace(s, train=s.train[:, :0])),
    "a test non-link that is a link": (
        ["S4"],
        lambda s: replace(s, test=LabelledPairs(s.test.pos, put(s.test.neg, s.train[:, :1]))),
    ),
    "a val non-link that is a test link": (
        ["S4"],
        lambda s: replace(s, val=LabelledPairs(s.val.pos, put(s.val.neg, s.test.pos[:, :1]))),
    ),
    "a non-link that is a link reversed": (
        ["S4"],
        lambda s: replace(
            s, test=LabelledPairs(s.test.pos, put(s.test.neg, s.train[:, :1].flip(0)))
        ),
    ),
    "a non-link twice": (
        ["S4"],
        lambda s: replace(s, test=LabelledPairs(s.test.pos, put(s.test.neg, s.test.neg[:, :1]))),
    ),
    "a non-link of val in test": (
        ["S4"],
        lambda s: replace(s, test=LabelledPairs(s.test.pos, put(s.test.neg, s.val.neg[:, :1]))),
    ),
    "a non-link of val in test, reversed": (
        ["S4"],
        lambda s: replace(
            s, test=LabelledPairs(s.test.pos, put(s.test.neg, s.val.neg[:, :1].flip(0)))
        ),
    ),
    "a self-pair": (
        ["S4"],
        lambda s: replace(
            s, val=LabelledPairs(s.val.pos, put(s.val.neg, torch.tensor([[5], [5]])))
        ),
    ),
    "a non-link of a node that is not there": (
        ["S4"],
        lambda s: replace(
            s, val=LabelledPairs(s.val.pos, put(s.val.neg, torch.tensor([[5], [40]])))
        ),
    ),
    "a non-link too few": (
        ["S5"],
        lambda s: replace(s, test=LabelledPairs(s.test.pos, s.test.neg[:, 1:])),
    ),
    "another fingerprint": (["S12"], lambda s: replace(s, fingerprint="0" * 64)),
    "another number of nodes": (["S12"], lambda s: replace(s, num_nodes=41)),
}


@pytest.mark.parametrize(("invariants", "plant"), LEAKS.values(), ids=LEAKS)
def test_a_planted_leak_is_named(invariants, plant, split):
    with pytest.raises(LeakageError) as caught:
        plant(split).audit(ring())
    assert caught.value.code == "SPLIT_LEAKS"
    for invariant in invariants:
        assert f"{invariant} (" in str(caught.value)


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
    with pytest.raises(LeakageError, match="S12"):
        split.audit(other)


def test_the_split_of_a_graph_is_that_of_its_links(split):
    assert split.audit(ring(x=np.eye(40), name="other")) == split.audit(ring())


def test_the_audit_lists_what_it_proved(split):
    assert [check.invariant for check in split.audit(ring())] == [
        *("S1", "S3", "S4", "S5", "S6", "S12")
    ]


@pytest.mark.parametrize("name", ["split.npz", "split", "split.v1"])
def test_a_saved_split_is_loaded_bit_for_bit(name, split, tmp_path):
    """A name without .npz once left an empty file, and the content under a hidden name."""
    split.save(tmp_path / name)
    loaded = LinkSplit.load(tmp_path / name)
    for part, same in zip(split._parts().values(), loaded._parts().values(), strict=True):
        assert torch.equal(part, same)
    assert (loaded.num_nodes, loaded.fingerprint, loaded.seed) == (40, ring().link_fingerprint, 0)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    loaded.audit(ring())


@pytest.fixture
def saved(split, tmp_path):
    split.save(tmp_path / "split.npz")
    return (tmp_path / "split.npz").read_bytes()


def load(path, content):
    path.write_bytes(content)
    return LinkSplit.load(path)


def test_a_truncated_split_is_refused(saved, tmp_path):
    for length in range(0, len(saved), 7):
        with pytest.raises(ArtifactError, match="not a readable link split"):
            load(tmp_path / "cut.npz", saved[:length])


def test_a_flipped_bit_in_a_split_is_refused_or_changes_nothing(saved, split, tmp_path):
    for position in range(len(saved)):
        damaged = bytearray(saved)
        damaged[position] ^= 1 << position % 8
        try:
            loaded = load(tmp_path / "flip.npz", damaged)
        except ArtifactError:
            continue
        assert (loaded.num_nodes, loaded.fingerprint, loaded.seed) == (40, split.fingerprint, 0)
        for part, same in zip(split._parts().values(), loaded._parts().values(), strict=True):
            assert torch.equal(part, same), position


@pytest.mark.parametrize(
    "change",
    [
        {"format": np.array("other")},
        {"num_nodes": np.array(3)},
        {"num_nodes": np.array([3, 4])},
        {"num_nodes": np.array(np.inf)},
        {"seed": np.array("zero")},
        {"train": np.zeros((2, 3))},
        {"train": np.zeros((3, 2), np.int64)},
        {"train": np.array([[-1], [0]])},
        {"val_pos": np.array(None, dtype=object)},
        *({key: None} for key in ("format", "num_nodes", "seed", "fingerprint", "test_neg")),
    ],
    ids=lambda change: "-".join(f"{key}={value}" for key, value in change.items()),
)
def test_a_file_with_other_content_is_refused(change, split, tmp_path):
    split.save(tmp_path / "split.npz")
    with np.load(tmp_path / "split.npz") as file:
        content = {**file, **change}
    np.savez(tmp_path / "other.npz", **{k: v for k, v in content.items() if v is not None})
    with pytest.raises(ArtifactError) as caught:
        LinkSplit.load(tmp_path / "other.npz")
    assert caught.value.code == "SPLIT_CORRUPT"


def npy_bytes(path):
    np.save(path.with_suffix(".npy"), np.ones(3))
    return path.with_suffix(".npy").read_bytes()


@pytest.mark.parametrize(
    "write",
    [
        lambda path: b"",
        lambda path: b"PK\x03\x04 garbage",
        lambda path: b"<!doctype html>",
        lambda path: pickle.dumps({"train": [1]}),
        npy_bytes,
    ],
    ids=["empty", "garbage", "html", "pickle", "npy"],
)
def test_a_file_of_another_kind_is_refused(write, tmp_path):
    with pytest.raises(ArtifactError, match="not a readable link split"):
        load(tmp_path / "other.npz", write(tmp_path / "other.npz"))


@pytest.mark.parametrize("name", ["missing.npz", ".", "a" * 300])
def test_a_path_that_cannot_be_read_is_refused(name, tmp_path):
    with pytest.raises(ArtifactError, match="not a readable link split"):
        LinkSplit.load(tmp_path / name)


def test_pyg_gets_no_features_of_another_graph(split):
    with pytest.raises(DataError, match="the split was not made from"):
        split.to_pyg(ring(41))


def test_pyg_gets_training_messages_everywhere_and_the_pairs_of_each_part(split):
    graph = ring(x=np.eye(40), y=np.arange(40))
    train, val, test = split.to_pyg(graph)
    for data in (train, val, test):
        data.validate()
        assert torch.equal(data.edge_index, split.message_edge_index)
        assert torch.equal(data.x, graph.x)
    assert torch.equal(train.edge_label_index, split.train)
    assert train.edge_label.tolist() == [1] * split.train.shape[1]
    for data, part in ((val, split.val), (test, split.test)):
        assert torch.equal(data.edge_label_index, join(part.pos, part.neg))
        assert data.edge_label.tolist() == [1] * part.pos.shape[1] + [0] * part.neg.shape[1]
