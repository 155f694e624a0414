"""Named settings of graph models: plain frozen values that print as TOML."""

import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from vgae.errors import UsageError
from vgae.recipes.base import MOST, Ranges, Training

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph

log = logging.getLogger(__name__)

Weighting = Literal["kipf", "likelihood"]
Activation = Literal["relu", "elu"]
Pairs = Literal["auto", "exact", "sampled"]
Precision = Literal["high", "tf32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Recipe(Training):
    """How a graph model is built and trained; :class:`~vgae.recipes.base.Training` has the rest.

    Attributes:
        hidden_channels: Width of the hidden layer (not used by the linear encoder).
        latent_channels: Width d of the latent vectors.
        weighting: Of the pairs; see :class:`vgae.InnerProductDecoder`.
        bias: Whether the encoder learns offsets.
        activation: Of the hidden layer, ``relu`` or ``elu``.
        scale_features: Whether columns are brought to a common scale; see
            :func:`vgae.encoders.feature_scale`.
        feature_dropout: Share of the features' entries that is dropped in each epoch.
        dropout: Share of the hidden layer that is dropped.
        self_loop_weight: What a node's own features weigh beside those of a neighbour.
        latent_norm: Length that the messages of the means are scaled to; 0 leaves them as they
            are.
        degrees: Whether the encoder is told how many neighbours a node has.
        initial_logstd: What the offset of log sigma is before training; other than 0, it needs
            ``bias``.
        mask: Share of the training links that the encoder does not see in an epoch, and that
            are then the ones to be predicted; 0 shows and predicts all. See
            :class:`vgae.training.masking.LinkMasking`.
        weighted: Whether a link counts in the objective as much as it weighs, relative to the
            others; weights always count in the messages.
        logit_bias: Whether the decoder learns one.
        pairs: Whether the loss visits every pair of nodes, ``exact``, or estimates their sum,
            ``sampled``; ``auto`` is ``exact`` where an epoch's pairs take no longer than a second.
        pairs_per_node: How many a node if they are sampled.
        precision: Of the decoder's products on a GPU: ``high``, ``tf32`` or ``bf16``.
    """

    hidden_channels: int = 32
    latent_channels: int = 16
    weighting: Weighting = "kipf"
    bias: bool = False
    activation: Activation = "relu"
    scale_features: bool = False
    feature_dropout: float = 0.0
    dropout: float = 0.0
    self_loop_weight: float = 1.0
    latent_norm: float = 0.0
    degrees: bool = False
    initial_logstd: float = 0.0
    mask: float = 0.0
    weighted: bool = False
    logit_bias: bool = False
    pairs: Pairs = "auto"
    pairs_per_node: int = 32
    precision: Precision = "high"

    ranges: ClassVar[Ranges] = {
        **Training.ranges,
        "hidden_channels": (1, MOST),
        "latent_channels": (1, MOST),
        "initial_logstd": (-10, 0),
        "feature_dropout": (0, 0.99),
        "dropout": (0, 0.99),
        "self_loop_weight": (1e-9, MOST),
        "latent_norm": (0, MOST),
        "mask": (0, 0.99),
        "pairs_per_node": (1, MOST),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial_logstd and not self.bias:
            raise UsageError("RECIPE", "initial_logstd is set by an offset; set bias = true too.")


PAPER = Recipe(name="paper")
"""Kipf & Welling (2016), as in their code: 32 hidden, 16 latent, Adam 0.01, 200 epochs, raw
features, no dropout, no offsets, links weighted, the last epoch kept."""

BEST = Recipe(
    name="best",
    hidden_channels=128,
    latent_channels=128,
    lr=0.02,
    weight_decay=5e-5,
    epochs=500,
    bias=True,
    activation="elu",
    scale_features=True,
    feature_dropout=0.8,
    dropout=0.5,
    self_loop_weight=6.0,
    latent_norm=6.0,
    mask=0.7,
    degrees=True,
    initial_logstd=-2.0,
    logit_bias=True,
    pairs="sampled",
    average=True,
    keep="best",
    eval_every=10,
)
"""The highest link-prediction scores: the paper's model and objective, trained on links that are
hidden from the encoder, with messages of one length and degrees beside the features. What each
setting is worth was measured on validation links: ``benchmarks/results/ablation.md``.
:func:`for_graph` says for which graphs other settings take its place."""

BEST_DENSE = replace(BEST, name="best-dense", feature_dropout=0.2)
"""What :data:`BEST` is for graphs whose features are measurements, of which each says something,
and not words, of which few suffice."""

BEST_LINKS = replace(
    BEST,
    name="best-links",
    lr=0.01,
    feature_dropout=0.5,
    dropout=0.0,
    self_loop_weight=4.0,
    latent_norm=2.2,
    mask=0.1,
)
"""What :data:`BEST` is for graphs without features, where a node is known by its links alone and
hiding many hides the node; ``feature_dropout`` then drops whole nodes, of which the degree is
left."""

RECIPES = {recipe.name: recipe for recipe in (PAPER, BEST, BEST_DENSE, BEST_LINKS)}
_DENSE = 0.25  # share of a feature matrix that is not zero


def for_graph(recipe: Recipe, graph: "Graph") -> Recipe:
    """Return the recipe as it is meant for a graph, and say so: the rule of ``best`` alone.

    Fields of :data:`BEST` that were not changed are those of :data:`BEST_LINKS` without features,
    and those of :data:`BEST_DENSE` if a quarter of their entries or more are not zero.
    """
    if recipe.name != BEST.name:
        return recipe
    density = _feature_density(graph)
    if density is not None and density < _DENSE:
        return recipe
    base = BEST_LINKS if density is None else BEST_DENSE
    reason = "no features" if density is None else f"features that are {density:.0%} dense"
    log.info("recipe best: %s has %s, so the settings are those of %s", graph, reason, base.name)
    changed = {
        name: value
        for name, value in asdict(recipe).items()
        if name in recipe.chosen or value != getattr(BEST, name)
    }
    return replace(base, **changed)


def _feature_density(graph: "Graph") -> float | None:
    """Return the share of the feature matrix that is not zero; ``None`` without features."""
    if graph.x is None:
        return None
    values = graph.x.values() if graph.x.is_sparse_csr else graph.x
    return int(values.count_nonzero()) / max(graph.x.numel(), 1)


def recipe_named(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in RECIPES:
        raise UsageError("RECIPE", f"no recipe {name!r}; there are {', '.join(RECIPES)}.")
    return RECIPES[name]
