"""Prepared training and its result: validation, early stopping, checkpoints."""

import logging
import math
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from vgae.errors import NumericalError, UsageError
from vgae.models.embedding import evaluating, parameter_like
from vgae.recipes.base import Training
from vgae.runtime.devices import (
    Compute,
    convolutions_as_products,
    deterministic_algorithms,
    memory_named,
)
from vgae.runtime.progress import showing
from vgae.runtime.signals import ended_by_signals
from vgae.runtime.streams import drawing_from, seeded_torch, stream
from vgae.training.averaging import AveragedWeights
from vgae.training.checkpoint import Checkpoints
from vgae.training.cuda_graph import Replayed
from vgae.training.history import HistoryRow, row_text
from vgae.training.identity import model_identity
from vgae.training.loop import Epoch, Steps, epochs
from vgae.training.optimizers import optimizer_for
from vgae.training.plan import Plan
from vgae.training.state import TrainingState, named_generators
from vgae.vae import VAE

log = logging.getLogger(__name__)

OnRow = Callable[[HistoryRow], object]
Evaluate = Callable[[VAE], Mapping[str, Tensor]]


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """Result of a training.

    Attributes:
        model: The trained model, with the weights that the recipe keeps.
        best: Weights of the best epoch on the validation data.
        last: Weights of the last epoch.
        best_epoch: Its number; 0 are the initial weights.
        history: One row per epoch.
        seconds: Duration of the training, with validation.
        plan: How the pairs were summed, and the predicted cost; ``None`` for a model of your own.
        health: What went wrong, in a line with the setting that helps; empty for a healthy
            training. See :mod:`vgae.training.health`.
        split: Split of the links that it was trained on, if any.
    """

    model: VAE
    best: dict[str, Tensor]
    last: dict[str, Tensor]
    best_epoch: int
    history: list[HistoryRow]
    seconds: float
    plan: Plan | None = None
    health: tuple[str, ...] = ()
    split: Any = None

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else None
        return f"FitResult(best_epoch={self.best_epoch}, last={last}, {self.seconds:.1f} s)"


Health = Callable[[FitResult], Sequence[str]]


@dataclass(frozen=True, eq=False)
class Problem:
    """Data that a model is trained and evaluated on.

    Attributes:
        inputs: Arguments of the encoder.
        target: Target of the decoder.
        num_items: Divisor of the summed ELBO in the loss.
        steps: Pairs of inputs and target of each step; see :func:`vgae.epochs`.
        recordable: Which of ``"epoch"`` and ``"evaluation"`` are the same operations each time, as
            far as is known, so that they can be recorded as a CUDA graph.
        evaluate: Scores of a model on the validation data, the higher the better: fields of
            :class:`vgae.training.history.HistoryRow`, tensors of shape ``()`` that are not yet
            fetched from a GPU. ``None`` without validation data.
    """

    inputs: Sequence[Any]
    target: Any
    num_items: int
    steps: Steps | None = None
    evaluate: Evaluate | None = None
    recordable: Collection[str] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedTraining:
    """A training that is ready to begin: its arguments are valid, and the memory suffices.

    Attributes:
        model: Model to train, in place, on the device of the problem.
        problem: Data.
        recipe: Settings, as they apply to the data.
        seed: Seed of the noise, of dropout and of the pairs that the decoder samples.
        compute: Device and execution options.
        identity: Identity of the data. With seed, recipe and model, it must be equal for a
            training to continue from a checkpoint.
        former: Values of ``identity`` in checkpoints of earlier versions; see
            :class:`vgae.training.checkpoint.Checkpoints`.
        trained_on: Digest of the training links, for :attr:`vgae.VAE.trained_on`.
        plan: Predicted cost, if it is known.
        health: Function from the result to what went wrong; see :mod:`vgae.training.health`.
        finish: Called with the result, of which it may set buffers of the decoder.
        remedy: What helps if the loss becomes NaN or infinite, if it is known.
    """

    model: VAE
    problem: Problem
    recipe: Training
    seed: int
    compute: Compute
    identity: Mapping[str, Any]
    former: Mapping[str, Any] = field(default_factory=dict)
    trained_on: str | None = None
    plan: Plan | None = None
    health: Health | None = None
    finish: Callable[[FitResult], object] | None = None
    remedy: str = ""

    def __post_init__(self) -> None:
        changes = self.recipe.warmup or self.recipe.optimizer == "adagrad"
        if self.compute.cuda_graph and changes:
            raise UsageError(
                "CUDA_GRAPH",
                "cuda_graph records what is the same in each epoch, not a warmup or adagrad; leave"
                " it (--cuda-graph) out, or set warmup = 0 and another optimizer.",
            )

    def records(self, what: str) -> bool:
        """Return whether ``"epoch"`` or ``"evaluation"`` is recorded as a CUDA graph."""
        chosen = self.compute.cuda_graph
        if self.device.type != "cuda" or chosen is False:
            return False
        if self.recipe.warmup or self.recipe.optimizer == "adagrad":
            if what == "epoch":
                log.info("no CUDA graph: a warmup or adagrad changes from epoch to epoch")
            return False
        if what == "evaluation":
            return what in self.problem.recordable and self.problem.evaluate is not None
        return what in self.problem.recordable or chosen is True

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return parameter_like(self.model).device

    def train(
        self,
        *,
        on_row: OnRow | None = None,
        progress: bool | None = None,
        checkpoints: str | os.PathLike[str] | None = None,
    ) -> FitResult:
        """Train, with validation, early stopping, progress and a health check.

        The most important finding of the check is logged as a warning, others as information.

        Args:
            on_row: Called with each row of the history, soon after its epoch.
            progress: Whether to show progress on stderr; see
                :func:`vgae.runtime.progress.showing`.
            checkpoints: Folder of checkpoints, from which the training continues if there is one;
                on a CPU to the same weights, bit for bit, as without interruption. While it
                trains in the main thread, SIGTERM and SIGINT end it after the epoch, with a
                checkpoint; a second one at once.

        Raises:
            Interrupted: If a signal ended it.
            ArtifactError: If the checkpoint is of another training.
            NumericalError: If the loss is no longer finite. Checkpoints from before stay.
            ResourceError: If the memory does not suffice, or a checkpoint cannot be written.
        """
        model, problem, recipe, device = self.model, self.problem, self.recipe, self.device
        kept = None if checkpoints is None else self._checkpoints(checkpoints)
        trainer = _Trainer(model, problem.evaluate, recipe, on_row, self.remedy)
        if self.records("evaluation"):
            trainer.record(device)
        optimizer = optimizer_for(model, recipe, capturable=self.records("epoch"))
        noise = stream(self.seed, "noise", device)
        with (
            memory_named(device),
            nullcontext() if kept is None else kept.locked(),
            deterministic_algorithms(wanted=self.compute.deterministic),
            convolutions_as_products(),
            showing(recipe.epochs, "epochs", wanted=progress) as show,
            seeded_torch(self.seed, device) as of_torch,
            drawing_from(model.encoder, stream(self.seed, "dropout", device)),
            drawing_from(model.decoder, stream(self.seed, "pairs", device)),
            ended_by_signals(wanted=kept is not None) as signals,
        ):
            drawing = {"encoder": model.encoder, "decoder": model.decoder, "steps": problem.steps}
            generators = {"noise": noise, **of_torch, **named_generators(drawing)}
            state = TrainingState(trainer.modules, optimizer, generators, trainer)
            start = time.perf_counter() - (0.0 if kept is None else _restored(kept, state))
            self._mark()
            done = trainer.resume()
            show.begin(done)
            loop = epochs(
                model,
                optimizer,
                problem.inputs,
                problem.target,
                # Beta rises linearly during the first epochs.
                beta=lambda n: recipe.beta * min(1.0, (done + n) / max(recipe.warmup, 1)),
                num_items=problem.num_items,
                generator=noise,
                steps=problem.steps,
                after=trainer.average and partial(trainer.average.update, model),
            )
            text = partial(row_text, trainer.history, problem.num_items)
            for epoch in islice(loop, 0 if trainer.stopped else max(recipe.epochs - done, 0)):
                number = done + epoch.number
                trainer.step(epoch._replace(number=number))
                show(number, text)
                if kept is not None and (kept.due() or signals.received):
                    trainer.flush()
                    trainer.check_weights(number)
                    kept.save(number, state.snapshot(time.perf_counter() - start))
                    signals.check(number, kept.folder)
                if trainer.stopped:
                    break
        result = trainer.result(time.perf_counter() - start, self.plan)
        self._mark()  # again: the weights of the best epoch may come without the mark
        if self.finish is not None:
            self.finish(result)
        return self._checked(result)

    def _checkpoints(self, folder: str | os.PathLike[str]) -> Checkpoints:
        model = self.model
        identity = {"seed": self.seed, "recipe": self.recipe.identity()}
        identity |= {"model": model_identity(model), **self.identity}
        return Checkpoints(folder, identity, {"model": repr(model), **self.former})

    def _mark(self) -> None:
        """Note in the model which links it has seen."""
        if self.trained_on is not None:
            self.model.trained_on = (*self.model.trained_on, self.trained_on)

    def _checked(self, result: FitResult) -> FitResult:
        """Return the result with what the health check found, and log that."""
        findings = tuple(self.health(result)) if self.health and result.history else ()
        for number, finding in enumerate(findings):
            log.log(logging.INFO if number else logging.WARNING, "%s", finding)
        return replace(result, health=findings)


def _restored(checkpoints: Checkpoints, state: TrainingState) -> float:
    """Restore the newest checkpoint, if there is one; return the seconds spent until then."""
    checkpoints.check_space(state.snapshot(0.0))
    found = checkpoints.load()
    return 0.0 if found is None else state.restore(found)


class _Trainer:
    """State between epochs: history, best weights, patience."""

    def __init__(
        self,
        model: VAE,
        evaluate: Evaluate | None,
        recipe: Training,
        on_row: OnRow | None,
        remedy: str,
    ) -> None:
        self.model, self.evaluate, self.recipe, self.on_row = model, evaluate, recipe, on_row
        self.remedy = remedy or f"try a smaller lr (now {recipe.lr})"
        self.average = AveragedWeights(model) if recipe.average else None
        # The model whose weights are evaluated and kept.
        self.evaluated = self.average.module if self.average else model
        self.modules: dict[str, nn.Module] = {"model": model}
        if self.average is not None:
            self.modules["average"] = self.average
        self.history: list[HistoryRow] = []
        self.pending: list[Epoch] = []
        self.best, self.best_score = deepcopy(model.state_dict()), -math.inf
        self.best_epoch = 0
        self.stopped = False
        self.replayed: Replayed | None = None
        self.names: Sequence[str] = ()
        if recipe.patience and evaluate is None:
            log.warning("nothing to validate on: patience is ignored, the last epoch is kept")

    def resume(self) -> int:
        """Report the rows of earlier epochs; return how many there are."""
        self._report(self.history)
        done = len(self.history)
        # The patience may have changed since then.
        self.stopped = self._out_of_patience(done - done % self.recipe.eval_every)
        return done

    def step(self, epoch: Epoch) -> None:
        """Record an epoch; set ``stopped`` if it is the last."""
        self.pending.append(epoch)
        number = epoch.number
        if number % self.recipe.eval_every and number < self.recipe.epochs:
            return
        rows = self.fetch(self._validated())
        score = sum(value for value in rows[-1][4:] if value is not None)
        if self.evaluate is not None and score > self.best_score:
            self.best_score, self.best_epoch = score, number
            self.best = deepcopy(self.evaluated.state_dict())
        self._record(rows)
        self.stopped = self._out_of_patience(number)

    def record(self, device: torch.device) -> None:
        """Let a look at the validation data become one launch."""
        self.replayed = Replayed(lambda: torch.stack([*self._scores().values()]), [], device)

    def _scores(self) -> Mapping[str, Tensor]:
        found = {} if self.evaluate is None else self.evaluate(self.evaluated)
        self.names = [*found]
        return found

    def _validated(self) -> Mapping[str, Tensor]:
        """Return the scores on the validation data, not yet fetched."""
        try:
            with evaluating(self.evaluated):
                if self.replayed is None:
                    return self._scores()
                values = self.replayed()
                return dict(zip(self.names, values, strict=True))
        except Exception:
            self.fetch()  # a loss that is not finite explains it
            raise

    def _out_of_patience(self, evaluated_at: int) -> bool:
        patience = self.recipe.patience if self.evaluate is not None else 0
        return 0 < patience <= evaluated_at - self.best_epoch

    def flush(self) -> None:
        """Record the pending epochs."""
        if self.pending:
            self._record(self.fetch())

    def _record(self, rows: Sequence[HistoryRow]) -> None:
        self.history += rows
        self._report(rows)

    def _report(self, rows: Sequence[HistoryRow]) -> None:
        if self.on_row is not None:
            for row in rows:
                self.on_row(row)

    def fetch(self, scores: Mapping[str, Tensor] | None = None) -> list[HistoryRow]:
        """Fetch the pending epochs, and scores of the last one, in one wait for a GPU."""
        scores = scores or {}
        losses = torch.stack([value for epoch in self.pending for value in epoch[1:]]).double()
        numbers = torch.cat([losses, *(score.to(losses).view(1) for score in scores.values())])
        fetched = iter(numbers.tolist())
        rows = [HistoryRow(epoch.number, *islice(fetched, 3)) for epoch in self.pending]
        found = dict(zip(scores, fetched, strict=True))
        self.pending.clear()
        for row in rows:
            if not math.isfinite(row.loss):
                raise self._diverged(f"the loss is {row.loss}", row.epoch)
        for name, value in found.items():
            if not math.isfinite(value):
                raise self._diverged(f"{name} is {value}", rows[-1].epoch)
        return [*rows[:-1], rows[-1]._replace(**found)]

    def check_weights(self, epoch: int) -> None:
        """Raise ``NumericalError`` if the weights are not finite although the loss was."""
        weights = dict(self.model.named_parameters())
        finite = torch.stack([value.isfinite().all() for value in weights.values()]).tolist()
        for name, known in zip(weights, finite, strict=True):
            if not known:
                raise self._diverged(f"{name} is not finite", epoch)

    def _diverged(self, what: str, epoch: int) -> NumericalError:
        return NumericalError("DIVERGED", f"{what} in epoch {epoch}; {self.remedy}.")

    def result(self, seconds: float, plan: Plan | None) -> FitResult:
        """Load the weights that the recipe keeps into the model; return the result."""
        best, best_epoch, last = self.best, self.best_epoch, deepcopy(self.evaluated.state_dict())
        if self.evaluate is None:
            best, best_epoch = last, len(self.history)
        self.model.load_state_dict(best if self.recipe.keep == "best" else last)
        self.check_weights(len(self.history))  # nobody has seen the last update without validation
        self.model.eval()
        return FitResult(self.model, best, last, best_epoch, self.history, seconds, plan)
