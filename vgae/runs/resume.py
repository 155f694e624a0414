"""What graph and image runs do before they go on: may they, with what, and is it the same."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch

from vgae.errors import ArtifactError, printable
from vgae.models.files import write_json
from vgae.recipes.base import Training
from vgae.runs.folder import (
    locked,
    remove_checkpoints,
    remove_stale,
    stored_recipe,
    versions,
)
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
    """Return the recipe to go on with, after storing what is changed of it.

    Args:
        folder: Of the run.
        config: Content of ``config.json``; changed in place.
        kind: Of the recipe.
        changes: Fields and their values as text, as :meth:`vgae.recipes.base.Training.override`
            has them.
        override: Whether fields may change that make another training of it; ``epochs`` and
            ``patience`` always may.

    Returns:
        The recipe; ``None`` if the run is complete, and what a kill left beside it is removed.

    Raises:
        ArtifactError: If a field changes that may not, or any field of a complete run.
    """
    stored = stored_recipe(kind, config)
    recipe = stored.override(changes)
    complete = (folder / "metrics.json").exists()
    before, after, identity = asdict(stored), asdict(recipe), stored.identity()
    changed = [name for name in before if before[name] != after[name]]
    told = ", ".join(f"{name} = {before[name]}" for name in changed)
    if changed and complete:
        raise ArtifactError(
            "RUN_COMPLETE",
            f"{folder} is complete, with {told}; train anew, with another --out.",
        )
    differing = [name for name in changed if name in identity]
    if differing and not override:
        raise ArtifactError(
            "RUN_OTHER",
            f"{folder} began with {told}; leave that as it is, or change it on the way with"
            " --override.",
        )
    if complete:
        with locked(folder):
            remove_stale(folder)
            remove_checkpoints(folder)
        log.info("%s is complete already", folder)
        return None
    if changed:
        if differing:
            # First: a kill between the two leaves what the same command mends.
            forget_identity(folder / "checkpoints", ("recipe", "model"))
        config["recipe"] = asdict(recipe)
        write_json(folder / "config.json", config)
    return recipe


def tell_changes(config: Mapping[str, Any], device: torch.device) -> None:
    """Say what is no longer as it was when a run began, and may change the last bits."""
    now = {"device": str(device), "threads": torch.get_num_threads()} | versions()
    stored = config.get("versions")
    before = {**config, **(stored if isinstance(stored, dict) else {})}
    changed = [
        f"{name} {printable(str(before.get(name)))[:40]} is now {value}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    if changed:
        log.warning(
            "%s: the run goes on, but not to the same last bits as without a break",
            ", ".join(changed),
        )
