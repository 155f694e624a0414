"""What is fuzzed: each target takes bytes, and has valid files to start from."""

import bz2
import gzip
import hashlib
import importlib.util
import io
import json
import logging
import lzma
import os
import shutil
import signal
import struct
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
import torch

import vgae.cli.train
import vgae.runs.graphs
from vgae.cli.app import main
from vgae.data.edge_lists import read_edge_list
from vgae.data.files import read_graph, write_npz
from vgae.data.idx import read_idx
from vgae.data.image_files import read_images
from vgae.data.node_features import read_features
from vgae.data.npy import read_npy
from vgae.data.planetoid import read_planetoid
from vgae.data.reading import Reading
from vgae.data.torch_files import read_integers
from vgae.errors import UsageError, VgaeError
from vgae.evaluation.calibration import load_calibration
from vgae.graphs.arrays import checked_csr, csr_matrix, feature_tensor
from vgae.graphs.encoding import TableEncoder, encode_table
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.models.files import read_json
from vgae.models.images import load_image_model, save_image_model
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.recipes import BEST, PAPER, Recipe
from vgae.recipes.images import SMALL2D, ImageRecipe
from vgae.runs.folder import read_history
from vgae.runs.graphs import GraphSource, train_run
from vgae.runs.images import train_image_run
from vgae.runs.lifecycle import load_run
from vgae.runs.lifecycle import resume as resume_run
from vgae.runtime.devices import Compute
from vgae.runtime.streams import stream
from vgae.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from vgae.training.history import HistoryRow
from vgae.training.links import fit
from vgae.training.state import TrainingState

logging.disable(logging.CRITICAL)
vgae.cli.train.draw_figures = lambda run: None  # figures take a second each
torch.set_num_threads(1)
HOME = Path(tempfile.mkdtemp(prefix="vgae-fuzz-"))
GRAPH = Graph.from_edges(
    np.array([[0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3], [1, 2, 3, 4, 5, 6, 7, 0, 4, 5, 6, 7]]),
    edge_weight=np.linspace(0.5, 2, 12),
    num_nodes=9,
    x=sp.csr_array(np.eye(9, 3, dtype=np.float32)),
    y=[0, 1, -1] * 3,
    feature_names=["a", "b", "c"],
    node_ids=[*"abcdefgh", "é"],
    name="toy",
)


@dataclass(frozen=True)
class Target:
    run: Callable[[bytes], Any]
    seeds: Sequence[bytes]


def put(name: str, data: bytes) -> Path:
    path = HOME / name
    path.write_bytes(data)
    return path


def through(name: str, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    """Return what reads bytes from a file of a certain name."""
    return lambda data: read(put(name, data))


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def npz(pack: bool = True, **arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if pack else np.savez)(file, **arrays)  # pyright: ignore
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def written(write: Callable[[Path], Any], name: str) -> bytes:
    write(HOME / name)
    return (HOME / name).read_bytes()


def command(*arguments: Any) -> None:
    """Run the command; an exit status of the package is what it should end with."""
    try:
        main([*map(str, arguments)])
    except SystemExit as end:
        if end.code not in (0, None, 2, 3, 4, 5, 6):
            raise


EDGES = b'source,target,weight\na,b,1\n"b ""q""",c,2.5\nc,d,1e-3\n# comment\n\'=d,a,7\n'
PLAIN = b"0 1\n1 2\n2\t3\r\n% x\n3 0\n-7 8\n"
MTX = b"%%MatrixMarket matrix coordinate real symmetric\n% c\n3 3 2\n1 2 0.5\n3 1 2\n"
FEATURES = b'id;size;age\na;1;2.5\nb;-1e3;0\n"c;c";7;8\n'
TOY = written(partial(write_npz, GRAPH), "toy.npz")
MEMBERS = dict(np.load(io.BytesIO(TOY)))
CSR = GRAPH.to_scipy()


def member(data: bytes) -> None:
    """Read a graph of which one member was replaced; the first byte says which."""
    names = [*MEMBERS]
    name = names[data[0] % len(names)] if data else names[0]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for other, array in MEMBERS.items():
            archive.writestr(f"{other}.npy", data[1:] if other == name else npy(array))
    read_graph(put("member.npz", file.getvalue()))


def csr(data: bytes) -> None:
    """Check a CSR matrix of hostile parts, and multiply with it."""
    count = len(data) // 8
    values = np.frombuffer(data[: 8 * count], "<i8")
    head, rest = values[:4].tolist(), values[4:]
    if len(head) < 4:
        return
    rows, columns, cut, kind = head
    indptr, indices = rest[: cut % 32], rest[cut % 32 :]
    kinds = (np.int64, np.int32, np.uint8, np.float32)
    indptr, indices = (part.astype(kinds[kind % 4]) for part in (indptr, indices))
    numbers = np.ones(len(indices), np.float32)
    for make in (csr_matrix, unchecked):
        matrix = make(numbers, indices, indptr, (rows, columns))
        if max(rows, columns) > 10**6:
            continue
        copy = checked_csr(matrix, np.float32)
        copy @ np.ones(columns, np.float32)
        if columns:
            feature_tensor(matrix) @ torch.ones(columns, 1)


def unchecked(data: Any, indices: Any, indptr: Any, shape: Any) -> Any:
    """Return a matrix whose parts scipy has not seen."""
    matrix = sp.csr_array((1, 1), dtype=np.float32)
    matrix._shape = shape
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def parquet(table: dict[str, Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return written(partial(pq.write_table, pa.table(table)), "seed.parquet")


MIXED = b"id,age,city,when,ok,note\n" + b"".join(
    b'%d,%d.5,%s,2020-01-%02d,%s,"a b %d"\n'
    % (k, k, b"AB"[k % 2 :][:1], k + 1, b"yn"[k % 2 :][:1], k)
    for k in range(6)
)
ENCODER = TableEncoder.fit(
    {"age": ["1", "", "3"], "city": ["a", "a", ""], "n": [""] * 3}, {"n": "hash"}
)


def encoded(path: Path) -> None:
    """Read a table of mixed columns with each encoding."""
    for encode in ({"note": "hash"}, "auto", {"age": "category", "when": "date", "note": "drop"}):
        with suppress(VgaeError):
            read_features(path, Reading(encode=encode))


def encoder(data: bytes) -> None:
    """Encode a table by a hostile encoder."""
    read = TableEncoder.from_dict(read_json(put("encoder.json", data)))
    names = [column.name for column in read.columns]
    encode_table({name: ["1", "a", None, "2020-01-01", "yes"] for name in names}, read)


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def by_networkx(write: Callable[..., Any], suffix: str) -> bytes:
    """Return a small graph with attributes as networkx writes it."""
    graph = nx.DiGraph([("a", "b", {"weight": 0.5}), ("b", "é", {"weight": 2.0})])
    nx.set_node_attributes(graph, {"a": 1, "b": 2, "é": 3}, "age")
    nx.set_node_attributes(graph, "x", "town")
    return written(partial(write, graph), f"seed.{suffix}")


GEOM = {
    "out1_graph_edges.txt": b"node_id\tnode_id\n0\t1\n2\t1\n",
    "out1_node_feature_label.txt": b"node_id\tfeature\tlabel\n1\t0,0,1\t1\n"
    b"0\t0,1,0\t2\n2\t1,1,1\t0\n",
}
MUSAE = {
    "m_edges.csv": b"id1,id2\n0,1\n2,1\n",
    "m_features.json": b'{"0": [3, 0], "1": [2], "2": []}',
    "m_target.csv": b"id,target\n0,5\n1,6\n2,5\n",
}
OGB = {
    "edge.csv": b"0,1\n1,2\n",
    "num-node-list.csv": b"4\n",
    "node-feat.csv": b"0.5,1\n1,2\n2,3\n0,0\n",
    "node-label.csv": b"0\n1\n0\n2\n",
}
LINQS = {"c.content": b"31\t0\t1\tNN\n10\t1\t0\tR\n77\t1\t1\tNN\n", "c.cites": b"31\t10\n77\t31\n"}
NODE_LINK = (
    b'{"directed": true, "nodes": [{"id": "a", "age": 1}, {"id": "b", "age": 2.5}],'
    b' "links": [{"source": "a", "target": "b", "weight": 2}]}'
)
D3 = b'{"nodes": [{"name": "a"}, {"name": "b"}], "links": [{"source": 0, "target": 1}]}'
ELEMENTS = (
    b'{"elements": {"nodes": [{"data": {"id": "a"}}, {"data": {"id": "b"}}],'
    b' "edges": [{"data": {"source": "a", "target": "b"}}]}}'
)
PAJEK = (
    b'*Network x\n*Vertices 3\n1 "a b" 0.1 0.2\n2 b\n'
    b"*Arcs\n1 2 0.5\n*Edgeslist\n1 2 3\n*Matrix\n0 1 0\n"
)
BENCHMARK = npz(
    adj_data=CSR.data,
    adj_indices=CSR.indices,
    adj_indptr=CSR.indptr,
    adj_shape=np.array(CSR.shape),
    attr_matrix=np.eye(9, 2),
    labels=np.arange(9) % 2,
    node_names=np.array([*"abcdefghi"]),
)
HETERO = npz(
    edges=np.array([[0, 1], [1, 2], [2, 0]]),
    node_features=np.eye(3),
    node_labels=np.array([0.0, 1, 0]),
)
CSR_SEED = np.array([3, 3, 4, 0, 0, 1, 2, 3, 1, 2, 0], "<i8").tobytes()
IMAGES = (np.arange(12 * 4 * 4) % 255).reshape(12, 4, 4).astype(np.uint8)
TARGETS = {
    "edges-text": Target(through("e.txt", read_graph), [PLAIN, EDGES]),
    "edges-csv": Target(through("e.csv", read_graph), [EDGES, PLAIN]),
    "edges-gz": Target(through("e.csv.gz", read_graph), [gzip.compress(EDGES, mtime=0)]),
    "edge-list": Target(through("p.tsv", read_edge_list), [PLAIN.replace(b" ", b"\t")]),
    "mtx": Target(through("m.mtx", read_graph), [MTX]),
    "features-csv": Target(through("f.csv", read_features), [FEATURES]),
    "features-encoded": Target(through("m.csv", encoded), [MIXED]),
    "feature-encoder": Target(encoder, [json.dumps(ENCODER.to_dict()).encode()]),
    "idx": Target(through("i.idx", partial(read_idx, dims=3)), [idx(IMAGES)]),
    "idx-gz": Target(
        through("i.gz", partial(read_idx, dims=3)), [gzip.compress(idx(IMAGES), mtime=0)]
    ),
    "npy": Target(
        through("a.npy", read_npy), [npy(IMAGES), npy(np.eye(3)), npy(np.array(["a", "b"]))]
    ),
    "npz-graph": Target(
        through("g.npz", read_graph), [TOY, written(partial(sp.save_npz, matrix=CSR), "c.npz")]
    ),
    "npz-member": Target(
        member, [bytes([k]) + npy(array) for k, array in enumerate(MEMBERS.values())]
    ),
    "npz-features": Target(
        through("x.npz", read_features),
        [npz(x=np.eye(3), ids=np.array([*"abc"]), feature_names=np.array([*"xyz"]))],
    ),
    "npz-images": Target(
        through("i.npz", read_images),
        [npz(images=IMAGES, y=np.arange(12)), npz(pack=False, train=IMAGES, test=IMAGES)],
    ),
    "csr": Target(csr, [CSR_SEED]),
    "torch-file": Target(
        through("t.pt", read_integers),
        [written(partial(torch.save, {"edge": torch.eye(2).int(), "e": np.arange(6)}), "t.pt")],
    ),
    "split": Target(
        through("split.npz", LinkSplit.load),
        [written(split_links(GRAPH, val=0.2, test=0.2, seed=0).save, "s.npz")],
    ),
}
TARGETS |= {
    "edges-bz2": Target(through("e.csv.bz2", read_graph), [bz2.compress(EDGES)]),
    "edges-xz": Target(through("e.csv.xz", read_graph), [lzma.compress(EDGES)]),
    "edges-zip": Target(through("e.zip", read_graph), [zipped("a/e.csv", EDGES)]),
    "adjacency-csv": Target(
        through("adj.csv", partial(read_graph, format="adjacency")),
        [b",a,b,c\na,0,1,2.5\nb,1,0,\nc,2.5,,0\n", b"0;1\n1;0\n"],
    ),
    "adjacency-npy": Target(
        through("adj.npy", read_graph), [npy(np.eye(5)), npy(np.arange(20).reshape(10, 2))]
    ),
    "npz-foreign": Target(through("f.npz", read_graph), [BENCHMARK, HETERO]),
    "graphml": Target(
        through("g.graphml", read_graph), [by_networkx(nx.write_graphml, "graphml")]
    ),
    "gexf": Target(through("g.gexf", read_graph), [by_networkx(nx.write_gexf, "gexf")]),
    "gml": Target(through("g.gml", read_graph), [by_networkx(nx.write_gml, "gml")]),
    "pajek": Target(through("g.net", read_graph), [PAJEK]),
    "graph-json": Target(
        through("g.json", read_graph), [NODE_LINK, D3, ELEMENTS, b'[["a", "b"], ["b", "c"]]']
    ),
    "features-json": Target(
        through("f.json", read_features), [b'{"a": [0, 3], "b": [1]}', b'{"1": [0.5], "2": [2]}']
    ),
}
if importlib.util.find_spec("pyarrow"):
    EDGE_COLUMNS = {
        "source": ["a", "b", "c"],
        "target": ["b", "c", "a"],
        "weight": [1.0, 2.0, 3.0],
    }
    TARGETS["parquet-edges"] = Target(through("e.parquet", read_graph), [parquet(EDGE_COLUMNS)])
    TARGETS["parquet-features"] = Target(
        through("f.parquet", read_features), [parquet({"node_id": [1, 2], "x": [0.5, None]})]
    )

_spec = importlib.util.spec_from_file_location(
    "planetoid_toy", Path(__file__).parents[1] / "data" / "test_planetoid.py"
)
assert _spec
assert _spec.loader
_toy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_toy)
FILES = _toy.write_toy(HOME / "planetoid")
READ = ("graph", "allx", "tx", "ally", "ty", "test.index")
PARTS = {part: FILES[f"ind.toy.{part}"].read_bytes() for part in READ}


def planetoid(data: bytes, part: str) -> None:
    path = HOME / "planetoid" / "other"
    path.write_bytes(data)
    read_planetoid(FILES | {f"ind.toy.{part}": path}, "toy")


for part, content in PARTS.items():
    TARGETS[f"planetoid-{part}"] = Target(partial(planetoid, part=part), [content])

RECIPE = replace(BEST, name="toy", epochs=1, hidden_channels=4, latent_channels=2, mask=0.0)


class Progress:
    """What a training remembers."""

    def __init__(self) -> None:
        self.history = [HistoryRow(1, 0.5, 1.0, 2.0)]
        self.best = {"a": torch.ones(2)}
        self.best_epoch, self.best_score, self.stopped = 1, 0.5, False


def training_state() -> TrainingState:
    module = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(2)).backward()
    optimizer.step()
    return TrainingState({"model": module}, optimizer, {"noise": stream(0, "noise")}, Progress())


SEED_CHECKPOINT = written(
    lambda path: write_checkpoint(path, training_state().snapshot(1.0)), "a.ckpt"
)
SMALL_CHECKPOINT = written(
    lambda path: write_checkpoint(path, Checkpoint({"a": [1, "é"]}, {"w": torch.eye(3)})), "b.ckpt"
)


def sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def framed(header: bytes, rest: bytes = bytes(36)) -> bytes:
    return sealed(struct.pack("<8sQ", b"VGAECKPT", len(header)) + header + rest)


def restored(data: bytes) -> None:
    training_state().restore(read_checkpoint(put("r.ckpt", data)))


def header_of(content: bytes) -> bytes:
    return content[16 : 16 + struct.unpack_from("<Q", content, 8)[0]].strip()


SMALL_HEADER = header_of(SMALL_CHECKPOINT)
STATE_HEADER = header_of(SEED_CHECKPOINT)
STATE_REST = SEED_CHECKPOINT[16 + struct.unpack_from("<Q", SEED_CHECKPOINT, 8)[0] : -32]
TARGETS |= {
    "checkpoint": Target(
        through("c.ckpt", read_checkpoint), [SMALL_CHECKPOINT, SEED_CHECKPOINT[:400]]
    ),
    "checkpoint-sealed": Target(
        lambda data: read_checkpoint(put("s.ckpt", sealed(data))), [SMALL_CHECKPOINT[:-32]]
    ),
    "checkpoint-header": Target(
        lambda data: read_checkpoint(put("h.ckpt", framed(data))), [SMALL_HEADER]
    ),
    "checkpoint-state-sealed": Target(
        lambda data: restored(sealed(data)), [SEED_CHECKPOINT[:-32]]
    ),
    "checkpoint-state": Target(lambda data: restored(framed(data, STATE_REST)), [STATE_HEADER]),
}

MODEL = fit(GRAPH, split_links(GRAPH, val=0, test=0, seed=0), recipe=RECIPE).model
save_pretrained(MODEL, HOME / "model")
IMAGE_RECIPE = replace(SMALL2D, epochs=1, hidden_channels=(4,))
from vgae.models.images import build_image_model  # noqa: E402

save_image_model(
    HOME / "image-model",
    "vae",
    (1, 4, 4),
    IMAGE_RECIPE,
    build_image_model("vae", (1, 4, 4), IMAGE_RECIPE, stream(0, "init")),
)
write_npz(GRAPH, HOME / "graph.npz")
SOURCE = GraphSource(str(HOME / "graph.npz"), val=0.2, test=0.2)
train_run(SOURCE, HOME / "run", recipe=RECIPE, progress=False)
shutil.copytree(HOME / "run", HOME / "unfinished")
np.save(HOME / "images.npy", IMAGES)
train_image_run(str(HOME / "images.npy"), HOME / "image-run", recipe=IMAGE_RECIPE, num_samples=1)
(HOME / "unfinished" / "metrics.json").unlink()


def in_folder(folder: str, name: str, use: Callable[[Path], Any]) -> Target:
    """Return what puts a hostile file into a folder, uses the folder and restores the file."""
    path = HOME / folder / name
    valid = path.read_bytes()

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            use(HOME / folder)
        finally:
            path.write_bytes(valid)

    return Target(run, [valid])


def published(name: str, files: dict[str, bytes], part: str) -> Target:
    """Return what puts hostile bytes in the place of one file of a folder."""
    path = HOME / name
    path.mkdir(exist_ok=True)
    for file, content in files.items():
        (path / file).write_bytes(content)
    return in_folder(name, part, read_graph)


def use_run(folder: Path) -> None:
    """Load a run and give it to each command that takes one."""
    out = HOME / "out.csv"
    command("evaluate", folder, "--json")
    command("predict", folder, "-k", 2, "-o", out, "--json")
    command("embed", folder, "-o", out, "--json")
    run = load_run(folder)
    repr(run)
    _ = run.graph


def use_image_run(folder: Path) -> None:
    """Load a run on images and give it to the commands that are quick."""
    out = HOME / "out.npy"
    command("sample", folder, "-n", 2, "-o", out)
    command("embed", folder, "-o", out)
    command("figure", folder, "curves", "-o", HOME / "out.png")


def resume(folder: Path) -> None:
    """Go on with a run for at most one epoch, whatever it says of epochs."""
    prepare = vgae.runs.graphs.prepare
    content = (folder / "config.json").read_bytes()

    def short(graph: Any, split: Any, *, recipe: Recipe, **options: Any) -> Any:
        few = {"epochs": min(recipe.epochs, 1), "warmup": 0, "patience": 0}
        return prepare(graph, split, recipe=replace(recipe, **few), **options)

    vgae.runs.graphs.prepare = short
    try:
        resume_run(folder, device=Compute("cpu", 400_000_000), progress=False)
    finally:
        vgae.runs.graphs.prepare = prepare
        shutil.rmtree(folder)
        shutil.copytree(HOME / "run", folder)
        (folder / "metrics.json").unlink()
        (folder / "config.json").write_bytes(content)


def settings(data: bytes) -> None:
    """Take lines as values of ``--set``."""
    text = data.decode("utf-8", "replace")
    for kind, fields in ((PAPER, Recipe), (SMALL2D, ImageRecipe)):
        for line in text.splitlines()[:4]:
            name, _, value = line.partition("=")
            names = [*fields.__dataclass_fields__]
            for field in (name, names[len(value) % len(names)]):
                try:
                    str(kind.override({field: value}))
                except UsageError:
                    continue


TARGETS |= {
    "model-weights": in_folder("model", "model.safetensors", from_pretrained),
    "model-config": in_folder("model", "config.json", from_pretrained),
    "image-model-weights": in_folder("image-model", "model.safetensors", load_image_model),
    "image-model-config": in_folder("image-model", "config.json", load_image_model),
    "calibration": in_folder(
        "run", "model/calibration.json", lambda f: load_calibration(f / "model")
    ),
    "run-config": in_folder("run", "config.json", use_run),
    "image-run-config": in_folder("image-run", "config.json", use_image_run),
    "run-history": in_folder("run", "history.jsonl", read_history),
    "run-metrics": in_folder(
        "run", "metrics.json", lambda f: [load_run(f), command("train", "--resume", f, "--quiet")]
    ),
    "run-resumed": in_folder("unfinished", "config.json", resume),
    "ogb-edges": published("ogb", OGB, "edge.csv"),
    "ogb-nodes": published("ogb", OGB, "num-node-list.csv"),
    "ogb-features": published("ogb", OGB, "node-feat.csv"),
    "geom-gcn": published("geom", GEOM, "out1_node_feature_label.txt"),
    "musae-features": published("musae", MUSAE, "m_features.json"),
    "musae-target": published("musae", MUSAE, "m_target.csv"),
    "linqs-content": published("linqs", LINQS, "c.content"),
    "linqs-cites": published("linqs", LINQS, "c.cites"),
    "json": Target(through("j.json", read_json), [b'{"a": [1, 2.5, null, "x", true]}']),
    "settings": Target(settings, [b"lr=0.1\nepochs=10\nhidden_channels=3,4\nkeep=best\n"]),
    # What a crash in native code looks like, to see that it is noticed.
    "control-signal": Target(lambda data: os.kill(os.getpid(), signal.SIGSEGV), [b"x"]),
}
