"""repeating: what is needed to do a run again, as text."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from vgae.errors import printable
from vgae.recipes.base import Training


def duration(seconds: float) -> str:
    """Return a time in the unit that one would say it in."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def setting(value: object) -> str:
    """Return a setting as text, in one line."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(value))


def recipe_settings(recipe: Training) -> dict[str, Any]:
    """Return every field of a recipe."""
    return {field.name: getattr(recipe, field.name) for field in fields(recipe)}


def shell_command(words: Sequence[object], recipe: Training, named: Training) -> str:
    """Return a command line that ends with what a recipe has otherwise than a named one.

    Args:
        words: What it begins with.
        recipe: The recipe to say.
        named: The one that the words name.
    """
    said = [str(word) for word in words]
    for name, value in recipe_settings(recipe).items():
        if name == "name" or value == getattr(named, name):
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else setting(value)
        said += ["--set", f"{name}={text}"]
    return shlex.join(printable(word) for word in said)


def folder_files(folder: Path, known: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the files of a run that are there: name, what it is, size.

    Args:
        folder: Of the run.
        known: What the files are, by their names.
    """
    found = []
    for name, text in known.items():
        path = folder / name
        if path.is_file():
            found.append((name, text, file_size(path.stat().st_size)))
    return found


def file_size(count: int) -> str:
    """Return a number of bytes as one reads it."""
    # What would be rounded to 1,000.0 kB is a megabyte.
    return f"{count / 1e3:.1f} kB" if count < 999_950 else f"{count / 1e6:,.1f} MB"
