"""The small graphs that many tests share, and what is skipped where."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from _pytest.mark.expression import Expression
from hypothesis import settings

from vgae.graphs.graph import Graph
from vgae.recipes import for_graph

# make test-all runs as many of each property: --hypothesis-profile=thorough
# No test asserts on time: a machine may be busy.
settings.register_profile("usual", deadline=None)
settings.load_profile("usual")
settings.register_profile("thorough", max_examples=2000, deadline=None)


def for_gpus(expression):
    """Return whether the expression of ``-m`` selects tests marked gpu, and no unmarked one."""
    chosen = Expression.compile(expression)
    with_marker, without = (
        chosen.evaluate(lambda name, marked=marked, **_: marked and name == "gpu")
        for marked in (True, False)
    )
    return with_marker and not without


def pytest_configure(config):
    """Hide all GPUs, from processes of tests too, unless the run is of the tests marked gpu.

    The other tests are about the CPU: they compare bits, call ``numpy()``, and run Triton in its
    interpreter, which a process decides once. So a process is for one kind of tests.
    """
    if for_gpus(config.option.markexpr):
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if torch.cuda.is_available():
        raise pytest.UsageError("CUDA was initialised too early; set CUDA_VISIBLE_DEVICES=''.")


def pytest_ignore_collect(collection_path, config):
    """Import no file without a test for GPUs where only those run: it may need more packages."""
    is_test = collection_path.match("test_*.py") and collection_path.is_file()
    if is_test and for_gpus(config.option.markexpr):
        return "mark.gpu" not in collection_path.read_text(encoding="utf-8") or None
    return None


def pytest_collection_modifyitems(config, items):
    if torch.cuda.is_available():
        return
    hidden = not for_gpus(config.option.markexpr)
    reason = "GPUs are hidden; run pytest -m gpu" if hidden else "no CUDA device"
    for item in items:
        if item.get_closest_marker("gpu"):  # keywords name the folders of a path too
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def data_home():
    """Folder with the real Planetoid files, or a skip that says why."""
    home = os.environ.get("VGAE_DATA")
    if not home or not (Path(home) / "planetoid").is_dir():
        pytest.skip("VGAE_DATA does not name a folder with planetoid/")
    return Path(home)


@pytest.fixture
def two_cliques():
    """Two cliques of six nodes and one link between them, with features that tell them apart."""
    edges = [(u, v) for k in (0, 6) for u in range(k, k + 6) for v in range(u + 1, k + 6)]
    x = np.eye(12, dtype=np.float32) + np.repeat(np.eye(2), 6, axis=0).repeat(6, axis=1)
    return Graph.from_edges(np.array([*edges, (5, 6)]).T, x=x, y=[0] * 6 + [1] * 6, name="cliques")


@pytest.fixture(scope="session")
def sbm():
    """120 nodes in four communities, about 560 links, string names: enough to learn from."""
    rng = np.random.default_rng(0)
    community = np.repeat(np.arange(4), 30)
    chance = np.where(community[:, None] == community, 0.3, 0.005)
    u, v = np.nonzero(np.triu(rng.random((120, 120)) < chance, k=1))
    x = (rng.random((120, 40)) < 0.1 + 0.3 * (np.arange(40) // 10 == community[:, None])) * 1.0
    return Graph.from_edges(
        np.stack([u, v]),
        x=x,
        y=community,
        label_names=[f"community {k}" for k in range(4)],
        node_ids=[f"node-{k}" for k in range(120)],
        name="sbm",
    )


@pytest.fixture(scope="session")
def sbm_file(sbm, tmp_path_factory):
    """The same graph as a file."""
    from vgae.data.files import write_npz

    path = tmp_path_factory.mktemp("graphs") / "sbm.npz"
    write_npz(sbm, path)
    return path


@pytest.fixture(scope="session")
def resign():
    """Function that stores the digests of a run whose files a test has changed."""

    def store(folder):
        from vgae.models.files import read_json
        from vgae.runs.digests import store_digests

        store_digests(folder, read_json(folder / "metrics.json")["files"])

    return store


@pytest.fixture(scope="session")
def together():
    """Function that runs another one in several processes; see tests/processes.py."""
    import importlib.util
    import sys

    path = Path(__file__).with_name("processes.py")
    spec = importlib.util.spec_from_file_location("processes", path)
    module = sys.modules["processes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.together


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def _level_of_messages():
    """A command that announces what it does sets the level, for the rest of the process."""
    logger = logging.getLogger("vgae")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def command(capsys):
    """Run the command in this process; return its exit status, stdout and stderr."""

    def run(*arguments):
        from vgae.cli.app import main

        status = 0
        try:
            main([*map(str, arguments)])
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def few_epochs(monkeypatch):
    """Train named models for ten epochs at most, to try what examples and documents say."""

    def for_few(recipe, graph):
        found = for_graph(recipe, graph)
        return replace(found, epochs=min(found.epochs, 10))

    monkeypatch.setattr("vgae.training.links.for_graph", for_few)


@pytest.fixture
def workers_of():
    """Return a function: the spawned workers of a process, in the order of their start."""

    def is_worker(process):
        try:
            return "spawn_main" in str(process.cmdline())
        except psutil.NoSuchProcess:  # another child, which has ended
            return False

    def workers_of(pid=None):
        found = [process for process in psutil.Process(pid).children() if is_worker(process)]
        return sorted(found, key=psutil.Process.create_time)

    return workers_of
