"""A split in a file is that split or an error; PyG gets what it expects."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.errors import ArtifactError, DataError
from vgae.graphs.graph import Graph
from vgae.graphs.split import LabelledPairs, LinkSplit, split_links


def ring(n=40, **options):
    return Graph.from_edges([range(n), [*range(1, n), 0]], num_nodes=n, **options)


@pytest.fixture
def split():
    return split_links(ring())


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


def test_non_links_of_each_link_are_saved_in_a_format_of_their_own(split, tmp_path):
    """Earlier versions, which would read them as those of the whole part, refuse the file."""
    neg = torch.stack([split.test.pos[0].repeat_interleave(3), torch.arange(12) + 13])
    own = replace(split, test=LabelledPairs(split.test.pos, neg, per_link=3))
    own.save(tmp_path / "own.npz")
    loaded = LinkSplit.load(tmp_path / "own.npz")
    assert (loaded.val.per_link, loaded.test.per_link) == (0, 3)
    assert torch.equal(loaded.test.neg, own.test.neg)
    split.save(tmp_path / "shared.npz")
    formats = [str(np.load(tmp_path / name)["format"]) for name in ("own.npz", "shared.npz")]
    assert formats == ["vgae-split-2", "vgae-split-1"]


@pytest.mark.parametrize("count", [-1, 2, np.array([3, 3]), np.array(3.0)], ids=str)
def test_a_file_with_another_number_of_non_links_of_each_link_is_refused(count, split, tmp_path):
    neg = torch.stack([split.test.pos[0].repeat_interleave(3), torch.arange(12) + 13])
    replace(split, test=LabelledPairs(split.test.pos, neg, 3)).save(tmp_path / "own.npz")
    content = {**np.load(tmp_path / "own.npz"), "test_per_link": np.asarray(count)}
    np.savez(tmp_path / "other.npz", **content)
    with pytest.raises(ArtifactError, match="not a readable link split"):
        LinkSplit.load(tmp_path / "other.npz")


def test_numbers_of_32_bits_pass_and_come_back(split, tmp_path):
    """They passed the audit, were saved, and could not be loaded."""
    parts = {k: LabelledPairs(*(p.int() for p in getattr(split, k)[:2])) for k in ("val", "test")}
    small = replace(split, train=split.train.int(), **parts)
    small.audit(ring())
    small.save(tmp_path / "small.npz")
    split.save(tmp_path / "split.npz")
    assert (tmp_path / "small.npz").read_bytes() == (tmp_path / "split.npz").read_bytes()
    LinkSplit.load(tmp_path / "small.npz").audit(ring())


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
        {"train": np.array([[True], [False]])},
        {"format": np.array("vgae-split-2")},
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
        assert torch.equal(data.edge_label_index, torch.cat([part.pos, part.neg], dim=1))
        assert data.edge_label.tolist() == [1] * part.pos.shape[1] + [0] * part.neg.shape[1]
