"""Files that were made to do harm, given to every reader and command: nothing runs."""

import gzip
import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vgae.data.edge_lists import read_edge_list
from vgae.data.files import read_graph
from vgae.errors import ArtifactError, DataError
from vgae.recipes import PAPER
from vgae.runs.graphs import train_run
from vgae.runtime.npz import read_arrays
from vgae.training.checkpoint import read_checkpoint

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("payload_corpus", HERE / "corpus.py")
corpus = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)

MOST_MIB = 600
# What is read, because it is what it says, or because the command does not look at that file.
HARMLESS = {
    *("read_npz", "LinkSplit.load", "train --resume checkpoint", "Checkpoints.load", "load_run"),
    *("evaluate embeddings.npz", "predict embeddings.npz", "evaluate metrics.json"),
}
# Two words on a line are an edge, whatever they say.
TEXTS = {
    (name, use)
    for name in ("html", "json-nan", "json-number", "xml-external")
    for use in ("read_edge_list", "read_graph .csv", "read_graph .txt", "convert .csv")
}
# No bytes are the history of a training of no epochs.
TEXTS |= {
    ("safetensors-empty", f"{use} history.jsonl")
    for use in ("train --resume", "evaluate", "predict")
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every payload, whose marker nobody looks for: given_to_all has its own."""
    return corpus.corpus(tmp_path_factory.mktemp("marker") / "marker")


def given_to_all(tmp_path, *options):
    """Return the lines of what became of each payload in each place."""
    marker, files, home = tmp_path / "marker", tmp_path / "corpus", tmp_path / "home"
    files.mkdir()
    home.mkdir()
    for name, content in corpus.corpus(marker).items():
        (files / name).write_bytes(content)
    process = subprocess.run(
        [sys.executable, str(HERE / "runner.py"), str(files), str(home), *options],
        env=os.environ
        | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1", "VGAE_OFFLINE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    # A signal would be a negative status; the last line says what was going on.
    assert process.returncode == 0, (process.returncode, lines[-1:], process.stderr[-2000:])
    assert {line["payload"] for line in lines} == {path.name for path in files.iterdir()}
    assert not marker.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "home"}
    return lines


def check(lines):
    escaped = [line for line in lines if not line["result"].startswith(("ok", "error "))]
    assert not escaped
    read = {(line["payload"], line["use"]) for line in lines if line["result"] == "ok"}
    assert {pair for pair in read if pair[1] not in HARMLESS} <= TEXTS
    assert [line for line in lines if line["MiB"] > MOST_MIB] == []


def test_no_payload_runs_kills_or_fills_the_memory(tmp_path):
    lines = given_to_all(tmp_path)
    check(lines)
    assert len(lines) > 2000


@pytest.mark.slow
def test_no_payload_does_so_with_any_command(tmp_path):
    check(given_to_all(tmp_path, "--all"))


@pytest.mark.parametrize("name", ["system", "exec", "popen"])
def test_the_attacks_are_real(name, tmp_path):
    marker = tmp_path / "marker"
    opened = pickle.loads(pickle.dumps(corpus.attacks(marker)[name]))
    if name == "popen":
        opened.wait()
    assert marker.exists()


def test_the_bombs_are_real(tmp_path, files):
    (tmp_path / "x.gz").write_bytes(files["gz-bomb-of-zeros"])
    with gzip.open(tmp_path / "x.gz") as file:
        assert sum(len(file.read(2**20)) for _ in range(100)) == 100 * 2**20
    (tmp_path / "x.npz").write_bytes(files["zip-bomb"])
    with np.load(tmp_path / "x.npz") as file:
        assert file.zip.infolist()[0].file_size > 10 * 2**30


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("zip-bomb", "UNPACKED_SIZE"),
        ("zip-many-bombs", "UNPACKED_SIZE"),
        ("zip-lie", "NPZ_CORRUPT"),
        ("zip-twice-the-same-name", "NPZ_CORRUPT"),
        ("zip-lzma", "NPZ_CORRUPT"),
        ("npz-object-system", "PICKLE_REFUSED"),
        ("npz-2-to-the-50", "NPZ_CORRUPT"),
        ("npz-wide", "NPZ_CORRUPT"),
        ("torch-system", "NPZ_CORRUPT"),
    ],
)
def test_an_archive_is_refused_for_what_it_is(name, code, tmp_path, files):
    (tmp_path / "x.npz").write_bytes(files[name])
    with pytest.raises(DataError) as caught:
        read_arrays(tmp_path / "x.npz")
    assert caught.value.code == code


def test_names_of_members_are_no_paths(tmp_path, files):
    (tmp_path / "x.npz").write_bytes(files["zip-slip"])
    assert sorted(read_arrays(tmp_path / "x.npz")) == ["../../../tmp/slipped", "/abs"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("gz-bomb-of-lines", "BLANK_LINES"),
        ("gz-bomb-of-one-line", "LINE_LENGTH"),
        ("gz-bomb-of-zeros", "ENCODING"),
        ("gz-cut", "GZIP_CORRUPT"),
    ],
)
def test_packed_text_is_refused_for_what_it_is(name, code, tmp_path, files):
    (tmp_path / "x.csv.gz").write_bytes(files[name])
    with pytest.raises(DataError) as caught:
        read_edge_list(tmp_path / "x.csv.gz")
    assert caught.value.code == code


def test_a_parquet_file_that_repeats_one_value_without_end_is_refused(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"source": np.zeros(2**24, np.int8), "target": np.ones(2**24, np.int8)})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "x.parquet")
    assert caught.value.code == "UNPACKED_SIZE"


def test_a_pickle_with_the_name_and_first_bytes_of_a_checkpoint_is_refused(tmp_path):
    files = {"pickle-renamed-checkpoint": corpus.renamed(tmp_path / "marker")}
    (tmp_path / "x.ckpt").write_bytes(files["pickle-renamed-checkpoint"])
    with pytest.raises(ArtifactError) as caught:
        read_checkpoint(tmp_path / "x.ckpt")
    assert caught.value.code == "CKPT_CORRUPT"
    assert not (tmp_path / "marker").exists()


def test_the_cache_of_pyg_with_its_pickles_is_never_opened(tmp_path, monkeypatch, command):
    """PyG unpickles ``pre_transform.pt`` on merely opening such a folder."""
    marker = tmp_path / "marker"
    attack = corpus.torch_file(corpus.attacks(marker)["system"])
    for name in ("processed/pre_transform.pt", "processed/pre_filter.pt", "processed/data.pt"):
        for folder in (tmp_path / "home", tmp_path / "home" / "planetoid", tmp_path / "home/Cora"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(attack)
    for part in ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index"):
        path = tmp_path / "home" / "planetoid" / f"ind.cora.{part}"
        path.write_bytes(pickle.dumps(corpus.attacks(marker)["system"], protocol=2))
    monkeypatch.setenv("VGAE_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("VGAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    for graph in ("cora", tmp_path / "home" / "Cora", tmp_path / "home/Cora/processed/data.pt"):
        status, _, err = command("train", graph, "-q", "-o", tmp_path / "run")
        assert status == 3
        assert err.startswith("error[")
    assert not marker.exists()


@pytest.fixture(scope="module")
def killed(sbm_file, tmp_path_factory):
    """A run that lacks its last file."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(str(sbm_file), folder, recipe=replace(PAPER, epochs=1), progress=False)
    (folder / "metrics.json").unlink()
    (folder / "figures").mkdir()
    return folder


@pytest.mark.parametrize("name", ["history.jsonl", "checkpoints", "split.npz", "figures", ".lock"])
def test_a_run_with_a_link_to_elsewhere_is_not_written_to(name, killed, tmp_path, command):
    run, target = tmp_path / "run", tmp_path / "precious"
    shutil.copytree(killed, run)
    if (run / name).is_dir():
        (run / name).rename(target)
        (target / "epoch-000000001.ckpt").write_text("precious")
    else:
        target.write_bytes((run / name).read_bytes() if (run / name).exists() else b"precious")
        (run / name).unlink(missing_ok=True)
    before = content(target)
    (run / name).symlink_to(target)
    status, _, err = command("train", "--resume", run, "-q")
    assert (status, err.splitlines()[0][:16]) == (4, "error[RUN_LINKS]")
    assert content(target) == before


def content(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {file: file.read_bytes() for file in files if file.is_file()}
