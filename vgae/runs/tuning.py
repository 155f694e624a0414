"""Search for the settings of a recipe on links that are held out of the training links."""

import logging
import math
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch

from vgae.errors import NumericalError, UsageError
from vgae.evaluation.metrics import LinkScores
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.models.graphs import build_model, input_columns, unused_settings
from vgae.models.registry import AUTO, model_for
from vgae.recipes import DEFAULT, Recipe, for_graph, recipe_named
from vgae.recipes.spaces import Space, ends, space_for
from vgae.runs.folder import versions
from vgae.runs.trial_sampler import Candidate, importances, levelled, proposed
from vgae.runs.tuning_folder import TuningStore
from vgae.runtime.devices import Compute
from vgae.runtime.progress import Pace, showing
from vgae.runtime.streams import checked_seed, stream
from vgae.runtime.tables import optional_module
from vgae.training.history import HistoryRow
from vgae.training.search import (
    SPLITS,
    inner_splits,
    score_recipe,
    training_graph,
    without_test,
)

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

TRIALS = 30
_MARGIN = 0.01  # AUC below the best on the first split, from which no other split is tried


@dataclass(frozen=True, eq=False)
class Tuning:
    """Result of a search: the trials, and the recipe with the settings of the best one.

    Attributes:
        recipe: The recipe that it began with.
        model: Name of the model.
        space: What was tried.
        trials: All trials; the first is the recipe as it is.
        num_splits: Number of inner splits.
        check: AUC and AP of the validation links of the split of the graph, which no trial has
            seen, for ``"recipe"`` and ``"best"``; empty without such links, and until the end.
    """

    recipe: Recipe
    model: str
    space: Space
    trials: Sequence[Candidate]
    num_splits: int
    check: Mapping[str, LinkScores]

    @property
    def best_trial(self) -> Candidate:
        """The trial with the highest AUC among those that were scored on all splits."""
        whole = [trial for trial in self.trials if len(trial.scores) == self.num_splits]
        if not whole:
            rule = "no trial was finished"
            raise UsageError("SEARCH", f"{rule}; try other values (--search).")
        return max(whole, key=lambda trial: (trial.auc, -trial.number))

    @property
    def best(self) -> Recipe:
        """The recipe with the best settings."""
        return self.recipe.override(self.best_trial.settings)

    @property
    def words(self) -> list[str]:
        """Words of a command line for the best settings: ``--recipe paper --set lr=0.02``."""
        changes = {name: getattr(self.best, name) for name in sorted(self.best.chosen)}
        pairs = [f"{name}={_text(value)}" for name, value in changes.items()]
        return ["--recipe", self.recipe.name, *(w for pair in pairs for w in ("--set", pair))]

    @property
    def command(self) -> str:
        """The words for a shell."""
        return shlex.join(self.words)

    def importances(self) -> dict[str, float]:
        """Return the importance of each setting; see :func:`~vgae.runs.trial_sampler.importances`.

        Raises:
            UsageError: ``MISSING_PACKAGE`` without optuna.
        """
        return importances(self.space, self.recipe, self.trials)

    def columns(self) -> dict[str, list[Any]]:
        """Return the columns of the trials: number, AUC, AP and settings, best first.

        The AUC is that of :func:`~vgae.runs.trial_sampler.levelled`.
        """
        auc = dict(enumerate(levelled(self.trials)))
        ordered = sorted(self.trials, key=lambda t: (-(auc[t.number] or 0), t.number))
        ordered.sort(key=lambda trial: len(trial.scores) < self.num_splits)
        base = asdict(self.recipe)
        return {
            "trial": [trial.number for trial in ordered],
            "auc": [auc[trial.number] for trial in ordered],
            "ap": [mean(s.ap for s in t.scores) if t.scores else None for t in ordered],
            "splits": [len(trial.scores) for trial in ordered],
            **{name: [{**base, **t.settings}[name] for t in ordered] for name in self.space},
        }

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a row for each trial, the best first."""
        return optional_module("pandas", "pandas").DataFrame(self.columns())


def tune(  # noqa: PLR0913 - each is given by name
    graph: Graph,
    split: LinkSplit | None = None,
    *,
    recipe: str | Recipe = DEFAULT,
    model: str = AUTO,
    trials: int = TRIALS,
    search: Mapping[str, Any] | Sequence[str] | None = None,
    splits: int = SPLITS,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    timeout: float | None = None,
    device: str | Compute = "auto",
    on_trial: Callable[[Candidate], object] | None = None,
    progress: bool | None = None,
    described: Mapping[str, Any] | None = None,
) -> Tuning:
    """Search for settings with a higher validation AUC, on splits of the training links alone.

    Each trial trains on inner splits, which hold out a tenth of the training links. Validation
    and test links of ``split`` are in none of them. At the end the recipe and its best settings
    are trained on all training links and scored on the validation links of ``split``
    (``Tuning.check``); its test links are left for the final evaluation.

    The settings of a trial depend on ``seed``, its number and the trials before alone
    (tree-structured Parzen estimator; Bergstra et al. (2011), `Algorithms for Hyper-Parameter
    Optimization <https://papers.nips.cc/paper/4443>`_). So a search that was killed and resumed
    ends like one that was not.

    Args:
        graph: Nodes and features.
        split: Split of its links; by default ``split_links(graph, seed=seed)``.
        recipe: Recipe to begin with, or its name; fields that were changed (``override``) stay.
        model: Name of the model.
        trials: Number of trials, with the first, which is the recipe as it is.
        search: What is tried, by default :data:`vgae.recipes.spaces.SPACES`; see
            :func:`vgae.recipes.spaces.space_for`.
        splits: Number of inner splits that a trial is scored on; after the first, only those
            whose AUC there is less than one point below the best.
        seed: Seed of the search, the splits and the trainings.
        out: New folder for the trials, a table and the best recipe.
        resume: Go on with the trials in ``out``, if it is there.
        timeout: Seconds after which no further trial begins.
        device: See :func:`vgae.fit`.
        on_trial: Called after each trial.
        progress: See :func:`vgae.fit`.
        described: Further entries of ``tuning.json``, such as on the origin of the graph.

    Raises:
        ArtifactError: If ``out`` has trials on other links, or with other settings.
        UsageError: If an argument is not valid; ``MISSING_PACKAGE`` without optuna.
        VgaeError: As :func:`vgae.fit`.
    """
    optional_module("optuna", "tune")
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        rule = "trials (--trials) must be an integer of at least 1"
        raise UsageError("PARAMETER", f"{rule}, got {trials!r:.60}.")
    seed, compute = checked_seed(seed), Compute.of(device)
    split = split_links(graph, seed=seed) if split is None else split
    inside = training_graph(graph, split)
    inner = inner_splits(inside, splits, seed=seed)
    model = model_for(inside, model)
    recipe = for_graph(recipe_named(recipe) if isinstance(recipe, str) else recipe, inside)
    space = _used(space_for(recipe, search), recipe, model, inside)
    task = _Search(inside, inner, recipe, model, space, compute, seed)
    identity = {"graph_fingerprint": graph.fingerprint, "train_digest": split.train_digest}
    with ExitStack() as held:
        store, done = None, list[Candidate]()
        if out is not None:
            wanted = {"num_trials": trials}
            config = {**(described or {}), **task.described(), **wanted, **identity}
            store = held.enter_context(TuningStore.opened(out, config, resume=resume))
            done = store.trials
        found = Tuning(recipe, model, space, done, splits, {})
        end = math.inf if timeout is None else time.monotonic() + timeout
        with showing(trials, "trials", wanted=progress) as show:
            show.begin(len(done))
            while len(done) < trials and (not done or time.monotonic() < end):
                show(len(done), partial(_so_far, found))
                done.append(task.trial(done, show))
                if store is not None:
                    store.write(done)
                if on_trial is not None:
                    on_trial(done[-1])
            show(len(done), partial(_so_far, found))
        if len(done) < trials:
            log.info("the time is over after %d of %d trials", len(done), trials)
        found = replace(found, check=_checked(graph, split, found, compute))
        if store is not None:
            store.write(done, found.check)
            store.write_result(found.columns(), str(found.best))
    return found


@dataclass(frozen=True, eq=False)
class _Search:
    """What the trials of a search have in common; see :func:`tune`."""

    graph: Graph
    splits: Sequence[LinkSplit]
    recipe: Recipe
    model: str
    space: Space
    compute: Compute
    seed: int

    def described(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {
            "model": self.model,
            "recipe": asdict(self.recipe),
            "fixed": sorted(self.recipe.chosen),
            "space": {name: str(values) for name, values in self.space.items()},
            "splits": len(self.splits),
            "seed": self.seed,
            "device": str(self.compute.resolved()),
            "threads": torch.get_num_threads(),
            "versions": versions(),
        }

    def trial(self, done: Sequence[Candidate], show: Pace) -> Candidate:
        """Carry out the next trial, of which the bar shows the epochs."""
        settings = proposed(self.space, self.recipe, done, self.seed)
        recipe = self.recipe.override(settings)
        most = max(len(self.splits) * recipe.epochs, 1)
        first = [trial.scores[0].auc for trial in done if trial.scores]
        scores: list[LinkScores] = []

        def row(row: HistoryRow) -> None:
            part = (len(scores) * recipe.epochs + row.epoch) / most
            show(len(done) + min(part, 0.99))

        options: Any = {"model": self.model, "device": self.compute, "on_row": row}
        for split in self.splits:
            if len(scores) == 1 and first and scores[0].auc < max(first) - _MARGIN:
                break
            try:
                scores += score_recipe(self.graph, [split], recipe, **options)
            except NumericalError as error:
                log.info("trial %d diverged: %s", len(done), error)
                scores.clear()
                break
        return Candidate(len(done), settings, scores)


def _used(space: Space, recipe: Recipe, model: str, graph: Graph) -> Space:
    """Return a space without the fields that the model ignores, which are logged."""
    changed = recipe.override({name: ends(values)[-1] for name, values in space.items()})
    built = build_model(model, max(input_columns(graph), 1), changed, stream(0, "init"))
    unused = [name for name in unused_settings(changed, built, named=True) if name in space]
    if unused:
        log.info("not searched, as %s does not have them: %s", model, ", ".join(unused))
    found = {name: values for name, values in space.items() if name not in unused}
    if not found:
        raise UsageError("SEARCH", f"{model} has none of {', '.join(unused)}; search others.")
    return found


def _checked(
    graph: Graph, split: LinkSplit, found: Tuning, compute: Compute
) -> dict[str, LinkScores]:
    """Return the scores of the validation links of the split, before and after."""
    if not split.val.pos.shape[1]:
        return {}
    known, own = without_test(graph, split)
    options: Any = {"model": found.model, "device": compute}
    recipes = {"recipe": found.recipe, "best": found.best}
    return {name: score_recipe(known, [own], r, **options)[0] for name, r in recipes.items()}


def _so_far(found: Tuning) -> str:
    """Return the first and the best AUC until now."""
    scores = [auc for auc in levelled(found.trials) if auc is not None]
    if not scores:
        return f"recipe {found.recipe.name}"
    first, best = found.trials[0].auc, max(scores)
    start = "-" if first is None else f"{100 * first:.2f}"
    return f"validation AUC {start}, best {100 * best:.2f}"


def _text(value: Any) -> str:
    """Return a value of a field as ``--set`` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
