"""epochs: the loop, as an iterator. optimise: with validation, early stopping and progress.

What is trained is none of its business: ``link_training`` and ``image_training`` say that.
"""

import copy
import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from vgae.errors import NumericalError, UsageError
from vgae.models.embedding import evaluating, parameter_like
from vgae.recipes.base import Training
from vgae.runtime.devices import deterministic_algorithms, memory_named
from vgae.runtime.progress import showing
from vgae.runtime.signals import ended_by_signals
from vgae.runtime.streams import stream
from vgae.training.averaging import averaged
from vgae.training.checkpoint import Checkpoints
from vgae.training.cuda_graph import Replayed
from vgae.training.history import HistoryRow, row_text
from vgae.training.plan import Plan
from vgae.training.state import TrainingState, named_generators
from vgae.vae import VAE

log = logging.getLogger(__name__)


Steps = Callable[[Any, Any], Collection[tuple[Sequence[Any], Any]]]


class Epoch(NamedTuple):
    """What one pass over the data gave; tensors of shape ``()``, not yet fetched from a GPU.

    Attributes:
        number: 1 for the first.
        loss: ``(recon + beta * kl) / num_items``, what was minimised.
        recon: What the decoder's ``log_prob`` summed to, with its weights and the opposite sign.
        kl: Summed, in nats.
    """

    number: int
    loss: Tensor
    recon: Tensor
    kl: Tensor


def epochs(
    model: VAE,
    optimizer: torch.optim.Optimizer,
    inputs: Sequence[Any],
    target: Any,
    *,
    beta: float | Callable[[int], float] = 1.0,
    num_items: int = 1,
    generator: torch.Generator | None = None,
    steps: Steps | None = None,
    cuda_graph: bool = False,
    done: int = 0,
) -> Iterator[Epoch]:
    """Train without end, one full pass an iteration; the caller's loop is the callback.

    Args:
        model: Changed in place.
        optimizer: Over the parameters of ``model``.
        inputs: What the encoder takes, ``(x, edge_index)`` for a graph.
        target: What the decoder scores, ``edge_index`` for a graph.
        beta: Weight of the KL divergence, or what gives it for the number of an epoch.
        num_items: What the ELBO, summed over an epoch, is divided by to give the loss.
        generator: Where the noise of the samples comes from.
        steps: Called with ``inputs`` and ``target`` in each epoch for the pairs to take in their
            place, a step of the optimizer for each, such as a
            :class:`vgae.training.masking.LinkMasking` or
            :class:`vgae.training.images.ImageBatches`.
        cuda_graph: Whether to record an epoch on a GPU and replay it from the fourth on; see
            :class:`vgae.training.cuda_graph.Replayed` for what it asks of the optimizer. ``beta``
            is then a number.
        done: Epochs that lie behind already; they are only counted.

    Yields:
        The epoch, after its steps were taken.
    """
    weight = beta if callable(beta) else lambda _: beta

    def step(given: Sequence[Any], wanted: Any, weight: float, share: float) -> list[Tensor]:
        optimizer.zero_grad(set_to_none=True)
        terms = model(given, wanted, generator)
        loss = -terms.elbo(weight) / (num_items * share)
        loss.backward()
        optimizer.step()
        return [share * loss.detach(), -terms.log_likelihood.detach(), terms.kl.detach()]

    def epoch(weight: float) -> tuple[Tensor, ...]:
        pairs = [(inputs, target)] if steps is None else steps(inputs, target)
        done = [step(given, wanted, weight, 1 / len(pairs)) for given, wanted in pairs]
        return tuple(torch.stack(values).sum() for values in zip(*done, strict=True))

    replayed = None
    if cuda_graph:
        drawn_from = [generator, *(getattr(part, "generator", None) for part in model.children())]
        drawn_from.append(getattr(steps, "generator", None))
        device = parameter_like(model).device
        once = partial(epoch, weight(1))
        replayed = Replayed(once, [g for g in drawn_from if g is not None], device)
    for number in count(done + 1):
        model.train()
        yield Epoch(number, *(replayed() if replayed else epoch(weight(number))))


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """What a training gives back.

    Attributes:
        model: The trained model, with the weights that the recipe keeps.
        best: Weights of the best epoch on what is held out for validation.
        last: Weights of the last epoch.
        best_epoch: Its number; 0 are the initial weights.
        history: One row per epoch.
        seconds: How long training took, validation included.
        plan: How the pairs were summed, and what was predicted; ``None`` for a decoder of your
            own.
    """

    model: VAE
    best: dict[str, Tensor]
    last: dict[str, Tensor]
    best_epoch: int
    history: list[HistoryRow]
    seconds: float
    plan: Plan | None = None

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else None
        return f"FitResult(best_epoch={self.best_epoch}, last={last}, {self.seconds:.1f} s)"


Judge = Callable[[VAE], dict[str, float]]


@dataclass(frozen=True, eq=False)
class Problem:
    """What a model is trained on and judged by.

    Attributes:
        inputs: What the encoder takes.
        target: What the decoder scores.
        num_items: What the summed ELBO is divided by to give the loss.
        steps: What an epoch's steps take instead; see :func:`epochs`.
        judge: Scores a model by what was held out, the higher the better: fields of
            :class:`vgae.training.history.HistoryRow`. ``None`` where nothing was.
    """

    inputs: Sequence[Any]
    target: Any
    num_items: int
    steps: Steps | None = None
    judge: Judge | None = None


def optimise(
    model: VAE,
    problem: Problem,
    settings: Training,
    *,
    seed: int,
    cuda_graph: bool = False,
    deterministic: bool = False,
    on_row: Callable[[HistoryRow], object] | None = None,
    progress: bool | None = None,
    checkpoints: Checkpoints | None = None,
) -> FitResult:
    """Train a model, whatever it is of, with validation, early stopping and progress.

    Args:
        model: Changed in place; on the device of the problem.
        problem: Data.
        settings: How long and how fast.
        seed: Of the noise, of dropout and of what the decoder draws.
        cuda_graph: See :func:`epochs`.
        deterministic: Whether to refuse what may give other bits each time on a GPU; see
            :func:`vgae.runtime.devices.deterministic_algorithms`.
        on_row: Called with each row of the history, soon after its epoch.
        progress: Whether to show progress on stderr; see :func:`vgae.runtime.progress.showing`.
        checkpoints: Where the training keeps itself, and from where it goes on if there is a
            checkpoint; on a CPU to the same weights, bit for bit, as if it had not been
            interrupted. While it trains in the main thread, SIGTERM and SIGINT end it after the
            epoch, with a checkpoint; a second one at once.

    Raises:
        Interrupted: If a signal ended it.
        ArtifactError: If the checkpoint is of another training.
        NumericalError: If the loss is no longer finite. Checkpoints from before stay.
        ResourceError: If the memory does not suffice, or a checkpoint cannot be written.
        UsageError: If ``cuda_graph`` is to replay what changes from epoch to epoch.
    """
    if cuda_graph and (settings.warmup or settings.optimizer == "adagrad"):
        raise UsageError("CUDA_GRAPH", "cuda_graph takes neither a warmup nor adagrad.")
    device = parameter_like(model).device
    trainer = _Trainer(model, problem.judge, settings, on_row)
    optimizer = _optimizer(model, settings, capturable=cuda_graph)
    noise = stream(seed, "noise", device)
    with (
        memory_named(device),
        deterministic_algorithms(wanted=deterministic),
        showing(settings.epochs, "epochs", wanted=progress) as show,
        _drawing_from(model.encoder, stream(seed, "dropout", device)),
        _drawing_from(model.decoder, stream(seed, "pairs", device)),
        ended_by_signals(wanted=checkpoints is not None) as signals,
    ):
        drawing = {"encoder": model.encoder, "decoder": model.decoder, "steps": problem.steps}
        generators = {"noise": noise, **named_generators(drawing)}
        state = TrainingState(trainer.modules, optimizer, generators, trainer)
        found = None
        if checkpoints is not None:
            checkpoints.check_space(state.snapshot(0.0))
            found = checkpoints.load()
        start = time.perf_counter() - (0.0 if found is None else state.restore(found))
        done = trainer.resume()
        show.begin(done)
        loop = epochs(
            model,
            optimizer,
            problem.inputs,
            problem.target,
            beta=_warmed_up(settings),
            num_items=problem.num_items,
            generator=noise,
            steps=problem.steps,
            cuda_graph=cuda_graph,
            done=done,
        )
        text = partial(row_text, trainer.history, problem.num_items)
        for epoch in islice(loop, 0 if trainer.stopped else max(settings.epochs - done, 0)):
            trainer.step(epoch)
            show(epoch.number, text)
            if checkpoints is not None and (checkpoints.due() or signals.received):
                trainer.flush()
                trainer.check_weights(epoch.number)
                checkpoints.save(epoch.number, state.snapshot(time.perf_counter() - start))
                signals.check(epoch.number, checkpoints.folder)
            if trainer.stopped:
                break
    return trainer.result(time.perf_counter() - start)


def _warmed_up(settings: Training) -> float | Callable[[int], float]:
    """Return beta, which may rise in a straight line to what it is after the first epochs."""
    if settings.warmup == 0:
        return settings.beta
    return lambda epoch: settings.beta * min(1.0, epoch / settings.warmup)


def _optimizer(model: VAE, settings: Training, *, capturable: bool) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), fused=True, capturable=capturable, **options)
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), capturable=capturable, **options)
    return torch.optim.Adagrad(model.parameters(), **options)


class _Trainer:
    """What is remembered between epochs: history, best weights, patience."""

    def __init__(
        self,
        model: VAE,
        judge: Judge | None,
        settings: Training,
        on_row: Callable[[HistoryRow], object] | None,
    ) -> None:
        self.model, self.judge, self.settings, self.on_row = model, judge, settings, on_row
        self.average = averaged(model) if settings.average else None
        # Whose weights are judged and kept.
        self.judged = cast(VAE, self.average.module) if self.average else model
        self.history: list[HistoryRow] = []
        self.pending: list[Epoch] = []
        self.best_score = -math.inf
        self.best_epoch = 0
        self.best = _weights(model)
        self.stopped = False
        if settings.patience and judge is None:
            log.warning("nothing to validate on: patience is ignored, the last epoch is kept")

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What has weights, by name."""
        average = {} if self.average is None else {"average": self.average}
        return {"model": self.model, **average}

    def resume(self) -> int:
        """Tell the rows of the epochs that lie behind; return how many there are."""
        self._tell(self.history)
        done = len(self.history)
        # The patience may be another now.
        self.stopped = self._out_of_patience(done - done % self.settings.eval_every)
        return done

    def step(self, epoch: Epoch) -> None:
        """Take note of an epoch; ``stopped`` says whether that was the last."""
        self.pending.append(epoch)
        if self.average is not None:
            self.average.update_parameters(self.model)
        number = epoch.number
        if number % self.settings.eval_every and number < self.settings.epochs:
            return
        rows = self.fetch()
        if self.judge is not None:
            with evaluating(self.judged):
                scores = self.judge(self.judged)
            rows[-1] = rows[-1]._replace(**scores)
            if sum(scores.values()) > self.best_score:
                self.best_score, self.best_epoch = sum(scores.values()), number
                self.best = _weights(self.judged)
        self._note(rows)
        self.stopped = self._out_of_patience(number)

    def _out_of_patience(self, looked_at: int) -> bool:
        patience = self.settings.patience if self.judge is not None else 0
        return 0 < patience <= looked_at - self.best_epoch

    def flush(self) -> None:
        """Bring the history up to date."""
        if self.pending:
            self._note(self.fetch())

    def _note(self, rows: Sequence[HistoryRow]) -> None:
        self.history += rows
        self._tell(rows)

    def _tell(self, rows: Sequence[HistoryRow]) -> None:
        if self.on_row is not None:
            for row in rows:
                self.on_row(row)

    def fetch(self) -> list[HistoryRow]:
        """Fetch the waiting epochs, all at once, so that a GPU is seldom waited for."""
        numbers = torch.stack(
            [torch.stack([e.loss, e.recon, e.kl]).double() for e in self.pending]
        ).tolist()
        rows = [HistoryRow(e.number, *n) for e, n in zip(self.pending, numbers, strict=True)]
        self.pending.clear()
        for row in rows:
            if not math.isfinite(row.loss):
                raise self._diverged(f"the loss is {row.loss}", row.epoch)
        return rows

    def check_weights(self, epoch: int) -> None:
        """Raise ``NumericalError`` if the step after a finite loss spoilt the weights."""
        for name, value in self.model.named_parameters():
            if not value.isfinite().all():
                raise self._diverged(f"{name} is not finite", epoch)

    def _diverged(self, what: str, epoch: int) -> NumericalError:
        return NumericalError(
            "DIVERGED",
            f"{what} in epoch {epoch}; try a smaller lr (now {self.settings.lr}) or features of a"
            " smaller scale.",
        )

    def result(self, seconds: float) -> FitResult:
        """Put the weights that the recipe keeps into the model, and hand everything over."""
        last = _weights(self.judged)
        last_epoch = len(self.history)
        best, best_epoch = self.best, self.best_epoch
        if self.judge is None:
            best, best_epoch = last, last_epoch
        self.model.load_state_dict(best if self.settings.keep == "best" else last)
        self.model.eval()
        return FitResult(self.model, best, last, best_epoch, self.history, seconds)


def _weights(model: VAE) -> dict[str, Tensor]:
    """Return a copy of the weights."""
    return copy.deepcopy(model.state_dict())


@contextmanager
def _drawing_from(part: Any, generator: torch.Generator) -> Iterator[None]:
    """Lend a generator to an encoder or decoder that draws from one and has none of its own."""
    if getattr(part, "generator", generator) is not None:
        yield
        return
    part.generator = generator
    try:
        yield
    finally:
        part.generator = None  # it is bound to the device; the model may go elsewhere
