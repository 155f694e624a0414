"""Validation of the changes and of the environment of a resumed run."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch

from vgae.errors import ArtifactError, printable
from vgae.models.files import write_json
from vgae.recipes.base import Training
from vgae.runs.folder import remove_checkpoints, remove_stale, stored_recipe, versions
from vgae.runtime.processes import team
from vgae.training.checkpoint import forget_identity

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Training)


def recipe_to_resume(
    folder: Path,
    config: dict[str, Any],
    kind: type[R],
    changes: Mapping[str, str],
    *,
    override: bool,
) -> R | None:
    """Return the changed recipe of a run, whose changes are allowed.

    Args:
        folder: Folder of the run, which is locked.
        config: Content of ``config.json``.
        kind: Class of the recipe.
        changes: Fields and values, as for :meth:`vgae.recipes.base.Training.override`.
        override: Allow changes of fields other than ``epochs`` and ``patience``.

    Returns:
        The recipe; ``None`` if the run is complete, after removing what a kill left in its folder.

    Raises:
        ArtifactError: If a change is not allowed; in a complete run none is.
    """
    stored = stored_recipe(kind, config)
    recipe = stored.override(changes)
    complete = (folder / "metrics.json").exists()
    before, after, identity = asdict(stored), asdict(recipe), stored.identity()
    changed = [name for name in before if before[name] != after[name]]
    began = ", ".join(f"{name} = {before[name]}" for name in changed)
    if changed and complete:
        raise ArtifactError(
            "RUN_COMPLETE",
            f"{folder} is complete, with {began}; train again with another --out.",
        )
    differing = [name for name in changed if name in identity]
    if differing and not override:
        raise ArtifactError(
            "RUN_OTHER",
            f"{folder} began with {began}; leave that as it is, or change it with --override.",
        )
    if complete:
        if team().leads:
            remove_stale(folder)
            remove_checkpoints(folder)
        log.info("%s is complete already", folder)
        return None
    return recipe


def store_recipe(folder: Path, config: dict[str, Any], recipe: Training) -> None:
    """Store the recipe of a locked run, changed or not; ``config`` is changed in place."""
    stored = stored_recipe(type(recipe), config)
    if stored.identity() != recipe.identity():
        # First: after a kill between the two steps, the same command repeats both.
        forget_identity(folder / "checkpoints", ("recipe", "model"))
    if asdict(stored) != asdict(recipe):
        config["recipe"] = asdict(recipe)
        write_json(folder / "config.json", config)


def tell_changes(
    config: Mapping[str, Any], device: torch.device | str, threads: int | None = None
) -> None:
    """Log differences to the start of a run that may change the last bits of its results."""
    now = {"device": str(device), "threads": threads or torch.get_num_threads()} | versions()
    now |= {"processes": team().size}
    stored = config.get("versions")
    before = {"processes": 1, **config, **(stored if isinstance(stored, dict) else {})}
    changed = [
        f"{name} {printable(str(before.get(name)))[:40]} is now {value}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    if changed:
        log.warning(
            "%s: the run continues, but not to the same last bits as without interruption",
            ", ".join(changed),
        )
