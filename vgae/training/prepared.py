"""Prepared training and its result: validation, early stopping, checkpoints."""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import torch

from vgae.errors import UsageError
from vgae.models.embedding import parameter_like
from vgae.recipes.base import Training
from vgae.runtime.devices import (
    Compute,
    convolutions_as_products,
    deterministic_algorithms,
    memory_named,
)
from vgae.runtime.processes import Team, alone, sharing, team
from vgae.runtime.progress import showing
from vgae.runtime.signals import SignalNote, ended_by_signals
from vgae.runtime.streams import drawing_from, seeded_torch, stream
from vgae.training.checkpoint import Checkpoints, decoded, encoded
from vgae.training.history import row_text
from vgae.training.identity import check_same, model_identity, weights_digest
from vgae.training.loop import Steps, Summed, epochs
from vgae.training.optimizers import optimizer_for
from vgae.training.plan import Plan
from vgae.training.state import TrainingState, named_generators
from vgae.training.trainer import Evaluate, FitResult, OnRow, Trainer
from vgae.vae import VAE
from vgae.version import __version__

log = logging.getLogger(__name__)

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
        summed: What several processes add up in each step, if they divide its rows.
    """

    inputs: Sequence[Any]
    target: Any
    num_items: int
    steps: Steps | None = None
    evaluate: Evaluate | None = None
    recordable: Collection[str] = ()
    summed: Summed | None = None


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
        if self.device.type != "cuda" or chosen is False or team().size > 1:
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
        Of several processes (:mod:`vgae.runtime.processes`) the first alone does this check,
        writes checkpoints and shows progress.

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
            UsageError: ``RANKS_DIFFER`` if the processes do not train the same.
        """
        model, problem, recipe, device = self.model, self.problem, self.recipe, self.device
        us = team()
        if us.size > 1:
            check_same(us, self._described() | {"checkpoints": checkpoints is not None})
        kept = None if checkpoints is None else self._checkpoints(checkpoints)
        trainer = Trainer(model, problem.evaluate, recipe, on_row, self.remedy, us)
        if self.records("evaluation"):
            trainer.record(device)
        optimizer = optimizer_for(model, recipe, capturable=self.records("epoch"))
        noise = stream(self.seed, "noise", device)
        with (
            memory_named(device),
            _locked(kept, us),
            deterministic_algorithms(wanted=self.compute.deterministic),
            convolutions_as_products(),
            showing(recipe.epochs, "epochs", wanted=progress if us.leads else False) as show,
            sharing(us),
            seeded_torch(self.seed, device) as of_torch,
            drawing_from(model.encoder, stream(self.seed, "dropout", device)),
            drawing_from(model.decoder, stream(self.seed, "pairs", device)),
            ended_by_signals(wanted=kept is not None) as signals,
        ):
            drawing = {"encoder": model.encoder, "decoder": model.decoder, "steps": problem.steps}
            generators = {"noise": noise, **of_torch, **named_generators(drawing)}
            state = TrainingState(trainer.modules, optimizer, generators, trainer)
            start = time.perf_counter() - (0.0 if kept is None else _restored(kept, state, us))
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
                summed=problem.summed,
            )
            text = partial(row_text, trainer.history, problem.num_items)
            for epoch in islice(loop, 0 if trainer.stopped else max(recipe.epochs - done, 0)):
                number = done + epoch.number
                trainer.step(epoch._replace(number=number))
                show(number, text)
                if kept is not None and _is_due(kept, signals, us):
                    trainer.flush()
                    trainer.check_weights(number)
                    snapshot = state.snapshot(time.perf_counter() - start)
                    us.led(partial(kept.save, number, snapshot))
                    signals.check(number, kept.folder)
                if trainer.stopped:
                    break
        result = trainer.result(us.agreed(time.perf_counter() - start), self.plan)
        self._mark()  # again: the weights of the best epoch may come without the mark
        if self.finish is not None:
            self.finish(result)
        return self._checked(result)

    def _identity(self) -> dict[str, Any]:
        identity = {"seed": self.seed, "recipe": self.recipe.identity()}
        return {**identity, "model": model_identity(self.model), **self.identity}

    def _checkpoints(self, folder: str | os.PathLike[str]) -> Checkpoints:
        return Checkpoints(folder, self._identity(), {"model": repr(self.model), **self.former})

    def _described(self) -> dict[str, Any]:
        """Return what must be the same in all processes, by its name in a message."""
        same = {f"the {name}": value for name, value in self._identity().items()}
        same |= {f"{name} of the recipe": value for name, value in asdict(self.recipe).items()}
        same |= {
            "the version of vgae": __version__,
            "the version of torch": torch.__version__,
            "the kind of device": self.device.type,
            "the initial weights": weights_digest(self.model),
        }
        return {name: str(value) for name, value in same.items() if name != "the recipe"}

    def _mark(self) -> None:
        """Note in the model which links it has seen."""
        if self.trained_on is not None:
            self.model.trained_on = (*self.model.trained_on, self.trained_on)

    def _checked(self, result: FitResult) -> FitResult:
        """Return the result with what the health check found, and log that."""
        wanted = self.health is not None and result.history and team().leads
        with alone():
            findings = tuple(self.health(result)) if self.health and wanted else ()
        for number, finding in enumerate(findings):
            log.log(logging.INFO if number else logging.WARNING, "%s", finding)
        return replace(result, health=findings)


@contextmanager
def _locked(checkpoints: Checkpoints | None, us: Team) -> Iterator[None]:
    with ExitStack() as held:
        if checkpoints is not None:
            us.led(lambda: held.enter_context(checkpoints.locked()))
        yield


def _restored(checkpoints: Checkpoints, state: TrainingState, us: Team) -> float:
    """Restore the newest checkpoint, if there is one; return the seconds spent until then."""
    found = None

    def load() -> None:
        nonlocal found
        checkpoints.check_space(state.snapshot(0.0))
        found = checkpoints.load()

    us.led(load)
    if us.size > 1:
        content = us.from_first(b"" if found is None else encoded(found))
        found = decoded(checkpoints.folder, content) if content else None
    return 0.0 if found is None else state.restore(found)


def _is_due(checkpoints: Checkpoints, signals: SignalNote, us: Team) -> bool:
    """Return whether all processes write, or end with, a checkpoint after this epoch."""
    due = us.leads and checkpoints.due()
    note = us.most(2 * signals.received + due)
    signals.received = note // 2
    return note > 0
