"""Give each file of a folder to every reader and command, in a process of its own.

Writes one JSON line for each: the file, what it was given to, and what came of it.
"""

import importlib.util
import io
import json
import logging
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vgae.cli.app import main
from vgae.data.edge_lists import read_edge_list
from vgae.data.files import read_graph, read_npz, write_npz
from vgae.data.idx import read_idx
from vgae.data.image_files import read_images
from vgae.data.node_features import read_features
from vgae.data.npy import read_npy
from vgae.data.planetoid import read_planetoid
from vgae.data.reading import Reading
from vgae.data.splits import read_split
from vgae.errors import VgaeError
from vgae.evaluation.calibration import load_calibration
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.models.images import load_image_model
from vgae.models.pretrained import from_pretrained, load_feature_encoder
from vgae.recipes import PAPER
from vgae.recipes.images import SMALL2D
from vgae.runs.graphs import GraphSource, train_run
from vgae.runs.images import train_image_run
from vgae.runs.lifecycle import load_run
from vgae.training.checkpoint import Checkpoints, read_checkpoint

ENCODED = Reading(encode="auto")
RUN_FILES = (
    *("config.json", "split.npz", "history.jsonl", "metrics.json", "embeddings.npz"),
    *("model/config.json", "model/model.safetensors", "model/calibration.json"),
)
# Those that commands get unless all are asked for: one of each kind.
TO_COMMANDS = (
    *("pickle-renamed-checkpoint", "npz-object-exec", "zip-bomb"),
    *("json-deep", "safetensors-beyond"),
)
GRAPHS = (
    *(
        "npz",
        "csv",
        "tsv.gz",
        "txt",
        "mtx",
        "mtx.gz",
        "parquet",
        "csv.bz2",
        "csv.xz",
        "zip",
        "npy",
    ),
    *("graphml", "gexf", "gml", "json", "net", "content"),
)
# Readers of whole documents unpack every bomb to the same size before they stop: one bomb will do.
DOCUMENTS = ("graphml", "gexf", "gml", "json")
MORE_BOMBS = ("gz-bomb-of-lines", "gz-bomb-of-one-line", "gz-bomb-of-images")
# Each of these takes a process of its own.
ISOLATED = ("mat", "h5ad")
IMAGE_RUN_FILES = ("config.json", "metrics.json", "model/config.json", "model/model.safetensors")


def toy() -> Any:
    """Return the module that writes a small Planetoid set."""
    path = Path(__file__).parents[1] / "data" / "test_planetoid.py"
    spec = importlib.util.spec_from_file_location("planetoid_toy", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepare(home: Path) -> None:
    """Make a graph, images, and a run on each."""
    ring = np.stack([np.arange(12), (np.arange(12) + 1) % 12])
    chords = np.stack([np.arange(12), (np.arange(12) + 5) % 12])
    write_npz(Graph.from_edges(np.hstack([ring, chords]), x=np.eye(12)), home / "graph.npz")
    np.save(home / "images.npy", (np.arange(20 * 16) % 255).astype(np.uint8).reshape(20, 4, 4))
    recipe = replace(PAPER, epochs=1)
    source = GraphSource(str(home / "graph.npz"), val=0.2, test=0.2)
    train_run(source, home / "run", recipe=recipe, progress=False)
    images = replace(SMALL2D, epochs=1, hidden_channels=(4,))
    train_image_run(str(home / "images.npy"), home / "pictures", recipe=images, progress=False)
    toy().write_toy(home / "planetoid")
    shutil.copytree(home / "run", home / "killed")
    (home / "killed" / "metrics.json").unlink()


def readers(payload: Path, home: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what reads files in Python, each with the payload in every place that it has."""
    files = home / "files"
    skipped = DOCUMENTS if payload.name in MORE_BOMBS else ()
    graphs = (*GRAPHS, *(ISOLATED if payload.name in TO_COMMANDS else ()))
    for suffix in [s for s in graphs if s not in skipped]:
        yield f"read_graph .{suffix}", partial(read_graph, put(payload, files / f"x.{suffix}"))
    features = ("npz", "npy", "csv", "csv.gz", "parquet", *([] if skipped else ["json"]))
    for suffix in features:
        path = put(payload, files / f"x.{suffix}")
        yield f"read_features .{suffix}", partial(read_features, path)
        yield f"read_features .{suffix} encoded", partial(read_features, path, ENCODED)
    for suffix in ("npz", "npy"):
        yield f"read_images .{suffix}", partial(read_images, put(payload, files / f"x.{suffix}"))
    folder = files / "pictures"
    put(payload, folder / "x.png")
    yield "read_images folder", partial(read_images, folder)
    path = put(payload, files / "x")
    yield "read_npz", partial(read_npz, path)
    yield "read_npy", partial(read_npy, path)
    yield "read_idx", partial(read_idx, path, dims=3)
    yield "read_edge_list", partial(read_edge_list, path)
    yield "read_checkpoint", partial(read_checkpoint, path)
    yield "LinkSplit.load", partial(LinkSplit.load, path)
    graph = read_npz(home / "graph.npz")
    yield "read_split .npz", partial(read_split, put(payload, files / "split.npz"), graph)
    for name in ("test.pt", "test_pos.txt", "test.npy", "heart_test_samples.npy"):
        put(payload, files / f"split-{name}" / name)
        yield f"read_split {name}", partial(read_split, files / f"split-{name}", graph)
    for part in ("graph", "allx", "tx", "ally", "ty", "test.index"):
        toy = {f"ind.toy.{part}": path}
        for other in {"graph", "allx", "tx", "ally", "ty", "test.index"} - {part}:
            toy[f"ind.toy.{other}"] = home / "planetoid" / f"ind.toy.{other}"
        yield f"read_planetoid {part}", partial(read_planetoid, toy, "toy")
    encoder = changed(home / "run", payload, "model/feature_encoder.json") / "model"
    yield "load_feature_encoder", partial(load_feature_encoder, encoder)
    for name in ("config.json", "model.safetensors", "calibration.json"):
        for run, load in (("run", from_pretrained), ("pictures", load_image_model)):
            folder = changed(home / run, payload, f"model/{name}") / "model"
            if name == "calibration.json":
                load = load_calibration
            yield f"{load.__name__} {run}/{name}", partial(load, folder)


def commands(payload: Path, home: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield command lines with the payload in every place that they have."""
    files, out = home / "files", home / "out"
    run, graph = home / "run", home / "graph.npz"
    for suffix in ("npz", "npy", "csv", "parquet", "pt"):
        path = put(payload, files / f"x.{suffix}")
        yield f"train .{suffix}", ["train", path, "--epochs", 1, "-q", "-o", out, "--overwrite"]
        yield f"convert .{suffix}", ["convert", path, "-o", home / "out.npz", "--json"]
        yield (
            f"convert --features .{suffix}",
            ["convert", graph, "--features", path, "-o", home / "out.npz", "--json"],
        )
    path = put(payload, files / "x.npz")
    yield "embed", ["embed", run, path, "-o", home / "out.csv", "--json"]
    yield "predict", ["predict", run, path, "-o", home / "out.csv", "--json"]
    pairs = put(payload, files / "x.csv")
    yield "predict --pairs", ["predict", run, "--pairs", pairs, "-o", home / "out.csv", "--json"]
    yield "reconstruct", ["reconstruct", home / "pictures", path, "-o", home / "out.npy", "--json"]
    for name in RUN_FILES:
        folder = changed(run, payload, name)
        yield f"evaluate {name}", ["evaluate", folder, "--json"]
        yield f"predict {name}", ["predict", folder, "-o", home / "out.csv", "--json"]
        yield f"train --resume {name}", ["train", "--resume", folder, "-q"]
    for name in IMAGE_RUN_FILES:
        folder = changed(home / "pictures", payload, name)
        yield f"sample {name}", ["sample", folder, "-n", 1, "-o", home / "out.npy", "--json"]
        yield f"evaluate {name}", ["evaluate", folder, "--samples", 1, "--json"]
    if payload.name == "pickle-renamed-checkpoint":  # the training takes seconds
        folder = changed(home / "killed", payload, "checkpoints/epoch-000000001.ckpt")
        yield "train --resume checkpoint", ["train", "--resume", folder, "-q"]


def put(payload: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.hardlink_to(payload)
    return path


def changed(run: Path, payload: Path, name: str) -> Path:
    """Return a copy of a run in which one file is the payload."""
    folder = run.with_name("changed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run, folder)
    put(payload, folder / name)
    return folder


def read(call: Callable[[], Any]) -> str:
    try:
        call()
    except VgaeError as error:
        return f"error {error.code}"
    except BaseException as error:
        return f"escaped {type(error).__name__}: {error}"
    return "ok"


def run(arguments: list[Any]) -> str:
    text = io.StringIO()
    status: Any = 0
    try:
        with redirect_stderr(text), redirect_stdout(io.StringIO()):
            main([*map(str, arguments)])
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        return f"escaped {type(error).__name__}: {error}"
    lines = text.getvalue().splitlines()
    if status in (0, None):
        return "ok"
    told = len(lines) == 1 and lines[0].startswith("error[") and lines[0].isprintable()
    return f"error {lines[0][6:].split(']')[0]}" if told else f"status {status} {lines[:4]}"


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # MiB, on Linux


def report(payload: Path, use: str, act: Callable[[], str]) -> None:
    before, start = peak(), time.monotonic()
    result = act()
    line = {"payload": payload.name, "use": use, "result": result}
    line |= {"MiB": peak() - before, "seconds": round(time.monotonic() - start, 2)}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def run_all(corpus: Path, home: Path, *, with_all_commands: bool) -> None:
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    prepare(home)
    for payload in sorted(corpus.iterdir()):
        for use, call in readers(payload, home):
            report(payload, use, partial(read, call))
        for use, arguments in commands(payload, home):
            if with_all_commands or payload.name in TO_COMMANDS:
                report(payload, use, partial(run, arguments))
        folder = changed(home / "killed", payload, "checkpoints/epoch-000000001.ckpt")
        load = Checkpoints(folder / "checkpoints", {}).load
        report(payload, "Checkpoints.load", partial(read, load))
        report(payload, "load_run", partial(read, partial(load_run, folder)))


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), Path(sys.argv[2]), with_all_commands="--all" in sys.argv)
