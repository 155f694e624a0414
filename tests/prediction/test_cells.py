"""Vectors in .h5ad: in a new file, and in one that is there."""

import sys

import numpy as np
import pytest
import torch

from vgae.errors import DataError, UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.prediction.export import write_embeddings

anndata = pytest.importorskip("anndata", reason="anndata is not installed")
pd = pytest.importorskip("pandas")

IDS = ["a", 7, "c"]
Q = DiagGaussian(torch.arange(6.0).reshape(3, 2), torch.ones(3, 2))


def test_a_new_file_has_names_labels_and_columns(tmp_path):
    path = tmp_path / "e.h5ad"
    labels, more = ["x", None, 3], {"cluster": np.array([1, 0, 1])}
    write_embeddings(path, IDS, Q, labels=labels, more=more)
    found = anndata.read_h5ad(path)
    assert [*found.obs_names] == ["a", "7", "c"]
    assert np.array_equal(found.obsm["X_vgae"], Q.mu.numpy())
    assert np.array_equal(found.obsm["vgae_logvar"], Q.logvar.numpy())
    assert found.obs["label"].astype(object).where(found.obs["label"].notna(), None).tolist() == [
        "x",
        None,
        "3",
    ]
    assert found.obs["cluster"].tolist() == [1, 0, 1]


def test_a_file_that_is_there_keeps_all_else(tmp_path):
    path = tmp_path / "cells.h5ad"
    names = pd.Index(np.array(["c", "a", "7"], object), dtype=object)
    var = pd.DataFrame(index=pd.Index(np.array(["g"], object), dtype=object))
    old = anndata.AnnData(
        np.ones((3, 1), np.float32), obs=pd.DataFrame({"n": [1, 2, 3]}, index=names), var=var
    )
    old.obsm["X_vgae"], old.obsm["X_pca"] = np.zeros((3, 5)), np.ones((3, 2))
    old.layers["counts"] = np.full((3, 1), 7.0)
    old.write_h5ad(path)
    write_embeddings(path, IDS, Q)
    found = anndata.read_h5ad(path)
    assert np.array_equal(found.obsm["X_vgae"], Q.mu.numpy()[[2, 0, 1]])  # the rows by name
    assert np.array_equal(found.layers["counts"], old.layers["counts"])
    assert np.array_equal(found.obsm["X_pca"], old.obsm["X_pca"])
    assert found.obs["n"].tolist() == [1, 2, 3]


def test_a_file_of_others_and_one_that_is_none_are_left_as_they_are(tmp_path):
    path = tmp_path / "e.h5ad"
    write_embeddings(path, IDS, Q)
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"are not the 2 nodes \(it has 'c', which is none\)"):
        write_embeddings(path, IDS[:2], PointMass(Q.mu[:2]))
    assert path.read_bytes() == before
    path.write_text("text")
    with pytest.raises(DataError, match="is no AnnData"):
        write_embeddings(path, IDS, Q)
    assert path.read_text() == "text"
    assert len([*tmp_path.iterdir()]) == 1


def test_without_anndata_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(UsageError, match=r"pip install 'vgae\[anndata\]'"):
        write_embeddings(tmp_path / "e.h5ad", IDS, Q)
