"""LinkSearch: search for settings of the graph estimators on held-out links."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import ParameterSampler
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from vgae.errors import NumericalError, UsageError, check_choice
from vgae.estimators._common import INTEGER, LatentTransformer, RandomState, check_types, seed_from
from vgae.estimators._graph_inputs import validate_graph
from vgae.estimators.graphs import LinkPredictor, VGAEEmbedder
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.prediction.links import score_links
from vgae.training.search import SPLITS, inner_splits, training_graph

log = logging.getLogger(__name__)

Scoring = Literal["roc_auc", "average_precision"]
_SCORES = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}


def _has(name: str) -> Any:
    """Return the condition that the estimator has a method."""
    return available_if(lambda search: hasattr(search.estimator, name))


@dataclass(eq=False, repr=False)
class LinkSearch(MetaEstimatorMixin, BaseEstimator):
    """Search for settings of a :class:`LinkPredictor` or :class:`VGAEEmbedder` on held-out links.

    It is to graphs what :class:`sklearn.model_selection.RandomizedSearchCV` is to rows: that one
    cuts X into rows, and a part of the nodes is another graph. This search holds out a tenth of
    the links, ``n_splits`` times, and as many pairs without a link; it trains on the other links
    and scores how well the held-out ones are ranked above those pairs. The best settings are then
    trained on all links.

    The score of the best candidate is that of the highest of ``n_iter``, so it is a little too
    high: keep links back for a final score, as :func:`vgae.split_links` does.

    Args:
        estimator: Estimator, which is not modified.
        param_distributions: What is tried for each parameter: a list, or a distribution of
            ``scipy.stats``, such as ``{"learning_rate": loguniform(0.001, 0.1)}``. Parameters of
            the embedder of a :class:`LinkPredictor`, which then must have one, are
            ``"embedder__learning_rate"`` and the like.
        n_iter: Number of candidates; of lists alone, at most all combinations.
        scoring: ``"roc_auc"`` or ``"average_precision"``.
        n_splits: Number of times that links are held out.
        refit: Whether to train the best candidate on all links.
        random_state: Seed of the candidates and held-out links, and of estimators without one.

    Attributes:
        best_params_: Parameters of the best candidate.
        best_score_: Its mean score.
        best_index_: Its place in ``cv_results_``.
        best_estimator_: The estimator with these parameters, trained on all links, if ``refit``.
        cv_results_: Arrays as those of ``RandomizedSearchCV``, such as ``"mean_test_score"``, for
            ``pandas.DataFrame``.
        n_splits_: Number of splits.

    Example:
        >>> import networkx as nx
        >>> from vgae import LinkSearch, VGAEEmbedder
        >>> settings = {"n_components": [2, 8], "learning_rate": [0.01, 0.03]}
        >>> embedder = VGAEEmbedder("paper", max_epochs=5)
        >>> search = LinkSearch(embedder, settings, n_iter=2, random_state=0)
        >>> search.fit(nx.karate_club_graph()).cv_results_["mean_test_score"].shape
        (2,)
    """

    estimator: Any
    param_distributions: Mapping[str, Any] | Iterable[Mapping[str, Any]]
    _: KW_ONLY
    n_iter: int = 10
    scoring: Scoring = "roc_auc"
    n_splits: int = SPLITS
    refit: bool = True
    random_state: RandomState = None

    _types: ClassVar = {
        "n_iter": INTEGER,
        "n_splits": INTEGER,
        "random_state": LatentTransformer._types["random_state"],
    }

    def fit(self, X: Any, y: Any = None, *, graph: Any = None) -> Self:  # noqa: ARG002
        """Try the candidates, and train the best one on all links.

        Args:
            X: As for :meth:`VGAEEmbedder.fit`.
            y: Ignored.
            graph: As for :meth:`VGAEEmbedder.fit`.

        Raises:
            NumericalError: If every candidate diverges.
            UsageError: If an argument is invalid.
            ValueError: If the estimator does not have a parameter, with scikit-learn's message.
        """
        check_types(self, self._types)
        check_choice("scoring", self.scoring, Scoring)
        seed = seed_from(self.random_state)
        found = validate_graph(clone(self._embedder()), X, graph, reset=True)
        splits = inner_splits(found, self.n_splits, seed=seed)
        tried = list(ParameterSampler(self.param_distributions, self._count(), random_state=seed))
        for params in tried:  # names are checked before the first training
            self._candidate(params, seed)
        scores, seconds = np.full((2, len(tried), len(splits)), np.nan)
        for row, params in enumerate(tried):
            for column, split in enumerate(splits):
                start = time.perf_counter()
                scores[row, column] = self._scored(params, found, split, seed)
                seconds[row, column] = time.perf_counter() - start
        self.cv_results_ = _results(tried, scores, seconds)
        means = self.cv_results_["mean_test_score"]
        if np.isnan(means).all():
            rule = "every candidate diverged"
            raise NumericalError("DIVERGED", f"{rule}; search smaller learning rates.")
        self.best_index_, self.n_splits_ = int(np.nanargmax(means)), len(splits)
        self.best_params_, self.best_score_ = tried[self.best_index_], float(np.nanmax(means))
        if self.refit:
            self.best_estimator_ = self._candidate(self.best_params_, seed).fit(X, graph=graph)
        return self

    @_has("transform")
    def transform(self, X: Any, *, graph: Any = None) -> np.ndarray:
        """Return the embedding by the best estimator."""
        return self._best().transform(X, graph=graph)

    @_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits of pairs by the best estimator."""
        return self._best().decision_function(X)

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of pairs by the best estimator."""
        return self._best().predict_proba(X)

    @_has("predict")
    def predict(self, X: Any) -> np.ndarray:
        """Return whether pairs are links by the best estimator."""
        return self._best().predict(X)

    @_has("predict_links")
    def predict_links(self, k: int = 10, **options: Any) -> Any:
        """Propose links by the best estimator; see :meth:`LinkPredictor.predict_links`."""
        return self._best().predict_links(k, **options)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        own = get_tags(self.estimator)
        tags.estimator_type, tags.input_tags = own.estimator_type, own.input_tags
        tags.target_tags.required = False
        return tags

    def _best(self) -> Any:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def _embedder(self) -> VGAEEmbedder:
        """Return the embedder, or that of a predictor of links."""
        given = self.estimator
        if isinstance(given, LinkPredictor):
            return VGAEEmbedder() if given.embedder is None else given.embedder
        if not isinstance(given, VGAEEmbedder):
            rule = "estimator must be a LinkPredictor or a VGAEEmbedder"
            raise UsageError("EMBEDDER", f"{rule}, got {type(given).__name__}.")
        return given

    def _count(self) -> int:
        """Return the number of candidates; raise ``UsageError`` if there are none."""
        if self.n_iter < 1:
            raise UsageError("PARAMETER", f"n_iter must be at least 1, got {self.n_iter}.")
        if not self.param_distributions:
            raise UsageError("PARAMETER", "param_distributions is empty; name what to try.")
        given = self.param_distributions
        if isinstance(given, Mapping) and all(hasattr(v, "__len__") for v in given.values()):
            return min(self.n_iter, int(np.prod([len(values) for values in given.values()])))
        return self.n_iter

    def _candidate(self, params: Mapping[str, Any], seed: int) -> Any:
        """Return an unfitted estimator with parameters, and with a seed."""
        found: Any = clone(self.estimator)
        if isinstance(found, LinkPredictor) and found.embedder is None:
            found.set_params(embedder=VGAEEmbedder())
        found.set_params(**params)
        return found if found.random_state is not None else found.set_params(random_state=seed)

    def _scored(
        self, params: Mapping[str, Any], graph: Graph, split: LinkSplit, seed: int
    ) -> float:
        """Train on the links of a split that are not held out; return the score of the others."""
        known = training_graph(graph, split)
        try:
            fitted = self._candidate(params, seed).fit(known)
        except NumericalError as error:
            log.warning("a candidate diverged, its score is NaN: %s", error)
            return np.nan
        embedder = fitted.embedder_ if isinstance(fitted, LinkPredictor) else fitted
        names = np.array(graph.ids, dtype=object)[split.val.edge_label_index.numpy().T]
        logits = score_links(embedder.model_, embedder.graph_, names).score
        return float(_SCORES[self.scoring](split.val.edge_label.numpy(), logits.numpy()))


def _results(
    tried: Sequence[Mapping[str, Any]], scores: np.ndarray, seconds: np.ndarray
) -> dict[str, Any]:
    """Return the scores of candidates, shape ``(n, splits)``, in the form of scikit-learn."""
    means = scores.mean(axis=1)
    order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
    rank = np.empty(len(tried), dtype=np.int32)
    for place, index in enumerate(order):
        before = order[place - 1]
        rank[index] = rank[before] if place and means[index] == means[before] else place + 1
    found: dict[str, Any] = {
        "mean_fit_time": seconds.mean(axis=1),
        "params": tried,
        **{f"split{k}_test_score": scores[:, k] for k in range(scores.shape[1])},
        "mean_test_score": means,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": rank,
    }
    for name in dict.fromkeys(name for params in tried for name in params):
        column: Any = np.ma.masked_all(len(tried), dtype=object)  # pyright: ignore[reportArgumentType]
        for row, params in enumerate(tried):
            if name in params:
                column[row] = params[name]
        found[f"param_{name}"] = column
    return found
