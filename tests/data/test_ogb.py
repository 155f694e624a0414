"""A folder of OGB for link prediction, made here: raw tables and splits as torch files."""

import gzip
import json
import logging

import numpy as np
import pytest
import torch

import vgae
from vgae.cli.app import main
from vgae.errors import DataError, LeakageError
from vgae.evaluation.ogb import ogb_scores
from vgae.recipes import PAPER


def ring(n=24):
    """Return the links of a ring, and of each node with its second neighbours."""
    u = np.arange(n)
    return np.concatenate([np.stack([u, (u + d) % n], axis=1) for d in (1, 2)])


def write_raw(root, links, **tables):
    raw = root / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    given = {
        "edge": links,
        "num-node-list": [[24]],
        "num-edge-list": [[len(links)]],
        "node-feat": rng.normal(size=(24, 4)),
        "edge_weight": np.ones((len(links), 1), int),
        "edge_year": np.full((len(links), 1), 2010),
        **tables,
    }
    for name, rows in given.items():
        text = "".join(",".join(map(str, row)) + "\n" for row in np.asarray(rows).tolist())
        (raw / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))


@pytest.fixture(params=["collab", "citation2"])
def ogb(request, tmp_path):
    """The folder of a data set; every fifth link is held out, and not in ``raw/edge.csv.gz``."""
    links = ring()
    held = np.arange(len(links)) % 5 == 0
    valid, test = links[held][::2], links[held][1::2]
    # A repeated pair, as of another year.
    train = np.concatenate([links[~held], links[~held][:1, ::-1]])
    root = tmp_path / f"ogbl_{request.param}"
    write_raw(root, train)
    (root / "mapping").mkdir()
    (root / "mapping" / "nodeidx2id.csv.gz").write_bytes(gzip.compress(b"node idx,id\n0,7\n"))
    (root / "RELEASE_v1.txt").write_text("")
    folder = root / "split" / "time"
    folder.mkdir(parents=True)
    parts = {"train": train, "valid": valid, "test": test}
    for name, pairs in parts.items():
        source, target = torch.from_numpy(pairs.copy()).T
        content = {"edge": torch.stack([source, target], dim=1), "weight": torch.ones(len(pairs))}
        if request.param == "citation2":
            content = {"source_node": source, "target_node": target}
        if name != "train" and request.param == "collab":
            u = torch.arange(24)
            content |= {"year": torch.full((len(pairs),), 2018)}
            content |= {"edge_neg": torch.stack([u, (u + 7) % 24], dim=1)}
        elif name != "train":
            far = (source[:, None] + torch.tensor([5, 7, 9, 11])) % 24
            content |= {"target_node_neg": far}
        torch.save(content, folder / f"{name}.pt")
    return root


def test_the_graph_has_the_held_out_links_and_the_split_is_theirs(ogb, caplog):
    with caplog.at_level(logging.INFO, logger="vgae"):
        graph = vgae.read_graph(ogb)
    assert "the 10 held-out links in split are added to the 39 training links" in caplog.text
    assert "left out: edge_weight.csv.gz, edge_year.csv.gz" in caplog.text
    assert (graph.num_nodes, graph.num_links, graph.num_features) == (24, 48, 4)
    split = vgae.read_split(ogb, graph)
    assert (split.train.shape[1], split.val.pos.shape[1], split.test.pos.shape[1]) == (38, 5, 5)
    own = 4 if ogb.name == "ogbl_citation2" else 0
    assert (split.val.per_link, split.test.per_link) == (own, own)
    assert vgae.read_graph(ogb / "raw").num_links == 38
    with pytest.raises(LeakageError, match="no links of"):
        vgae.read_split(ogb, vgae.read_graph(ogb / "raw"))


def test_a_model_is_scored_as_the_benchmark_does(ogb):
    graph = vgae.read_graph(ogb)
    split = vgae.read_split(ogb / "split" / "time", graph)
    recipe = PAPER.override({"epochs": 5})
    result = vgae.fit(graph, split, recipe=recipe, progress=False)
    found = vgae.evaluate(result, graph, split)["test"]
    if ogb.name == "ogbl_citation2":
        scores = ogb_scores(result, graph, split, "ogbl-citation2")
        assert scores["test"] == pytest.approx(found.given.mrr)
    else:
        scores = ogb_scores(result, graph, split, "hits@10")
        assert scores["test"] == found.hits[10]
        assert ogb_scores(result, graph, split, "rocauc")["test"] == found.auc
        with pytest.raises(DataError, match=r"neg \(P, K\)"):
            ogb_scores(result, graph, split, "mrr")
    assert scores.keys() == {"val", "test"}


@pytest.mark.parametrize("ogb", ["citation2"], indirect=True)
def test_the_command_trains_and_evaluates_on_the_folder(ogb, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["train", str(ogb), "--split", str(ogb / "split" / "time"), "--epochs", "2", "-o", "run"],
        ["evaluate", "run", "--json"],
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert not end.value.code
    test = json.loads(capsys.readouterr().out)["test"]
    assert test["num_non_links"] == 20
    assert 0 < test["given"]["mrr"] <= 1


@pytest.mark.row("L61")
def test_weights_of_training_links_alone_are_refused(tmp_path):
    root = tmp_path / "ogbl_x"
    links = ring()
    write_raw(root, links, **{"edge-weight": np.full((len(links), 1), 2)})
    (root / "split" / "time").mkdir(parents=True)
    torch.save({"edge": torch.tensor([[0, 12]])}, root / "split" / "time" / "test.pt")
    with pytest.raises(DataError, match=r"no weights of the held-out links .* read .*raw alone"):
        vgae.read_graph(root)
    assert vgae.read_graph(root / "raw").link_weight is not None
    (root / "raw" / "edge-weight.csv.gz").unlink()
    assert vgae.read_graph(root).num_links == 49


@pytest.mark.row("L61")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"edge": torch.zeros(3, dtype=torch.int64)}, r"must have shape \(P, 2\)"),
        ({"edge": torch.tensor([[0, 24]])}, "24"),
        ({"head": torch.tensor([0])}, "found head"),
    ],
)
def test_held_out_links_that_are_none_are_refused(content, message, tmp_path):
    root = tmp_path / "ogbl_x"
    write_raw(root, ring())
    (root / "split" / "time").mkdir(parents=True)
    torch.save(content, root / "split" / "time" / "test.pt")
    with pytest.raises(DataError, match=message):
        vgae.read_graph(root)
