"""Decoder of the features of the nodes, with missing entries left out."""

import logging
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, cast, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vgae.decoders.densities import bernoulli_nats, normal_nats, poisson_nats
from vgae.decoders.joint import PartDecoder
from vgae.errors import UsageError
from vgae.graphs.missing import column_sums, num_truths, rows_dense
from vgae.kernels.shares import sharers_of
from vgae.layers import dense, hidden_layers
from vgae.recipes.graphs import Recipe

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph
    from vgae.graphs.split import LinkSplit

log = logging.getLogger(__name__)

Likelihood = Literal["bernoulli", "normal", "poisson"]
_ENTRIES_OF = {False: 2**18, True: 2**23}  # of a block on a CPU, in whose cache it is, or a GPU
_DENSE = 2**27  # entries below which the missing ones are kept as a mask: 128 MB
_TERMS_OF_ENTRY = 8  # pairs of nodes that take the time of an entry, about
_MIN_SIGMA = 0.01  # of the standardised features; finer, a density grows without bound


class FeatureTarget(NamedTuple):
    """Features as :meth:`FeatureDecoder.prepare` returns them.

    Attributes:
        x: Features, dense or sparse CSR, ``(N, F)``.
        missing: True for each entry that does not count, likewise; ``None`` if all do.
        rows: Number of rows that are scored at once.
    """

    x: Tensor
    missing: Tensor | None
    rows: int


class FeatureDecoder(PartDecoder):
    r"""Features of a node, independent given its latent vector.

    .. math:: \log p(X \mid Z) = \sum_{(i, j) \text{ known}} \log p(x_{ij} \mid g_j(z_i))

    ``"bernoulli"`` has the logits g. ``"poisson"`` has the rates
    :math:`m_j \log(1 + (e - 1) e^{g_j})`, where m is the mean of each column: linear in a large g,
    as an exponential one follows few nodes. ``"normal"`` has the means in units of the standard
    deviation of each column, and learns one :math:`\sigma_j` per column; the density is that of
    the features as given.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, for the links; the features as in Kingma & Welling
    (2014), `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_, appendix C.

    Args:
        latent_channels: Width d of the latent vectors.
        num_features: F.
        likelihood: ``"bernoulli"`` for features in [0, 1], ``"poisson"`` for counts or
            ``"normal"``.
        hidden_channels: Width of a hidden layer of g; 0 for a linear map.
        generator: Source of the initial weights; torch's default if not given.

    Attributes:
        column_mean: Mean of the known entries of each column in the training, shape ``(F,)``.
        column_scale: Their standard deviation, 1 without variation; for ``"poisson"`` m.
        log_sigma: Logarithm of the standard deviation of the noise of each column, in units of
            ``column_scale``, a parameter; ``None`` unless ``"normal"``.

    Raises:
        ValueError: If an option is not one of these.
    """

    setting: ClassVar[str] = "feature_likelihood"

    def __init__(
        self,
        latent_channels: int,
        num_features: int,
        likelihood: Likelihood,
        *,
        hidden_channels: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if likelihood not in get_args(Likelihood):
            raise ValueError(
                f"likelihood must be one of {get_args(Likelihood)}, got {likelihood}."
            )
        sizes = {"latent_channels": latent_channels, "num_features": num_features}
        for name, size in {**sizes, "hidden_channels": hidden_channels}.items():
            if type(size) is not int or size < (name in sizes):
                raise ValueError(f"{name} must be an integer, at least 1, got {size!r:.60}.")
        self.likelihood = likelihood
        self.hidden_channels = hidden_channels
        widths = [latent_channels, *([hidden_channels] if hidden_channels else [])]
        self.network = nn.Sequential(
            *hidden_layers(widths, "relu", generator),
            dense(widths[-1], num_features, "tanh", generator),
        )
        self.log_sigma = nn.Parameter(torch.zeros(num_features)) if self._is_normal else None
        self.column_mean: Tensor
        self.column_scale: Tensor
        self.register_buffer("column_mean", torch.zeros(num_features))
        self.register_buffer("column_scale", torch.ones(num_features))

    @property
    def _is_normal(self) -> bool:
        return self.likelihood == "normal"

    @classmethod
    def from_graph(
        cls,
        recipe: Recipe,
        graph: "Graph",
        split: "LinkSplit",  # noqa: ARG003 - features are held out of the graph itself
        generator: torch.Generator,
    ) -> Self:
        """Build a decoder with fresh weights that predicts the mean of each column.

        Args:
            recipe: Settings; ``feature_likelihood`` ``"auto"`` is ``"bernoulli"`` for 0 and 1,
                ``"poisson"`` for whole numbers from 0 on, and else ``"normal"``.
            graph: Graph of the training.
            split: Its split.
            generator: Source of the initial weights.

        Raises:
            UsageError: If the graph has no features, or the likelihood does not fit them.
        """
        x = _features(graph)
        likelihood = _likelihood(recipe.feature_likelihood, graph)
        decoder = cls(recipe.latent_channels, x.shape[1], likelihood, generator=generator)
        decoder.standardise(x, graph.missing)
        how = likelihood + " likelihood" + ", standardised" * (likelihood == "normal")
        log.info("%s: all features are reconstructed by a %s", graph.name, how)
        if likelihood == "normal" and (truths := num_truths(x, graph.missing)):
            what = f"{truths} of {x.shape[1]} columns of the features are 0/1"
            rest = "a normal likelihood too, and their means may be below 0 or above 1"
            log.warning("%s: %s; they have %s", graph.name, what, rest)
        return decoder

    @torch.no_grad()
    def standardise(self, x: Tensor, missing: Tensor | None) -> None:
        """Set mean and scale of the columns, and the bias that predicts the means.

        Args:
            x: Features of the training, dense or sparse CSR.
            missing: Missing entries, as :attr:`vgae.Graph.missing`.
        """
        total, count = column_sums(x, missing)
        mean = total / count.clamp(min=1)
        self.column_mean.copy_(mean)
        bias = cast(Tensor, cast(nn.Linear, self.network[-1]).bias)
        if self._is_normal:
            variance = _deviations(x, missing, mean) / count.clamp(min=1)
            # Of a constant column, rounding leaves a tiny variance.
            varies = variance > 1e-12 * mean * mean
            self.column_scale.copy_(variance.where(varies, 1.0).sqrt())
            bias.zero_()
        elif self.likelihood == "bernoulli":
            bias.copy_(((total + 0.5) / (count + 1)).logit())
        else:
            self.column_scale.copy_((total + 0.5) / (count + 1))

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor that rebuild the decoder."""
        return {
            "latent_channels": cast(nn.Linear, self.network[0]).in_features,
            "num_features": len(self.column_mean),
            "likelihood": self.likelihood,
            "hidden_channels": self.hidden_channels,
        }

    def prepare(
        self,
        graph: "Graph",
        split: "LinkSplit | None" = None,  # noqa: ARG002 - features are held out of the graph
        device: torch.device | str = "cpu",
    ) -> FeatureTarget:
        """Return the known features as the target of :meth:`log_prob`.

        Args:
            graph: Nodes with features.
            split: Not used: held-out entries are missing in the graph.
            device: Device of the target.

        Raises:
            UsageError: If there are no features, or others than those of the decoder.
        """
        x, missing = _features(graph), graph.missing
        if x.shape[1] != len(self.column_mean):
            raise UsageError(
                "RECONSTRUCT",
                f"{graph.name} has {x.shape[1]} features, and the decoder was built for"
                f" {len(self.column_mean)}.",
            )
        like, size = self.column_mean, _ENTRIES_OF[torch.device(device).type == "cuda"]
        if missing is not None:
            missing = missing.to_dense() if x.numel() <= _DENSE else missing
            missing = missing.to(device)
        return FeatureTarget(x.to(device, like.dtype), missing, max(1, size // x.shape[1]))

    def log_prob(self, z: Tensor, target: FeatureTarget) -> Tensor:
        """Return the log-likelihood of the known features in nats, shape ``()``.

        Blocks of rows are scored one after another, each with its gradient, so that a step needs
        the memory of one block. There is no second derivative.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            target: Result of :meth:`prepare`.
        """
        return cast(Tensor, _Sum.apply(self, target, z, *self.parameters()))

    def _block(self, z: Tensor, target: FeatureTarget, start: int, end: int) -> Tensor:
        """Return the log-likelihood of some rows, given their latent vectors."""
        nats = self.entries(z, rows_dense(target.x, start, end))
        if target.missing is None:
            return nats.sum()
        # Several times as fast as masked_fill, and its values are finite.
        known = rows_dense(target.missing, start, end).logical_not().to(nats.dtype)
        return nats.flatten().dot(known.flatten())

    @torch.no_grad()
    def trivial_nats(self, target: FeatureTarget) -> float:
        """Return the cost of predicting the mean of each column, in nats.

        Of the Normal likelihood it is that of standardised features with a deviation of 1.
        """
        count, total = 0, 0.0
        mean = self.column_mean
        base = torch.zeros_like(mean)
        if self.likelihood == "bernoulli":
            base = mean.clamp(1e-6, 1 - 1e-6).logit()
        for start in range(0, len(target.x), target.rows):
            end = min(start + target.rows, len(target.x))
            x = rows_dense(target.x, start, end)
            known = torch.ones_like(x)
            if target.missing is not None:
                known -= rows_dense(target.missing, start, end).to(x.dtype)
            count += int(known.sum())
            if not self._is_normal:
                nats = self._given_values(base.to(x.device).expand_as(x), x)
                total -= float((nats * known).sum())
        if self._is_normal:
            total = 0.5 * (1 + math.log(2 * math.pi)) * count
        return max(total, 1e-3 * count, 1.0)

    def entries(self, z: Tensor, x: Tensor) -> Tensor:
        """Return the log-likelihood of each feature of dense ``x`` in nats, shape ``(N, F)``."""
        return self._given_values(self.network(z), x)

    def _given_values(self, values: Tensor, x: Tensor) -> Tensor:
        """Return the log-likelihood of each feature, given the output of the network."""
        if self.likelihood == "bernoulli":
            return bernoulli_nats(values, x)
        if self.likelihood == "poisson":
            return poisson_nats(self._rate(values).log(), x)
        return normal_nats(self.column_mean + self.column_scale * values, self._log_sigma(), x)

    def _rate(self, values: Tensor) -> Tensor:
        """Return the rates of counts, which are the means of the columns at 0."""
        factor = nn.functional.softplus(values + math.log(math.e - 1))
        return self.column_scale * factor.clamp(min=1e-30)

    def _log_sigma(self) -> Tensor:
        """Return log sigma of each column, with a lower bound that has a gradient."""
        least = math.log(_MIN_SIGMA)
        excess = cast(Tensor, self.log_sigma) - least
        return least + nn.functional.softplus(excess) + self.column_scale.log()

    def nats_given(
        self, mean: Tensor, variance: Tensor, at: tuple[Tensor, Tensor], x: Tensor
    ) -> Tensor:
        """Return the log-likelihood of some entries in nats, given all moments.

        Args:
            mean: First result of :meth:`moments`, shape ``(N, F)``.
            variance: Its second result.
            at: Row and column of each entry, shape ``(K,)`` each.
            x: Value of each entry, shape ``(K,)``.
        """
        mean = mean[at]
        if self.likelihood == "bernoulli":
            return bernoulli_nats(mean.clamp(1e-30, 1 - 1e-7).logit(), x)
        if self.likelihood == "poisson":
            return poisson_nats(mean.clamp(min=1e-30).log(), x)
        return normal_nats(mean, 0.5 * variance[at].log(), x)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each feature given the latent vectors.

        Args:
            z: Latent vectors, shape ``(*, d)``.

        Returns:
            Both in the units of the features, shape ``(*, F)``.
        """
        values = self.network(z)
        if self.likelihood == "bernoulli":
            mean = values.sigmoid()
            return mean, mean * (1 - mean)
        if self.likelihood == "poisson":
            rate = self._rate(values)
            return rate, rate
        mean = self.column_mean + self.column_scale * values
        variance = self._log_sigma().exp().square()
        return mean, variance.expand_as(mean)


class _Sum(torch.autograd.Function):
    """Log-likelihood of all rows, block by block, with its gradients; processes divide them."""

    @staticmethod
    def forward(
        ctx: Any, decoder: FeatureDecoder, target: FeatureTarget, z: Tensor, *parameters: Tensor
    ) -> Tensor:
        """Return the sum, and keep the gradients."""
        wanted = [place for place, needed in enumerate(ctx.needs_input_grad[2:]) if needed]
        total, grads = z.new_zeros(()), [torch.zeros_like(part) for part in (z, *parameters)]
        team = sharers_of(_TERMS_OF_ENTRY * target.x.shape[0] * target.x.shape[1], z.device)
        own = team.share(len(z))
        for start in range(own.start, own.stop, target.rows):
            end = min(start + target.rows, own.stop)
            with torch.set_grad_enabled(bool(wanted)):
                part = z[start:end].detach().requires_grad_(bool(wanted))
                nats = decoder._block(part, target, start, end)
            total += nats.detach()
            if wanted:
                inputs = [(part, *parameters)[place] for place in wanted]
                found = torch.autograd.grad(nats, inputs)
                for place, grad in zip(wanted, found, strict=True):
                    into = grads[place] if place else grads[0][start:end]
                    into += grad
        team.sum_([total, *(grads[place] for place in wanted)])
        ctx.save_for_backward(*(grads[place] for place in wanted))
        ctx.wanted, ctx.count = wanted, len(grads)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:  # pyright: ignore
        """Return the gradients times that of the sum."""
        found: list[Tensor | None] = [None] * ctx.count
        for place, grad in zip(ctx.wanted, ctx.saved_tensors, strict=True):
            found[place] = grad_output * grad
        return (None, None, *found)


def _features(graph: "Graph") -> Tensor:
    """Return the features of a graph; raise ``UsageError`` without."""
    if graph.x is None:
        raise UsageError(
            "RECONSTRUCT",
            f"{graph.name} has no features to reconstruct; give some (--features FILE), or leave"
            " 'features' out of reconstruct (--reconstruct).",
        )
    return graph.x


def _likelihood(wanted: str, graph: "Graph") -> Likelihood:
    """Return the likelihood of the features of a graph, or raise if it does not fit them."""
    x = _features(graph)
    values = x.values() if x.layout != torch.strided else x
    if graph.missing is not None and x.layout == torch.strided:
        values = x[cast(Tensor, graph.observed)]
    least, most = (float(v) for v in values.aminmax()) if values.numel() else (0.0, 0.0)
    whole = bool((values == values.round()).all())
    positive = least >= 0
    fits = {"bernoulli": positive and most <= 1, "poisson": positive and whole, "normal": True}
    if wanted == "auto":
        fits["bernoulli"] &= whole  # values between 0 and 1 are probabilities only if asked for
        return next(cast(Likelihood, name) for name, fit in fits.items() if fit)
    if not fits[wanted]:
        needs = {"bernoulli": "features in [0, 1]", "poisson": "whole numbers from 0 on"}[wanted]
        raise UsageError(
            "RECONSTRUCT",
            f"feature_likelihood={wanted!r} needs {needs}, and those of {graph.name} are from"
            f" {least:g} to {most:g}{'' if whole else ', not all whole'}; set it to 'normal' or"
            " 'auto' (--set feature_likelihood=normal).",
        )
    return cast(Likelihood, wanted)


def _deviations(x: Tensor, missing: Tensor | None, mean: Tensor) -> Tensor:
    """Return the sum of squared deviations of the known entries of each column, float64."""
    total, rows = torch.zeros_like(mean), max(1, _ENTRIES_OF[False] // x.shape[1])
    for start in range(0, len(x), rows):
        end = min(start + rows, len(x))
        squares = (rows_dense(x, start, end) - mean).square()
        if missing is not None:
            squares[rows_dense(missing, start, end)] = 0
        total += squares.sum(dim=0)
    return total
