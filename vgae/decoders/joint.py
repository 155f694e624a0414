"""Decoder of several targets: the links and further parts, such as features and weights."""

import logging
import math
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from vgae.decoders.base import GraphDecoder, MaskedLinks
from vgae.errors import UsageError, did_you_mean
from vgae.kernels import Logits
from vgae.recipes.graphs import Recipe
from vgae.vae import VAE, LinkDecoder

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph
    from vgae.graphs.split import LinkSplit

log = logging.getLogger(__name__)

PARTS = {
    "features": "vgae.decoders.features:FeatureDecoder",
    "weights": "vgae.decoders.weights:WeightDecoder",
    "signs": "vgae.decoders.weights:SignDecoder",
}
"""Class of each further target by the name that ``reconstruct`` has for it."""


class JointTarget(NamedTuple):
    """Targets of a :class:`JointDecoder`.

    Attributes:
        links: Target of the decoder of links, or :class:`~vgae.decoders.base.MaskedLinks` of it.
        parts: Target of each further part, by its name.
        scales: Factor of the log-likelihood of each part.
    """

    links: Any
    parts: Mapping[str, Any]
    scales: Mapping[str, float]


class PartDecoder(nn.Module):
    """Decoder of a further target of a graph, given the latent vectors of its nodes.

    A subclass has the methods below, and is listed in :data:`PARTS`. Its constructor takes the
    values of :meth:`config` by name.
    """

    setting: ClassVar[str] = ""
    """Field of the recipe with its likelihood, whose value is the attribute ``likelihood``."""
    likelihood: str

    @classmethod
    def from_graph(
        cls, recipe: Recipe, graph: "Graph", split: "LinkSplit", generator: torch.Generator
    ) -> Self:
        """Build a decoder with fresh weights for a graph.

        Args:
            recipe: Settings of the model.
            graph: Graph of the training.
            split: Its split; nothing that is held out may have an effect on the decoder.
            generator: Source of the initial weights.

        Raises:
            UsageError: If the graph has no such target, or a setting does not fit it.
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor that rebuild the decoder, as plain values."""
        raise NotImplementedError

    def prepare(self, graph: "Graph", split: "LinkSplit", device: torch.device | str) -> Any:
        """Return the training target of :meth:`log_prob` on a device, once before training."""
        raise NotImplementedError

    def log_prob(self, z: Tensor, target: Any) -> Tensor:
        """Return the log-likelihood of the result of :meth:`prepare` in nats, shape ``()``."""
        raise NotImplementedError

    def trivial_nats(self, target: Any) -> float | None:  # noqa: ARG002
        """Return the cost of the trivial prediction of a target, in nats, above 0.

        It sets the scale of the part beside links that are weighted by ``"kipf"``: see
        :class:`JointDecoder`. ``None`` leaves it at 1.
        """
        return None


class JointDecoder(GraphDecoder):
    r"""Links and further targets of a graph, independent given the latent vectors.

    .. math:: \log p(A, T_1, \dots \mid Z) = \log p(A \mid Z) + w \sum_k s_k \log p(T_k \mid Z)

    Links of the weighting ``"likelihood"`` have all :math:`s_k = 1`: with w = 1 the sum is the
    log-likelihood of all targets, and the objective their joint evidence lower bound. The
    weighting ``"kipf"`` counts each link hundreds of times, so that other targets in nats would
    have hardly any effect. There

    .. math:: s_k = \frac{P \log 2}{c_k},

    where P log 2 is the weighted sum of the P ordered pairs if all have the probability 1/2, and
    :math:`c_k` the cost of the trivial prediction of a target (:meth:`PartDecoder.trivial_nats`),
    such as the mean of each column of features: a target that is not learned counts as much as
    links that are not. Everything about links, such as ``logits``, ``factors`` or ``bias``, is
    that of its decoder of links.

    Args:
        links: Decoder of the links.
        parts: Decoder of each further target, by its name.
        weight: w, above 0.
    """

    def __init__(
        self, links: GraphDecoder, parts: Mapping[str, PartDecoder], *, weight: float = 1.0
    ) -> None:
        super().__init__()
        self.links = links
        self.parts = nn.ModuleDict(parts)
        self.weight = weight

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "links" not in self.__dict__.get("_modules", {}):  # while it is made or copied
                raise
            return getattr(self.links, name)

    @property
    def directed(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the links have a direction."""
        return self.links.directed

    @property
    def logits_kind(self) -> Logits:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Formula of the logits of the links."""
        return self.links.logits_kind

    @property
    def generator(self) -> torch.Generator | None:
        """Source of the pairs that the decoder of links samples."""
        return getattr(self.links, "generator", None)

    @generator.setter
    def generator(self, generator: torch.Generator | None) -> None:
        self.links.generator = generator  # pyright: ignore[reportArgumentType]

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe and the options that rebuild the decoder."""
        parts = cast(dict[str, PartDecoder], dict(self.parts.items()))
        own = {"reconstruct": ",".join(parts), "reconstruct_weight": self.weight}
        own |= {part.setting: part.likelihood for part in parts.values() if part.setting}
        return {**self.links.config(), **own, "parts": {k: p.config() for k, p in parts.items()}}

    def prepare(self, *args: Any, **options: Any) -> Any:
        """Return the target of the links; :meth:`with_parts` adds those of the parts."""
        return self.links.prepare(*args, **options)

    def with_parts(
        self, links: Any, graph: "Graph", split: "LinkSplit", device: torch.device | str
    ) -> JointTarget:
        """Return the target of :meth:`log_prob`.

        Args:
            links: Result of :meth:`prepare`.
            graph: Graph of the training.
            split: Its split.
            device: Device of the target.
        """
        parts = cast(dict[str, PartDecoder], dict(self.parts.items()))
        targets = {name: part.prepare(graph, split, device) for name, part in parts.items()}
        scales = dict.fromkeys(parts, 1.0)
        if getattr(self.links, "weighting", "likelihood") == "kipf":
            costs = {name: part.trivial_nats(targets[name]) for name, part in parts.items()}
            at_chance = math.log(2) * split.grid.num_terms
            scales |= {name: at_chance / cost for name, cost in costs.items() if cost}
            scaled = [
                f"{name} counts {scales[name]:.3g} times" for name, cost in costs.items() if cost
            ]
            if scaled:
                what = "beside the weighted links, the log-likelihood of %s"
                log.info(what, ", ".join(scaled))
        return JointTarget(links, targets, scales)

    def log_prob(self, z: Tensor, target: JointTarget | MaskedLinks) -> Tensor:  # pyright: ignore
        """Return the weighted sum of the log-likelihoods of all targets, shape ``()``.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            target: Result of :meth:`with_parts`; with masks, those of its links.

        Raises:
            ValueError: If the target has links only.
        """
        links: Any = target
        if isinstance(target, MaskedLinks):
            target = cast(JointTarget, target.links)
            links = links._replace(links=target.links)
        elif isinstance(target, JointTarget):
            links = target.links
        if not isinstance(target, JointTarget):
            raise ValueError("target must be a JointTarget; make it by with_parts.")
        nats = self.links.log_prob(z, links)
        for name, part in self.parts.items():
            own = cast(PartDecoder, part).log_prob(z, target.parts[name])
            nats = nats + self.weight * target.scales[name] * own
        return nats

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs, shape ``(2, P)``, as shape ``(P,)``."""
        return self.links.logits(z, edge_label_index)


def link_decoder(model: VAE) -> LinkDecoder:
    """Return the decoder of the links of a model."""
    decoder = model.decoder
    return cast(LinkDecoder, decoder.links if isinstance(decoder, JointDecoder) else decoder)


def part_decoder(model: VAE, name: str) -> PartDecoder:
    """Return the decoder of a further target of a model; ``UsageError`` if it has none."""
    decoder = model.decoder
    if not isinstance(decoder, JointDecoder) or name not in decoder.parts:
        raise UsageError(
            "RECONSTRUCT",
            f"the model was not trained to reconstruct {name}; train it with reconstruct={name!r}"
            f" in the recipe (--reconstruct {name}).",
        )
    return cast(PartDecoder, decoder.parts[name])


def part_names(reconstruct: str) -> list[str]:
    """Return the names in the field ``reconstruct``; raise ``UsageError`` if one is unknown."""
    names = [name.strip() for name in reconstruct.split(",") if name.strip()]
    for name in names:
        if name not in PARTS:
            what = f"reconstruct has no target {name!r:.60}; there are {', '.join(PARTS)}."
            raise UsageError("RECONSTRUCT", what + did_you_mean(name, PARTS))
    if len(set(names)) < len(names):
        raise UsageError("RECONSTRUCT", f"reconstruct names a target twice: {reconstruct!r:.60}.")
    return names


def part_class(name: str) -> type[PartDecoder]:
    """Return the class of a further target by its name."""
    return pkgutil.resolve_name(PARTS[part_names(name)[0]])


def parts_for(
    recipe: Recipe, graph: "Graph", split: "LinkSplit", generator: torch.Generator
) -> dict[str, PartDecoder]:
    """Return a new decoder of each target in ``recipe.reconstruct``."""
    return {
        name: part_class(name).from_graph(recipe, graph, split, generator)
        for name in part_names(recipe.reconstruct)
    }


def joined(
    links: GraphDecoder, recipe: Recipe, parts: Mapping[str, PartDecoder | Mapping[str, Any]]
) -> GraphDecoder:
    """Return the decoder of a recipe, given that of its links.

    Args:
        links: Decoder of the links, returned if the recipe has no further target.
        recipe: Settings with ``reconstruct``.
        parts: Decoder of each further target, or what its ``config`` returned.

    Raises:
        UsageError: If a target of the recipe has no decoder.
    """
    names = part_names(recipe.reconstruct)
    if sorted(names) != sorted(parts):
        raise UsageError(
            "RECONSTRUCT",
            f"reconstruct={recipe.reconstruct!r:.60} needs a decoder of each of its targets, got"
            f" {', '.join(parts) or 'none'}; vgae.fit builds them for a graph.",
        )
    if not names:
        return links
    built = {}
    for name in names:
        part = parts[name]
        built[name] = part_class(name)(**part) if isinstance(part, Mapping) else part
    return JointDecoder(links, built, weight=recipe.reconstruct_weight)
