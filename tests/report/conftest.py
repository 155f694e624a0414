"""Small runs for the tests of figures and pages."""

from dataclasses import replace

import numpy as np
import pytest

from vgae import Graph, GraphCollection
from vgae.data.files import write_npz
from vgae.recipes import PAPER
from vgae.recipes.images import ImageRecipe
from vgae.runs.graphs import train_run
from vgae.runs.images import train_image_run


@pytest.fixture(scope="session")
def graph_run(sbm_file, tmp_path_factory):
    """A run of 120 nodes that learned something, without figures."""
    recipe = replace(PAPER, epochs=60)
    return train_run(str(sbm_file), tmp_path_factory.mktemp("runs") / "sbm", recipe=recipe)


@pytest.fixture(scope="session")
def collection_run(tmp_path_factory):
    """A run on 24 rings and paths, as a collection with labels of graphs, without figures."""
    parts = []
    for k in range(24):
        nodes = np.arange(8 + k % 5)
        links = np.stack([nodes, (nodes + 1) % len(nodes)])[:, : len(nodes) - k % 2]
        x = np.eye(4, dtype=np.float32)[nodes % 4]
        parts.append(Graph.from_edges(links, num_nodes=len(nodes), x=x))
    names, y = [f"g{k}" for k in range(24)], ["path" if k % 2 else "ring" for k in range(24)]
    folder = tmp_path_factory.mktemp("many")
    write_npz(GraphCollection.from_graphs(parts, names=names, y=y), folder / "many.npz")
    recipe = replace(PAPER, epochs=4)
    return train_run(str(folder / "many.npz"), folder / "run", recipe=recipe)


@pytest.fixture(scope="session")
def image_run(tmp_path_factory):
    """A run on scikit-learn's digits that learned a little, without figures."""
    recipe = ImageRecipe(name="short", hidden_channels=(32,), latent_channels=3, epochs=4)
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return train_image_run("digits", folder, recipe=recipe, num_samples=5, progress=False)
