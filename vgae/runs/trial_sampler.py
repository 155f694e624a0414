"""The settings that a search tries next, and which of them matter, by optuna."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from statistics import mean
from typing import Any, NamedTuple

import torch

from vgae.evaluation.metrics import LinkScores
from vgae.recipes import Recipe
from vgae.recipes.spaces import Choice, Space, Span
from vgae.runtime.streams import stream
from vgae.runtime.tables import optional_module

_RANDOM = 10  # trials before the sampler learns from the others


class Candidate(NamedTuple):
    """Settings that were tried, and the scores of the validation links of each inner split.

    Attributes:
        number: 0 for the recipe as it is.
        settings: Changed fields of the recipe.
        scores: Scores on each split; fewer if the first was too low, none if it diverged.
    """

    number: int
    settings: dict[str, Any]
    scores: list[LinkScores]

    @property
    def auc(self) -> float | None:
        """Mean AUC; ``None`` if the training diverged."""
        return mean(score.auc for score in self.scores) if self.scores else None


def levelled(done: Sequence[Candidate]) -> list[float | None]:
    """Return the AUC of each trial, ``None`` if it diverged, so that trials can be compared.

    Splits are not equally hard. A trial that was not scored on all of them has the AUC of the
    first trial that was, usually the recipe, plus its mean difference to that one.
    """
    whole = max(done, key=lambda trial: (len(trial.scores), -trial.number), default=None)
    found: list[float | None] = []
    for trial in done:
        if whole is None or not trial.scores or len(trial.scores) == len(whole.scores):
            found.append(trial.auc)
            continue
        pairs = zip(trial.scores, whole.scores, strict=False)
        apart = mean(own.auc - other.auc for own, other in pairs)
        found.append((whole.auc or 0.0) + apart)
    return found


def proposed(space: Space, recipe: Recipe, done: Sequence[Candidate], seed: int) -> dict[str, Any]:
    """Return the settings of the next trial, a function of the seed and the trials before.

    Args:
        space: What is tried.
        recipe: Recipe that the search began with; the first trial is the recipe as it is.
        done: Trials before.
        seed: Seed of the search.
    """
    if not done:
        return {}
    with _optuna() as optuna:
        study = _study(optuna, space, recipe, done, seed)
        given = study.ask(_distributions(optuna, space)).params
    return {
        name: values.rounded(given[name])
        if isinstance(values, Span) and isinstance(values.low, float)
        else given[name]
        for name, values in space.items()
    }


def _study(optuna: Any, space: Space, recipe: Recipe, done: Sequence[Candidate], seed: int) -> Any:
    """Return a study with the trials, and a sampler that depends on their number and the seed."""
    numbers = torch.randint(2**31, (len(done) + 1,), generator=stream(seed, "sample"))
    number = int(numbers[-1])
    options = {"n_startup_trials": _RANDOM, "multivariate": True, "seed": number}
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(**options)
    )
    distributions, base = _distributions(optuna, space), asdict(recipe)
    for trial, auc in zip(done, levelled(done), strict=True):
        params = {name: {**base, **trial.settings}[name] for name in space}
        if not all(_contains(space[name], value) for name, value in params.items()):
            continue  # the recipe itself may lie outside
        how = {"params": params, "distributions": distributions, "value": auc}
        state = optuna.trial.TrialState
        how["state"] = state.FAIL if auc is None else state.COMPLETE
        study.add_trial(optuna.trial.create_trial(**how))
    return study


def _contains(values: Span | Choice, value: Any) -> bool:
    if isinstance(values, Choice):
        return value in values.values
    return values.low <= value <= values.high


def _distributions(optuna: Any, space: Space) -> dict[str, Any]:
    kinds = optuna.distributions
    found = {}
    for name, values in space.items():
        if isinstance(values, Choice):
            found[name] = kinds.CategoricalDistribution(values.values)
        elif isinstance(values.low, int):
            found[name] = kinds.IntDistribution(values.low, values.high, log=values.log)
        else:
            found[name] = kinds.FloatDistribution(values.low, values.high, log=values.log)
    return found


@contextmanager
def _optuna() -> Iterator[Any]:
    """Import optuna, which does not log nor warn within the block."""
    optuna: Any = optional_module("optuna", "tune")
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield optuna
    finally:
        optuna.logging.set_verbosity(level)


def importances(space: Space, recipe: Recipe, done: Sequence[Candidate]) -> dict[str, float]:
    """Return the fraction of the variance of the AUC that each setting explains, if it is known.

    It is that of a random forest over the trials (functional ANOVA); nothing for fewer than 4.

    Source: Hutter, Hoos & Leyton-Brown (2014), `An Efficient Approach for Assessing Hyperparameter
    Importance <https://proceedings.mlr.press/v32/hutter14.html>`_.
    """
    with _optuna() as optuna:
        study = _study(optuna, space, recipe, done, 0)
        if len({trial.value for trial in study.trials if trial.value is not None}) < 4:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        return {name: float(value) for name, value in found.items()}
