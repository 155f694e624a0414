"""Values of the settings of recipes that a search tries: the defaults, and those of the user."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from vgae.errors import UsageError, did_you_mean
from vgae.recipes.graphs import Recipe

_TYPES = {field.name: field.type for field in fields(Recipe)}
_DIGITS = 3  # of the numbers that are tried, so that they can be written down


@dataclass(frozen=True)
class Span:
    """Numbers from ``low`` to ``high``, both included; with ``log``, equally many of each size."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}{':log' * self.log}"

    def rounded(self, value: float) -> float:
        """Return a value with few digits that lies in the span."""
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return ",".join(str(value).lower() for value in self.values)


Space = Mapping[str, Span | Choice]

_PAPER: Space = {
    "lr": Span(0.003, 0.05, log=True),
    "hidden_channels": Choice((32, 64, 128)),
    "latent_channels": Choice((16, 32, 64)),
    "feature_dropout": Span(0.0, 0.8),
    "dropout": Span(0.0, 0.6),
    "mask": Span(0.0, 0.7),
    "self_loop_weight": Span(1.0, 8.0),
    "latent_norm": Span(0.0, 8.0),
}
_BEST: Space = {
    "lr": Span(0.01, 0.05, log=True),
    "weight_decay": Span(1e-6, 1e-3, log=True),
    "hidden_channels": Choice((64, 128, 256)),
    "latent_channels": Choice((64, 128, 256)),
    "feature_dropout": Span(0.4, 0.9),
    "dropout": Span(0.0, 0.7),
    "mask": Span(0.2, 0.8),
    "self_loop_weight": Span(1.0, 10.0),
    "latent_norm": Span(2.0, 12.0),
}
_DIRECTED: Space = {
    **_BEST,
    "lr": Span(0.003, 0.03, log=True),
    "feature_dropout": Span(0.0, 0.7),
    "mask": Span(0.0, 0.5),
}
_LINKS: Space = {
    **_DIRECTED,
    "latent_channels": Choice((96, 128, 192)),
    "walk_length": Choice((8, 16, 32)),
}
_GRAPHS: Space = {
    "lr": Span(0.005, 0.05, log=True),
    "beta": Span(0.01, 1.0, log=True),
    "hidden_channels": Choice((32, 64, 128)),
    "mask": Span(0.0, 0.6),
    "dropout": Span(0.0, 0.5),
}
SPACES: Mapping[str, Space] = {
    "paper": _PAPER,
    "paper-features": {**_PAPER, "reconstruct_weight": Span(0.1, 10.0, log=True)},
    "paper-graphs": _GRAPHS,
    "best": _BEST,
    "best-dense": {**_BEST, "feature_dropout": Span(0.0, 0.6)},
    "best-directed": _DIRECTED,
    "best-links": _LINKS,
    "best-links-dense": _LINKS,
    "best-two-sided": {
        "lr": Span(0.01, 0.1, log=True),
        "hidden_channels": Choice((16, 32, 64)),
        "latent_channels": Choice((8, 16, 32, 64)),
        "mask": Span(0.2, 0.8),
        "dropout": Span(0.0, 0.5),
    },
    "best-graphs": _GRAPHS,
    "ranks": {**_BEST, "content": Choice((128, 256, 512))},
}
"""Values that ``vgae tune`` tries for the fields of each recipe, unless others are named."""


def space_for(recipe: Recipe, search: Mapping[str, Any] | Sequence[str] | None = None) -> Space:
    """Return the values that are tried for the fields of a recipe.

    Args:
        recipe: Recipe, as it applies to the graph; its changed fields (``override``, ``--set``)
            keep their values.
        search: What is tried instead: values by field. They are a list of choices, a tuple
            ``(low, high)`` or ``(low, high, "log")``, or a text: ``"32,64"``, ``"0.1:0.5"``,
            ``"0.001:0.1:log"``. Or only the names of fields, in a list, for the values in
            :data:`SPACES`.

    Raises:
        UsageError: If a field does not exist, has a value that it must not have, or is fixed too;
            or if nothing is left to try.
    """
    own = SPACES.get(recipe.name, _PAPER)
    if search:
        given = dict.fromkeys(search, "") if not isinstance(search, Mapping) else search
        found = {name: _dimension(name, value, own) for name, value in given.items()}
        if fixed := sorted(recipe.chosen & found.keys()):
            rule = f"{fixed[0]} is both fixed (--set) and searched (--search)"
            raise UsageError("SEARCH", f"{rule}; leave one of them out.")
    else:
        found = {name: values for name, values in own.items() if name not in recipe.chosen}
    if not found:
        raise UsageError("SEARCH", "nothing is left to search; leave a --set out.")
    for name, values in found.items():
        for value in ends(values):
            recipe.override({name: value})
    return found


def ends(values: Span | Choice) -> tuple[Any, ...]:
    """Return the ends of a span, or all choices."""
    return values.values if isinstance(values, Choice) else (values.low, values.high)


def _dimension(name: str, given: Any, own: Space) -> Span | Choice:
    """Return what is tried for a field, as :func:`space_for` takes it."""
    if name not in _TYPES or name == "name":
        what = f"{name!r:.60} is no field of a recipe"
        raise UsageError("SEARCH", f"{what}; see --search.{did_you_mean(name, _TYPES)}")
    if given in ("", None):
        if name not in own:
            rule = f"{name} has no values of its own to search"
            raise UsageError("SEARCH", f"{rule}; name them, such as {name}=LOW:HIGH.")
        return own[name]
    if isinstance(given, Span | Choice):
        return given
    if isinstance(given, str):
        return _parsed(name, given)
    if isinstance(given, tuple) and len(given) in (2, 3) and set(given[2:]) <= {"log"}:
        return _span(name, *given[:2], log=len(given) == 3)
    if isinstance(given, list | tuple) and given:
        return _choice(name, given)
    raise UsageError("SEARCH", f"{name}: {_RULE}, got {given!r:.60}.")


_RULE = "values are choices such as 32,64, or a span such as 0.1:0.5 or 0.001:0.1:log"


def _parsed(name: str, text: str) -> Span | Choice:
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 1:
        return _choice(name, [part.strip() for part in text.split(",") if part.strip()])
    if len(parts) > 3 or parts[2:] not in ([], ["log"]):
        raise UsageError("SEARCH", f"{name}={text!s:.60}: {_RULE}.")
    try:
        low, high = map(float, parts[:2])
    except ValueError:
        raise UsageError("SEARCH", f"{name}={text!s:.60}: {_RULE}.") from None
    return _span(name, low, high, log=len(parts) == 3)


def _span(name: str, low: float, high: float, *, log: bool) -> Span:
    if _TYPES[name] not in (int, float):
        raise UsageError("SEARCH", f"{name} is no number; give choices, such as {name}=a,b.")
    is_whole = _TYPES[name] is int
    numbers = all(isinstance(v, int | float) and math.isfinite(v) for v in (low, high))
    if not numbers or low >= high or (log and low <= 0):
        least = " from above 0" if log else ""
        raise UsageError("SEARCH", f"{name}={low}:{high}: a span rises{least}.")
    if is_whole and (low != int(low) or high != int(high)):
        raise UsageError("SEARCH", f"{name}={low}:{high}: the ends must be integers.")
    return Span(int(low), int(high), log) if is_whole else Span(float(low), float(high), log)


def _choice(name: str, values: Sequence[Any]) -> Choice:
    """Return choices, each converted to the type of the field."""
    plain = Recipe(name="values", bias=True, latent_channels=1_000_000)
    found = [getattr(plain.override({name: value}), name) for value in values]
    if len({*found}) < len(found) or not found:
        raise UsageError("SEARCH", f"{name}: choices must differ, got {list(values)!r:.60}.")
    return Choice(tuple(found))
