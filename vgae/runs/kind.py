"""Kinds of runs: the interface of a kind, and the registry."""

import os
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from vgae.data.side_features import are_there
from vgae.errors import ArtifactError, DataError
from vgae.models.files import read_json
from vgae.recipes.base import Training
from vgae.runs.commands import Embedding, EmbeddingOptions, EvaluationOptions
from vgae.runs.digests import check_digests, settled
from vgae.runs.folder import is_named, read_config, read_history, read_paths
from vgae.runs.lock import holder_of
from vgae.runtime.devices import Compute
from vgae.runtime.preview import Preview
from vgae.training.history import HistoryRow
from vgae.training.prepared import PreparedTraining
from vgae.training.trainer import FitResult
from vgae.vae import VAE

Config = Mapping[str, Any]
FILES = {
    "config.json": "all settings and versions",
    "history.jsonl": "loss, its parts and validation scores, one row per epoch",
    "metrics.json": "scores",
    "model/README.md": "model card: what was trained, its scores, how to load it",
    "model/config.json": "architecture of the model",
    "model/model.safetensors": "weights of the model",
    "checkpoints/best.safetensors": "weights of the best epoch",
    "checkpoints/last.safetensors": "weights of the last epoch",
    "clusters.csv": "cluster and confidence of each node",
    "clusters.npz": "the same, for pages and exports",
    "embeddings.npz": "posteriors",
    "figures/training.png": "figure: training curves",
}
"""Files of a run folder of any kind, and their descriptions."""

_SCORES = {"AUC": "auc", "AP": "ap", "ELBO": "elbo", "log p(x)": "log_marginal"}


def files_with(more: Mapping[str, str]) -> dict[str, str]:
    """Return :data:`FILES` with those of a kind, sorted by name."""
    return dict(sorted({**FILES, **more}.items()))


@dataclass(frozen=True)
class Source:
    """Name or path of the data of a run; a kind may add fields."""

    source: str


@dataclass(frozen=True, eq=False, repr=False)
class FinishedRun:
    """A finished training in its folder; a kind adds attributes.

    Attributes:
        folder: Path of the folder.
        config: Content of ``config.json``.
        model: The trained model, on the CPU.
        history: One row per epoch.
        metrics: Content of ``metrics.json``.
    """

    folder: Path
    config: dict[str, Any]
    model: VAE
    history: list[HistoryRow]
    metrics: dict[str, Any]

    def __repr__(self) -> str:
        name = type(self).__name__
        scores = "".join(f", {part} {key} {value:.4g}" for part, key, value in self._scores())
        return f"{name}({str(self.folder)!r}, {self.config['model']}{scores})"

    def _repr_html_(self) -> str:
        recipe = self.config.get("recipe")
        facts = {
            "folder": str(self.folder),
            "model": self.config["model"],
            "recipe": recipe.get("name") if isinstance(recipe, dict) else None,
            "seed": self.config.get("seed"),
            "epochs": f"{self.metrics.get('epoch')} of {len(self.history)} kept",
            **{f"{part} {key}": value for part, key, value in self._scores()},
        }
        health = self.metrics.get("health", ())
        return Preview.of_facts(type(self).__name__, facts, [*map(str, health)]).html()

    def _scores(self) -> list[tuple[str, str, float]]:
        """Return part, name and value of the main scores."""
        found = []
        for part in ("val", "test"):
            scores = self.metrics.get(part)
            if isinstance(scores, dict):
                named = ((name, scores.get(key)) for name, key in _SCORES.items())
                found += [(part, name, v) for name, v in named if isinstance(v, float)]
        return found


R = TypeVar("R", bound=FinishedRun)


class RunKind(ABC, Generic[R]):
    """One kind of runs: its data, its training, its files.

    :mod:`vgae.runs.lifecycle` trains, resumes and loads runs of every kind through this interface.

    Attributes:
        name: Key of ``config.json`` that describes the data, and name in :data:`KINDS`.
        title: Name of the data in messages: ``"a graph"``.
        model: Name of the default model.
        keys: Required keys of ``config.json`` and their types.
        source: Class of the description of the data.
        recipe: Class of the recipes.
        run: Class of the runs.
        options: Parameters of commands that not every kind has. ``vgae train``: fields of
            ``source``, ``max_memory``, ``cuda_graph``, ``partition``; ``evaluate``: ``tasks``,
            ``messages``, ``hard``, ``samples``, ``allow_seen``; ``embed``: ``other`` (another
            graph), ``features``, ``messages``; ``report``: ``top_k``.
        files: Files of a run folder and their descriptions.
        tied: Files whose digests ``metrics.json`` has, so that those of another run are refused.
        view: A :class:`vgae.report.view.RunView`, or its place as ``"module:attribute"``, which
            is imported at its first use.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    model: ClassVar[str]
    keys: ClassVar[Mapping[str, type]]
    source: ClassVar[type[Source]] = Source
    recipe: ClassVar[type[Training]]
    run: ClassVar[type[FinishedRun]]
    options: ClassVar[Sequence[str]] = ()
    files: ClassVar[Mapping[str, str]] = FILES
    tied: ClassVar[Sequence[str]] = (
        *("config.json", "history.jsonl", "model/config.json", "embeddings.npz"),
    )
    view: ClassVar[Any]

    @abstractmethod
    def recognises(self, source: str) -> bool:
        """Return whether a name or path is one of data of this kind."""

    def label(self, model: str, recipe: Training) -> str:  # noqa: ARG002
        """Return the middle of the default name of a run folder: ``runs/SOURCE-LABEL-N``."""
        return model.replace(":", ".")  # of code, a path

    def model_for(self, data: Any, model: str | None) -> str:  # noqa: ARG002
        """Return the name of the model for the data, by default that of the kind."""
        return model or self.model

    @abstractmethod
    def named_recipe(self, name: str | None, source: str, *, progress: bool | None) -> Training:
        """Return a recipe by name, or the default one for a source."""

    @abstractmethod
    def open(self, source: Any, *, progress: bool | None = None) -> Any:
        """Return the data of a source; they have a ``fingerprint``."""

    def source_of(self, config: Config) -> Source:
        """Return the source in the content of ``config.json``."""
        return self.source(str(config[self.name]["source"]))

    def paths(self, source: Any) -> dict[str, str]:
        """Return the absolute paths of the files that a source names, by its fields."""
        return {} if is_named(source.source) else {"source": str(Path(source.source).resolve())}

    def located(self, folder: Path, config: Config, given: Mapping[str, str] | None = None) -> Any:
        """Return the source of a run, with the paths of its files on this machine.

        ``given`` are paths by field, which take precedence over the stored ones.
        """
        source, paths = self.source_of(config), read_paths(folder) | {**(given or {})}
        known = {
            name: path
            for name, path in paths.items()
            # Where the file has gone, that of its name in the current folder does.
            if Path(getattr(source, name, None) or "").name == Path(path).name and are_there(path)
        }
        return replace(source, **known)

    def reopen(
        self,
        folder: Path,
        config: Config,
        paths: Mapping[str, str] | None = None,
        *,
        progress: bool | None = None,
    ) -> Any:
        """Return the data of a run, read again; for ``paths`` see :meth:`located`.

        Raises:
            ArtifactError: If ``config.json`` does not name them, or they have changed.
        """
        try:
            source = self.located(folder, config, paths)
            fingerprint = config[self.name]["fingerprint"]
        except (AttributeError, KeyError, TypeError):
            raise ArtifactError(
                "RUN_CORRUPT", f"{folder / 'config.json'} does not name the data ({self.name})."
            ) from None
        for name in ("source", "features"):
            if name in self.paths(source) and not are_there(path := getattr(source, name)):
                whole = read_paths(folder).get(name, path)
                raise DataError(
                    "CANNOT_READ",
                    f"{whole}, which {folder} was trained on, is not there; put {Path(path).name}"
                    " into the current folder.",
                )
        data = self.open(source, progress=progress)
        if data.fingerprint != fingerprint:
            raise ArtifactError(
                "DATA_CHANGED",
                f"{source.source} no longer holds the {self.name} that {folder} was trained on;"
                " restore the data, or train again with another --out.",
            )
        return data

    def divide(self, data: Any, source: Any, seed: int, folder: Path | None = None) -> Any:  # noqa: ARG002
        """Return the data with the held-out part that a folder stores, or else a new one."""
        return data

    def check_data(self, folder: Path, config: Config, data: Any) -> None:
        """Raise ``ArtifactError`` if the held-out part is not the one that a run began with."""

    def write_data(self, folder: Path, data: Any) -> None:
        """Write the part of the data that a run stores, if it is not there yet."""

    @abstractmethod
    def prepare(
        self, data: Any, *, model: Any, recipe: Any, seed: int, device: Compute
    ) -> PreparedTraining:
        """Return the training; ``recipe`` may be ``None``. Nothing has been written before."""

    @abstractmethod
    def describe(
        self, source: Any, data: Any, model: str, prepared: PreparedTraining
    ) -> dict[str, Any]:
        """Return the entries of ``config.json`` on data, model, recipe and seed."""

    @abstractmethod
    def write(
        self, folder: Path, config: Config, data: Any, result: FitResult, *, progress: bool | None
    ) -> dict[str, Any]:
        """Write model and embeddings; return the entries of ``metrics.json`` of this kind."""

    @abstractmethod
    def load_parts(self, folder: Path, unchecked: Collection[str]) -> dict[str, Any]:
        """Return the model of a run, and the attributes that only this kind has."""

    def attach(self, run: R, data: Any) -> None:
        """Store data that are in memory in a run, which would read them again."""

    def load(self, folder: str | os.PathLike[str], *, unchecked: Collection[str] = ()) -> R:
        """Return the run in a folder.

        Args:
            folder: Folder of a finished run.
            unchecked: Names of :attr:`tied` files that may be of another run, and of others that
                :meth:`check_run` compares. ``embeddings.npz`` is checked where it is read.

        Raises:
            ArtifactError: If the folder is not a finished run of this kind, or a file is damaged
                or of another run.
        """
        folder = Path(folder)
        kind = kind_of(folder)
        if kind.name != self.name:
            raise ArtifactError(
                "RUN_KIND",
                f"{folder} is a run on {kind.title}, not on {self.title}; give the folder of"
                f" one on {self.title}.",
            )
        if not (folder / "metrics.json").exists():
            raise ArtifactError("NOT_COMPLETE", _incomplete(folder))
        unchecked = {*unchecked, "embeddings.npz"}
        with still_complete(folder):
            return settled(partial(self._load, folder, unchecked))

    def _load(self, folder: Path, unchecked: Collection[str]) -> R:
        config, metrics = read_config(folder, self.keys), read_json(folder / "metrics.json")
        check_digests(folder, metrics, [name for name in self.tied if name not in unchecked])
        run: Any = self.run
        loaded = run(
            folder=folder,
            config=config,
            history=read_history(folder),
            metrics=metrics,
            **self.load_parts(folder, unchecked),
        )
        self.check_run(loaded, unchecked)
        return loaded

    def check_run(self, run: R, unchecked: Collection[str]) -> None:
        """Raise ``ArtifactError`` if the parts of a run do not belong together."""

    @abstractmethod
    def evaluate(self, run: R, options: EvaluationOptions) -> dict[str, Any]:
        """Return the scores of a run as plain values for JSON."""

    @abstractmethod
    def embed(self, run: R, options: EmbeddingOptions) -> Embedding:
        """Return the embedding of the data of a run, or of other data."""


KINDS: dict[str, "RunKind[Any] | str"] = {
    "graph": "vgae.runs.graphs:GRAPHS",
    "typed_graph": "vgae.runs.typed:TYPED",
    "images": "vgae.runs.images:IMAGES",
}
"""Kinds of runs by name: a kind, or its place as ``"module:attribute"``. Later ones take
precedence; graphs, the first, take every source that no other kind recognises."""


def register_kind(kind: RunKind[Any]) -> None:
    """Add a kind to :data:`KINDS`."""
    KINDS[kind.name] = kind


@contextmanager
def still_complete(folder: Path) -> Iterator[None]:
    """Raise ``NOT_COMPLETE`` if a run that is being read was removed or replaced meanwhile."""
    try:
        yield
    except ArtifactError:
        if (folder / "metrics.json").exists():
            raise
        raise ArtifactError("NOT_COMPLETE", _incomplete(folder)) from None


def _incomplete(folder: Path) -> str:
    """Return why a run has no scores."""
    if holder := holder_of(folder):
        return f"{folder} is being trained ({holder}); wait until it has finished."
    return (
        f"the training of {folder} was interrupted; continue it first: vgae train"
        f" --resume {folder}"
    )


def kinds() -> list[RunKind[Any]]:
    """Return all kinds, in the order of their registration."""
    return [
        pkgutil.resolve_name(kind) if isinstance(kind, str) else kind for kind in KINDS.values()
    ]


def kind_of(run: Path | Mapping[str, Any]) -> RunKind[Any]:
    """Return the kind of a run, given its folder or the content of its ``config.json``.

    Raises:
        ArtifactError: If the folder is not a run, or not one of exactly one known kind.
    """
    config = read_config(run) if isinstance(run, Path) else run
    found = [kind for kind in kinds() if kind.name in config]
    if len(found) == 1:
        return found[0]
    path = run / "config.json" if isinstance(run, Path) else "config.json"
    names = " and ".join(kind.name for kind in found)
    wrong = f"has both {names}" if found else f"lacks {' or '.join(KINDS)}"
    raise ArtifactError("RUN_CORRUPT", f"{path} {wrong}.")


def kind_for(source: str, *, relation: str | None = None) -> RunKind[Any]:
    """Return the kind of the data that a name or path stands for; ``relation`` is a column."""
    if relation is not None:
        return next(kind for kind in kinds() if kind.name == "typed_graph")
    return next(kind for kind in reversed(kinds()) if kind.recognises(source))
