"""VGAEEmbedder and LinkPredictor: the graph models as estimators of scikit-learn."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from vgae.errors import DataError, UsageError, check_choice
from vgae.estimators._common import (
    INTEGER,
    NUMBER,
    SWITCH,
    TEXT,
    LatentTransformer,
    RandomState,
    check_types,
    seed_from,
)
from vgae.estimators._graph_inputs import validate_graph
from vgae.evaluation.calibration import Method, Prior, fit_calibration
from vgae.evaluation.links import calibrate
from vgae.graphs.collection import GraphCollection
from vgae.graphs.defaults import Directed
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.models.embedding import embed
from vgae.models.graph_vectors import Readout, graph_vectors
from vgae.prediction.link_table import LinkTable
from vgae.prediction.links import predict_links, score_links
from vgae.recipes import DEFAULT, Recipe, for_graph, recipe_named
from vgae.training.links import fit


@dataclass(eq=False, repr=False)
class VGAEEmbedder(LatentTransformer):
    """Variational graph auto-encoder as a transformer from nodes to latent vectors.

    A row of ``X`` has the features of a node. ``graph`` has the links: a :class:`~vgae.Graph`, a
    scipy adjacency, a networkx graph, a PyG ``Data``, or edges of shape ``(2, E)``; its own
    features are ignored. If ``X`` is a data frame of pandas, the nodes of a graph with names are
    matched with its index; other nodes are in the order of the rows. Without ``graph``, each row
    is linked to its nearest rows by :func:`sklearn.neighbors.kneighbors_graph`, in both
    directions. ``X`` may also be a :class:`~vgae.Graph`, networkx or PyG graph, with or without
    features; a matrix is taken as features, and an adjacency in its place is refused. Training is
    that of :func:`vgae.fit`.

    ``X`` may also be many graphs: a :class:`~vgae.GraphCollection`, a list of graphs of one of
    these classes, or a PyG ``Batch``. With ``level="graphs"`` the result has a row for each graph
    instead of each node, so that a classifier of graphs can follow in a pipeline; ``transform``
    then takes other graphs too, and cross-validation may divide a list of graphs.

    The recipe ``"paper"`` does not scale features, unlike the default. A pipeline takes the graph
    as ``pipeline.fit_transform(X, vgaeembedder__graph=A)`` or, with metadata routing, after
    ``set_fit_request(graph=True)`` and ``set_transform_request(graph=True)``. Cross-validation, as
    in a ``GridSearchCV``, takes rows out of X and of an adjacency, and a part of the nodes is
    another graph: choose settings with :class:`vgae.LinkSearch`, which holds out links.

    Args:
        recipe: Name of the settings, such as ``"paper"``; see :mod:`vgae.recipes`.
        model: ``"vgae"``, ``"gae"``, ``"linear-vgae"`` or ``"linear-gae"``.
        n_components: Width d of the latent vectors (``latent_channels``); that of the recipe by
            default, like the next two. The recipe ``"ranks"`` adds up to 512 columns of content,
            which ``settings={"content": 0}`` leaves out.
        max_epochs: Largest number of passes over the graph (``epochs``).
        learning_rate: Learning rate of the optimizer (``lr``).
        validation_fraction: Fraction of the links, in ``[0, 1)``, that is held out to choose the
            epoch if the recipe keeps the best epoch or stops early; other recipes train on all
            links. The count is rounded down. With none, or in a graph
            in which almost all are linked, the last epoch is kept.
        n_neighbors: Largest number of rows that a row is linked to without a graph.
        level: ``"nodes"``, or ``"graphs"`` for a vector of each graph of many.
        readout: Vector of a graph from those of its nodes: ``"mean"``, ``"sum"``,
            ``"attention"`` or ``"moments"``, which is twice as wide; see
            :func:`vgae.graph_vectors`.
        directed: ``"keep"`` makes a directed graph of an adjacency, edges, or a graph of networkx
            or PyG; as for :meth:`vgae.Graph.from_edges`. A :class:`~vgae.Graph` stays as it is,
            directed or two-sided.
        device: Device, as for :func:`vgae.fit`.
        random_state: Seed of :func:`vgae.fit` and of the validation links; ``None`` or a
            ``RandomState`` gives another one each time.
        settings: Other fields of :class:`~vgae.recipes.Recipe` and their values, such as
            ``{"hidden_channels": 64}``. The parameters above take precedence.
        verbose: Whether to show the progress of the training, as :func:`vgae.fit` does with
            ``progress=True``.

    Attributes:
        model_: Trained :class:`~vgae.VAE`, on its training device.
        graph_: Training :class:`~vgae.Graph`.
        embedding_: Posterior means of its nodes, float32, shape ``(N, d)``; or those of its
            graphs, shape ``(G, d)``.
        history_: One :class:`~vgae.training.history.HistoryRow` per epoch.
        n_iter_: Number of trained epochs.
        n_features_in_: Number of features, possibly 0.
        feature_names_in_: Names of the features, if all are strings.
        recipe_: All settings of the training.
        seed_: Seed derived from ``random_state``.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X = load_digits().data
        >>> VGAEEmbedder(n_components=8, max_epochs=1, random_state=0).fit_transform(X).shape
        (1797, 8)
    """

    recipe: str = DEFAULT.name
    _: KW_ONLY
    model: str = "vgae"
    validation_fraction: float = 0.05
    n_neighbors: int = 10
    level: Literal["nodes", "graphs"] = "nodes"
    readout: Readout = "moments"
    directed: Directed = "symmetrize"

    _types: ClassVar = {
        **LatentTransformer._types,
        "n_neighbors": INTEGER,
        **dict.fromkeys(("level", "readout", "directed"), TEXT),
    }

    def fit(self, X: Any, y: Any = None, *, graph: Any = None) -> Self:  # noqa: ARG002
        """Train a new model.

        Args:
            X: Features, dense or sparse, shape ``(N, F)``; or a graph, with ``graph=None``.
            y: Ignored.
            graph: Links of the nodes; see the class.

        Raises:
            ValueError: If ``X`` is invalid, with scikit-learn's message.
            DataError: If rows and nodes differ in number, or :class:`~vgae.Graph` rejects a graph.
            UsageError: If a parameter is invalid.
            ResourceError: If the device is missing, or has too little memory.
            NumericalError: If the loss becomes NaN or infinite.
        """
        check_types(self, self._types)
        self._check_choices()
        seed = seed_from(self.random_state)
        found = self._level(validate_graph(self, X, graph, reset=True))
        split = split_links(found, val=self._held_out(found), test=0, seed=seed)
        return self._train(found, split, seed)

    def fit_transform(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, X: Any, y: Any = None, *, graph: Any = None
    ) -> np.ndarray:
        """Train a new model and return ``embedding_``; see :meth:`fit`."""
        return self.fit(X, y, graph=graph).embedding_

    def transform(self, X: Any, *, graph: Any = None) -> np.ndarray:
        """Infer the posterior mean of each node, with messages over all links.

        The nodes may differ from those of :meth:`fit`, since the encoder is a function of features
        and links; without features they must be the same. The result is float32, ``(N, d)``.

        Args:
            X: Features or graph as for :meth:`fit`, with the same columns.
            graph: Links as for :meth:`fit`. After a fit with a graph, it is required for other
                rows than the fitted ones; after a fit without, the rows are linked to each other.

        Raises:
            ValueError: If the features are not those of :meth:`fit`, with scikit-learn's message;
                for a graph ``X``, a ``DataError``.
            UsageError: If the graph is missing.
        """
        check_is_fitted(self, "model_")
        return self._embedded(self._level(validate_graph(self, X, graph, reset=False)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _recipe(self) -> Recipe:
        """Return the recipe, changed by the settings and then by the given parameters."""
        return recipe_named(self.recipe).override(self._changes())

    def _held_out(self, graph: Graph) -> float:
        """Return the fraction of validation links; 0 if they choose no epoch, or would be none.

        So it is in a graph that has too few pairs without a link to compare them with.
        """
        fraction, recipe = self._checked_fraction(), self._recipe()
        chosen = recipe.keep == "best" or recipe.patience > 0
        others = graph.grid.num_pairs - graph.num_links
        return fraction if chosen and 1 <= fraction * graph.num_links <= others else 0

    def _train(self, graph: Graph, split: LinkSplit, seed: int) -> Self:
        """Train a new model on the training links of a split, and embed over all links."""
        recipe = for_graph(self._recipe(), graph)
        options: Any = {"model": self.model, "device": self.device}
        options["progress"] = bool(self.verbose)
        result = fit(graph, split, recipe=recipe, seed=seed, **options)
        self._fitted(result, recipe, seed)
        self.graph_, self.embedding_ = graph, self._embedded(graph)
        return self

    def _check_choices(self) -> None:
        """Raise ``UsageError`` unless parameters have one of their values."""
        check_choice("directed", self.directed, Directed)
        check_choice("level", self.level, Literal["nodes", "graphs"])
        check_choice("readout", self.readout, Readout)

    def _level(self, graph: Graph) -> Graph:
        """Return the graph; raise ``UsageError`` if it is one and vectors of graphs are wanted."""
        if self.level == "graphs" and not isinstance(graph, GraphCollection):
            rule = "level='graphs' needs many graphs: a list of graphs or a vgae.GraphCollection"
            raise UsageError("COLLECTION", f"{rule}, got one graph; or take level='nodes'.")
        return graph

    def _embedded(self, graph: Graph) -> np.ndarray:
        """Return the vectors of the nodes or graphs."""
        if isinstance(graph, GraphCollection) and self.level == "graphs":
            return graph_vectors(self.model_, graph, self.readout).mu.numpy()
        return embed(self.model_, graph).mu.numpy()

    @property
    def _n_features_out(self) -> int:
        return self.embedding_.shape[1]


@dataclass(eq=False, repr=False)
class LinkPredictor(ClassifierMixin, BaseEstimator):
    """Classifier of pairs of nodes as linked or not, with calibrated probabilities.

    :meth:`fit` takes a graph, as :class:`VGAEEmbedder` does. It trains on all links except a few,
    on which the probabilities are calibrated as by :func:`vgae.calibrate`. All other methods take
    pairs of node names. So it cannot be a step of a pipeline, but curves and scores of
    :mod:`sklearn.metrics` that call an estimator on pairs work.

    Args:
        embedder: A :class:`VGAEEmbedder`, which is not modified; one with default parameters by
            default. The links held out here also choose its epoch.
        calibration: Method of :func:`vgae.calibrate`: ``"platt"``, ``"isotonic"``, ``"spline"`` or
            ``"temperature"``; its default for the prior if not given.
        prior: Fraction of links that probabilities and threshold refer to: ``"density"``, that
            among all pairs that are not training links, or ``"balanced"``, one half. Most pairs
            of nodes are no links, so :meth:`predict` finds few links among random pairs at the
            density, and far too many at one half.
        goal: Goal of the threshold: ``"f1"``, or ``"precision=0.9"``.
        validation_fraction: Fraction of the links that is held out, in ``(0, 1)``.
        random_state: Seed of the held-out links and, unless it has one, of the embedder; as for
            :class:`VGAEEmbedder`.
        verbose: Whether to show the progress of the training, also if the embedder does not, and
            of a long search for links.

    Attributes:
        embedder_: Fitted :class:`VGAEEmbedder`.
        graph_: Its :class:`~vgae.Graph`; by default the names of its nodes are 0 to N - 1.
        calibration_: Fitted :class:`~vgae.evaluation.calibration.Calibration`.
        threshold_: Lowest probability at which a pair is predicted to be a link.
        classes_: 0, no link, and 1, a link.

    Example:
        >>> import networkx as nx
        >>> model = LinkPredictor(validation_fraction=0.1, random_state=0)
        >>> model.fit(nx.karate_club_graph()).predict_proba([(0, 9), (15, 16)]).shape
        (2, 2)
    """

    embedder: VGAEEmbedder | None = None
    _: KW_ONLY
    calibration: Method | None = None
    prior: Prior = "density"
    goal: str = "f1"
    validation_fraction: float = 0.05
    random_state: RandomState = None
    verbose: bool | int = False

    _types: ClassVar = {
        "goal": TEXT,
        "verbose": SWITCH,
        "validation_fraction": NUMBER,
        "random_state": LatentTransformer._types["random_state"],
    }

    def fit(self, X: Any, y: Any = None, *, graph: Any = None) -> Self:  # noqa: ARG002
        """Train a new embedder and calibrate it.

        Arguments and errors are those of :meth:`VGAEEmbedder.fit`, and:

        Raises:
            DataError: If fewer than 2 links are held out.
            UsageError: If a parameter is invalid, or no threshold reaches the precision.
        """
        check_types(self, self._types)
        options: Any = {"method": self.calibration, "prior": self.prior, "goal": self.goal}
        # Reject invalid options before the training.
        rehearsal = torch.tensor([1.0, 1.0, 0.0, 0.0])
        rehearsed = options | {"method": self.calibration or "platt"}
        fit_calibration(rehearsal, rehearsal, density=0.5, **rehearsed)
        seed = seed_from(self.random_state)
        embedder = self._new_embedder(seed)
        check_types(embedder, embedder._types)
        embedder._check_choices()
        found = validate_graph(embedder, X, graph, reset=True)
        split = split_links(found, val=self.validation_fraction, test=0, seed=seed)
        if (num_val := split.val.pos.shape[1]) < 2:
            given = f"validation_fraction = {self.validation_fraction} of {found.num_links} links"
            got = f"got {num_val} with {given}"
            raise DataError("TOO_FEW_PAIRS", f"a calibration needs 2 held-out links, {got}.")
        self.embedder_ = embedder._train(found, split, seed_from(embedder.random_state))
        self.graph_ = self.embedder_.graph_
        self.calibration_ = calibrate(self.embedder_.model_, found, split, **options)
        self.threshold_ = self.calibration_.threshold
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits of the decoder, float64, shape ``(P,)``.

        The threshold of :meth:`predict` need not be 0 here.

        Args:
            X: Names of two different nodes each, array, list or data frame, shape ``(P, 2)``.

        Raises:
            DataError: If a node is unknown, or paired with itself.
        """
        return self._scored(X).score.double().numpy()

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the calibrated probabilities of no link and of a link, float64, shape (P, 2).

        ``X`` is that of :meth:`decision_function`. Links of the graph are scored like other
        pairs, by a model that has seen them.
        """
        probability = self._scored(X).probability
        assert probability is not None  # there is a calibration
        return torch.stack([1 - probability, probability], dim=1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for each pair whose probability reaches ``threshold_``, else 0, shape (P,).

        ``X`` is that of :meth:`decision_function`.
        """
        is_link = self.predict_proba(X)[:, 1] >= self.threshold_
        return self.classes_[is_link.astype(int)]

    def predict_links(self, k: int = 10, **options: Any) -> LinkTable:
        """Propose the best unlinked pairs, with calibrated probabilities.

        ``k`` and ``options``, such as ``per_node=False``, are those of :func:`vgae.predict_links`.
        """
        check_is_fitted(self, "calibration_")
        options = {"progress": bool(self.verbose), **options, "calibration": self.calibration_}
        return predict_links(self.embedder_.model_, self.graph_, k, **options)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = False
        return tags

    def _new_embedder(self, seed: int) -> VGAEEmbedder:
        """Return an unfitted copy of the embedder with a seed."""
        given = VGAEEmbedder() if self.embedder is None else self.embedder
        if not isinstance(given, VGAEEmbedder):
            got = f"got {type(given).__name__}"
            raise UsageError("EMBEDDER", f"embedder must be a VGAEEmbedder, {got}.")
        copy: Any = clone(given)
        if self.verbose:
            copy.set_params(verbose=self.verbose)
        return copy if copy.random_state is not None else copy.set_params(random_state=seed)

    def _scored(self, pairs: Any) -> LinkTable:
        check_is_fitted(self, "calibration_")
        if is_frame(pairs):
            from vgae.graphs.aligning import pairs_of_names

            pairs = pairs_of_names(pairs)
        # dtype object, because numpy converts numbers among names to strings.
        names = np.asarray(pairs, dtype=object)
        if names.ndim != 2 or names.shape[1] != 2:
            rule = "pairs must be two names each, shape (P, 2)"
            raise DataError("PAIR_SHAPE", f"{rule}, got {names.shape}.")
        model = self.embedder_.model_
        return score_links(model, self.graph_, names, calibration=self.calibration_)
