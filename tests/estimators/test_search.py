import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from vgae import LinkPredictor, LinkSearch, VGAEEmbedder
from vgae.errors import NumericalError, UsageError
from vgae.estimators import search
from vgae.prediction.links import score_links
from vgae.training.search import inner_splits, training_graph

EMBEDDER = VGAEEmbedder("paper", max_epochs=3)


def test_scores_are_those_of_held_out_links_that_no_training_has_seen(sbm):
    found = LinkSearch(EMBEDDER, {"n_components": [2, 8]}, random_state=3).fit(sbm)
    for row, params in enumerate(found.cv_results_["params"]):
        for k, split in enumerate(inner_splits(sbm, 2, seed=3)):
            known = training_graph(sbm, split)
            assert known.num_links == split.train.shape[1]
            own = clone(EMBEDDER).set_params(random_state=3, **params).fit(known)
            names = np.array(sbm.ids)[split.val.edge_label_index.numpy().T]
            scores = score_links(own.model_, known, names).score
            expected = roc_auc_score(split.val.edge_label, scores)
            assert found.cv_results_[f"split{k}_test_score"][row] == expected
    means = found.cv_results_["mean_test_score"]
    assert found.best_score_ == means.max()
    assert found.best_params_ == found.cv_results_["params"][means.argmax()]
    assert found.best_estimator_.n_components == found.best_params_["n_components"]
    assert found.best_estimator_.graph_.num_links == sbm.num_links
    assert np.array_equal(found.transform(sbm), found.best_estimator_.embedding_)


def test_a_predictor_of_links_is_searched_by_the_parameters_of_its_embedder():
    graph = nx.karate_club_graph()
    given = {"embedder__learning_rate": loguniform(0.001, 0.1), "embedder__max_epochs": [2, 3]}
    options = {"n_iter": 3, "n_splits": 1, "random_state": 0, "scoring": "average_precision"}
    predictor = LinkPredictor(VGAEEmbedder("paper"), validation_fraction=0.1)
    one, two = (LinkSearch(predictor, given, **options).fit(graph) for _ in range(2))
    assert one.best_params_ == two.best_params_
    assert (
        one.cv_results_["mean_test_score"].tolist() == two.cv_results_["mean_test_score"].tolist()
    )
    pairs = [(0, 9), (15, 16)]
    assert one.predict_proba(pairs).shape == (2, 2)
    assert np.array_equal(one.predict(pairs), one.best_estimator_.predict(pairs))
    assert len(one.predict_links(3, per_node=False).ids) == 34
    assert not hasattr(one, "transform")
    assert predictor.embedder.learning_rate is None
    frame = pytest.importorskip("pandas").DataFrame(one.cv_results_)
    assert sorted(frame.rank_test_score) == [1, 2, 3] or frame.mean_test_score.duplicated().any()


def test_lists_have_no_more_candidates_than_combinations(sbm):
    given = {"n_components": [2, 4], "max_epochs": [1]}
    found = LinkSearch(EMBEDDER, given, n_iter=50, n_splits=1, refit=False, random_state=0)
    assert len(found.fit(sbm).cv_results_["params"]) == 2
    with pytest.raises(NotFittedError):
        found.transform(sbm)


def test_a_candidate_that_diverges_has_no_score_and_all_of_them_are_an_error(
    sbm, monkeypatch, caplog
):
    def fit(self, X, y=None, *, graph=None):
        if self.n_components == 2:
            raise NumericalError("DIVERGED", "the loss is nan in epoch 1.")
        return real(self, X, y, graph=graph)

    real = VGAEEmbedder.fit
    monkeypatch.setattr(VGAEEmbedder, "fit", fit)
    options = {"n_splits": 1, "random_state": 0}
    found = LinkSearch(EMBEDDER, {"n_components": [2, 4]}, **options).fit(sbm)
    assert found.best_params_ == {"n_components": 4}
    bad = [params["n_components"] for params in found.cv_results_["params"]].index(2)
    assert np.isnan(found.cv_results_["mean_test_score"][bad])
    assert found.cv_results_["rank_test_score"][bad] == 2
    assert "its score is NaN" in caplog.text
    with pytest.raises(NumericalError, match="every candidate diverged"):
        LinkSearch(EMBEDDER, {"n_components": [2]}, **options).fit(sbm)


@pytest.mark.parametrize(
    ("estimator", "given", "more", "message"),
    [
        (torch.nn.Linear(1, 1), {"a": [1]}, {}, "must be a LinkPredictor or a VGAEEmbedder, got"),
        (EMBEDDER, {"n_component": [1]}, {}, "Invalid parameter 'n_component'"),
        (EMBEDDER, {}, {}, "param_distributions is empty"),
        (EMBEDDER, {"n_components": [1]}, {"n_iter": 0}, "n_iter must be at least 1, got 0"),
        (EMBEDDER, {"n_components": [1]}, {"n_iter": 1.5}, "n_iter must be an integer"),
        (EMBEDDER, {"n_components": [1]}, {"n_splits": 0}, "must be at least 1, got 0"),
        (EMBEDDER, {"n_components": [1]}, {"scoring": "auc"}, "'roc_auc', 'average_precision'"),
    ],
)
def test_bad_arguments_cost_no_training(estimator, given, more, message, sbm, monkeypatch):
    monkeypatch.setattr(search, "training_graph", None)
    with pytest.raises((UsageError, ValueError), match=message):
        LinkSearch(estimator, given, **more).fit(sbm)


def test_it_is_an_estimator_that_can_be_cloned_and_printed():
    made = LinkSearch(LinkPredictor(), {"goal": ["f1"]}, n_iter=2)
    assert clone(made).get_params()["n_iter"] == 2
    assert "LinkSearch(" in repr(made)
