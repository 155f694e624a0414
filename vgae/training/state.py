"""State of a training between two epochs, as a checkpoint and back."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vgae.errors import ArtifactError
from vgae.training.checkpoint import Checkpoint
from vgae.training.history import HistoryRow, checked_row

_LATER = ("torch", "torch_cuda")  # generators that the first checkpoints do not have


class Progress(Protocol):
    """State between epochs, besides the current weights."""

    history: list[HistoryRow]
    best: dict[str, Tensor]
    best_epoch: int
    best_score: float


@dataclass(frozen=True, eq=False)
class TrainingState:
    """State from which a training continues bit for bit.

    Attributes:
        modules: The model, and the average of its weights if there is one, by name.
        optimizer: Optimizer of the parameters of the model.
        generators: All generators that the training draws from, by name.
        progress: History and best weights.
    """

    modules: Mapping[str, nn.Module]
    optimizer: torch.optim.Optimizer
    generators: Mapping[str, torch.Generator]
    progress: Progress

    def snapshot(self, seconds: float) -> Checkpoint:
        """Return the state after ``seconds`` of training."""
        progress = self.progress
        tensors = {f"best/{name}": value for name, value in progress.best.items()}
        for module, part in self.modules.items():
            tensors |= {f"{module}/{name}": value for name, value in part.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{name}": value for name, value in state.items()}
        for name, generator in self.generators.items():
            tensors[f"generator/{name}"] = generator.get_state()
        values = {
            "history": [list(row) for row in progress.history],
            "best_epoch": progress.best_epoch,
            # Minus infinity before the first evaluation, which is no JSON.
            "best_score": progress.best_score if progress.best_epoch else None,
            "seconds": seconds,
            "trained_on": self._trained_on(),
        }
        return Checkpoint(values, tensors)

    def restore(self, checkpoint: Checkpoint) -> float:
        """Restore a state; return the seconds of training until then.

        Raises:
            ArtifactError: If it is of another model or optimizer, or not finite.
        """
        values, tensors = checkpoint.values, checkpoint.tensors
        for name, value in tensors.items():
            if not value.isfinite().all():
                raise ArtifactError(
                    "CKPT_NONFINITE",
                    f"{name} of the checkpoint is not finite numbers; take an earlier one, or"
                    " train again.",
                )
        try:
            for module, part in self.modules.items():
                part.load_state_dict(_below(module, tensors))
            self._restore_optimizer(_below("optimizer", tensors))
            for name, generator in self.generators.items():
                if (stored := f"generator/{name}") in tensors or name not in _LATER:
                    generator.set_state(tensors[stored])
            best = _below("best", tensors)
            self.progress.best = {k: best[k].to(v.device) for k, v in self.progress.best.items()}
            self.progress.history = [checked_row(HistoryRow(*r)) for r in values["history"]]
            self.progress.best_epoch = operator.index(values["best_epoch"])
            if seen := [str(digest) for digest in values.get("trained_on", [])]:
                model: Any = self.modules["model"]
                model.trained_on = (*self._trained_on(), *seen)
            if values["best_score"] is not None:
                self.progress.best_score = float(values["best_score"])
            return float(values["seconds"])
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            reason = [*str(error).splitlines(), type(error).__name__][0].rstrip(".")
            raise ArtifactError(
                "CKPT_MISMATCH", f"the checkpoint is of another model or optimizer: {reason}."
            ) from None

    def _trained_on(self) -> list[str]:
        return list(getattr(self.modules["model"], "trained_on", ()))

    def _restore_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, field = name.split("/", 1)
            states.setdefault(int(number), {})[field] = value
        self._check_optimizer(states)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})

    def _check_optimizer(self, states: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Raise unless each parameter has the state of a step, which torch does not check."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        probe = nn.Parameter(torch.zeros_like(parameters[0]))
        probe.grad = torch.zeros_like(probe)
        fresh = type(self.optimizer)([probe], **self.optimizer.defaults)
        fresh.step()
        scalars = {name for name, value in fresh.state[probe].items() if value.dim() == 0}
        for number, state in states.items():
            shape = parameters[number].shape
            for name in state.keys() | fresh.state[probe].keys():
                if state[name].shape != (() if name in scalars else shape):
                    raise ValueError(f"{name} of the optimizer is not of the shape of its weights")


def named_generators(parts: Mapping[str, Any]) -> dict[str, torch.Generator]:
    """Return the generators of the parts of a training: their attribute ``generator``."""
    found = {name: getattr(part, "generator", None) for name, part in parts.items()}
    return {name: generator for name, generator in found.items() if generator is not None}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
