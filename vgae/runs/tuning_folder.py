"""Folder of a search: its settings and trials, the table and the best recipe."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.metrics import LinkScores
from vgae.models.files import read_json, write_json
from vgae.runs.folder import understood
from vgae.runs.lock import LOCK_FILES, locked
from vgae.runs.resume import tell_changes
from vgae.runs.trial_sampler import Candidate
from vgae.runtime.atomic import replacing, writing
from vgae.runtime.tables import write_table

FORMAT = "vgae-tuning-1"
FILE = "tuning.json"
FILES = {
    "tuning.json": "settings of the search, and every trial",
    "trials.csv": "the trials as a table, the best first",
    "best.toml": "the recipe with the best settings",
    "tuning.png": "figure: the trials, and what matters",
}
_FREE = ("device", "threads", "versions", "num_trials")


@dataclass
class TuningStore:
    """Trials of a search in its folder, which is locked.

    Attributes:
        folder: The folder.
        config: Settings of the search.
        trials: Trials that were in it.
    """

    folder: Path
    config: Mapping[str, Any]
    trials: list[Candidate]

    @classmethod
    @contextmanager
    def opened(
        cls, folder: str | os.PathLike[str], config: Mapping[str, Any], *, resume: bool
    ) -> "Iterator[TuningStore]":
        """Create or reopen and lock a folder.

        Raises:
            ArtifactError: If it has trials with other settings.
            ResourceError: If it cannot be written, or another process writes in it.
            UsageError: If it is not empty, and no search is to be resumed.
        """
        folder = Path(folder)
        with ExitStack() as held:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                others = {path.name for path in folder.iterdir()} - {*LOCK_FILES}
            others = {name for name in others if not name.startswith(".tmp-")}
            is_begun = FILE in others
            if others and not (resume and is_begun):
                again = f" go on with --resume {folder}, or" if is_begun else ""
                rule = f"{folder} is not empty;{again} choose another folder (out, --out)"
                raise UsageError("RUN_EXISTS", f"{rule}.")
            held.enter_context(locked(folder))
            trials = _stored(folder, config) if is_begun else []
            store = cls(folder, config, trials)
            if not is_begun:
                store.write([])
            yield store

    def write(
        self, trials: Sequence[Candidate], check: Mapping[str, LinkScores] | None = None
    ) -> None:
        """Write the settings and all trials; equal trials give equal bytes."""
        rows = [
            {**trial._asdict(), "scores": [score._asdict() for score in trial.scores]}
            for trial in trials
        ]
        found = {name: scores._asdict() for name, scores in (check or {}).items()}
        content = {"format": FORMAT, **self.config, "trials": rows, "check": found}
        write_json(self.folder / FILE, content)

    def write_result(self, columns: Mapping[str, Sequence[Any]], recipe: str) -> None:
        """Write the table of the trials and the best recipe."""
        write_table(self.folder / "trials.csv", columns)
        with replacing(self.folder / "best.toml") as temporary:
            temporary.write_text(recipe + "\n", encoding="utf-8")


def read_tuning(folder: Path) -> dict[str, Any]:
    """Return the content of ``tuning.json``.

    Raises:
        ArtifactError: If the folder is not one of a search.
    """
    content = read_json(folder / FILE)
    if content.get("format") != FORMAT:
        rule = f"{folder} has format {content.get('format')!r:.40}, this version reads {FORMAT!r}"
        raise ArtifactError("RUN_FORMAT", f"{rule}.")
    return content


def _stored(folder: Path, config: Mapping[str, Any]) -> list[Candidate]:
    """Return the trials in a folder, whose settings must be the given ones."""
    content = read_tuning(folder)
    for name, value in config.items():
        before = content.get(name)
        if name in _FREE or before == value:
            continue
        if name in ("graph_fingerprint", "train_digest"):
            what = "the graph, or its split, has changed since"
            raise ArtifactError("DATA_CHANGED", f"{folder}: {what}; restore it, or begin again.")
        if isinstance(value, dict) and isinstance(before, dict):
            name = next(key for key in {**before, **value} if before.get(key) != value.get(key))
            before, value = before.get(name, "nothing"), value.get(name, "nothing")
        raise ArtifactError(
            "RUN_OTHER",
            f"{folder} began with {name} = {before}, not {value}; leave that as it was, or choose"
            " another folder (out, --out).",
        )
    tell_changes(content, config["device"], config["threads"])
    with understood(folder):
        return [
            Candidate(
                int(row["number"]),
                {**row["settings"]},
                [LinkScores(float(s["auc"]), float(s["ap"])) for s in row["scores"]],
            )
            for row in content["trials"]
        ]
