"""Health check of a training: what went wrong, and the setting that helps."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from vgae.decoders.joint import link_decoder
from vgae.encoders import feature_scale
from vgae.encoders.content import trained_dimensions
from vgae.evaluation.differences import auc_difference
from vgae.evaluation.metrics import link_scores
from vgae.evaluation.posterior import active_dimensions
from vgae.evaluation.simple_scores import SimpleScores
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.models.embedding import encoder_inputs, evaluating
from vgae.recipes import Recipe
from vgae.recipes.base import Training
from vgae.runtime.mapped import row_blocks
from vgae.training.history import HistoryRow
from vgae.training.plan import Plan
from vgae.training.trainer import FitResult
from vgae.vae import Posterior

_SHORT = 10  # epochs after which neither loss nor posterior say anything
_LEARNED = 50  # epochs after which validation scores say something
_FEW_LINKS = 20  # validation links or non-links that are too few to compare two scores
_PEAK = 50.0  # -log p per pair of nodes; usual ones are below 10, scores of zero give 0.7
_SCALES = 1e3  # ratio of the largest values of two columns
_LARGE = 10.0  # largest value of features
_SMALL = 0.02  # largest value of features that first layers hardly notice
_BETA = 10.0  # weight of the KL divergence that outweighs the links
_LINKS = 30  # training links, fewer of which give a loss and a posterior of mostly noise
_STEEP = 0.03  # fraction of the whole fall of a loss that falls in the last tenth of the epochs
_RETRAINED_SECONDS = 60.0  # of the first training, up to which a second one is worth its time
_WALKS = 100_000_000  # of length 2 from the validation pairs: about a second to extend
_IMAGES = 1000  # images whose posterior is checked
_WITHOUT = "--features none (Python: graph.without_features())"
_BEST = "--recipe best (Python: recipe=BEST)"


@dataclass(frozen=True, eq=False)
class GraphHealth:
    """Health check of a training on a graph; ``health(result)`` returns the findings.

    Attributes:
        graph: Nodes and features.
        split: Split of the links.
        recipe: Settings, as they apply to the graph.
        inputs: Arguments of the encoder; ``None`` makes those of all nodes when they are needed,
            as where nodes are divided among processes.
        num_terms: Ordered pairs of the training.
        named: Whether the model was built from the recipe, by its name.
        retrain: Function that trains the same model without features, and returns the logits of
            the validation pairs; ``None`` if that is impossible.
    """

    graph: Graph
    split: LinkSplit
    recipe: Recipe
    inputs: Sequence[Any] | None
    num_terms: int
    named: bool
    retrain: Callable[[], Tensor | None] | None = None

    def __call__(self, result: FitResult) -> tuple[str, ...]:
        """Return what was found, with what helps: only the first, as others follow from it.

        Random numbers of the caller are not used, and the result is not changed.
        """
        pairs, history = self.split.val.edge_label_index, result.history
        with evaluating(result.model):
            inputs = self.inputs
            if inputs is None:
                edges = self.split.message_edge_index
                inputs = encoder_inputs(result.model, self.graph, edges)
            q = result.model.encoder(*inputs)
            decoder = link_decoder(result.model)
            logits = decoder.logits(q.mu, pairs.to(q.mu.device)).cpu() if pairs.numel() else None
        q = trained_dimensions(result.model.encoder, q)
        large = _unscaled(self.graph, self.recipe, named=self.named) and (
            _largest(cast(Tensor, self.graph.x)) >= _LARGE
        )
        advice = _scaling(named=self.named) if large else _smaller_beta(q, self.recipe)
        finding = (
            self._same_features()
            or self._scales()
            or self._peak(history, advice)
            or self._symmetry(q.mu)
            or constant_embedding(q.mu, self.recipe, advice)
            or self._learning(history, q, advice)
            or (None if logits is None else self._validation(logits, result, advice))
        )
        return (finding,) if finding else ()

    def _peak(self, history: Sequence[HistoryRow], advice: str) -> str | None:
        loss = [row.recon / self.num_terms for row in history]
        peak = int(np.argmax(loss))
        if loss[peak] < _PEAK:
            return None
        what = f"the loss reached {loss[peak]:.3g} in epoch {history[peak].epoch}"
        advice = advice or remedy(self.graph, self.recipe, named=self.named)
        return f"{what}, where 1 to 10 is usual; {advice}"

    def _symmetry(self, mu: Tensor) -> str | None:
        """Return a finding if the embedding is constant because every two nodes are linked."""
        if self.split.train.shape[1] < self.split.grid.num_pairs or not _is_constant(mu):
            return None
        return (
            "the nodes cannot be distinguished: each is linked to all others, so that all have the"
            " same neighbours and the same embedding; no setting changes that, give another graph"
        )

    def _learning(self, history: Sequence[HistoryRow], q: Posterior, advice: str) -> str | None:
        if self.split.train.shape[1] < _LINKS:
            return None
        found = loss_finding(history, self.recipe, is_new=self.named, advice=advice)
        return found or collapse(q, self.recipe, len(history), advice)

    def _same_features(self) -> str | None:
        if self.graph.x is None or not _same_rows(self.graph.x):
            return None
        some = feature_scale(self.graph.x).count_nonzero() > 0
        what = "the same for all nodes" if some else "0"
        return f"all features are {what}; train without them: {_WITHOUT}"

    def _scales(self) -> str | None:
        """Return a finding if features are small, or their columns of very different scales."""
        x = self.graph.x
        # A small column beside columns of usual size is only ignored.
        if x is None or self.recipe.scale_features or not self.named:
            return None
        if (largest := _largest(x)) < _SMALL:
            what = f"the largest value of the features is {largest:.2g}, where 1 is usual"
            return f"{what}; {_scaling(named=True)}"
        if largest < _LARGE:
            return None
        scale = feature_scale(x)
        ratio = float(scale.max() / scale[scale > 0].min())
        if ratio < _SCALES:
            return None
        what = f"the largest values of the columns of features differ by a factor of {ratio:,.0f}"
        return f"{what}; {_scaling(named=True)}"

    def _validation(self, logits: Tensor, result: FitResult, advice: str) -> str | None:
        """Return a finding if chance, the degrees or the links alone predict links as well."""
        val, label, epochs = self.split.val, self.split.val.edge_label, len(result.history)
        if min(val.pos.shape[1], val.neg.shape[1]) < _FEW_LINKS:
            return None
        degrees, paths = _simple_scores(self.split)
        over_chance = auc_difference(logits, torch.zeros_like(logits), label)
        over_degrees = auc_difference(logits, degrees, label)
        chance = over_chance.low <= 0 and over_chance.high < 0.2
        behind = over_degrees.low <= 0 or auc_difference(logits, paths, label).high < 0
        found = f"the validation AUC is {100 * link_scores(logits, label).auc:.1f}"
        can = epochs >= _LEARNED and result.seconds < _RETRAINED_SECONDS and _has_room(result.plan)
        other = self.retrain() if self.retrain and can and (chance or behind) else None
        theirs = 100 * link_scores(other, label).auc if other is not None else 0.0
        if other is not None and theirs > 50 and auc_difference(logits, other, label).high < 0:
            return f"{found}, and {theirs:.1f} without features; train without them: {_WITHOUT}"
        if over_chance.high < 0 and not advice and not self.split.grid.arrays():
            half = self.recipe.latent_channels // 2
            repelling = f"; let half of the dimensions repel: --set repel={half}"
            return (
                f"{found}, below chance (50): the inner product scores nodes with the same"
                " neighbours high, and cannot express links between two sides or around hubs, as"
                f" in bipartite graphs and stars{'' if self.recipe.repel else repelling}"
            )
        if chance:
            return f"{found}, hardly better than chance (50); {advice or self._better(epochs)}"
        if over_degrees.high < 0:
            theirs = 100 * link_scores(degrees, label).auc
            what = f"{found}, and the product of the degrees alone has {theirs:.1f}"
            return f"{what}; {advice or self._better(epochs)}"
        return None

    def _better(self, epochs: int) -> str:
        if epochs < _LEARNED:
            return f"train for more epochs: {_setting('epochs', 200)}"
        if self.named and not self.recipe.name.startswith(("best", "ranks")):
            return f"try {_BEST}, which also uses the degrees"
        if self.graph.x is None:
            return "the links may have no pattern that an inner product can express; add features"
        return f"try {_lower_lr(self.recipe)}, or other features"


@dataclass(frozen=True, eq=False)
class ImageHealth:
    """Health check of a training on images; ``health(result)`` returns the findings.

    Attributes:
        pixels: Images of the training, on the device of the model, shape ``(n, c, h, w)``.
        recipe: Settings.
        named: Whether the model was built from the recipe, by its name.
    """

    pixels: Tensor
    recipe: Training
    named: bool

    def __call__(self, result: FitResult) -> tuple[str, ...]:
        """Return what was found, with what helps: only the first, as others follow from it."""
        pixels = self.pixels[:_IMAGES]
        with evaluating(result.model):
            q = result.model.encoder(pixels)
        if _same_rows(pixels.flatten(1)):
            return ("all images are the same, so there is nothing to learn; give others",)
        advice = _smaller_beta(q, self.recipe)
        finding = (
            constant_embedding(q.mu, self.recipe, advice)
            or loss_finding(result.history, self.recipe, is_new=self.named, advice=advice)
            or collapse(q, self.recipe, len(result.history), advice)
        )
        return (finding,) if finding else ()


def constant_embedding(mu: Tensor, recipe: Training, advice: str = "") -> str | None:
    """Return a finding if all rows of posterior means of shape ``(n, d)`` are equal.

    It ends with the advice, if there is one, as do those of the functions below.
    """
    if not _is_constant(mu):
        return None
    what = "0" if mu.count_nonzero() == 0 else "the same"
    advice = advice or f"try {_lower_lr(recipe)}{_regularised(recipe)}"
    return f"the embedding is {what} everywhere; {advice}"


def loss_finding(
    history: Sequence[HistoryRow], recipe: Training, *, is_new: bool, advice: str = ""
) -> str | None:
    """Return a finding if the loss rises, stays the same, or still falls at the end.

    The warm-up is left out. A loss may stay the same after a warm-up, and if the weights were not
    new. Changes within the noise of single epochs are none.
    """
    loss = np.array([row.loss for row in history[recipe.warmup :]])
    if len(loss) < _SHORT:
        return None
    parts = np.array_split(loss, 10)
    tenths = np.array([part.mean() for part in parts])
    first, last, least = loss[0], tenths[-1], tenths.min()
    single = np.median(np.abs(np.diff(loss)))
    noise = single * math.sqrt(2 / len(parts[-1]))
    top = max(first, tenths[0])
    rise = last - least - max(0.25 * (top - least), 6 * noise)
    if last - first > max(0.1 * abs(first), 6 * single) or rise > 0.02 * abs(last):
        what = f"the loss rose from {min(first, least):.4g} to {last:.4g}"
        return f"{what}; {advice or f'try {_lower_lr(recipe)}{_regularised(recipe)}'}"
    # Three tenths at either end show a fall that the noise of one hides, from three deviations on.
    fresh, fall = is_new and not recipe.warmup, tenths[:3].mean() - tenths[-3:].mean()
    higher = max(3 * recipe.lr, type(recipe).lr)
    larger = f"a larger lr (now {recipe.lr}), such as {_setting('lr', higher)}"
    if fresh and fall < max(math.sqrt(3) * noise, 0.001 * abs(last)):
        what = f"the loss did not fall: from {tenths[0]:.4g} to {last:.4g}"
        return f"{what}; {advice or f'try {larger}{_regularised(recipe)}'}"
    stopped = len(history) < recipe.epochs
    if fresh and not stopped and tenths[-2] - last > max(4 * noise, _STEEP * (top - last)):
        what = f"the loss is still falling: from {tenths[-2]:.4g} to {last:.4g} at the end"
        more = f"more epochs, such as {_setting('epochs', 5 * recipe.epochs)}"
        return f"{what}; {advice or f'try {more}, or {larger}'}"
    return None


def collapse(q: Posterior, recipe: Training, num_epochs: int, advice: str = "") -> str | None:
    """Return a finding if fewer than an eighth of the latent dimensions are active.

    A point has no prior to collapse to. Of a Gaussian, the other dimensions must have the
    deviation of the prior too: a small deviation is information, however small the means are.
    """
    if not isinstance(q, DiagGaussian) or num_epochs < _SHORT or len(q.mu) < 2:
        return None
    channels = q.mu.shape[-1]
    active = active_dimensions(q.mu)
    kl = DiagGaussian(q.mu.double()[..., None], q.logvar.double()[..., None]).kl().mean(dim=0)
    unused = int((kl < 0.1).sum())
    if active >= max(1, channels / 8) or unused < channels - active:
        return None
    weight = f"a beta below {recipe.beta:g}, such as {_setting('beta', recipe.beta / 10)}"
    what = f"the posterior has collapsed: {active} of {channels} latent dimensions are active"
    advice = advice or f"try {_setting('warmup', 50)} or {weight}{_regularised(recipe)}"
    return f"{what}; {advice}"


def remedy(graph: Graph, recipe: Recipe, *, named: bool) -> str:
    """Return what helps against a loss that explodes, such as on features of a large scale."""
    lower = _lower_lr(recipe)
    if _unscaled(graph, recipe, named=named) and _largest(cast(Tensor, graph.x)) > 1:
        return f"{_scaling(named=named)}, or try {lower}"
    return f"try {lower}"


def _simple_scores(split: LinkSplit) -> tuple[Tensor, Tensor]:
    r"""Return two scores of the validation pairs from the training links, float64, ``(P,)``.

    .. math:: d_u d_v, \qquad (A^2 + 0.1 A^3)_{uv}

    Degrees and paths follow the links of a directed graph; in a two-sided graph the first term
    is 0. The first scores are returned twice if there are too many walks to count.

    Source: Lü, Jin & Zhou (2009), `Similarity Index Based on Local Paths for Link Prediction of
    Complex Networks <https://arxiv.org/abs/0905.3558>`_.
    """
    simple, pairs = SimpleScores(split.train, split.grid), split.val.edge_label_index
    degrees = simple.degree_products(pairs)
    if simple.num_walks(pairs) > _WALKS:
        return degrees, degrees
    two, three = simple.paths(pairs)
    return degrees, two + 0.1 * three


def _has_room(plan: Plan | None) -> bool:
    """Return whether a second training fits beside the first one."""
    return plan is None or 2 * plan.num_bytes <= plan.available


def _largest(x: Tensor) -> float:
    if x.layout != torch.sparse_csr:
        blocks = (block for _, block in row_blocks(x.detach()))
        return max((float(block.abs().max()) for block in blocks if block.numel()), default=0.0)
    values = x.values()
    return float(values.detach().abs().max()) if values.numel() else 0.0


def _unscaled(graph: Graph, recipe: Recipe, *, named: bool) -> bool:
    return graph.x is not None and not (named and recipe.scale_features)


def _scaling(*, named: bool) -> str:
    if not named:
        return "divide each column of the features by its largest value"
    return f"scale the features: {_setting('scale_features', value=True)} or {_BEST}"


def _lower_lr(recipe: Training) -> str:
    return f"a smaller lr (now {recipe.lr}), such as {_setting('lr', recipe.lr / 10)}"


def _smaller_beta(q: Posterior, recipe: Training) -> str:
    """Return the advice against a very large beta; empty if there is none, or it has no effect."""
    if recipe.beta < _BETA or isinstance(q, PointMass):
        return ""
    return f"try a smaller beta (now {recipe.beta:g}), such as {_setting('beta', 1)}"


def _regularised(recipe: Training) -> str:
    """Return the settings that pull weights or embeddings to 0, where they are strong."""
    strong = {"weight_decay": 0.01, "dropout": 0.8, "feature_dropout": 0.95}
    values = {name: getattr(recipe, name, 0.0) for name in strong}
    found = [f"{n} (now {v:g})" for n, v in values.items() if v >= strong[n]]
    return f", or a smaller {' or '.join(found)}" if found else ""


def _is_constant(mu: Tensor) -> bool:
    return len(mu) > 1 and bool((mu - mu[0]).abs().max() <= 1e-6 * mu.abs().max())


def _setting(name: str, value: Any) -> str:
    """Return a setting for the command line and for Python."""
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}"
    python = repr(value) if isinstance(value, bool) else text
    return f"--set {name}={text} (Python: recipe.override({{'{name}': {python}}}))"


def _same_rows(x: Tensor) -> bool:
    """Return whether all rows of a dense or sparse CSR matrix are equal."""
    if x.layout != torch.sparse_csr:
        first = x[:1].clone()
        return all(bool((block == first).all()) for _, block in row_blocks(x))
    values, count = x.values(), x.shape[0]
    if values.count_nonzero() == 0:
        return True
    if (x.crow_indices().diff() * count != values.numel()).any():
        return False
    parts = (part.view(count, -1) for part in (values, x.col_indices()))
    return all(bool((part == part[:1]).all()) for part in parts)
