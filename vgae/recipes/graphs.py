"""Named settings of graph models: frozen values that print as TOML."""

import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vgae.errors import UsageError, did_you_mean
from vgae.recipes.base import MOST, Ranges, Training

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph

log = logging.getLogger(__name__)

Weighting = Literal["kipf", "likelihood"]
Activation = Literal["relu", "elu"]
Pairs = Literal["auto", "exact", "sampled"]
Precision = Literal["high", "tf32", "bf16"]
FeatureLikelihood = Literal["auto", "bernoulli", "normal", "poisson"]
WeightLikelihood = Literal["auto", "normal", "lognormal", "poisson"]


@dataclass(frozen=True, kw_only=True)
class Recipe(Training):
    """Settings of a graph model and its training, beside those of ``Training``.

    Attributes:
        hidden_channels: Width of the hidden layer (not used by the linear encoder).
        latent_channels: Width d of the latent vectors.
        weighting: Weights of the pairs; see :class:`vgae.InnerProductDecoder`.
        bias: Whether the encoder learns biases.
        activation: Activation of the hidden layer, ``relu`` or ``elu``.
        scale_features: Whether features are scaled; see :func:`vgae.encoders.feature_scale`.
        feature_dropout: Dropout rate of the features.
        dropout: Dropout rate of the hidden layer.
        self_loop_weight: Weight of a node's own features; those of a neighbour have 1.
        latent_norm: Norm that the messages of the means are scaled to; 0 leaves them unscaled.
        degrees: Whether the encoder receives the number of neighbours of each node.
        initial_logstd: Initial bias of log sigma; other than 0, it needs ``bias``.
        mask: Fraction of the training links that the encoder does not receive in an epoch, and the
            decoder predicts; with 0, all links are both. See
            :class:`vgae.training.masking.LinkMasking`.
        weighted: Whether links in the objective are weighted by their weights, relative to the
            others; in the messages they always are.
        logit_bias: Whether the decoder learns a bias.
        repel: Number of dimensions, the last of the latent vectors, that count negatively in a
            logit; see :class:`vgae.InnerProductDecoder`.
        distance_weight: Weight of the distance against the masses in a gravity model; see
            :class:`vgae.decoders.gravity.GravityDecoder`.
        pairs: ``exact`` visits every pair of nodes in the loss, ``sampled`` estimates their sum,
            ``auto`` is ``exact`` where an epoch's pairs take at most a second.
        pairs_per_node: Number of sampled pairs per node.
        precision: Precision of the decoder's products on a GPU: ``high``, ``tf32`` or ``bf16``.
        positions: Number of latent dimensions, the first ones, that have the place of a node in
            its graph rather than what features say; see :mod:`vgae.encoders.positions`. Below
            ``latent_channels``.
        walks: Number of latent dimensions, the first ones, that are a learned polynomial of the
            messages; see :mod:`vgae.encoders.walks`. With ``positions`` and ``roles`` below
            ``latent_channels``.
        walk_length: Degree of this polynomial: the number of links of the longest walks.
        walk_gain: Initial coefficients: 0 is an equal share of 1 for walks of every length, g
            above 0 is :math:`0.7^k g` for those of k links.
        roles: Number of latent dimensions, the last ones, that know a node by degrees alone; see
            :mod:`vgae.encoders.roles`. Half of them should repel.
        content: Number of further latent dimensions, at most, that compare features and are not
            trained; see :mod:`vgae.encoders.content`. For models with an inner product and no
            other targets.
        content_norm: Length of their messages.
        batch_size: Graphs of a collection in a step; 0 for all of them in one step an epoch.
        reconstruct: Further targets beside the links, separated by commas, such as
            ``features``; see :class:`vgae.decoders.JointDecoder`.
        reconstruct_weight: Weight of their log-likelihoods.
        feature_likelihood: Distribution of the features given the latent vectors; see
            :class:`vgae.decoders.features.FeatureDecoder`.
        weight_likelihood: Distribution of the weights of links, if they are a target.
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
    repel: int = 0
    distance_weight: float = 1.0
    pairs: Pairs = "auto"
    pairs_per_node: int = 32
    precision: Precision = "high"
    positions: int = 0
    walks: int = 0
    walk_length: int = 16
    walk_gain: float = 0.0
    roles: int = 0
    content: int = 0
    content_norm: float = 10.0
    batch_size: int = 0
    reconstruct: str = ""
    reconstruct_weight: float = 1.0
    feature_likelihood: FeatureLikelihood = "auto"
    weight_likelihood: WeightLikelihood = "auto"

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
        "repel": (0, MOST),
        "distance_weight": (1e-9, MOST),
        "pairs_per_node": (1, MOST),
        "positions": (0, MOST),
        "walks": (0, MOST),
        "walk_length": (1, 1000),
        "walk_gain": (0, MOST),
        "roles": (0, MOST),
        "content": (0, MOST),
        "content_norm": (1e-9, MOST),
        "batch_size": (0, MOST),
        "reconstruct_weight": (1e-9, MOST),
    }
    later: ClassVar[frozenset[str]] = frozenset(
        {
            *("repel", "distance_weight", "reconstruct", "reconstruct_weight"),
            *("feature_likelihood", "weight_likelihood", "positions", "batch_size"),
            *("walks", "walk_length", "walk_gain", "roles", "content", "content_norm"),
        }
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial_logstd and not self.bias:
            raise UsageError("RECIPE", "initial_logstd needs a bias; set bias = true too.")
        if self.repel > self.latent_channels:
            what = f"repel must be at most latent_channels = {self.latent_channels}"
            raise UsageError("RECIPE", f"{what}, got {self.repel}.")
        parts = {name: getattr(self, name) for name in ("positions", "walks", "roles")}
        given = {name: width for name, width in parts.items() if width}
        if given and sum(given.values()) >= self.latent_channels:
            what = f"{' + '.join(given)} must be below latent_channels = {self.latent_channels}"
            raise UsageError("RECIPE", f"{what}, got {' + '.join(map(str, given.values()))}.")


PAPER = Recipe(name="paper")
"""Kipf & Welling (2016), as in their code: 32 hidden, 16 latent, Adam 0.01, 200 epochs, raw
features, no dropout, no biases, links weighted, the last epoch kept."""

BEST = Recipe(
    name="best",
    hidden_channels=128,
    latent_channels=128,
    lr=0.03,
    weight_decay=5e-5,
    epochs=350,
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
"""The highest link-prediction scores: the paper's model and objective, trained on masked links,
with normed messages and degrees as features. ``benchmarks/results/ablation.md`` has the effect of
each setting on validation links. :func:`for_graph` replaces it for some graphs."""

DEFAULT = BEST
"""The recipe of named models of graphs unless another one is given; a typed graph and a model of
your own have :data:`PAPER`."""

# What BEST had when the settings of these recipes were chosen.
_SLOWER: dict[str, Any] = {"lr": 0.02, "epochs": 500}

RANKS = replace(BEST, name="ranks", **_SLOWER, dropout=0.2, mask=0.4, content=512)
""":data:`BEST` for ranks: finding the next partner of a node among all others, and telling links
from non-links that look like them. Up to 512 latent dimensions of content, which are not trained,
stand beside the 128 of :data:`BEST`, which learn with fewer masks and less dropout. AUC is up to
0.2 points lower, and the wide embedding is worse for classes of nodes. Graphs without sparse
features get the recipe that :data:`BEST` has for them."""

BEST_DENSE = replace(BEST, name="best-dense", **_SLOWER, feature_dropout=0.2)
""":data:`BEST` for dense real-valued features."""

BEST_DIRECTED = replace(
    BEST,
    name="best-directed",
    lr=0.01,
    epochs=500,
    feature_dropout=0.5,
    dropout=0.0,
    self_loop_weight=4.0,
    latent_norm=2.2,
    mask=0.1,
)
""":data:`BEST` for directed graphs without features: fewer masks, as a node has nothing but its
links; ``feature_dropout`` drops whole nodes but for their degrees."""

BEST_LINKS = replace(BEST_DIRECTED, name="best-links", walks=64, roles=8, repel=4)
""":data:`BEST` for graphs without features, trained like :data:`BEST_DIRECTED`. Beside the
convolution, half of the latent dimensions are walks, which compare nodes over more than four
links, and eight are roles, which know hubs, leaves and nodes that lost their only link.
``docs/links_alone.md`` has measurements on validation links."""

BEST_LINKS_DENSE = replace(BEST_LINKS, name="best-links-dense", walk_gain=4.0)
""":data:`BEST_LINKS` for ten links a node and more: walks begin with larger coefficients, those of
short walks above all. With equal small ones, walks of a dense graph stayed at zero for hundreds of
epochs."""

BEST_TWO_SIDED = replace(
    BEST,
    name="best-two-sided",
    hidden_channels=32,
    latent_channels=16,
    epochs=500,
    weight_decay=0.0,
    activation="relu",
    feature_dropout=0.0,
    dropout=0.0,
    self_loop_weight=1.0,
    latent_norm=0.0,
    mask=0.5,
    initial_logstd=0.0,
    pairs="auto",
)
""":data:`BEST` for two-sided graphs without features: a small model without norm, so that popular
nodes have long vectors; half of the links are masked. ``docs/two_sided.md`` has the measurements.
"""

PAPER_GRAPHS = replace(
    PAPER,
    name="paper-graphs",
    latent_channels=48,
    positions=32,
    repel=8,
    lr=0.02,
    beta=0.1,
    bias=True,
    degrees=True,
    mask=0.2,
    logit_bias=True,
)
""":data:`PAPER` for collections of graphs, where nodes have no identity of their own: degrees and
positions tell nodes of one kind apart, a fifth of the links are masked, so that the model learns
to predict links it does not receive, and dimensions that repel express the missing triangles of
molecules. In small graphs a node has few pairs, which a KL divergence of full weight outweighs.
``benchmarks/molecules.py`` has the measurements."""

PAPER_FEATURES = replace(PAPER, name="paper-features", feature_dropout=0.5)
""":data:`PAPER` where sparse features are a target: half of those that the encoder receives are
dropped, so that it does not copy what it must predict. ``docs/features.md`` has the
measurements."""

BEST_GRAPHS = replace(
    PAPER_GRAPHS,
    name="best-graphs",
    hidden_channels=64,
    latent_channels=64,
    repel=16,
    activation="elu",
    scale_features=True,
    average=True,
    keep="best",
    epochs=400,
    eval_every=10,
)
""":data:`BEST` for collections of graphs."""

_OF_LINKS = (BEST_LINKS, BEST_LINKS_DENSE, BEST_DIRECTED, BEST_TWO_SIDED)
_OF_BEST = (BEST_DENSE, *_OF_LINKS, BEST_GRAPHS)
_OF_PAPER = (PAPER_GRAPHS, PAPER_FEATURES)
RECIPES = {recipe.name: recipe for recipe in (PAPER, BEST, RANKS, *_OF_BEST, *_OF_PAPER)}
VARIANTS = {
    BEST.name: tuple(recipe.name for recipe in _OF_BEST),
    RANKS.name: tuple(recipe.name for recipe in (BEST, *_OF_BEST)),
    PAPER.name: tuple(recipe.name for recipe in _OF_PAPER),
}
"""Names of the recipes that :func:`for_graph` may put in the place of a named one."""
_DENSE = 0.25  # fraction of nonzero entries of a feature matrix
_MANY_LINKS = 10  # of a node, on average


def for_graph(recipe: Recipe, graph: "Graph") -> Recipe:
    """Return the recipe for a graph, and log a replacement.

    ``paper`` and ``best`` become :data:`PAPER_GRAPHS` and :data:`BEST_GRAPHS` for collections of
    graphs. Otherwise ``paper`` becomes :data:`PAPER_FEATURES` if it reconstructs features of which
    less than a quarter are not zero. ``best`` becomes :data:`BEST_LINKS` without features, or
    :data:`BEST_LINKS_DENSE` if nodes have at least ten links on average, :data:`BEST_DIRECTED` if
    links have a direction, or :data:`BEST_TWO_SIDED` if there are two sides too, and
    :data:`BEST_DENSE` if at least a quarter of the features' entries are not zero and they are no
    target. So does ``ranks``, which becomes :data:`BEST` if links have a direction or two sides,
    or are not the only target. Changed fields keep their values.
    """
    if recipe.name not in VARIANTS:
        return recipe
    given = RECIPES[recipe.name]
    if graph.grid.name == "blocks":
        base = PAPER_GRAPHS if given is PAPER else BEST_GRAPHS
        reason = "nodes that are comparable between graphs by links and features only"
    else:
        density = _feature_density(graph)
        targets = [name.strip() for name in recipe.reconstruct.split(",")]
        copied = density is not None and "features" in targets
        sparse = density is not None and density < _DENSE
        if given is PAPER and not (copied and sparse):
            return recipe
        has_content = graph.grid.name == "undirected" and not recipe.reconstruct
        if given is not PAPER and (copied or sparse) and (given is BEST or has_content):
            return recipe
        if given is RANKS and (copied or sparse):
            base, reason = BEST, "directions, sides or other targets than links"
        elif density is None:
            base, reason = _of_links(graph)
        else:
            base = PAPER_FEATURES if given is PAPER else BEST_DENSE
            reason = f"features that are {density:.0%} dense" + " and a target" * copied
    name = recipe.name
    log.info(
        "recipe %s: %s has %s, so the settings are those of %s", name, graph, reason, base.name
    )
    before, chosen = asdict(given), recipe.chosen
    changed = {k: v for k, v in asdict(recipe).items() if k in chosen or v != before[k]}
    return _fitted(base, changed)


def _of_links(graph: "Graph") -> tuple[Recipe, str]:
    """Return the recipe for a graph without features, and why."""
    if graph.directed or graph.sides is not None:
        return BEST_TWO_SIDED if graph.sides is not None else BEST_DIRECTED, "no features"
    degree = 2 * graph.num_links / max(graph.num_nodes, 1)
    recipe = BEST_LINKS if degree < _MANY_LINKS else BEST_LINKS_DENSE
    return recipe, f"no features and {degree:.1f} links a node"


def _fitted(base: Recipe, changed: dict[str, Any]) -> Recipe:
    """Return a recipe with changed fields.

    Positions, walks, roles and repelling dimensions that were not chosen give way to a smaller
    width.
    """
    width = changed.get("latent_channels", base.latent_channels)
    repelling = width // (8 if base.roles else 4)
    most_of = {"positions": width // 2, "walks": width // 2, "roles": width // 4}
    for name, most in {**most_of, "repel": repelling}.items():
        if name not in changed and width < base.latent_channels:
            changed[name] = min(getattr(base, name), most)
    return replace(base, **changed)


def _feature_density(graph: "Graph") -> float | None:
    """Return the fraction of nonzero features; ``None`` without features."""
    if graph.x is None:
        return None
    if graph.x.is_sparse_csr:
        count = int(graph.x.values().count_nonzero())
    else:
        from vgae.runtime.mapped import row_blocks  # recipes are read without torch

        count = sum(int(block.count_nonzero()) for _, block in row_blocks(graph.x))
    return count / max(graph.x.numel(), 1)


def recipe_named(name: str) -> Recipe:
    """Return a recipe by name; raise ``UsageError`` if there is none."""
    if name not in RECIPES:
        what = f"no recipe {name!r}; there are {', '.join(RECIPES)}."
        raise UsageError("RECIPE", what + did_you_mean(name, RECIPES))
    return RECIPES[name]
