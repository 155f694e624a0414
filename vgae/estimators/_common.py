"""What the estimators share: how their parameters become a recipe and a seed."""

from collections.abc import Mapping
from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state

from vgae.errors import UsageError
from vgae.recipes.base import Training

Recipe = TypeVar("Recipe", bound=Training)


def changed_recipe(
    recipe: Recipe, settings: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> Recipe:
    """Return a recipe with some fields changed, as chosen ones.

    Args:
        recipe: What is changed.
        settings: Fields and their values.
        given: The same, going before; ``None`` changes nothing.

    Raises:
        UsageError: If a field does not exist, or cannot have its value.
    """
    changes = {**(settings or {})}
    changes |= {name: value for name, value in given.items() if value is not None}
    names = [field.name for field in fields(recipe) if field.name != "chosen"]
    for name in changes:
        if name not in names:
            raise UsageError(
                "RECIPE", f"{name!r} is no field of a recipe; they are {', '.join(names)}."
            )
    values = {name: _plain(value) for name, value in changes.items()}
    return replace(recipe, **values, chosen=tuple(sorted({*recipe.chosen, *values})))


def seed_from(random_state: int | np.random.RandomState | None) -> int:
    """Return an integer as it is, and draw one otherwise."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def check_validation_fraction(fraction: float) -> None:
    """Raise ``UsageError`` unless it is a share that leaves something to learn from."""
    if not 0 <= fraction < 1:
        raise UsageError("VALIDATION", f"validation_fraction must lie in [0, 1), got {fraction}.")


def _plain(value: Any) -> Any:
    """Return Python's numbers and tuples for those of numpy, which searches over a grid give."""
    if isinstance(value, (tuple, list, np.ndarray)):
        return tuple(map(_plain, value))
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value
