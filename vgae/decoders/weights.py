"""Decoders of the weights and signs of links, given that there is a link."""

import logging
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.decoders.joint import PartDecoder
from vgae.decoders.pair_network import PairNetwork
from vgae.decoders.weight_likelihoods import (
    LIKELIHOODS,
    NAMES,
    Likelihood,
    Predicted,
    chosen_likelihood,
)
from vgae.errors import UsageError
from vgae.recipes.graphs import Recipe
from vgae.runtime.streams import stream
from vgae.vae import Posterior

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph
    from vgae.graphs.split import LinkSplit

log = logging.getLogger(__name__)

_SAMPLES = 32  # of the latent vectors, for a prediction
_PAIRS_AT_ONCE = 2**15
_LEVELS = 99
_CALIBRATING = 500  # links, of which no more than this share is withheld
_MOST_WITHHELD = 0.15


class LinkValues(NamedTuple):
    """Links ``(2, M)`` as the grid stores them, and the value of each, float32, ``(M,)``."""

    pairs: Tensor
    value: Tensor


class PairDecoder(PartDecoder):
    """Decoder of a value of each link, by a :class:`PairNetwork`.

    The training links alone have values in the objective. Each counts as often as a link does in
    that of the links: once, or as often as with the weighting ``"kipf"``.

    Args:
        latent_channels: Columns d of the latent vectors.
        likelihood: Name of the distribution.
        ordered: Whether the two nodes of a pair have different roles.
        cost: How often each link counts.
        num_withheld: Number of training links that are no targets.
        generator: Source of the initial weights.
    """

    name: ClassVar[str]
    """Name of the target in the field ``reconstruct``."""

    boost: ClassVar[float] = 1.0
    """Factor of how often a link counts with the weighting ``"kipf"``."""

    loc: Tensor
    scale: Tensor

    def __init__(
        self,
        latent_channels: int,
        likelihood: str,
        *,
        ordered: bool,
        cost: float,
        num_withheld: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.likelihood, self.cost, self.num_withheld = likelihood, cost, num_withheld
        self.latent_channels, self.ordered = latent_channels, ordered
        self.register_buffer("loc", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        options: Any = {"ordered": ordered, "generator": generator}
        self.network = PairNetwork(latent_channels, self.outputs, **options)

    @property
    def outputs(self) -> int:
        """Outputs of the network."""
        return 1

    @staticmethod
    def values(graph: "Graph", pairs: Tensor) -> Tensor | None:
        """Return the value of each of some links, float32, shape ``(P,)``; ``None`` without."""
        raise NotImplementedError

    @classmethod
    def from_values(
        cls, value: Tensor, recipe: Recipe, name: str, generator: torch.Generator, **options: Any
    ) -> Self:
        """Build a decoder for the values of the training links."""
        raise NotImplementedError

    @classmethod
    def from_graph(
        cls, recipe: Recipe, graph: "Graph", split: "LinkSplit", generator: torch.Generator
    ) -> Self:
        """Build a decoder with fresh weights for the training links of a graph.

        Raises:
            UsageError: ``RECONSTRUCT`` if the links have no such values, or all are equal.
        """
        value = cls.values(graph, split.train)
        if value is None or not len(value):
            raise UsageError(
                "RECONSTRUCT", f"{graph.name} {cls.lacks}; {_LEAVE.format(cls.name)}."
            )
        options: dict[str, Any] = {"num_withheld": cls.to_withhold(split)}
        value = value[~withheld(split, **options)]
        grid = split.grid
        kipf = recipe.weighting == "kipf"
        options["cost"] = cls.boost * grid.num_terms / (2 * len(value)) if kipf else 1.0
        options["ordered"] = grid.directed or grid.sides is not None
        return cls.from_values(value, recipe, graph.name, generator, **options)

    lacks: ClassVar[str]
    """What is said of a graph without such values."""

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, as plain values."""
        return {
            "latent_channels": self.latent_channels,
            "likelihood": self.likelihood,
            "ordered": self.ordered,
            "cost": self.cost,
            "num_withheld": self.num_withheld,
        }

    def prepare(
        self, graph: "Graph", split: "LinkSplit", device: torch.device | str
    ) -> LinkValues:
        """Return the training links that are not withheld, and their values."""
        pairs = split.train[:, ~withheld(split, self.num_withheld)]
        value = self.values(graph, pairs)
        assert value is not None
        return LinkValues(pairs.to(device), value.to(device))

    @staticmethod
    def to_withhold(split: "LinkSplit") -> int:  # noqa: ARG004
        """Return the number of training links that are to be no targets."""
        return 0

    def samples(self, q: Posterior, pairs: Tensor) -> Tensor:
        """Return the outputs of the network under samples of the posterior.

        The samples are the same at each call.

        Args:
            q: Posterior of all nodes.
            pairs: Pairs as the grid stores them, shape ``(2, P)``.

        Returns:
            On the device of the decoder, shape ``(S, P, outputs)``, without gradients.
        """
        generator = stream(0, "sample", q.mu.device)
        with torch.no_grad():
            drawn = (q.rsample(generator).to(self.loc) for _ in range(_SAMPLES))
            return torch.stack([self.network(z, pairs) for z in drawn])


def withheld(split: "LinkSplit", num_withheld: int) -> Tensor:
    """Return whether each training link is withheld, drawn by the seed of the split, ``(M,)``."""
    count = split.train.shape[1]
    chosen = torch.zeros(count, dtype=torch.bool)
    order = torch.randperm(count, generator=stream(split.seed, "calibration"))
    chosen[order[:num_withheld]] = True
    return chosen


_LEAVE = "leave {!r} out of reconstruct (--reconstruct)"


class WeightDecoder(PairDecoder):
    r"""Weights of links: Normal, log-normal or Poisson given the latent vectors.

    .. math:: \log p(w \mid A, Z) = c \sum_{(u, v)} \log p(w_{uv} \mid f(z_u, z_v))

    f gives mean and log sigma of the weight or of its logarithm, or the log rate of a Poisson
    distribution without zero; see :mod:`vgae.decoders.weight_likelihoods`. In a signed graph the
    weights have the signs of the links.

    A predicted interval has the spread of f over samples of the posterior and the noise sigma. Its
    level is calibrated by the level at which it held as many of the validation links as it should;
    where these are fewer than 500, also of up to 15 % of the training links, whose weights are no
    targets then: see :func:`vgae.training.intervals.calibrate_intervals`.

    Source: Kuleshov, Fenner & Ermon (2018), `Accurate Uncertainties for Deep Learning Using
    Calibrated Regression <https://arxiv.org/abs/1807.00263>`_.

    Attributes:
        levels: Levels of the model for the stated ones, 0.01 to 0.99.
    """

    name: ClassVar[str] = "weights"
    setting: ClassVar[str] = "weight_likelihood"
    lacks: ClassVar[str] = "has no weights of links (or all are 1)"

    levels: Tensor

    def __init__(self, latent_channels: int, likelihood: str, **options: Any) -> None:
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {[*LIKELIHOODS]}, got {likelihood!r}.")
        super().__init__(latent_channels, likelihood, **options)
        self.register_buffer("levels", torch.arange(1, _LEVELS + 1) / (_LEVELS + 1))

    @property
    def outputs(self) -> int:
        """Mean and log sigma, or log rate."""
        return LIKELIHOODS[self.likelihood].heads

    @staticmethod
    def values(graph: "Graph", pairs: Tensor) -> Tensor | None:
        """Return sign times weight of some links, shape ``(P,)``."""
        return None if graph.link_weight is None else graph.values_of(pairs)

    @classmethod
    def from_values(
        cls, value: Tensor, recipe: Recipe, name: str, generator: torch.Generator, **options: Any
    ) -> Self:
        """Build a decoder for the weights of the training links; log their distribution."""
        likelihood = _fitting(value, recipe.weight_likelihood, name)
        decoder = cls(recipe.latent_channels, likelihood, generator=generator, **options)
        loc, scale = LIKELIHOODS[likelihood].standard(value)
        decoder.loc.fill_(loc)
        decoder.scale.fill_(scale)
        return decoder

    @staticmethod
    def to_withhold(split: "LinkSplit") -> int:
        """Return the number of training links for the calibration of the intervals alone."""
        few = max(_CALIBRATING - split.val.pos.shape[1], 0)
        return min(few, int(_MOST_WITHHELD * split.train.shape[1]))

    @property
    def distribution(self) -> Likelihood:
        """Distribution of a weight given the outputs of the network."""
        return LIKELIHOODS[self.likelihood](self.loc, self.scale)

    def log_prob(self, z: Tensor, target: LinkValues) -> Tensor:
        """Return c times the log-likelihood of the weights in nats, shape ``()``."""
        heads = self.network(z, target.pairs)
        return self.cost * self.distribution.log_prob(heads, target.value).sum()

    def predicted(self, q: Posterior, pairs: Tensor) -> Predicted:
        """Return the predictive distribution of pairs that the grid stores, ``(2, P)``."""
        chunks = pairs.to(self.loc.device).split(_PAIRS_AT_ONCE, dim=1)
        found = [self.distribution.predicted(self.samples(q, chunk)) for chunk in chunks]
        return Predicted(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def log_density(self, q: Posterior, pairs: Tensor, value: Tensor) -> Tensor:
        """Return the log-density of weights, averaged over samples of the posterior, ``(P,)``."""
        pairs, value = pairs.to(self.loc.device), value.to(self.loc.device)
        parts = []
        for chunk, own in zip(
            pairs.split(_PAIRS_AT_ONCE, dim=1), value.split(_PAIRS_AT_ONCE), strict=True
        ):
            nats = self.distribution.log_prob(self.samples(q, chunk), own)
            parts.append(nats.double().logsumexp(dim=0) - torch.tensor(_SAMPLES).log())
        return torch.cat(parts)

    def interval(self, found: Predicted, level: float) -> tuple[Tensor, Tensor]:
        """Return the ends of the central interval of a calibrated level in (0, 1), ``(P,)``."""
        own = self.own_level(level)
        tails = torch.tensor([(1 - own) / 2, (1 + own) / 2], dtype=torch.float64)
        low, high = tails.to(found.center.device)
        return self.distribution.quantile(found, low), self.distribution.quantile(found, high)

    def own_level(self, level: float) -> float:
        """Return the level of the model for a stated one, between those of :attr:`levels`."""
        known = [0.0, *self.levels.double().tolist(), 1.0]
        place = level * (_LEVELS + 1)
        below = min(int(place), _LEVELS)
        share = place - below
        found = (1 - share) * known[below] + share * known[below + 1]
        return min(max(found, 1e-6), 1 - 1e-12)

    def needed_levels(self, q: Posterior, pairs: Tensor, value: Tensor) -> Tensor:
        """Return the level of the model whose interval just holds the weight of each link.

        Args:
            q: Posterior of all nodes.
            pairs: Links, shape ``(2, P)``.
            value: Their weights, shape ``(P,)``.
        """
        found = self.predicted(q, pairs)
        return self.distribution.level(found, value.to(found.center.device)).cpu()

    def calibrate(self, needed: Tensor) -> None:
        """Set :attr:`levels` by :meth:`needed_levels` of links that were no targets, ``(P,)``."""
        ordered = needed.double().sort().values
        wanted = torch.arange(1, _LEVELS + 1).double() / (_LEVELS + 1)
        # The smallest that holds a share of P + 1 links, as the next one is one of them.
        place = (wanted * (len(ordered) + 1)).ceil().long() - 1
        beyond = place >= len(ordered)
        own = ordered[place.clamp(max=len(ordered) - 1)]
        own[beyond] = torch.maximum(own, wanted)[beyond]
        self.levels.copy_(own)


def _fitting(value: Tensor, wanted: str, name: str) -> str:
    """Return the distribution of weights, chosen and logged if ``"auto"``.

    Raises:
        UsageError: ``RECONSTRUCT`` if the weights cannot be of the wanted distribution.
    """
    negative = bool((value < 0).any())
    whole = bool((value == value.floor()).all())
    if wanted == "auto":
        found = chosen_likelihood(value)
        kind = "of both signs" if negative else "whole numbers" if whole else "above zero"
        log.info(
            "%s: the weights of links are %s, %s; weight_likelihood changes it",
            *(name, kind, NAMES[found]),
        )
        return found
    bad = negative if wanted == "lognormal" else wanted == "poisson" and (negative or not whole)
    if bad:
        rule = "needs weights above zero" if wanted == "lognormal" else "needs counts from 1 on"
        raise UsageError(
            "RECONSTRUCT",
            f"weight_likelihood = {wanted!r} {rule}, which those of {name} are not; set it to"
            " 'normal' or leave it out (--set weight_likelihood=normal).",
        )
    return wanted


class SignDecoder(PairDecoder):
    r"""Signs of links: Bernoulli given the latent vectors.

    .. math:: p(+ \mid u, v, Z) = \sigma(a + f(z_u, z_v))

    with a the log-odds of the sign + among the training links.
    """

    name: ClassVar[str] = "signs"
    # Where links alone say nothing of the signs, these emerge from the noise within 200 epochs.
    boost: ClassVar[float] = 10.0
    lacks: ClassVar[str] = "has no signs of links; read it with signed=True (--signed)"

    @staticmethod
    def values(graph: "Graph", pairs: Tensor) -> Tensor | None:
        """Return 1 or -1 for some links, float32, shape ``(P,)``."""
        value = graph.values_of(pairs)
        return None if graph.link_sign is None or value is None else value.sign()

    @classmethod
    def from_values(
        cls, value: Tensor, recipe: Recipe, name: str, generator: torch.Generator, **options: Any
    ) -> Self:
        """Build a decoder for the signs of the training links."""
        share = float((value > 0).double().mean())
        if share in (0, 1):
            raise UsageError(
                "RECONSTRUCT",
                f"all training links of {name} have the same sign; {_LEAVE.format('signs')}.",
            )
        decoder = cls(recipe.latent_channels, "bernoulli", generator=generator, **options)
        decoder.loc.fill_(torch.logit(torch.tensor(share)))
        return decoder

    def log_prob(self, z: Tensor, target: LinkValues) -> Tensor:
        """Return c times the log-likelihood of the signs in nats, shape ``()``."""
        logits = self.loc + self.network(z, target.pairs)[:, 0]
        return self.cost * F.logsigmoid(logits * target.value).sum()

    def probability(self, q: Posterior, pairs: Tensor) -> Tensor:
        """Return the probability of the sign +, averaged over the posterior, ``(P,)``."""
        chunks = pairs.to(self.loc.device).split(_PAIRS_AT_ONCE, dim=1)
        found = [(self.loc + self.samples(q, chunk)[..., 0]).double() for chunk in chunks]
        return torch.cat([logits.sigmoid().mean(dim=0) for logits in found])
