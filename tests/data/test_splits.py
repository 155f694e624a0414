"""Splits in the forms that data sets bring them."""

import gzip
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.data.named import load_dataset
from vgae.data.splits import read_split
from vgae.errors import ArtifactError, DataError, LeakageError
from vgae.graphs.graph import Graph
from vgae.graphs.split import LabelledPairs, LinkSplit, split_links


@pytest.fixture(scope="module")
def named():
    """A ring of forty nodes with names."""
    names = [f"n{k:02}" for k in range(40)]
    return Graph.from_edges([range(40), [*range(1, 40), 0]], num_nodes=40, node_ids=names)


@pytest.fixture(scope="module")
def split(named):
    return split_links(named, val=0.1, test=0.2, seed=3)


def as_sets(split):
    return {name: sorted(part.T.tolist()) for name, part in split._parts().items()}


def parts_of(split):
    return {
        "train_pos": split.train,
        "valid_pos": split.val.pos,
        "valid_neg": split.val.neg,
        "test_pos": split.test.pos,
        "test_neg": split.test.neg,
    }


def write_text(folder, parts, graph, suffix=".txt", separator="\t", head=""):
    folder.mkdir(exist_ok=True)
    for name, pairs in parts.items():
        lines = [f"{graph.ids[u]}{separator}{graph.ids[v]}\n" for u, v in pairs.T.tolist()]
        text = head + "".join(lines)
        path = folder / f"{name}{suffix}"
        if suffix.endswith(".gz"):
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"suffix": ".csv", "separator": ","},
        {"suffix": ".csv", "separator": ",", "head": "source,target\n"},
        {"suffix": ".tsv", "head": "# a comment\n"},
        {"suffix": ".txt.gz", "separator": " "},
    ],
    ids=str,
)
def test_text_holds_the_names_of_nodes(options, split, named, tmp_path):
    write_text(tmp_path / "s", parts_of(split), named, **options)
    assert as_sets(read_split(tmp_path / "s", named)) == as_sets(split)


def test_text_of_a_graph_without_names_holds_numbers(split, tmp_path):
    graph = Graph.from_edges([range(40), [*range(1, 40), 0]], num_nodes=40)
    write_text(tmp_path / "s", parts_of(split), graph)
    assert as_sets(read_split(tmp_path / "s", graph)) == as_sets(split)


def test_parquet_holds_names_too(split, named, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    for name, pairs in parts_of(split).items():
        ends = [[named.ids[node] for node in row] for row in pairs.tolist()]
        pq.write_table(pa.table({"a": ends[0], "b": ends[1]}), tmp_path / f"{name}.parquet")
    assert as_sets(read_split(tmp_path, named)) == as_sets(split)


SPELLINGS = {
    "ours": ("train", "val_pos", "val_neg", "test_pos", "test_neg"),
    "HeaRT": ("train_pos", "valid_pos", "valid_neg", "test_pos", "test_neg"),
    "Kipf": ("train_edges", "val_edges", "val_edges_false", "test_edges", "test_edges_false"),
    "SEAL": (
        *("train_pos_edge_index", "val_pos_edge_index", "val_neg_edge_index"),
        *("test_pos_edge_index", "test_neg_edge_index"),
    ),
    "links": ("train-links", "dev-links", "dev-non-links", "Test Links", "Test Non Links"),
    "edge_neg": ("edge_train", "edge_valid", "edge_neg_valid", "edge_test", "edge_neg_test"),
}


@pytest.mark.parametrize("names", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("form", ["npz", "npy"])
def test_arrays_are_found_in_the_usual_spellings(names, form, split, named, tmp_path):
    arrays = dict(zip(names, split._parts().values(), strict=True))
    arrays = {
        name: (part.int() if k % 2 else part.flip(0).T).numpy()
        for k, (name, part) in enumerate(arrays.items())
    }
    path = tmp_path / "s.npz"
    if form == "npz":
        np.savez(path, **arrays, train_neg=np.zeros((3, 2), int), x=np.ones((40, 2)), seed=7)
    else:
        path = tmp_path / "s"
        path.mkdir()
        (path / "README").write_text("train and test")
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
    assert as_sets(read_split(path, named)) == as_sets(split)


def test_a_file_of_ours_is_read_and_audited(split, named, tmp_path):
    neg = torch.stack([split.test.pos[0].repeat_interleave(2), torch.arange(16) + 13])
    own = replace(split, test=LabelledPairs(split.test.pos, neg, 2))
    for one in (split, own):
        one.save(tmp_path / "split.npz")
        read = read_split(tmp_path / "split.npz", named)
        assert as_sets(read) == as_sets(one)
        assert (read.seed, read.test.per_link) == (3, one.test.per_link)
    with pytest.raises(LeakageError, match=r"split\.npz: the split breaks S12 .* another graph"):
        read_split(tmp_path / "split.npz", Graph.from_edges([[0], [1]]))
    damaged = (tmp_path / "split.npz").read_bytes()
    (tmp_path / "split.npz").write_bytes(damaged[:-30])
    with pytest.raises((DataError, ArtifactError), match=r"split\.npz"):
        read_split(tmp_path / "split.npz", named)


@pytest.mark.parametrize("kind", [torch.from_numpy, lambda array: array], ids=["tensors", "numpy"])
@pytest.mark.parametrize("folder", ["", "split/time", "time"])
def test_the_folder_of_ogb(kind, folder, split, named, tmp_path):
    path = tmp_path / folder
    path.mkdir(parents=True, exist_ok=True)
    parts = {name: kind(part.T.numpy().copy()) for name, part in split._parts().items()}
    weight = kind(np.ones(len(parts["train"])))
    torch.save({"edge": parts["train"], "weight": weight}, path / "train.pt")
    for name, file in (("val", "valid"), ("test", "test")):
        content = {"edge": parts[f"{name}_pos"], "edge_neg": parts[f"{name}_neg"]}
        torch.save(content, path / f"{file}.pt")
    assert as_sets(read_split(tmp_path, named)) == as_sets(split)


def test_the_folder_of_ogb_with_non_links_of_each_link(split, named, tmp_path):
    links = {"train": split.train, "valid": split.val.pos, "test": split.test.pos}
    for name, pairs in links.items():
        content = {"source_node": pairs[0], "target_node": pairs[1].numpy()}
        if name != "train":
            content["target_node_neg"] = (pairs[0][:, None] + torch.tensor([5, 6, 7])) % 40
        torch.save(content, tmp_path / f"{name}.pt")
    read = read_split(tmp_path, named)
    assert (read.val.per_link, read.test.per_link) == (3, 3)
    assert sorted(read.train.T.tolist()) == sorted(split.train.T.tolist())
    for i, (u, _) in enumerate(split.val.pos.T.tolist()):
        place = read.val.pos.T.tolist().index(split.val.pos[:, i].tolist())
        found = read.val.neg[:, 3 * place : 3 * place + 3].T.tolist()
        assert found == [sorted([u, (u + d) % 40]) for d in (5, 6, 7)]


def test_the_arrays_of_heart_are_the_non_links_of_the_lines(split, named, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_text(tmp_path, parts_of(split), named)
    for name, pairs in (("valid", split.val.pos), ("test", split.test.pos)):
        u = pairs.T.numpy()[:, :1].repeat(4, axis=1)
        np.save(
            tmp_path / f"heart_{name}_samples.npy", np.stack([u, (u + 7 + np.arange(4)) % 40], 2)
        )
    read = read_split(tmp_path, named)
    assert "valid_neg is not used: heart_valid_samples has non-links of each link" in caplog.text
    assert (read.val.per_link, read.test.per_link) == (4, 4)
    u, v = read.test.pos, read.test.neg.view(2, -1, 4)
    own = [{*u[:, i].tolist()} & {*v[:, i, 0].tolist()} for i in range(u.shape[1])]
    assert all(own)


def test_hearts_citeseer(data_home):
    folder = data_home / "heart" / "citeseer"
    if not folder.is_dir():
        pytest.skip("VGAE_DATA has no heart/citeseer")
    graph = load_dataset("citeseer", features="none")
    split = read_split(folder, graph)
    sizes = [part.shape[1] for part in split._parts().values()]
    assert sizes == [3870, 227, 227 * 500, 455, 455 * 500]
    assert (split.val.per_link, split.test.per_link) == (500, 500)
    found = {check.invariant: check.violations for check in split.audit(graph)}
    # Their negatives avoid training links alone: other held-out links are among them.
    assert {name: count for name, count in found.items() if count} == {
        **{"D2": 227 * 499 + 455 * 499, "D3": 96 + 171 + 461, "D5": 12, "D6": 18098, "D7": 682},
    }


def test_absent_parts_are_made(split, named, tmp_path):
    write_text(tmp_path, {"test": split.test.pos}, named)
    a, b, c = (read_split(tmp_path, named, seed=seed) for seed in (0, 0, 1))
    assert a.train.shape[1] == 32
    assert a.val.pos.shape[1] == 0
    assert torch.equal(a.test.neg, b.test.neg)
    assert not torch.equal(a.test.neg, c.test.neg)


def both_spellings(folder, split, graph):
    write_text(folder, {"val_pos": split.val.pos, "valid_pos": split.val.pos}, graph)


FAULTS = {
    "nothing": (lambda f, s, g: None, DataError, "no links of val or test; names must"),
    "missing": (lambda f, s, g: f.rmdir(), DataError, "No such file"),
    "train alone": (
        lambda f, s, g: write_text(f, {"train": s.train}, g),
        DataError,
        "no links of val or test; .* found train",
    ),
    "both spellings": (both_spellings, DataError, "val_pos and valid_pos are both val"),
    "non-links alone": (
        lambda f, s, g: write_text(f, {"test_pos": s.test.pos, "val_neg": s.val.neg}, g),
        DataError,
        "val_neg needs val",
    ),
    "unknown names": (
        lambda f, s, g: (f / "test.txt").write_text("n01 n02\nn03 nobody\n"),
        DataError,
        r"test\.txt: 1 names are no nodes of graph: 'nobody'; those are 'n00'",
    ),
    "numbers for names": (
        lambda f, s, g: (f / "test.txt").write_text("1 2\n3 4\n"),
        DataError,
        "4 names are no nodes of graph: 1, 3, 2 ...; those are",
    ),
    "a header alone": (
        lambda f, s, g: (f / "test.txt").write_text("source target\n"),
        DataError,
        "no links of val or test; .* found test",
    ),
    "one column": (
        lambda f, s, g: (f / "test.txt").write_text("n01\nn02\n"),
        DataError,
        r"test\.txt, line 1: expected 2 or 3 fields",
    ),
    "empty": (
        lambda f, s, g: (f / "test.txt").write_text(""),
        DataError,
        "no links of val or test; .* found test",
    ),
    "empty training links": (
        lambda f, s, g: write_text(f, {"train": s.train[:, :0], "test": s.test.pos}, g),
        DataError,
        r"train\.txt: it has no edges",
    ),
    "empty non-links": (
        lambda f, s, g: write_text(f, {"test": s.test.pos, "test_neg": s.train[:, :0]}, g),
        DataError,
        "test_neg is empty, but test is not; leave it out",
    ),
    "labels": (
        lambda f, s, g: (f / "test.txt").write_text("n01 n02 1\nn05 n09 0\n"),
        DataError,
        r"test\.txt: .* labels, which are not read; .* a file \*_neg",
    ),
    "labels under a header": (
        lambda f, s, g: (f / "test.csv").write_text("u,v,label\nn01,n02,1\nn05,n09,0\n"),
        DataError,
        r"test\.csv: .* labels, which are not read; .* a file \*_neg",
    ),
    "labels of -1": (
        lambda f, s, g: (f / "test.txt").write_text("n01 n02 1\nn05 n09 -1\n"),
        DataError,
        "labels, which are not read",
    ),
    "names in arrays": (
        lambda f, s, g: np.save(f / "test.npy", np.array([["n01", "n02"], ["n03", "n04"]])),
        DataError,
        r"in the order of graph\.ids, got <U3; names of nodes belong into text files",
    ),
    "numbers from 1 on": (
        lambda f, s, g: np.save(f / "test.npy", np.array([[1, 2], [39, 40], [5, 6]])),
        DataError,
        r"got 39 - 40 as .* numbers are places in graph\.ids, from 0 on; subtract 1",
    ),
    "no array": (lambda f, s, g: (f / "test.npy").write_bytes(b"PK"), DataError, "not a npy file"),
    "object array": (
        lambda f, s, g: np.save(f / "test.npy", np.array([None])),
        DataError,
        "pickled objects",
    ),
    "floats": (lambda f, s, g: np.save(f / "test.npy", np.ones((3, 2))), DataError, "got float64"),
    "several": (
        lambda f, s, g: [
            ((f / "split" / k).mkdir(parents=True), torch.save({}, f / "split" / k / "test.pt"))
            for k in ("time", "random")
        ],
        DataError,
        "several splits, random, time; name one",
    ),
    "other dictionary": (
        lambda f, s, g: torch.save({"head": s.train[0]}, f / "test.pt"),
        DataError,
        "must hold edge, or source_node and target_node; found head",
    ),
    "other shape": (
        lambda f, s, g: torch.save({"edge": s.test.pos}, f / "test.pt"),
        DataError,
        r"edge and edge_neg must have shape \(P, 2\)",
    ),
    "other negatives": (
        lambda f, s, g: torch.save(
            {"source_node": s.train[0], "target_node": s.train[1], "target_node_neg": s.train[0]},
            f / "test.pt",
        ),
        DataError,
        r"target_node_neg \(P, K\)",
    ),
    "a leak": (
        lambda f, s, g: write_text(f, {"train": g.links, "test": s.test.pos}, g),
        LeakageError,
        r"s: the split breaks S3 .* 8 of test are training links too: first n\d\d - n\d\d",
    ),
}


@pytest.mark.parametrize(("write", "kind", "words"), FAULTS.values(), ids=FAULTS)
def test_what_is_no_split_is_one_line_that_names_it(write, kind, words, split, named, tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    write(folder, split, named)
    with pytest.raises(kind, match=words) as caught:
        read_split(folder, named)
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("train_edges_v2.csv", "test_negatives_hard.csv", "test_links_2024.txt", "testset.txt"),
        *("test1.txt", "test.dat", "valid_notes.csv", "valset.csv", "trainEdges.tsv"),
        *("train_test.txt", "test.txt.bak", "validation_2/"),
    ],
)
def test_no_file_with_the_word_of_a_part_is_left_out_silently(name, split, named, tmp_path):
    write_text(tmp_path, parts_of(split), named)
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("n01 n02\n")
    words = rf"{name.rstrip('/')} is .*; rename it, or move it away: names must consist of"
    with pytest.raises(DataError, match=words) as caught:
        read_split(tmp_path, named)
    assert caught.value.code == "SPLIT_PARTS"


def test_no_array_with_the_word_of_a_part_is_left_out_silently(split, named, tmp_path):
    arrays = {name: part.numpy() for name, part in split._parts().items()}
    np.savez(tmp_path / "s.npz", **arrays, test_mask=np.ones(40))
    with pytest.raises(DataError, match=r"s\.npz: test_mask is not understood"):
        read_split(tmp_path / "s.npz", named)


def test_what_is_not_used_is_told(split, named, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_text(tmp_path, parts_of(split) | {"train_neg": split.val.neg}, named)
    others = (".test.txt.swp", "README", "evaluate.py", "latest.log", "nodes.csv", "values.txt")
    for name in others:
        (tmp_path / name).write_text("?")
    assert as_sets(read_split(tmp_path, named)) == as_sets(split)
    assert f"split: not used: {', '.join(others)}" in caplog.text
    assert "train_neg is not used" in caplog.text


def test_a_file_that_is_neither_npz_nor_folder_is_refused(named, tmp_path):
    (tmp_path / "split.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"a folder or an \.npz file, got split\.csv"):
        read_split(tmp_path / "split.csv", named)


@pytest.mark.parametrize("others", [{}, {"kind": ["a", "b"], "rank": [3, 4]}])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_labels_beside_any_columns_are_refused_too(suffix, others, named, tmp_path):
    columns = {"u": ["n01", "n05"], "v": ["n02", "n09"], "label": [1, 0], **others}
    if suffix == "csv":
        rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        (tmp_path / "test.csv").write_text("\n".join([",".join(columns), *rows]))
    else:
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table(columns), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=rf"test\.{suffix}: .* labels, which are not read"):
        read_split(tmp_path, named)


def test_columns_of_a_file_of_a_split_have_roles(split, named, tmp_path):
    """An index, other columns and an order of their own do not change the pairs."""
    for name, pairs in parts_of(split).items():
        names = [[named.ids[node] for node in pair] for pair in pairs.T.tolist()]
        rows = [f"{k},{v},x,{u}" for k, (u, v) in enumerate(names)]
        (tmp_path / f"{name}.csv").write_text("\n".join([",target,kind,source", *rows]))
    assert as_sets(read_split(tmp_path, named)) == as_sets(split)


@pytest.mark.parametrize("content", ["", "source,target\n", "# nothing\n"])
def test_an_empty_file_is_no_links(content, split, named, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_text(tmp_path, {"test": split.test.pos}, named)
    (tmp_path / "val.txt").write_text(content)
    read = read_split(tmp_path, named)
    assert (read.val.pos.shape[1], read.test.pos.shape[1]) == (0, 8)
    assert read.train.shape[1] == 32
    assert "val.txt is empty: no links" in caplog.text


@pytest.mark.parametrize("form", ["%.18e", "%.1f", "%d.0"])
def test_whole_numbers_as_savetxt_writes_them_are_nodes(form, split, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    graph = Graph.from_edges([range(40), [*range(1, 40), 0]], num_nodes=40)
    for name, pairs in parts_of(split).items():
        np.savetxt(tmp_path / f"{name}.txt", pairs.T.numpy(), fmt=form)
    assert as_sets(read_split(tmp_path, graph)) == as_sets(split)
    (tmp_path / "test_pos.txt").write_text("99.0 98.0\n1.5 2.0\n")
    with pytest.raises(DataError, match=r"3 names are no nodes of graph: '99\.0', '1\.5', '98"):
        read_split(tmp_path, graph)
    assert "header" not in caplog.text


def test_a_header_is_told(split, named, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_text(tmp_path, {"test": split.test.pos}, named, head="alice bob\n", separator=" ")
    assert read_split(tmp_path, named).test.pos.shape[1] == 8
    assert "its first line, alice bob, names no nodes: a header" in caplog.text


def test_a_split_is_read_by_its_class_too(sbm, tmp_path):
    split_links(sbm, seed=3).save(tmp_path / "split.npz")
    found = LinkSplit.from_files(tmp_path / "split.npz", sbm)
    assert found.digest == read_split(tmp_path / "split.npz", sbm).digest
