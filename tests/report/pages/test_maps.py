import sys
from types import ModuleType

import numpy as np
import pytest

from vgae.report.figures import points
from vgae.report.figures.points import COLLAPSED
from vgae.report.pages import maps as module
from vgae.report.pages.maps import maps


def cloud(nodes, width, seed=0):
    return np.random.default_rng(seed).normal(size=(nodes, width))


def test_the_axes_of_pca_are_those_of_most_variance():
    vectors = cloud(60, 5) * np.array([0.1, 9, 0.1, 3, 0.1])
    plane = maps(vectors)["PCA"]
    assert abs(np.corrcoef(plane[:, 0], vectors[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(plane[:, 1], vectors[:, 3])[0, 1]) > 0.99


@pytest.mark.parametrize(("nodes", "width"), [(1, 1), (3, 8), (40, 1), (40, 2), (40, 8)])
def test_each_map_fits_the_square(nodes, width):
    for plane in maps(cloud(nodes, width) + 7).values():
        assert plane.dtype == np.float32
        assert plane.shape == (nodes, 2)
        assert np.abs(plane).max() == pytest.approx(1 if nodes > 1 else 0)


def test_a_space_that_collapsed_is_shown_as_it_is():
    found = maps(np.full((40, 5), 3.0) + 1e-9 * cloud(40, 5))
    assert [*found] == [COLLAPSED]


def test_tsne_is_left_out_where_it_takes_minutes(monkeypatch):
    assert [*maps(cloud(20, 4))] == ["t-SNE", "PCA"]
    monkeypatch.setattr(points, "_TSNE_NODES", 10)
    assert [*maps(cloud(20, 4))] == ["PCA"]


def test_tsne_keeps_clusters_apart():
    vectors = cloud(60, 6) + 30 * np.repeat(np.eye(3, 6), 20, axis=0)
    plane = maps(vectors)["t-SNE"].reshape(3, 20, 2)
    centres = plane.mean(axis=1)
    inside = np.abs(plane - centres[:, None]).max()
    between = min(np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert inside < between / 2


def test_umap_comes_first_where_it_is_installed(monkeypatch):
    class UMAP:
        def __init__(self, **options):
            assert options == {"n_neighbors": 15, "random_state": 0, "n_jobs": 1}

        def fit_transform(self, points):
            return points[:, :2]

    fake = ModuleType("umap")
    fake.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", fake)
    monkeypatch.setattr(module, "find_spec", lambda name: name == "umap")
    vectors = cloud(20, 4)
    found = maps(vectors)
    assert [*found] == ["UMAP", "t-SNE", "PCA"]
    assert abs(np.corrcoef(found["UMAP"][:, 0], vectors[:, 0])[0, 1]) > 0.999


def test_the_same_embedding_gives_the_same_maps():
    first, second = maps(cloud(30, 4)), maps(cloud(30, 4))
    for name, plane in first.items():
        np.testing.assert_array_equal(plane, second[name])
