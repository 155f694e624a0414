"""Features that stay in their file: the same graph, the same training, within little memory."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae import Graph, embed, fit, read_graph, split_links
from vgae.data.files import write_npz
from vgae.encoders import feature_scale
from vgae.errors import DataError
from vgae.recipes import BEST, PAPER
from vgae.runtime import mapped

N, F = 200, 8


@pytest.fixture
def small_limits(monkeypatch):
    """Map what takes more than 1 kB, in blocks of 37 rows."""
    monkeypatch.setattr(mapped, "LARGE", 1000)
    monkeypatch.setattr(mapped, "BLOCK", 4 * F * 37)


@pytest.fixture
def given():
    random = np.random.default_rng(0)
    x = random.normal(size=(N, F)).astype(np.float32)
    x[x > 1.2] = 0
    return random.integers(0, N, (2, 900)), x


def stored(x, path):
    np.save(path, x)
    return np.load(path, mmap_mode="r")


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("form", ["float32", "float64", "fortran", "npz", "savez", "permuted"])
def test_mapped_features_are_those_of_the_file(form, given, tmp_path):
    edges, x = given
    whole = Graph.from_edges(edges, x=x)
    with warnings.catch_warnings(action="error"):
        if form == "npz":
            write_npz(whole, tmp_path / "g.npz")
            found = read_graph(tmp_path / "g.npz")
        elif form in ("savez", "permuted"):
            order = np.arange(N)[:: -1 if form == "permuted" else 1]
            np.savez(tmp_path / "x.npz", x=x[order], ids=order)
            np.save(tmp_path / "e.npy", edges.T)
            found = read_graph(tmp_path / "e.npy", features=tmp_path / "x.npz")
        else:
            other = {"float64": x.astype(np.float64), "fortran": np.asfortranarray(x)}
            found = Graph.from_edges(edges, x=stored(other.get(form, x), tmp_path / "x.npy"))
    assert mapped.is_mapped(found.x)
    assert torch.equal(found.x, whole.x)
    assert found.fingerprint == whole.fingerprint
    torch.testing.assert_close(feature_scale(found.x), feature_scale(whole.x))
    assert not mapped.is_mapped(whole.x)


@pytest.mark.usefixtures("small_limits")
def test_a_map_that_differs_from_its_file_is_read(given, tmp_path):
    edges, x = given
    np.save(tmp_path / "x.npy", x)
    changed = np.load(tmp_path / "x.npy", mmap_mode="c")
    changed[0, 0] = 7
    found = Graph.from_edges(edges, x=changed)
    assert found.x[0, 0] == 7
    assert not mapped.is_mapped(found.x)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_are_not_finite_are_refused_with_their_place(dtype, given, tmp_path):
    edges, x = given
    x[150, 3] = x[199, 7] = np.inf
    bad = stored(x.astype(dtype), tmp_path / "x.npy")
    with pytest.raises(DataError, match="2 other values, the first in row 150, column 3"):
        Graph.from_edges(edges, x=bad)


@pytest.mark.usefixtures("small_limits")
def test_a_damaged_archive_is_refused_before_its_features_are_mapped(given, tmp_path):
    path = tmp_path / "g.npz"
    write_npz(Graph.from_edges(given[0], x=given[1]), path)
    content = bytearray(path.read_bytes())
    place = content.find(given[1][100:102].tobytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC") as caught:
        read_graph(path)
    assert caught.value.code == "NPZ_CORRUPT"


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    "recipe", [PAPER, replace(BEST, feature_dropout=0.0)], ids=["paper", "best"]
)
def test_a_training_on_mapped_features_is_that_in_memory(recipe, given, tmp_path):
    edges, x = given
    graphs = [Graph.from_edges(edges, x=some) for some in (x, stored(x, tmp_path / "x.npy"))]
    recipe, found = replace(recipe, epochs=4), []
    for graph in graphs:
        with warnings.catch_warnings(action="error"):
            result = fit(graph, split_links(graph), recipe=recipe, progress=False)
        found.append(embed(result, graph).mu)
    torch.testing.assert_close(*found, atol=2e-6, rtol=1e-5)


@pytest.mark.usefixtures("small_limits")
def test_dropped_entries_are_the_same_in_both_passes_and_the_expected_fraction(given, tmp_path):
    from vgae.encoders._features import dropped, transformed

    x = Graph.from_edges(given[0], x=stored(given[1], tmp_path / "x.npy")).x
    weight = torch.eye(F, dtype=torch.float64, requires_grad=True)
    thinned, _ = dropped(x, 0.4, weight, torch.Generator().manual_seed(3))
    found = transformed(thinned, weight)
    factor = found.detach() / x.double()
    factor = factor[x != 0]
    assert torch.allclose(
        factor[factor != 0], torch.tensor(2**16 / round(0.6 * 2**16), dtype=torch.float64)
    )
    assert abs(float((factor == 0).double().mean()) - 0.4) < 0.05
    grad = torch.randn(N, F, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found.backward(grad)
    torch.testing.assert_close(weight.grad, found.detach().T @ grad)
    again = transformed(dropped(x, 0.4, weight, torch.Generator().manual_seed(3))[0], weight)
    assert torch.equal(again, found)
    # A process that has rows from 50 on draws the same for them.
    part = transformed(thinned._replace(x=x[50:], first=50), weight)
    assert torch.equal(part, found[50:])


LARGE = """
import json, sys
from pathlib import Path
import numpy as np
import vgae
from vgae.recipes import PAPER, BEST

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])

path, recipe = sys.argv[1:]
edges = np.random.default_rng(0).integers(0, 60_000, (2, 200_000))
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
graph = vgae.Graph.from_edges(edges, x=np.load(path, mmap_mode="r"))
recipe = {"paper": PAPER, "best": BEST}[recipe].override({"epochs": "1", "pairs": "sampled"})
result = vgae.fit(graph, vgae.split_links(graph), recipe=recipe, progress=False)
print(json.dumps(status("VmHWM") - before))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("recipe", ["paper", "best"])
def test_a_training_takes_far_less_memory_than_its_features(recipe, tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (60_000, 8000))
    x[:, 0] = np.random.default_rng(0).normal(size=60_000)  # the rest is a hole in the file
    x.flush()
    command = [sys.executable, "-c", LARGE, str(tmp_path / "x.npy"), recipe]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) < 0.6 * x.nbytes
