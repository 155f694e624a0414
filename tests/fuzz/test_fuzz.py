"""Every reader, given hostile bytes, reads them or refuses them with one typed error.

The cases run in a process of their own, so that one that kills it is a failure, not the end of the
tests.
"""

import base64
import hashlib
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("fuzz_mutations", HERE / "mutations.py")
mutations = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mutations)

EXAMPLES, MANY = 60, 5000
# Each of these costs a training or several commands.
DEAR = dict.fromkeys(("run-config", "image-run-config", "run-metrics", "run-resumed"), 15)


class Worker:
    """The process that cases run in; it is started anew after a case that killed it."""

    def __init__(self):
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        )
        first = self.process.stdout.readline()
        if not first:
            self.close()
            raise RuntimeError("the worker did not start: python tests/fuzz/worker.py says why")
        seeds = json.loads(first)
        self.seeds = {name: [*map(base64.b64decode, texts)] for name, texts in seeds.items()}

    def answer(self, target, case):
        name = target.encode()
        head = struct.pack("<II", len(name), len(case))
        self.process.stdin.write(head + name + case)
        self.process.stdin.flush()
        if answer := self.process.stdout.readline().decode().strip():
            return answer
        self.close()
        status = self.process.returncode
        self.start()
        return f"died of {signal.Signals(-status).name if status < 0 else status}"

    def close(self):
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.close()


def check(worker, target, case):
    answer = worker.answer(target, case)
    if answer == "ok" or answer.startswith("VgaeError "):
        return
    folder = Path(tempfile.gettempdir()) / "vgae-fuzz-failures"
    folder.mkdir(exist_ok=True)
    path = folder / f"{target}-{hashlib.sha256(case).hexdigest()[:12]}"
    path.write_bytes(case)
    pytest.fail(f"{target}: {answer}; the case is in {path}: {case[:200]!r}")


def fuzz(worker, target, **options):
    @settings(
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
        phases=[Phase.generate, Phase.shrink],
        **options,
    )
    @given(mutations.mutated(worker.seeds[target]))
    def body(case):
        check(worker, target, case)

    body()


TARGETS = (
    *("edges-text", "edges-csv", "edges-gz", "edge-list", "mtx", "features-csv"),
    *("idx", "idx-gz", "npy", "npz-graph", "npz-member", "npz-features", "npz-images"),
    *("csr", "torch-file", "split", "parquet-edges", "parquet-features"),
    *("planetoid-graph", "planetoid-allx", "planetoid-tx", "planetoid-ally", "planetoid-ty"),
    *("planetoid-test.index", "checkpoint", "checkpoint-sealed", "checkpoint-header"),
    *("checkpoint-state", "checkpoint-state-sealed", "model-weights", "model-config"),
    *("image-model-weights", "image-model-config", "calibration", "run-config", "run-history"),
    *(
        "image-run-config",
        "run-metrics",
        "run-resumed",
        "json",
        "settings",
        "features-encoded",
        "feature-encoder",
    ),
    *("edges-bz2", "edges-xz", "edges-zip", "adjacency-csv", "adjacency-npy", "npz-foreign"),
    *("graphml", "gexf", "gml", "pajek", "graph-json", "features-json"),
    *("ogb-edges", "ogb-nodes", "ogb-features", "geom-gcn", "musae-features", "musae-target"),
    *("linqs-content", "linqs-cites"),
)


def with_target(worker, target):
    if target.startswith("parquet") and target not in worker.seeds:
        pytest.skip("pyarrow is missing")


def test_every_target_is_fuzzed(worker):
    assert set(worker.seeds) - set(TARGETS) == {"control-signal"}


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input_is_read_or_refused(worker, target):
    with_target(worker, target)
    fuzz(worker, target, max_examples=DEAR.get(target, EXAMPLES), derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_much_damaged_input_is_read_or_refused(worker, target):
    with_target(worker, target)
    fuzz(worker, target, max_examples=MANY // 10 if target in DEAR else MANY)


@pytest.mark.parametrize(
    ("target", "case"),
    [
        # scipy looks at the starts of rows only where there are entries.
        ("csr", struct.pack("<8q", 3, 3, 4, 0, 0, 2**56 + 1, 2**57, 0)),
        ("mtx", b"%%MatrixMarket matrix coordinate real symmetric\n3 2 2\n1 2 0.5\n3 1 2\n"),
        ("checkpoint-header", b""),
        ("checkpoint-header", b"[" * 100_000),
        ("checkpoint-header", b'{"format": 1, "values": {}}'),
        ("checkpoint-header", b'{"format": 2, "version": "\\u001b[2J\\n", "values": {}}'),
        ("json", b'{"seed": ' + b"9" * 5000 + b"}"),
        ("json", b"[" * 100_000),
        ("run-history", b'{"epoch": "1", "loss": {}, "recon": 0, "kl": 0}'),
        ("image-model-config", b'{"model": "vae", "shape": [1, 4, 4], "recipe": []}'),
    ],
)
def test_what_once_escaped_is_refused(worker, target, case):
    answer = worker.answer(target, case)
    assert answer.startswith("VgaeError "), answer


def test_a_model_that_asks_for_all_memory_is_refused(worker):
    (seed,) = worker.seeds["model-config"]
    settings = json.loads(seed) | {"in_channels": 10**6, "hidden_channels": 10**6}
    check(worker, "model-config", json.dumps(settings).encode())
    (seed,) = worker.seeds["image-model-config"]
    settings = json.loads(seed)
    settings["recipe"]["hidden_channels"] = [10**6, 10**6]
    check(worker, "image-model-config", json.dumps(settings).encode())


def test_the_oracle_bites(worker):
    """An unknown target is an error that no reader of the package would raise."""
    with pytest.raises(pytest.fail.Exception, match="escaped KeyError"):
        check(worker, "no such target", b"")
    with pytest.raises(pytest.fail.Exception, match="died of SIGSEGV"):
        check(worker, "control-signal", b"")
    assert worker.answer("json", b"{}") == "ok"
