"""Conversion of the estimators' parameters to a recipe and a seed."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from vgae.errors import UsageError


def recipe_changes(settings: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of a recipe: settings, and over them the parameters that are given."""
    return {**(settings or {}), **{n: v for n, v in given.items() if v is not None}}


def seed_from(random_state: int | np.random.RandomState | None) -> int:
    """Return an integer unchanged, else a random seed."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def check_validation_fraction(fraction: float) -> None:
    """Raise ``UsageError`` unless the fraction leaves training data."""
    if not 0 <= fraction < 1:
        raise UsageError("VALIDATION", f"validation_fraction must lie in [0, 1), got {fraction}.")
