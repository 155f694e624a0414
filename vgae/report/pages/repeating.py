"""Settings, command, files and figures of a run, as a page shows them."""

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vgae.errors import printable
from vgae.recipes.base import Training
from vgae.report.pages.frame import image_uri
from vgae.runtime.reading import read_regular

log = logging.getLogger(__name__)


def duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def setting(value: object) -> str:
    """Return a setting as text on one line."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(value))


def all_settings(
    config: Mapping[str, Any],
    recipe: Training,
    data: Mapping[str, Any],
    fingerprints: Mapping[str, str],
) -> list[tuple[str, str]]:
    """Return the settings of the data, then those of the run, its versions and its recipe."""
    rows = {
        **data,
        "model": config["model"],
        "seed": config["seed"],
        "device": config.get("device", ""),
        "threads": config.get("threads", ""),
        **{f"version of {name}": text for name, text in config.get("versions", {}).items()},
        **{f"fingerprint of {name}": text for name, text in fingerprints.items()},
        **asdict(recipe),
    }
    return [(name, setting(value)) for name, value in rows.items()]


def shell_command(words: Sequence[object], recipe: Training, named: Training) -> str:
    """Return a command that runs a recipe: ``words`` name another, of which it sets fields."""
    line = [str(word) for word in words]
    for name, value in asdict(recipe).items():
        if name == "name" or value == getattr(named, name):
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else setting(value)
        line += ["--set", f"{name}={text}"]
    return shlex.join(printable(word) for word in line)


def folder_files(folder: Path, known: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return name, description and size of the known files that a run has."""
    return [
        (name, text, file_size((folder / name).stat().st_size))
        for name, text in known.items()
        if (folder / name).is_file()
    ]


def file_size(count: int) -> str:
    """Return a number of bytes as text in kB or MB."""
    # What would be rounded to 1,000.0 kB is a megabyte.
    return f"{count / 1e3:.1f} kB" if count < 999_950 else f"{count / 1e6:,.1f} MB"


def figure_images(
    folder: Path, titles: Mapping[str, str], draw: Callable[[Path], object]
) -> dict[str, tuple[str, str]]:
    """Return title and data URI of the figures of a run, whose titles are given by file name.

    If the run lacks one, ``draw`` draws them into ``figures/`` of the folder that it receives.
    """
    with TemporaryDirectory() as temporary:
        if not all((folder / "figures" / name).is_file() for name in titles):
            log.info("drawing the figures that the folder lacks")
            folder = Path(temporary)
            draw(folder)
        return {
            name.removesuffix(".png"): (title, image_uri(read_regular(folder / "figures" / name)))
            for name, title in titles.items()
        }
