"""State of a training between epochs, and its result."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from vgae.errors import NumericalError
from vgae.models.embedding import evaluating
from vgae.recipes.base import Training
from vgae.runtime.preview import Preview
from vgae.runtime.processes import ALONE, Team
from vgae.training.averaging import AveragedWeights
from vgae.training.cuda_graph import Replayed
from vgae.training.history import HistoryRow
from vgae.training.loop import Epoch
from vgae.training.plan import Plan
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

    def _repr_html_(self) -> str:
        facts: dict[str, Any] = {"epochs": len(self.history), "best epoch": self.best_epoch}
        facts["seconds"] = f"{self.seconds:.1f}"
        for row in self.history[-1:]:
            facts |= {"loss of the last epoch": row.loss, "its KL, in nats": row.kl}
        for row in self.history[: self.best_epoch][-1:]:
            scores = {"AUC": row.val_auc, "AP": row.val_ap, "ELBO": row.val_elbo}
            facts |= {f"validation {name} of the best epoch": v for name, v in scores.items()}
        if self.plan is not None:
            facts["sum over pairs"] = f"{self.plan.pairs} ({self.plan.why})"
        encoder = type(getattr(self.model, "encoder", self.model)).__name__
        return Preview.of_facts(f"Training of a model with {encoder}", facts, self.health).html()


class Trainer:
    """State between epochs: history, best weights, patience."""

    def __init__(
        self,
        model: VAE,
        evaluate: Evaluate | None,
        recipe: Training,
        on_row: OnRow | None,
        remedy: str,
        us: Team = ALONE,
    ) -> None:
        self.model, self.evaluate, self.recipe, self.on_row = model, evaluate, recipe, on_row
        self.us = us
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
        if self.us.size > 1:  # machines of another kind may round in another way
            rows = [HistoryRow(*row) for row in self.us.agreed(rows)]
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
