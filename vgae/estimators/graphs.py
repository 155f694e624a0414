"""VGAEEmbedder and LinkPredictor: the graph models as estimators of scikit-learn."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from vgae.errors import DataError, UsageError
from vgae.estimators._common import check_validation_fraction, recipe_changes, seed_from
from vgae.estimators._graph_inputs import validate_graph
from vgae.evaluation.calibration import Calibration, Method, Prior, fit_calibration
from vgae.evaluation.links import calibrate
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.models.embedding import embed
from vgae.prediction.links import LinkTable, predict_links, score_links
from vgae.recipes import Recipe, for_graph, recipe_named
from vgae.training.history import HistoryRow
from vgae.training.links import fit
from vgae.vae import VAE

_FIELDS = {"n_components": "latent_channels", "max_epochs": "epochs", "learning_rate": "lr"}


class VGAEEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Variational graph auto-encoder as a transformer: nodes in, latent vectors out.

    A row of ``X`` is a node with its features, and ``graph`` says who is linked to whom: a
    :class:`~vgae.Graph`, an adjacency of scipy, a graph of networkx, a PyG ``Data``, or edges of
    shape ``(2, E)``. Its nodes are in the order of the rows; features of its own give way to
    ``X``. Without ``graph`` each row is linked to its nearest ones, those of
    :func:`sklearn.neighbors.kneighbors_graph`, in both directions. ``X`` may itself be a
    :class:`~vgae.Graph`, or a graph of networkx or PyG, with or without features; a matrix is
    always taken for features. It trains as :func:`vgae.fit` does.

    The recipe ``"paper"`` takes features as they are; large ones want a ``MaxAbsScaler`` before,
    or ``settings={"scale_features": True}``. A pipeline takes the graph as
    ``pipeline.fit_transform(X, vgaeembedder__graph=A)`` or, with metadata routing, where
    ``set_fit_request(graph=True)`` and ``set_transform_request(graph=True)`` ask for it.

    Args:
        recipe: Name of the settings, such as ``"best"``; see :mod:`vgae.recipes`.
        model: ``"vgae"``, ``"gae"``, ``"linear-vgae"`` or ``"linear-gae"``.
        n_components: Width d of the latent vectors; the recipe's (``latent_channels``) if not
            given, like the next two.
        max_epochs: Passes over the graph, at most (``epochs``).
        learning_rate: Of the optimizer (``lr``).
        validation_fraction: Share of the links, in ``[0, 1)``, that chooses the epoch and is not
            learned from, where the recipe keeps the best epoch or stops early; others learn from
            all links. The count is rounded down. Without any, the last epoch is kept.
        n_neighbors: Rows that a row is linked to where no graph is given, at most.
        device: As for :func:`vgae.fit`.
        random_state: An integer is the seed of :func:`vgae.fit` and of the validation links;
            ``None`` or a ``RandomState`` gives another one each time.
        settings: Other fields of :class:`~vgae.recipes.Recipe` and their values, such as
            ``{"hidden_channels": 64}``. The parameters above go before.

    Attributes:
        model_: The trained :class:`~vgae.VAE`, on the device where it was trained.
        graph_: The :class:`~vgae.Graph` that it was trained on.
        embedding_: Means of the posteriors of its nodes, float32, shape ``(N, d)``.
        history_: One :class:`~vgae.training.history.HistoryRow` per epoch.
        n_iter_: Epochs trained.
        n_features_in_: Columns of the features; 0 without.
        feature_names_in_: Their names, if all are strings.
        recipe_: All settings that it was trained with.
        seed_: What ``random_state`` came to.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X = load_digits().data
        >>> VGAEEmbedder(n_components=8, max_epochs=1, random_state=0).fit_transform(X).shape
        (1797, 8)
    """

    model: str
    model_: VAE
    graph_: Graph
    embedding_: np.ndarray
    history_: list[HistoryRow]
    n_iter_: int
    n_features_in_: int
    recipe_: Recipe
    seed_: int

    def __init__(
        self,
        recipe: str = "paper",
        *,
        model: str = "vgae",
        n_components: int | None = None,
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.05,
        n_neighbors: int = 10,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe
        self.model = model
        self.n_components = n_components
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.n_neighbors = n_neighbors
        self.device = device
        self.random_state = random_state
        self.settings = settings

    def fit(self, X: Any, y: Any = None, *, graph: Any = None) -> Self:  # noqa: ARG002
        """Train a new model.

        Args:
            X: Features, dense or of scipy, shape ``(N, F)``; or a graph, and then no ``graph``.
            y: Is not looked at.
            graph: Who is linked to whom; see the class.

        Raises:
            ValueError: If ``X`` has another form, as scikit-learn says it.
            DataError: If ``X`` and the graph have not the same number of nodes, or what
                :class:`~vgae.Graph` refuses.
            UsageError: If a parameter makes no sense.
            ResourceError: If the device is not there, or has too little memory.
            NumericalError: If the loss is no longer finite.
        """
        seed = seed_from(self.random_state)
        found = validate_graph(self, X, graph, reset=True)
        split = split_links(found, val=self._held_out(found), test=0, seed=seed)
        return self._train(found, split, seed)

    def fit_transform(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, X: Any, y: Any = None, *, graph: Any = None
    ) -> np.ndarray:
        """Train a new model and return ``embedding_``; arguments as for :meth:`fit`."""
        return self.fit(X, y, graph=graph).embedding_

    def transform(self, X: Any, *, graph: Any = None) -> np.ndarray:
        """Infer the mean of the posterior of each node, messages travelling on all links.

        The nodes need not be those of :meth:`fit`: the encoder is a function of features and
        links. Without features it knows no others.

        Args:
            X: As for :meth:`fit`, with as many columns.
            graph: As for :meth:`fit`. A model that was fitted with a graph needs it for any rows
                but those it was fitted on; one that was fitted without links the rows given to
                each other.

        Returns:
            float32, shape ``(N, d)``.

        Raises:
            ValueError: If the features are not those of :meth:`fit`, as scikit-learn says it.
            DataError: Likewise, where ``X`` is a graph.
            UsageError: If the graph is missing.
        """
        check_is_fitted(self, "model_")
        return embed(self.model_, validate_graph(self, X, graph, reset=False)).mu.numpy()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.recipe_.latent_channels

    def _recipe(self) -> Recipe:
        """Return the recipe with the settings, and over them the parameters that are given."""
        given = {name: getattr(self, parameter) for parameter, name in _FIELDS.items()}
        return recipe_named(self.recipe).override(recipe_changes(self.settings, given))

    def _held_out(self, graph: Graph) -> float:
        """Return the share of links to choose the epoch by, 0 where none or nothing is chosen."""
        share = self.validation_fraction
        check_validation_fraction(share)
        recipe = self._recipe()
        chosen = recipe.keep == "best" or recipe.patience > 0
        return share if chosen and share * graph.num_links >= 1 else 0

    def _train(self, graph: Graph, split: LinkSplit, seed: int) -> Self:
        """Train a new model on the training links of a split, and embed over all links."""
        recipe = for_graph(self._recipe(), graph)
        result = fit(
            graph,
            split,
            model=self.model,
            recipe=recipe,
            seed=seed,
            device=self.device,
            progress=False,
        )
        self.model_, self.history_ = result.model, result.history
        self.n_iter_ = len(result.history)
        self.recipe_, self.seed_ = recipe, seed
        self.graph_, self.embedding_ = graph, embed(result.model, graph).mu.numpy()
        return self


class LinkPredictor(ClassifierMixin, BaseEstimator):
    """Classifier of pairs of nodes: linked or not, with probabilities that mean what they say.

    :meth:`fit` takes a graph, as :class:`VGAEEmbedder` does, and learns from all its links but a
    few, by which the probabilities are calibrated as by :func:`vgae.calibrate`. All others take
    pairs of nodes by name, so it can be no step of a pipeline; but curves and scores of
    :mod:`sklearn.metrics` that call an estimator on pairs work.

    Args:
        embedder: A :class:`VGAEEmbedder`, which stays as it is; one with its defaults if not
            given. The links held out here choose its epoch too.
        calibration: ``"platt"``, ``"isotonic"`` or ``"temperature"``; see
            :func:`vgae.evaluation.calibration.fit_calibration`.
        prior: Share of links that probabilities refer to: ``"balanced"``, one half, or
            ``"density"``, that of the graph.
        goal: What the threshold is chosen for: ``"f1"``, or ``"precision=0.9"``.
        validation_fraction: Share of the links held out, in ``(0, 1)``.
        random_state: Chooses these links and, unless it has one, seeds the embedder; as for
            :class:`VGAEEmbedder`.

    Attributes:
        embedder_: The fitted :class:`VGAEEmbedder`.
        graph_: Its :class:`~vgae.Graph`; the names of its nodes are 0 to N - 1 if it has no
            other.
        calibration_: The :class:`~vgae.evaluation.calibration.Calibration`.
        threshold_: Probability from which on a pair is predicted to be a link.
        classes_: 0, no link, and 1, a link.

    Example:
        >>> import networkx as nx
        >>> model = LinkPredictor(validation_fraction=0.1, random_state=0)
        >>> model.fit(nx.karate_club_graph()).predict_proba([(0, 9), (15, 16)]).shape
        (2, 2)
    """

    embedder_: VGAEEmbedder
    graph_: Graph
    calibration_: Calibration
    threshold_: float
    classes_: np.ndarray

    def __init__(
        self,
        embedder: VGAEEmbedder | None = None,
        *,
        calibration: Method = "platt",
        prior: Prior = "balanced",
        goal: str = "f1",
        validation_fraction: float = 0.05,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.embedder = embedder
        self.calibration = calibration
        self.prior = prior
        self.goal = goal
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, graph: Any = None) -> Self:  # noqa: ARG002
        """Train a new embedder and calibrate it.

        Args:
            X: As for :meth:`VGAEEmbedder.fit`.
            y: Is not looked at.
            graph: As for :meth:`VGAEEmbedder.fit`.

        Raises:
            DataError: If fewer than 2 links are held out, besides what :meth:`VGAEEmbedder.fit`
                refuses.
            UsageError: If a parameter makes no sense, or no threshold reaches the precision.
        """
        options: Any = {"method": self.calibration, "prior": self.prior, "goal": self.goal}
        # Options that make no sense are refused before the training and not after.
        rehearsal = torch.tensor([1.0, 1.0, 0.0, 0.0])
        fit_calibration(rehearsal, rehearsal, density=0.5, **options)
        seed = seed_from(self.random_state)
        embedder = self._new_embedder(seed)
        found = validate_graph(embedder, X, graph, reset=True)
        split = split_links(found, val=self.validation_fraction, test=0, seed=seed)
        if split.val.pos.shape[1] < 2:
            raise DataError(
                "TOO_FEW_PAIRS",
                f"validation_fraction = {self.validation_fraction} of {found.num_links} links is"
                " fewer than 2, and a calibration needs as many; take a larger share.",
            )
        self.embedder_ = embedder._train(found, split, seed_from(embedder.random_state))
        self.graph_ = self.embedder_.graph_
        self.calibration_ = calibrate(self.embedder_.model_, found, split, **options)
        self.threshold_ = self.calibration_.threshold
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits of the decoder: the higher, the more likely a link.

        Args:
            X: Names of two different nodes each, array or list, shape ``(P, 2)``.

        Returns:
            float64, shape ``(P,)``. A link is predicted from some logit on that need not be 0.

        Raises:
            DataError: If a node is unknown, or paired with itself.
        """
        return self._scored(X).score.double().numpy()

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the calibrated probabilities of no link and of a link.

        Links that the graph has are scored like others, by a model that has seen them.

        Args:
            X: As for :meth:`decision_function`.

        Returns:
            float64, shape ``(P, 2)``.
        """
        probability = self._scored(X).probability
        assert probability is not None  # there is a calibration
        return torch.stack([1 - probability, probability], dim=1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for each pair whose probability reaches ``threshold_``, else 0, shape (P,).

        Args:
            X: As for :meth:`decision_function`.
        """
        is_link = self.predict_proba(X)[:, 1] >= self.threshold_
        return self.classes_[is_link.astype(int)]

    def predict_links(self, k: int = 10, **options: Any) -> LinkTable:
        """Propose the best pairs that are not linked yet, with calibrated probabilities.

        Args:
            k: For each node.
            options: Others of :func:`vgae.predict_links`, such as ``per_node=False``.
        """
        check_is_fitted(self, "calibration_")
        return predict_links(
            self.embedder_.model_, self.graph_, k, calibration=self.calibration_, **options
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = False
        return tags

    def _new_embedder(self, seed: int) -> VGAEEmbedder:
        """Return a copy of the embedder that is not fitted and has a seed."""
        given = VGAEEmbedder() if self.embedder is None else self.embedder
        if not isinstance(given, VGAEEmbedder):
            raise UsageError(
                "EMBEDDER", f"embedder must be a VGAEEmbedder, got {type(given).__name__}."
            )
        copy: Any = clone(given)
        return copy if copy.random_state is not None else copy.set_params(random_state=seed)

    def _scored(self, pairs: Any) -> LinkTable:
        check_is_fitted(self, "calibration_")
        # Objects: an array of names and numbers would make strings of the numbers.
        names = np.asarray(pairs, dtype=object)
        if names.ndim != 2 or names.shape[1] != 2:
            raise DataError(
                "PAIR_SHAPE", f"pairs must be two names each, shape (P, 2), got {names.shape}."
            )
        model = self.embedder_.model_
        return score_links(model, self.graph_, names, calibration=self.calibration_)
