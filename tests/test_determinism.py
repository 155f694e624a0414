"""The same seed and thread count give the same weights, bit for bit, on a CPU."""

import hashlib
from functools import partial

import pytest
import torch

import vgae
from vgae.recipes import RECIPES
from vgae.recipes.images import IMAGE_RECIPES
from vgae.runtime.devices import Compute


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def digest(weights):
    parts = [weights[name].numpy().tobytes() for name in sorted(weights)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def hashes(train):
    """Train twice, each after other random numbers were drawn elsewhere."""
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        found.append(digest(train().last))
    return set(found)


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("paper", {}),
        ("paper", {"pairs": "sampled"}),
        ("best", {"hidden_channels": "32"}),
        ("best-links", {"hidden_channels": "32"}),
    ],
    ids=["exact", "sampled", "best", "best-links"],
)
def test_two_trainings_on_a_graph_have_one_hash(recipe, settings, threads):
    graph = vgae.load_dataset("stdlib")
    split = vgae.split_links(graph)
    chosen = RECIPES[recipe].override({"epochs": "5", **settings})
    compute = Compute(deterministic=True)
    train = partial(vgae.fit, graph, split, recipe=chosen, device=compute, progress=False)
    assert len(hashes(train)) == 1


@pytest.mark.parametrize("recipe", ["small2d", "conv64"])
def test_two_trainings_on_images_have_one_hash(recipe, threads):
    images = vgae.load_images("digits")
    chosen = IMAGE_RECIPES[recipe].override({"epochs": "1"})
    train = lambda: vgae.fit_images(images, recipe=chosen, progress=False)  # noqa: E731
    assert len(hashes(train)) == 1
