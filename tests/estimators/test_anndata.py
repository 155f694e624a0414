"""Cells of an AnnData get vectors in obsm; here an object of its shape where it is missing."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

import vgae
from vgae.errors import DataError, UsageError

SHORT = vgae.VGAEEmbedder("paper", n_components=4, max_epochs=2, random_state=3)


@pytest.fixture
def adata(sbm):
    return SimpleNamespace(
        obsp={"connectivities": sp.csr_matrix(sbm.to_scipy()), "distances": None},
        obsm={"X_pca": sbm.x.to_dense().numpy()[:, :10]},
        obs_names=list(sbm.ids),
        uns={},
        X=sbm.x.to_dense().numpy(),
    )


@pytest.mark.parametrize(
    ("features", "width"), [("auto", 10), ("X_pca", 10), ("X", 40), ("none", 0)]
)
def test_each_cell_has_a_vector_and_the_settings_are_kept(adata, features, width):
    fitted = vgae.embed_anndata(adata, SHORT, features=features)
    assert adata.obsm["X_vgae"].shape == (120, 4)
    assert np.array_equal(adata.obsm["X_vgae"], fitted.embedding_)
    assert fitted.n_features_in_ == width
    assert adata.uns["vgae"] == {
        **{"key_added": "X_vgae", "graph": "connectivities", "features": features},
        **{"recipe": "paper", "model": "vgae", "seed": 3, "n_iter": 2},
    }
    assert not hasattr(SHORT, "model_")


def test_the_vectors_are_those_of_the_estimator(adata):
    vgae.embed_anndata(adata, SHORT, key_added="z")
    own = SHORT.fit_transform(adata.obsm["X_pca"], graph=adata.obsp["connectivities"])
    assert np.array_equal(adata.obsm["z"], own)


def test_what_is_missing_is_named(adata):
    with pytest.raises(DataError, match="Did you mean connectivities"):
        vgae.embed_anndata(adata, SHORT, graph="conectivities")
    with pytest.raises(UsageError, match="Did you mean X_pca"):
        vgae.embed_anndata(adata, SHORT, features="X_pac")
    with pytest.raises(DataError, match="must be an AnnData, got a ndarray"):
        vgae.embed_anndata(adata.X)
    adata.obsm, adata.X = {}, None
    with pytest.raises(UsageError, match="neither X_pca nor X"):
        vgae.embed_anndata(adata, SHORT)


def test_a_real_one_takes_them(adata):
    anndata = pytest.importorskip("anndata", reason="anndata is not installed")
    real = anndata.AnnData(
        X=adata.X.astype(np.float32), obsp=adata.obsp | {"distances": adata.obsp["connectivities"]}
    )
    vgae.embed_anndata(real, SHORT)
    assert real.obsm["X_vgae"].shape == (120, 4)
