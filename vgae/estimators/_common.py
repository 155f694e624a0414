"""Common part of the estimators that infer latent vectors."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state

from vgae.errors import UsageError
from vgae.runtime.devices import Compute
from vgae.training.history import HistoryRow
from vgae.vae import VAE

RandomState = int | np.random.RandomState | None

# Types of parameters, by their names in messages.
INTEGER, NUMBER, TEXT = {"an integer": Integral}, {"a number": Real}, {"a string": str}
NOTHING = {"None": type(None)}
SWITCH = {"True or False": bool, **INTEGER}
Types = Mapping[str, Mapping[str, type]]


def check_types(estimator: Any, types: Types) -> None:
    """Raise ``UsageError`` unless parameters of an estimator are of the given types.

    Args:
        estimator: The estimator.
        types: Types of each parameter, by their names in messages.
    """
    for name, allowed in types.items():
        value = getattr(estimator, name)
        classes = tuple(allowed.values())
        # True is an integer, but no number of components.
        if not isinstance(value, classes) or (isinstance(value, bool) and bool not in classes):
            rule = f"{name} must be {' or '.join(allowed)}"
            raise UsageError("PARAMETER", f"{rule}, got {value!r:.60}.")


@dataclass(eq=False, repr=False, kw_only=True)
class LatentTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Transformer to the latent vectors of a model, with the parameters of all of them."""

    n_components: int | None = None
    max_epochs: int | None = None
    learning_rate: float | None = None
    validation_fraction: float
    device: str = "auto"
    random_state: RandomState = None
    settings: Mapping[str, Any] | None = None
    verbose: bool | int = False

    _fields: ClassVar[dict[str, str]] = {
        "n_components": "latent_channels",
        "max_epochs": "epochs",
        "learning_rate": "lr",
    }

    _types: ClassVar[Types] = {
        "recipe": TEXT,
        "n_components": {**INTEGER, **NOTHING},
        "max_epochs": {**INTEGER, **NOTHING},
        "learning_rate": {**NUMBER, **NOTHING},
        "validation_fraction": NUMBER,
        "device": {**TEXT, "a Compute": Compute},
        "random_state": {**INTEGER, "a RandomState": np.random.RandomState, **NOTHING},
        "settings": {"a dictionary": Mapping, **NOTHING},
        "verbose": SWITCH,
    }

    def _changes(self) -> dict[str, Any]:
        """Return the changes of the recipe: settings, and over them the parameters given."""
        given = {field: getattr(self, name) for name, field in self._fields.items()}
        changes = {field: value for field, value in given.items() if value is not None}
        return {**(self.settings or {}), **changes}

    def _fitted(self, result: Any, recipe: Any, seed: int) -> Self:
        """Store the result of a training."""
        self.model_: VAE = result.model
        self.history_: list[HistoryRow] = result.history
        self.n_iter_ = len(result.history)
        self.recipe_, self.seed_ = recipe, seed
        return self

    def _checked_fraction(self) -> float:
        """Return ``validation_fraction`` if it leaves training data, or raise ``UsageError``."""
        if not 0 <= self.validation_fraction < 1:
            got = f"got {self.validation_fraction}"
            raise UsageError("VALIDATION", f"validation_fraction must lie in [0, 1), {got}.")
        return self.validation_fraction

    @property
    def _n_features_out(self) -> int:
        return self.recipe_.latent_channels

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def seed_from(random_state: RandomState) -> int:
    """Return an integer unchanged, else a random seed."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
