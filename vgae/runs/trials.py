"""Trainings of a table: their settings, one of them, and many in worker processes."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, cast

import psutil
import torch

from vgae.data.splits import read_split
from vgae.errors import ArtifactError, UsageError, VgaeError, check_choice
from vgae.evaluation.links import evaluate_links
from vgae.evaluation.metrics import LinkScores
from vgae.graphs.graph import Graph
from vgae.graphs.split import By, LinkSplit, split_links
from vgae.models.own import is_code, use_code
from vgae.recipes import DEFAULT, Recipe, for_graph, recipe_named
from vgae.runs.opening import open_like, split_config
from vgae.runtime.devices import Compute
from vgae.runtime.streams import checked_seed
from vgae.runtime.workers import run_in_workers, tell
from vgae.training.links import fit
from vgae.training.plan import available_bytes

OnEpoch = Callable[[int, int], object]
_FRACTION = 0.9  # of the memory, which all processes together may use


class Trial(NamedTuple):
    """One training: data set, model, seed, recipe for this graph, scores of parts with links.

    ``data`` is the fingerprint of the graph and ``split`` the digest of the split. ``settings`` is
    the name of the recipe that was asked for, of which ``recipe`` may be a variant. A training
    that was finished by an earlier command has no ``seconds``.
    """

    dataset: str
    model: str
    seed: int
    recipe: str
    val: LinkScores | None
    test: LinkScores
    epochs: int
    best_epoch: int
    seconds: float = 0.0
    data: str = ""
    split: str = ""
    settings: str = ""


class Opened(NamedTuple):
    """A graph, and the split that is given for it."""

    graph: Graph
    split: LinkSplit | None


class Task(NamedTuple):
    """A training to do.

    Attributes:
        source: Name of the data set, or path of the file.
        name: Name of the graph.
        data: Fingerprint of the graph.
        split: Digest of the given split; empty without one.
        model: Name of the model.
        recipe: Name of the recipe.
        seed: Seed.
    """

    source: str
    name: str
    data: str
    split: str
    model: str
    recipe: str
    seed: int

    @classmethod
    def of(cls, opened: tuple[str, Opened], model: str, recipe: str, seed: int) -> "Task":
        """Return the training of a model on the graph of a source."""
        source, (graph, split) = opened
        digest = "" if split is None else split.digest
        return cls(source, graph.name, graph.fingerprint, digest, model, recipe, seed)

    def __str__(self) -> str:
        return f"{self.name} {self.model}, {self.recipe}, seed {self.seed}"


@dataclass(frozen=True)
class TableSettings:
    """Settings of all trainings of a table.

    Attributes:
        seeds: Number of seeds, from 0 on, or the seeds themselves.
        recipes: Settings of the trainings, each a recipe or the name of one; all names differ.
        features: ``"none"`` trains on the links alone; or, for a file, the path of another one
            with features.
        split: Path of a split of the one data set, the same for every seed; see
            :func:`vgae.read_split`. If it is of a run by time, the times are no weights here
            either.
        split_by: ``"links"``, or ``"graphs"`` to hold out whole graphs of collections.
        device: See :func:`vgae.fit`. ``max_bytes`` is that of all processes together.

    Raises:
        UsageError: If both ``split`` and ``split_by`` are given, or ``split_by`` is unknown; if
            ``seeds`` or ``recipes`` are not as described.
    """

    seeds: int | Sequence[int] = 10
    recipes: str | Recipe | Sequence[str | Recipe] = (DEFAULT,)
    features: str = "raw"
    split: str | os.PathLike[str] | None = None
    split_by: By = "links"
    device: str | Compute = "auto"

    def __post_init__(self) -> None:
        check_choice("split_by", self.split_by, By)
        if self.split is not None and self.split_by != "links":
            rule = "a split (--split) is the whole split"
            raise UsageError("SPLIT", f"{rule}; leave split_by (--split-by) out.")
        for name, checked in {"seeds": _seeds, "recipes": _recipes}.items():
            object.__setattr__(self, name, checked(getattr(self, name)))

    def recipe_named(self, name: str) -> Recipe:
        """Return the recipe of a task."""
        return next(recipe for recipe in self.given_recipes if recipe.name == name)

    @property
    def given_recipes(self) -> tuple[Recipe, ...]:
        """The recipes, as values."""
        return cast(tuple[Recipe, ...], self.recipes)

    @property
    def given_seeds(self) -> tuple[int, ...]:
        """The seeds, one by one."""
        return cast(tuple[int, ...], self.seeds)

    def open(self, dataset: str, *, progress: bool | None = None) -> Opened:
        """Return the graph of a data set or file, and the given split."""
        like = split_config(self.split)
        graph = open_like(like, dataset, self.features, progress=progress)
        split = None if self.split is None else read_split(self.split, graph)
        if split is not None and not split.test.pos.shape[1]:
            raise UsageError("SPLIT", f"{self.split} has no test links; a table has their scores.")
        return Opened(graph, split)

    def train(
        self, opened: Opened, task: Task, compute: Compute, on_epoch: OnEpoch | None = None
    ) -> Trial:
        """Split, unless a split is given, train and test.

        Args:
            opened: Graph and split.
            task: The training.
            compute: Device.
            on_epoch: Called with the number of an epoch, now and then, and the most of them.

        Raises:
            VgaeError: As :func:`vgae.fit`, with the name of the task.
        """
        model, seed, (graph, split) = task.model, task.seed, opened
        with _named(task):
            split = split or split_links(graph, seed=seed, by=self.split_by)
            recipe = for_graph(self.recipe_named(task.recipe), graph)
            options: Any = {"model": model, "recipe": recipe, "seed": seed, "device": compute}
            if on_epoch is not None:
                options["on_row"] = lambda row: on_epoch(row.epoch, recipe.epochs)
            result = fit(graph, split, **options, progress=False)
            scores = evaluate_links(result.model, graph, split)
        return Trial(
            dataset=graph.name,
            model=model,
            seed=seed,
            recipe=recipe.name,
            val=scores.get("val"),
            test=scores["test"],
            epochs=len(result.history),
            best_epoch=result.best_epoch,
            seconds=result.seconds,
            data=task.data,
            split=split.digest,
            settings=task.recipe,
        )


def _seeds(given: Any) -> tuple[int, ...]:
    """Return seeds, of which the number or each is given."""
    wrong = f"got {given!r:.60}"
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            raise UsageError("SEEDS", f"a table needs at least 1 seed (seeds, --seeds), {wrong}.")
        return tuple(range(given))
    if isinstance(given, str) or not isinstance(given, Sequence):
        rule = "seeds (--seeds) must be a number, or the seeds themselves, such as 1,5,9"
        raise UsageError("SEEDS", f"{rule}, {wrong}.")
    found = tuple(checked_seed(seed) for seed in given)
    if not found or len({*found}) < len(found):
        raise UsageError("SEEDS", f"seeds (--seeds) must be one or more, all different, {wrong}.")
    return found


def _recipes(given: Any) -> tuple[Recipe, ...]:
    """Return recipes, of which names or values are given, or one alone."""
    listed = [given] if isinstance(given, str | Recipe) else [*given]
    found = tuple(recipe_named(one) if isinstance(one, str) else one for one in listed)
    for one in found:
        if not isinstance(one, Recipe):
            raise UsageError("RECIPE", f"recipes must be of vgae.recipes, got {one!r:.60}.")
    names = [one.name for one in found]
    if not names or len({*names}) < len(names):
        rule = "recipes (--recipes) must be one or more, with names that all differ"
        raise UsageError("RECIPE", f"{rule}, got {', '.join(names) or 'none'}.")
    return found


@contextmanager
def _named(task: Task) -> Iterator[None]:
    """Name the training in the errors of the package."""
    try:
        yield
    except VgaeError as error:
        error.args = (f"{task}: {error}",)
        raise


def trial_threads(jobs: int | None) -> int:
    """Return the threads of a training on a CPU, which do not depend on the number of jobs.

    With ``jobs``, it is one, or the number in the environment, ``OMP_NUM_THREADS``; without, as
    many as torch uses in this process.

    Raises:
        UsageError: ``JOBS`` if there are fewer than one.
    """
    if jobs is not None and jobs < 1:
        raise UsageError("JOBS", f"jobs must be at least 1, got {jobs}.")
    if jobs is None or "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    return 1


def in_this_process(
    settings: TableSettings,
    tasks: Sequence[Task],
    jobs: int | None,
    opened: Mapping[str, Opened],
    *,
    on_trial: Callable[[int, Trial], object],
    on_wait: Callable[[Sequence[Task]], object],
    on_epoch: Callable[[int, int, int], object] = lambda *_: None,
) -> None:
    """Carry out trainings one after another; arguments as for :func:`in_workers`.

    Args:
        settings: Settings of all.
        tasks: The trainings.
        jobs: 1, or ``None`` for all threads of this process; see :func:`trial_threads`.
        opened: Graphs by their sources.
        on_trial: Called with the index of a task and its result.
        on_wait: Called with the current task.
        on_epoch: Called with the index of a task, the number of an epoch and the most of them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(trial_threads(jobs))
    try:
        for index, task in enumerate(tasks):
            on_wait([task])
            given = opened[task.source], task, Compute.of(settings.device)
            on_trial(index, settings.train(*given, partial(on_epoch, index)))
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Worker:
    """What a worker process needs to carry out tasks; see :func:`in_workers`.

    Attributes:
        jobs: Number of processes.
        threads: Threads of each.
        num_bytes: Memory for each, if no maximum is given: that of the process but torch itself.
        level: Level of the messages.
    """

    settings: TableSettings
    jobs: int
    threads: int
    num_bytes: int
    level: int

    def __call__(self, number: int, task: Task) -> tuple[Trial, list[tuple[str, int, str]]]:
        """Return the result of a task, and the messages on the way: logger, level and text."""
        torch.set_num_threads(self.threads)
        if is_code(task.model):  # the user named it in the process that began this one
            use_code(task.model)
        with _collected(self.level) as messages:
            if task.source not in _opened:
                _opened.clear()
                found = self.settings.open(task.source, progress=False)
                _opened[task.source] = found, _own_bytes()
                messages.clear()  # the first process has logged them
            opened, used = _opened[task.source]
            if Task.of((task.source, opened), *task[4:]) != task:
                raise ArtifactError(
                    "DATA_CHANGED",
                    f"{task}: {task.source} or its split has changed since the table was begun;"
                    " begin it again.",
                )
            compute = self._compute(number, used)
            try:
                return self.settings.train(opened, task, compute, tell), messages
            except VgaeError as error:
                if error.code == "MEMORY" and self.jobs > 1:
                    error.args = (f"{str(error).rstrip('.')}; or use fewer jobs (--jobs).",)
                raise

    def _compute(self, number: int, used: int) -> Compute:
        """Return the device of a process with its part of the memory."""
        compute = Compute.of(self.settings.device)
        count = torch.cuda.device_count() if compute.device in ("auto", "cuda") else 0
        if count:
            compute = replace(compute, device=f"cuda:{number % count}")
        if compute.max_bytes is not None:
            return replace(compute, max_bytes=compute.max_bytes // self.jobs)
        if (device := compute.resolved()).type == "cuda":
            part = torch.cuda.mem_get_info(device)[1] // -(-self.jobs // max(count, 1))
            limit = _FRACTION * min(available_bytes(device), part)
        else:
            limit = max(self.num_bytes - used, 0)
        return replace(compute, max_bytes=int(limit))


_opened: dict[str, tuple[Opened, int]] = {}  # the last graph of a worker process, and its bytes


def in_workers(
    settings: TableSettings,
    tasks: Sequence[Task],
    jobs: int,
    *,
    on_trial: Callable[[int, Trial], object],
    on_wait: Callable[[Sequence[Task]], object],
    on_epoch: Callable[[int, int, int], object] = lambda *_: None,
) -> None:
    """Carry out trainings in worker processes, which share the GPUs and the free memory.

    Messages of a training are logged in this process when it ends. For arguments and errors see
    :func:`vgae.runtime.workers.run_in_workers`.
    """
    jobs = min(jobs, len(tasks))
    free = available_bytes(torch.device("cpu"))
    level = logging.getLogger("vgae").getEffectiveLevel()
    threads = trial_threads(jobs)
    work = Worker(settings, jobs, threads, int(_FRACTION * free) // max(jobs, 1), level)

    def finish(index: int, answer: Any) -> None:
        trial, messages = answer
        for name, number, text in messages:
            logging.getLogger(name).log(number, "%s", text)
        on_trial(index, trial)

    def note(index: int, epoch: Any) -> None:
        on_epoch(index, *epoch)

    run_in_workers(work, tasks, jobs, on_result=finish, on_wait=on_wait, on_note=note)


@contextmanager
def _collected(level: int) -> Iterator[list[tuple[str, int, str]]]:
    """Collect the messages of the package in a list, in place of any output."""
    found: list[tuple[str, int, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append((record.name, record.levelno, record.getMessage()))
    logger = logging.getLogger("vgae")
    logger.setLevel(level)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def _own_bytes() -> int:
    """Return the resident memory of this process but that of files, such as of libraries."""
    info = psutil.Process().memory_info()
    return info.rss - getattr(info, "shared", 0)
