"""A third kind of runs, on plain vectors, through everything that runs on graphs go through."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import vgae
import vgae.runs.lifecycle
import vgae.training.checkpoint
from vgae.errors import ArtifactError
from vgae.gaussian import DiagGaussian
from vgae.models.embedding import evaluating
from vgae.models.files import read_model, write_model
from vgae.prediction.export import write_embeddings
from vgae.recipes.base import Training
from vgae.report.figures.paper_layouts import Layout
from vgae.report.pages import frame
from vgae.report.pages.compared_runs import Compared
from vgae.report.pages.frame import Column, Table
from vgae.report.view import RunView
from vgae.runs.commands import Embedding
from vgae.runs.kind import (
    KINDS,
    FinishedRun,
    RunKind,
    Source,
    kind_for,
    kind_of,
    register_kind,
)
from vgae.runs.lifecycle import resume, train
from vgae.training.prepared import PreparedTraining, Problem

PLAIN = Training(name="plain", epochs=4, eval_every=1)


@dataclass(frozen=True)
class VectorSource(Source):
    val: float = 0.25


@dataclass(frozen=True, eq=False)
class Vectors:
    x: Tensor
    fingerprint: str


class Encoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.heads = nn.Linear(width, 4)

    def forward(self, x):
        return DiagGaussian(*self.heads(x).chunk(2, dim=-1))


class Decoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mean = nn.Linear(2, width)

    def log_prob(self, z, target):
        return -0.5 * (target - self.mean(z)).square().sum(dim=-1)


def build(settings):
    torch.manual_seed(0)
    return vgae.VAE(Encoder(settings["width"]), Decoder(settings["width"]))


class VectorView(RunView):
    def page(self, run, *, top_k=200):
        return f"<p>{run.metrics['error']}</p>"

    def settings(self, run):
        return [("seed", str(run.config["seed"]))]

    def compare(self, runs, names):
        rows = [[name, str(run.metrics["error"])] for name, run in zip(names, runs, strict=True)]
        scores = Table("Scores", [Column("run"), Column("error")], rows)
        return Compared("runs on vectors", "The first is best.", [], scores, {})

    def figures(self):
        return {"spread": lambda run, width: Layout(Figure((width, 1)), "the spread")}

    def drawable(self, run):
        return ["spread"]


class VectorRuns(RunKind):
    name, title, model = "vectors", "vectors", "linear"
    keys = {"vectors": dict, "model": str, "recipe": dict, "seed": int}  # noqa: RUF012
    source, recipe, run = VectorSource, Training, FinishedRun
    options = ("val",)
    view = VectorView()

    def recognises(self, source):
        return source.endswith(".vec")

    def named_recipe(self, name, source, *, progress):
        return PLAIN

    def open(self, source, *, progress=None):
        text = Path(source.source).read_bytes()
        x = torch.tensor(np.loadtxt(source.source), dtype=torch.float32)
        return Vectors(x, hashlib.sha256(text).hexdigest())

    def prepare(self, data, *, model, recipe, seed, device):
        width = data.x.shape[1]
        built = build({"width": width}).to(device.resolved())
        identity = {"vectors": data.fingerprint, "recipe": recipe.identity(), "model": model}
        return PreparedTraining(
            model=built,
            problem=Problem((data.x,), data.x, num_items=len(data.x)),
            recipe=recipe,
            seed=seed,
            compute=device,
            identity=identity,
        )

    def describe(self, source, data, model, prepared):
        described = {"source": source.source, "val": source.val, "width": data.x.shape[1]}
        return {
            "vectors": {**described, "fingerprint": data.fingerprint},
            "model": model,
            "recipe": asdict(prepared.recipe),
            "seed": prepared.seed,
        }

    def write(self, folder, config, data, result, *, progress=None):
        write_model(folder / "model", result.model, {"width": data.x.shape[1]})
        with evaluating(result.model):
            q = result.model.encoder(data.x)
        write_embeddings(folder / "embeddings.npz", range(len(data.x)), q)
        return {"error": self.error(result.model, data.x)}

    def error(self, model, x):
        with evaluating(model):
            return round(-float(model.decoder.log_prob(model.encoder(x).mu, x).mean()), 6)

    def load_parts(self, folder, unchecked):
        return {"model": read_model(folder / "model", build)}

    def evaluate(self, run, options):
        return {"error": self.error(run.model, self.reopen(run.folder, run.config).x)}

    def embed(self, run, options):
        x = self.reopen(run.folder, run.config).x
        with evaluating(run.model):
            return Embedding(run.model.encoder(x), range(len(x)), "vectors")


VECTORS = VectorRuns()


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(frame, "plotly_js", lambda: "0")
    register_kind(VECTORS)
    yield
    del KINDS["vectors"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "points.vec"
    np.savetxt(path, np.random.default_rng(0).normal(size=(30, 5)))
    return str(path)


@pytest.fixture
def run(source, tmp_path):
    return train(VECTORS, source, tmp_path / "run", recipe=PLAIN, device="cpu", progress=False)


def test_a_run_is_trained_and_comes_back(run, source):
    assert run.metrics["error"] < VECTORS.error(
        build({"width": 5}), VECTORS.open(Source(source)).x
    )
    loaded = vgae.load_run(run.folder)
    assert type(loaded) is FinishedRun
    assert (loaded.config, loaded.history, loaded.metrics) == (
        run.config,
        run.history,
        run.metrics,
    )
    assert kind_of(run.folder) is kind_of(run.config) is kind_for(source) is VECTORS
    assert resume(run.folder).metrics == run.metrics


def test_an_interrupted_run_goes_on_to_the_same_weights(run, source, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def die(*_, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(vgae.training.checkpoint, "SECONDS", 0)
        patch.setattr(vgae.runs.lifecycle, "_write_result", die)
        with pytest.raises(Killed):
            train(VECTORS, source, tmp_path / "killed", recipe=PLAIN, device="cpu")
    with pytest.raises(ArtifactError, match="was interrupted"):
        vgae.load_run(tmp_path / "killed")
    assert resume(tmp_path / "killed", device="cpu").metrics["error"] == run.metrics["error"]
    weights = [tmp_path / name / "model/model.safetensors" for name in ("run", "killed")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_data_that_changed_are_refused(run, source):
    Path(source).write_text("1 2\n")
    with pytest.raises(ArtifactError, match="no longer holds the vectors"):
        VECTORS.evaluate(run, None)


def test_the_commands_take_it(run, source, tmp_path, command):
    folder = tmp_path / "cli"
    words = ("train", source, "--epochs", 2, "--val", 0.5, "-o", folder, "--device", "cpu")
    status, out, err = command(*words)
    assert (status, err) == (0, "")
    assert "error: " in out
    assert "model/model.safetensors       weights of the model" in out
    assert json.loads((folder / "config.json").read_text())["vectors"]["val"] == 0.5
    assert command("train", "--resume", folder, "--quiet")[0] == 0
    status, out, _ = command("evaluate", folder, "--json")
    assert json.loads(out).keys() == {"error"}
    status, out, _ = command("embed", folder, "-o", tmp_path / "z.csv")
    assert (status, out) == (0, f"{tmp_path / 'z.csv'}: 30 vectors, 2 dimensions\n")
    assert command("figure", folder, "spread", "-o", tmp_path / "s.svg")[0] == 0
    assert command("report", folder)[0] == 0
    assert (folder / "report.html").read_text().startswith("<p>")
    assert command("report", folder, run.folder, "-o", tmp_path / "both.html")[0] == 0
    assert "The first is best." in (tmp_path / "both.html").read_text()


def test_what_it_has_not_is_one_line(run, source, command, tmp_path):
    status, _, err = command("train", source, "--features", "raw", "-o", tmp_path / "new")
    assert status == 2
    assert err == (
        f"error[VECTORS]: a run on vectors has no --features; leave that out for {source}.\n"
    )
    status, _, err = command("predict", run.folder)
    assert status == 4
    assert f"{run.folder} is a run on vectors, not on a graph" in err
    status, _, err = command("figure", run.folder, "roc")
    assert status == 2
    assert "is a run on vectors and has nothing for 'roc'; it has spread." in err
    bare = RunView()
    with pytest.raises(ValueError, match=r"runs on vectors such as .* have no page"):
        bare.page(run)
    assert bare.figures() == bare.shared_figures() == bare.commands(run) == {}


def test_a_run_of_an_unknown_kind_is_one_error(run, tmp_path, command):
    folder = shutil.copytree(run.folder, tmp_path / "unknown")
    config = json.loads((folder / "config.json").read_text())
    del config["vectors"]
    (folder / "config.json").write_text(json.dumps(config))
    for words in (("evaluate",), ("embed",), ("report",), ("train", "--resume")):
        status, _, err = command(*words, folder)
        assert status == 4
        assert "config.json lacks graph or typed_graph or images or vectors" in err


def test_a_configuration_of_two_kinds_is_one_error():
    with pytest.raises(ArtifactError, match="has both graph and images"):
        kind_of({"graph": {}, "images": {}})
