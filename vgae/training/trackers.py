"""Trackers of experiments: what is told of a training, beside the files of its run.

:class:`Tracker` is the one interface of TensorBoard, MLflow, Weights & Biases and of trackers of
your own.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from vgae.errors import ResourceError, UsageError, check_choice
from vgae.runtime.atomic import replacing
from vgae.runtime.reading import brief, parsed_json, read_regular
from vgae.runtime.tables import optional_module
from vgae.training.history import HistoryRow
from vgae.training.tensorboard import tensorboard_log

Name = Literal["tensorboard", "mlflow", "wandb"]
_FILE = "trackers.json"
_PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
_NO_SCORES: Mapping[str, float] = {}


class TrackedRun(NamedTuple):
    """What a tracker is told before the first epoch.

    Attributes:
        folder: Folder of the run; its name is that of the run.
        settings: Plain values: model, data, seed, and the fields of the recipe.
        last_epoch: Epochs that an earlier process has told already: those after it are new.
        key: What :meth:`Tracker.begin` returned then; ``None`` for a new run.
    """

    folder: Path
    settings: Mapping[str, str | int | float | bool]
    last_epoch: int = 0
    key: str | None = None


class Tracker(Protocol):
    """One that is told of a training.

    Attributes:
        name: Letters; the run remembers the key of the tracker under it.
    """

    name: str

    def begin(self, run: TrackedRun, /) -> str | None:
        """Begin, or go on; return a key by which this run is found again, or ``None``."""
        ...

    def row(self, row: HistoryRow, /) -> None:
        """Take the numbers of an epoch, also of those that an earlier process has told."""
        ...

    def end(self, scores: Mapping[str, float], /, *, finished: bool) -> None:
        """Take the scores of a finished training, by names such as ``test.auc``, and close."""
        ...


class TensorBoardTracker:
    """Writes ``tensorboard/`` in the folder of the run."""

    name = "tensorboard"

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._write: Callable[[HistoryRow], None] | None = None

    def begin(self, run: TrackedRun) -> None:
        """Open the folder; rows that come again take the place of those there."""
        log = tensorboard_log(run.folder / "tensorboard")
        self._write = self._opened.enter_context(log)

    def row(self, row: HistoryRow) -> None:
        """Write a row."""
        assert self._write is not None
        self._write(row)

    def end(self, scores: Mapping[str, float], *, finished: bool) -> None:  # noqa: ARG002
        """Close the file."""
        self._opened.close()


class MLflowTracker:
    """Tells MLflow: parameters, each epoch as metrics, scores at the end.

    MLflow's own variables say where: ``MLFLOW_TRACKING_URI``, by default a file or database in
    the current folder, and ``MLFLOW_EXPERIMENT_NAME``.
    """

    name = "mlflow"

    def begin(self, run: TrackedRun) -> str:
        """Begin a run of the name of the folder, or go on with that of the key."""
        mlflow: Any = optional_module("mlflow", "mlflow")
        client = mlflow.MlflowClient()
        self._client, self._key, self._last = client, run.key, 0
        with _told(self.name):
            if self._key is None:
                name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
                known = client.get_experiment_by_name(name)
                place = client.create_experiment(name) if known is None else known.experiment_id
                self._key = client.create_run(place, run_name=run.folder.name).info.run_id
                self._batch(params=[(k, str(v)[:500]) for k, v in run.settings.items()])
            else:
                client.update_run(self._key, status="RUNNING")
                told = [one.step for one in client.get_metric_history(self._key, "loss")]
                self._last = max(told, default=0)
        assert self._key is not None
        return self._key

    def row(self, row: HistoryRow) -> None:
        """Log the numbers of a new epoch."""
        if row.epoch > self._last:
            with _told(self.name):
                self._batch(metrics=_numbers(row), step=row.epoch)

    def end(self, scores: Mapping[str, float], *, finished: bool) -> None:
        """Log the scores, and say whether the training has finished."""
        with _told(self.name):
            self._batch(metrics=scores)
            self._client.set_terminated(self._key, "FINISHED" if finished else "KILLED")

    def _batch(
        self,
        *,
        params: Sequence[tuple[str, str]] = (),
        metrics: Mapping[str, float] = _NO_SCORES,
        step: int = 0,
    ) -> None:
        made: Any = optional_module("mlflow.entities", "mlflow")
        now = int(time.time() * 1000)
        kept = [made.Metric(name, value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self._key, kept, [made.Param(*pair) for pair in params])


class WandbTracker:
    """Tells Weights & Biases: settings, each epoch, scores as the summary.

    Its own variables say where: ``WANDB_PROJECT``, ``WANDB_MODE=offline``, ``WANDB_DIR``.
    """

    name = "wandb"

    def begin(self, run: TrackedRun) -> str:
        """Begin a run of the name of the folder, or go on with that of the key."""
        wandb: Any = optional_module("wandb", "wandb")
        key = run.key or secrets.token_hex(8)
        # A killed process may have written the newest epoch and not told it.
        self._last = run.last_epoch - 1
        with _told(self.name):
            self._run = wandb.init(
                id=key,
                name=run.folder.name,
                project=os.environ.get("WANDB_PROJECT", "vgae"),
                config=dict(run.settings),
                resume="allow",
            )
            self._run.define_metric("*", step_metric="epoch")
        return key

    def row(self, row: HistoryRow) -> None:
        """Log the numbers of a new epoch."""
        if row.epoch > self._last:
            with _told(self.name):
                self._run.log({"epoch": row.epoch, **_numbers(row)})

    def end(self, scores: Mapping[str, float], *, finished: bool) -> None:
        """Set the summary, and close."""
        with _told(self.name):
            for name, value in scores.items():
                self._run.summary[name] = value
            self._run.finish(exit_code=0 if finished else 1)


_KINDS: dict[str, Callable[[], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "mlflow": MLflowTracker,
    "wandb": WandbTracker,
}


def checked_trackers(given: Sequence[str | Tracker]) -> list[Tracker]:
    """Return trackers, those given by name made; each name once.

    Raises:
        UsageError: ``TRACK`` for an unknown name or an object without the methods;
            ``MISSING_PACKAGE``.
    """
    found: dict[str, Tracker] = {}
    for one in given:
        if isinstance(one, str):
            check_choice("track", one, Name)
            optional_module(_PACKAGES[one], one)
            one = _KINDS[one]()
        if lacking := [name for name in ("name", "begin", "row", "end") if not hasattr(one, name)]:
            raise UsageError(
                "TRACK",
                f"a tracker has name, begin, row and end (vgae.training.trackers.Tracker), and"
                f" {type(one).__name__} has no {lacking[0]}.",
            )
        found[one.name] = one
    return [*found.values()]


class Tracking:
    """Trackers of one training in progress."""

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._trackers, self._scores, self._finished = trackers, _NO_SCORES, False

    def row(self, row: HistoryRow) -> None:
        """Tell all of an epoch."""
        for tracker in self._trackers:
            tracker.row(row)

    def scores(self, metrics: Mapping[str, Any]) -> None:
        """Keep the scores in the content of ``metrics.json`` for the end."""
        self._scores, self._finished = _scores(metrics), True

    def end(self, tracker: Tracker) -> None:
        """Tell one that the training is over; without scores, it was interrupted."""
        tracker.end(self._scores, finished=self._finished)


@contextmanager
def tracking(
    folder: Path, config: Mapping[str, Any], given: Sequence[str | Tracker]
) -> Iterator[Tracking]:
    """Yield the trackers of a training in the folder of its run.

    ``trackers.json`` in the folder has the key of each; a run that is continued is told to those
    named there too.

    Args:
        folder: Folder of the run, of which ``history.jsonl`` has what was told before.
        config: Content of its ``config.json``.
        given: Trackers, or their names.
    """
    keys = _stored_keys(folder)
    known = [name for name in (*keys, *_begun_logs(folder)) if name in _KINDS]
    trackers = checked_trackers([*known, *given])  # of one name, the last is told
    last = _last_epoch(folder)
    with ExitStack() as opened:
        found = Tracking(trackers)
        for tracker in trackers:
            name = tracker.name
            told = last if name in keys else 0
            keys[name] = tracker.begin(TrackedRun(folder, _settings(config), told, keys.get(name)))
            opened.callback(found.end, tracker)
            with replacing(folder / _FILE) as temporary:
                temporary.write_text(json.dumps(keys, indent=2) + "\n", encoding="utf-8")
        yield found


def _stored_keys(folder: Path) -> dict[str, str | None]:
    try:
        found = parsed_json(read_regular(folder / _FILE))
        return {name: key for name, key in found.items() if isinstance(key, str | None)}
    except FileNotFoundError:
        return {}
    except (AttributeError, ValueError) as error:
        what = f"{folder / _FILE} is damaged ({brief(error)}); remove it."
        raise ResourceError("TRACK", what) from None


def _begun_logs(folder: Path) -> list[str]:
    """Return the tracker of an earlier version, which had no file of keys."""
    return ["tensorboard"] if (folder / "tensorboard").is_dir() else []


def _last_epoch(folder: Path) -> int:
    """Return the number of rows that an earlier process has written."""
    try:
        return read_regular(folder / "history.jsonl").count(b"\n")
    except FileNotFoundError:
        return 0


def _settings(config: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Return the settings of a run by one level of names."""
    data = next((config[k] for k in ("graph", "typed_graph", "images") if k in config), {})
    found = {"model": config.get("model"), "data": data.get("name"), "seed": config.get("seed")}
    found |= {f"recipe.{name}": value for name, value in config.get("recipe", {}).items()}
    found |= {f"versions.{name}": value for name, value in config.get("versions", {}).items()}
    return {
        name: value if isinstance(value, str | int | float | bool) else json.dumps(value)
        for name, value in found.items()
        if value is not None
    }


def _scores(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers in the content of ``metrics.json``, by names with dots."""
    found = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping) and name not in ("files", "reliability"):
            found |= _scores(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = float(value)
    return found


def _numbers(row: HistoryRow) -> dict[str, float]:
    named = row._asdict()
    return {n: float(v) for n, v in named.items() if n != "epoch" and v is not None}


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Convert what the client of a tracker raises to one line."""
    try:
        yield
    except Exception as error:  # of the network, of a server, of its client
        line = [*str(error).splitlines(), type(error).__name__][0].rstrip(".")
        raise ResourceError(
            "TRACK",
            f"{name}: {line:.200}; mend that and go on with 'vgae train --resume RUN', or train"
            " without it.",
        ) from error
