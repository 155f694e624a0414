"""Named settings: plain frozen values that print as TOML."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from vgae.errors import UsageError

Weighting = Literal["kipf", "likelihood"]
Keep = Literal["best", "last"]
Pairs = Literal["auto", "exact", "sampled"]
Precision = Literal["high", "tf32", "bf16"]


# What a field's text is read as; the choices of a Literal are strings.
_KINDS: dict[Any, type] = {bool: bool, int: int, float: float}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a graph model is built and trained.

    Attributes:
        name: What tables and run folders call it.
        hidden_channels: Width of the hidden layer (not used by the linear encoder).
        latent_channels: Width d of the latent vectors.
        lr: Learning rate of Adam.
        epochs: Passes over the graph, at most; 0 leaves the initial weights.
        weighting: Of the pairs; see :class:`vgae.InnerProductDecoder`.
        beta: Weight of the KL divergence.
        bias: Whether the encoder learns offsets.
        logit_bias: Whether the decoder learns one.
        pairs: Whether the loss visits every pair of nodes, ``exact``, or estimates their sum,
            ``sampled``; ``auto`` is ``exact`` where an epoch's pairs take no longer than a second.
        pairs_per_node: How many a node if they are sampled.
        precision: Of the decoder's products on a GPU: ``high``, ``tf32`` or ``bf16``.
        keep: Which weights become the model: those of the epoch with the ``best`` validation
            AUC + AP, or of the ``last``.
        patience: Epochs without a better validation AUC + AP after which training stops;
            0 never stops early.
        eval_every: Epochs between two looks at the validation links.
    """

    name: str
    hidden_channels: int = 32
    latent_channels: int = 16
    lr: float = 0.01
    epochs: int = 200
    weighting: Weighting = "kipf"
    beta: float = 1.0
    bias: bool = False
    logit_bias: bool = False
    pairs: Pairs = "auto"
    pairs_per_node: int = 32
    precision: Precision = "high"
    keep: Keep = "last"
    patience: int = 0
    eval_every: int = 5

    def __post_init__(self) -> None:
        least = {"hidden_channels": 1, "latent_channels": 1, "epochs": 0, "patience": 0}
        least |= {"eval_every": 1, "pairs_per_node": 1, "lr": 0, "beta": 0}
        for field, low in least.items():
            value = getattr(self, field)
            if field not in ("lr", "beta") and type(value) is not int:
                raise UsageError("RECIPE", f"{field} must be an integer, got {value!r}.")
            if not low <= value <= 1e9:  # NaN fails too
                raise UsageError("RECIPE", f"{field} must lie in [{low}, 1e9], got {value}.")
        closed = {"weighting": Weighting, "pairs": Pairs, "precision": Precision, "keep": Keep}
        for field, kind in closed.items():
            choices, value = get_args(kind), getattr(self, field)
            if value not in choices:
                raise UsageError("RECIPE", f"{field} must be one of {choices}, got {value!r}.")

    def override(self, settings: Mapping[str, str]) -> Self:
        """Return a copy with some fields changed, each given as text.

        Raises:
            UsageError: If a field does not exist or its text is of another type.
        """
        types = {field.name: field.type for field in fields(self)}
        values = {}
        for field, text in settings.items():
            if field not in types:
                raise UsageError(
                    "RECIPE", f"{field!r} is no field of a recipe; they are {', '.join(types)}."
                )
            values[field] = _parse(field, text, _KINDS.get(types[field], str))
        return replace(self, **values)

    def __str__(self) -> str:
        """Return the recipe as TOML, one ``field = value`` per line."""
        # A string, number or truth value is written alike in JSON and in TOML.
        return "\n".join(f"{field} = {json.dumps(v)}" for field, v in asdict(self).items())


def _parse(field: str, text: str, kind: type) -> object:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        value = kind(text)
    except (ValueError, KeyError):
        expected = "true or false" if kind is bool else kind.__name__
        raise UsageError("RECIPE", f"{field} must be {expected}, got {text!r}.") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError("RECIPE", f"{field} must be finite, got {text!r}.")
    return value


PAPER = Recipe(name="paper")
"""Kipf & Welling (2016), as in their code: 32 hidden, 16 latent, Adam 0.01, 200 epochs, raw
features, no dropout, no offsets, links weighted, the last epoch kept."""

RECIPES = {recipe.name: recipe for recipe in (PAPER,)}


def recipe_named(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in RECIPES:
        raise UsageError("RECIPE", f"no recipe {name!r}; there are {', '.join(RECIPES)}.")
    return RECIPES[name]
