"""Every door by which a held-out link could be seen; running this file writes the page.

A door is a function of a folder that returns what came through: the AUC of the canary, a model
that scores a pair 1 if messages travel between its nodes and else 0, so that 0.50 is no leak; the
code of a refusal; or the statement that was tested.
"""

import contextlib
import copy
import io
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vgae.cli.app import app
from vgae.data.files import write_npz
from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.errors import VgaeError
from vgae.estimators import LinkPredictor, VGAEEmbedder
from vgae.evaluation.links import calibrate, evaluate, evaluate_links
from vgae.evaluation.metrics import link_scores
from vgae.gaussian import DiagGaussian
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import LabelledPairs, LinkSplit, split_links
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.prediction.links import score_links
from vgae.recipes import BEST, PAPER
from vgae.runs.calibrations import recalibrate
from vgae.runs.graphs import train_run
from vgae.runs.lifecycle import load_run, resume
from vgae.training.links import fit
from vgae.vae import VAE

PAGE = Path(__file__).parent / "LEAKS.md"
SHORT = replace(PAPER, epochs=3)
DOORS: dict[str, tuple[str, Callable[[Path], str]]] = {}


def door(title: str):
    """Register a door under a title of the page."""

    def registered(function):
        DOORS[function.__name__] = (title, function)
        return function

    return registered


def refused(call: Callable[[], object]) -> str:
    """Return the code of the error that a call ends with."""
    try:
        call()
    except VgaeError as error:
        return f"refused, `{error.code}`"
    raise AssertionError("it was not refused")


def graph(seed: int = 0, *, weighted: bool = False) -> Graph:
    """Return 60 nodes in two communities with features."""
    rng = np.random.default_rng(seed)
    side = np.repeat([0, 1], 30)
    chance = np.where(side[:, None] == side, 0.3, 0.02)
    edges = np.stack(np.nonzero(np.triu(rng.random((60, 60)) < chance, k=1)))
    x = (rng.random((60, 12)) < 0.2 + 0.4 * (np.arange(12) // 6 == side[:, None])) * 1.0
    weight = rng.uniform(0.5, 4, edges.shape[1]) if weighted else None
    return Graph.from_edges(edges, x=x, edge_weight=weight, name="pairs")


class SeesMessages(nn.Module):
    """Encodes each node as its row of the adjacency that it was given, and remembers the links."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.seen = torch.zeros(60, 60)

    def forward(self, x, edge_index, edge_weight=None):
        rows = torch.zeros(len(x), len(x))
        rows[edge_index[0], edge_index[1]] = 1
        self.seen = torch.maximum(self.seen, rows)
        return DiagGaussian(rows + 0 * self.bias, torch.zeros_like(rows) - 20)


class IsLinked(InnerProductDecoder):
    """Scores a pair 1 if messages travel between its nodes, else 0."""

    def logits(self, z, edge_label_index):
        return z[edge_label_index[0], edge_label_index[1]]


def canary() -> VAE:
    return VAE(SeesMessages(), IsLinked())


def shown(*aucs: float) -> str:
    return "canary AUC " + ", ".join(f"{auc:.2f}" for auc in aucs)


def trained(split: LinkSplit, seed: int = 0) -> VAE:
    return fit(graph(), split, recipe=SHORT, seed=seed, progress=False).model


def without_test(g: Graph, split: LinkSplit) -> tuple[Graph, LinkSplit]:
    """Return the graph and the split as they would be if the test links did not exist."""
    kept = torch.cat([split.train, split.val.pos], dim=1)
    weight = g.weights_of(kept)
    less = Graph.from_edges(kept, x=g.x, edge_weight=weight, name=g.name)
    none = LabelledPairs(kept[:, :0], kept[:, :0])
    return less, replace(split, test=none, fingerprint=less.link_fingerprint)


def same_weights(first, second) -> bool:
    a, b = first.model.state_dict(), second.model.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def runs(folder: Path) -> tuple[Path, Path]:
    """Return two runs on one graph with different seeds."""
    path = folder / "pairs.npz"
    write_npz(graph(), path)
    for seed in (0, 1):
        train_run(str(path), folder / str(seed), recipe=SHORT, seed=seed, progress=False)
    return folder / "0", folder / "1"


@door("Messages when validation and test links are scored (`evaluate`)")
def messages(_):
    found = evaluate(canary(), graph(), split_links(graph()))
    return shown(found["val"].auc, found["test"].auc)


@door('Messages over validation links (`messages="train+val"`), test links scored')
def messages_over_validation(_):
    found = evaluate(canary(), graph(), split_links(graph()), messages="train+val")
    return shown(found["test"].auc)


@door("Messages during the training (all links that the encoder ever received)")
def messages_in_training(_):
    split, model = split_links(graph()), canary()
    fit(graph(), split, model=model, recipe=SHORT, progress=False)
    return shown(*seen_by(model, split))


@door("Messages during the training with masks")
def messages_with_masks(_):
    split, model = split_links(graph()), canary()
    recipe = replace(SHORT, mask=0.5, epochs=20)
    fit(graph(), split, model=model, recipe=recipe, progress=False)
    return shown(*seen_by(model, split))


def seen_by(model, split):
    """Return the AUC of both parts by the links that the encoder has received."""
    return [
        link_scores(model.encoder.seen[tuple(part.edge_label_index)], part.edge_label).auc
        for part in (split.val, split.test)
    ]


@door("Weights, with every named model and the recipes `paper` and `best`")
def weights(_):
    split = split_links(graph())
    for model in ("vgae", "gae", "linear-vgae", "linear-gae", "sage"):
        for recipe in (SHORT, replace(BEST, epochs=3)):
            options = {"model": model, "recipe": recipe, "progress": False}
            whole = fit(graph(), split, **options)
            assert same_weights(whole, fit(*without_test(graph(), split), **options))
    return "the same bits as if the test links did not exist"


@door("Weights of links, relative to the mean of all (`weighted=True`)")
def weights_of_links(_):
    g = graph(weighted=True)
    split = split_links(g)
    options = {"recipe": replace(SHORT, weighted=True), "progress": False}
    whole = fit(g, split, **options)
    assert same_weights(whole, fit(*without_test(g, split), **options))
    return "the same bits as if the test links did not exist"


@door("A held-out link among the training links, in either direction")
def planted(_):
    split = split_links(graph())
    found = set()
    for link in (split.test.pos[:, :1], split.val.pos[:, :1].flip(0)):
        leaky = replace(split, train=torch.cat([split.train, link], dim=1))
        found.add(refused(lambda leaky=leaky: fit(graph(), leaky, recipe=SHORT)))
    (code,) = found
    return code


@door("A test link among the validation links, on which the epoch is chosen")
def in_both(_):
    split = split_links(graph())
    pos = torch.cat([split.val.pos[:, 1:], split.test.pos[:, :1]], dim=1)
    leaky = replace(split, val=split.val._replace(pos=pos))
    return refused(lambda: fit(graph(), leaky, recipe=SHORT))


@door("The split of another graph with as many nodes")
def foreign(_):
    return refused(lambda: evaluate(trained(split_links(graph())), graph(), split_links(graph(1))))


@door("Checkpoints of a training on another split of equal seed and sizes")
def checkpoints(folder):
    split = split_links(graph())
    other = replace(split_links(graph(), seed=1), seed=0)
    options = {"recipe": SHORT, "progress": False, "checkpoints": folder / "ck"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vgae.training.checkpoint.SECONDS", 0)
        fit(graph(), split, **options)
    return refused(lambda: fit(graph(), other, **options))


@door("One model trained on the splits of several seeds")
def reused(_):
    model = VAE(GCNEncoder(12), InnerProductDecoder())
    for seed in (0, 1):
        fit(graph(), split_links(graph(), seed=seed), model=model, recipe=SHORT, progress=False)
    return refused(lambda: evaluate(model, graph(), split_links(graph(), seed=1)))


@door("A trained model, evaluated or calibrated on another split")
def other_split(_):
    model, other = trained(split_links(graph())), split_links(graph(), seed=1)
    (code,) = {
        refused(lambda use=use: use(model, graph(), other))
        for use in (evaluate, evaluate_links, calibrate)
    }
    return code


@door("Trained weights in another model (`load_state_dict`, `copy.deepcopy`)")
def copied(_):
    model, other = trained(split_links(graph())), split_links(graph(), seed=1)
    fresh = VAE(GCNEncoder(12, bias=False), InnerProductDecoder())
    fresh.load_state_dict(model.state_dict())
    (code,) = {
        refused(lambda m=m: evaluate(m, graph(), other)) for m in (fresh, copy.deepcopy(model))
    }
    return code


@door("A trained encoder in another model, itself or its weights")
def lent_encoder(_):
    model, other = trained(split_links(graph())), split_links(graph(), seed=1)
    half = VAE(GCNEncoder(12, bias=False), InnerProductDecoder())
    half.encoder.load_state_dict(model.encoder.state_dict())
    lent = VAE(model.encoder, InnerProductDecoder())
    (code,) = {refused(lambda m=m: evaluate(m, graph(), other)) for m in (half, lent)}
    return code


@door("Trained weights as a plain dict or safetensors in a new model, which say nothing")
def plain_weights(_):
    split, other = split_links(graph()), split_links(graph(), seed=1)
    weights = {name: value.clone() for name, value in trained(split).state_dict().items()}
    fresh = VAE(GCNEncoder(12, bias=False), InnerProductDecoder())
    fresh.load_state_dict(weights)
    log = logging.getLogger("vgae.evaluation.links")
    with Listening(log) as lines:
        evaluate(fresh, graph(), other)
    assert lines == ["it is not known which links the model was trained on"]
    return "cannot be known, which `evaluate` logs"


class Listening(logging.Handler):
    """Messages of a logger as a list, in a ``with`` block."""

    def __init__(self, log):
        super().__init__()
        self.log, self.lines = log, []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def __enter__(self):
        self.before = self.log.level
        self.log.addHandler(self)
        self.log.setLevel(logging.INFO)
        return self.lines

    def __exit__(self, *_):
        self.log.removeHandler(self)
        self.log.setLevel(self.before)


@door("An encoder that holds all edges of the graph and ignores those it is given")
def own_edges(_):
    class OwnEdges(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.edges = GCNEncoder(12), graph().edge_index

        def forward(self, x, edge_index):
            return self.encoder(x, self.edges)

    with Listening(logging.getLogger("vgae.training.own_model")) as lines:
        model = VAE(OwnEdges(), InnerProductDecoder())
        fit(graph(), split_links(graph()), model=model, recipe=SHORT, progress=False)
    assert any("does not use edge_index" in line for line in lines)
    return "a warning before the training"


@door("A saved model (`save_pretrained`), evaluated on another split")
def saved(folder):
    save_pretrained(trained(split_links(graph())), folder / "model")
    model = from_pretrained(folder / "model")
    evaluate(model, graph(), split_links(graph()))
    return refused(lambda: evaluate(model, graph(), split_links(graph(), seed=1)))


@door("A run with the split of another seed")
def run_with_other_split(folder):
    first, second = runs(folder)
    shutil.copy(second / "split.npz", first / "split.npz")
    return refused(lambda: load_run(first))


@door("An interrupted run with the split of another seed, resumed")
def resumed_with_other_split(folder):
    first, second = runs(folder)
    shutil.copy(second / "split.npz", first / "split.npz")
    (first / "metrics.json").unlink()
    return refused(lambda: resume(first))


@door("A run with the split and the configuration of another seed")
def run_with_other_split_and_configuration(folder):
    first, second = runs(folder)
    for name in ("split.npz", "config.json"):
        shutil.copy(second / name, first / name)
    return refused(lambda: load_run(first))


@door("A run with the model of another seed")
def run_with_other_model(folder):
    first, second = runs(folder)
    shutil.rmtree(first / "model")
    shutil.copytree(second / "model", first / "model")
    return refused(lambda: load_run(first))


@door("A run with the calibration of another seed")
def run_with_other_calibration(folder):
    first, second = runs(folder)
    name = Path("model") / "calibration.json"
    shutil.copy(second / name, first / name)
    return refused(lambda: load_run(first))


@door("A run with the embeddings of another seed (`vgae figure RUN embedding`)")
def run_with_other_embeddings(folder):
    first, second = runs(folder)
    shutil.copy(second / "embeddings.npz", first / "embeddings.npz")
    return ended(["figure", str(first), "embedding"])


@door("A run with the configuration or the history of another run on the same split")
def run_with_other_configuration(folder):
    first, _ = runs(folder)
    path = str(folder / "pairs.npz")
    other = train_run(path, folder / "other", model="gae", recipe=SHORT, progress=False).folder
    found = set()
    for name in ("config.json", "history.jsonl"):
        kept = (first / name).read_bytes()
        shutil.copy(other / name, first / name)
        found.add(refused(lambda: load_run(first)))
        (first / name).write_bytes(kept)
    (code,) = found
    return code


@door("A run that another one replaces while `vgae calibrate` works on it")
def replaced(folder):
    first, second = runs(folder)
    run = load_run(first)
    fitted, _ = calibrate(run.model, run.graph, run.split), run.embedding
    shutil.rmtree(first)
    shutil.copytree(second, first)
    return refused(lambda: recalibrate(run, fitted))


@door("A graph with new nodes and a split of its own, under a model of the old graph")
def new_nodes(_):
    x = torch.cat([graph().x, torch.ones(1, 12)])
    links = torch.cat([graph().links, torch.tensor([[0], [60]])], dim=1)
    larger = Graph.from_edges(links, x=x)
    model = trained(split_links(graph()))
    return refused(lambda: evaluate(model, larger, split_links(larger)))


@door("`vgae embed RUN --messages all` over the embeddings that figures and pages show")
def embedded_over_all(folder):
    first, _ = runs(folder)
    before = (first / "embeddings.npz").read_bytes()
    command(["embed", str(first), "--messages", "all"])
    assert (first / "embeddings-all.npz").exists()
    assert (first / "embeddings.npz").read_bytes() == before
    out = ["--out", str(first / "embeddings.npz")]
    return ended(["embed", str(first), "--messages", "all", *out])


def many() -> GraphCollection:
    """Return 12 graphs of 5 nodes, 60 in all."""
    rng = np.random.default_rng(0)
    edges = [np.stack(np.nonzero(np.triu(rng.random((5, 5)) < 0.6, k=1))) for _ in range(12)]
    parts = [Graph.from_edges(e, num_nodes=5, x=rng.random((5, 3))) for e in edges]
    return GraphCollection.from_graphs(parts)


class SeesSomeGraphs(SeesMessages):
    """The canary for some of the graphs of a collection at a time."""

    def forward(self, x, edge_index, edge_weight=None):
        rows = torch.zeros(len(x), 60)
        rows[edge_index[0], edge_index[1]] = 1
        return DiagGaussian(rows + 0 * self.bias, torch.zeros_like(rows) - 20)


@door("Messages in graphs that are held out whole, with and without batches of graphs")
def messages_in_held_out_graphs(_):
    graphs, found = many(), []
    split = split_links(graphs, by="graphs", val=0.2, test=0.3)
    for size in (0, 4):
        model = VAE(SeesSomeGraphs(), IsLinked())
        recipe = SHORT.override({"batch_size": size})
        fit(graphs, split, model=model, recipe=recipe, progress=False)
        scored = evaluate_links(model, graphs, split)
        found += [scored["val"].auc, scored["test"].auc]
    return shown(*found)


@door("A link of a held-out graph, hidden or context, among the training links")
def planted_across_graphs(_):
    graphs = many()
    split = split_links(graphs, by="graphs", val=0.2, test=0.3)
    found = set()
    for name in ("context", "test"):
        link = split.context[:, :1] if name == "context" else split.test.pos[:, :1]
        train = torch.cat([split.train, link], dim=1)
        kept = replace(split, train=train, context=split.context[:, name == "context" :])
        found.add(refused(lambda kept=kept: fit(graphs, kept, recipe=SHORT)))
    (code,) = found
    return code


@door("A model of a split by whole graphs, evaluated on other held-out graphs")
def other_held_out_graphs(_):
    graphs = many()
    split, other = (split_links(graphs, by="graphs", val=0.2, test=0.3, seed=s) for s in (0, 1))
    model = fit(graphs, split, recipe=SHORT, progress=False)
    return refused(lambda: evaluate_links(model, graphs, other))


def command(arguments: list[str]) -> None:
    """Run a command, which raises its errors."""
    with contextlib.redirect_stdout(io.StringIO()):
        app(arguments, standalone_mode=False)


def ended(arguments: list[str]) -> str:
    """Return the code of the error that a command ends with."""
    return refused(lambda: command(arguments))


@door("The graph's file, changed after the training")
def changed_graph(folder):
    first, _ = runs(folder)
    more = torch.cat([graph().links, torch.tensor([[0], [59]])], dim=1)
    write_npz(Graph.from_edges(more, x=graph().x, name="pairs"), folder / "pairs.npz")
    return refused(lambda: load_run(first).graph)


@door("A second training in the folder of the first, while that runs")
def second_training(folder):
    write_npz(graph(), folder / "pairs.npz")
    found = []

    def start_another():
        path = str(folder / "pairs.npz")
        found.append(refused(lambda: train_run(path, folder / "run", recipe=SHORT, seed=1)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LinkSplit, "save", saving := Saving(LinkSplit.save, start_another))
        train_run(str(folder / "pairs.npz"), folder / "run", recipe=SHORT, progress=False)
    assert saving.done
    assert load_run(folder / "run").config["seed"] == 0
    return found[0]


class Saving:
    """Saving of a split, with something before it."""

    def __init__(self, save, before):
        self.save, self.before, self.done = save, before, False

    def __get__(self, split, _):
        def save(path):
            self.before()
            self.done = True
            self.save(split, path)

        return save


@door("A resume that is refused (another field of the recipe)")
def refused_resume(folder):
    first, _ = runs(folder)
    (first / "metrics.json").unlink()
    before = {p: p.read_bytes() for p in first.rglob("*") if p.is_file()}
    code = refused(lambda: resume(first, changes={"lr": "0.5"}))
    assert before == {p: p.read_bytes() for p in first.rglob("*") if p.is_file()}
    return f"{code}; no file is changed"


@door("Calibration on the test links")
def calibration(_):
    split = split_links(graph())
    model, data = trained(split), ((graph(), split), without_test(graph(), split))
    both = [calibrate(model, g, s, prior="balanced") for g, s in data]
    assert both[0] == both[1]
    return "the same calibration as if the test links did not exist"


@door("A `LinkPredictor` that is fitted again")
def refitted(_):
    def predictor(seed):
        return LinkPredictor(
            VGAEEmbedder(max_epochs=3), validation_fraction=0.1, random_state=seed
        )

    again = predictor(0).fit(graph()).set_params(random_state=1).fit(graph())
    pairs = graph().links.T.numpy()
    fresh = predictor(1).fit(graph())
    assert np.array_equal(again.predict_proba(pairs), fresh.predict_proba(pairs))
    return "the same probabilities as a new one"


@door("Pairs of the graph, scored over all its links (`score_links`, `vgae predict --pairs`)")
def scored_over_all(_):
    split = split_links(graph())
    pairs = split.test.edge_label_index
    table = score_links(canary(), graph(), pairs.T)
    assert torch.equal(table.known, split.test.edge_label.bool())
    auc = link_scores(table.score, split.test.edge_label).auc
    return f"{shown(auc)}: by design; each such pair is marked `known`"


@pytest.mark.parametrize("name", DOORS)
def test_nothing_comes_through_a_door_and_the_page_says_so(name, tmp_path):
    title, function = DOORS[name]
    found = function(tmp_path)
    assert row(title, found) in PAGE.read_text(encoding="utf-8").splitlines()
    if found.startswith("canary") and "by design" not in found:
        assert {word.strip(",") for word in found.split()[2:]} == {"0.50"}


def test_the_page_has_no_other_rows():
    rows = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    assert [line.split(" | ")[0].removeprefix("| ") for line in rows[1:]] == [
        title for title, _ in DOORS.values()
    ]


def row(title: str, found: str) -> str:
    return f"| {title} | {found} |"


def page() -> str:
    lines = []
    for title, function in DOORS.values():
        with tempfile.TemporaryDirectory() as folder:
            lines.append(row(title, function(Path(folder))))
    return HEAD + "\n".join(lines) + "\n"


HEAD = """# Doors

Each way in which a model could see a link that is held out, and what comes of it. The canary is a
model that scores a pair 1 if messages travel between its nodes, else 0: an AUC of 0.50 means that
none of the held-out links carried a message. `tests/test_leaks.py` tries every door and compares
this page; `python tests/test_leaks.py` writes it.

| Door | What comes through |
|---|---|
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))
