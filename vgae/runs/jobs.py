"""The job of torchrun that a run belongs to: a restart of its processes goes on with that run."""

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from vgae.models.files import write_json
from vgae.runtime.reading import parsed_json, read_regular

_JOB = ".job.json"


def note_job(folder: Path) -> None:
    """Note in a run folder which job of torchrun began it, if one did."""
    if job := _job():
        write_json(folder / _JOB, job)


def begun_before(place: Path, *, numbered: bool) -> Path | None:
    """Return the run that this job of torchrun began before its processes were started again.

    Args:
        place: Path of the run.
        numbered: The path is the beginning of a name, and a model and a number follow.

    Returns:
        Its folder; ``None`` if there is none, or the processes are the first.
    """
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0" or not (job := _job()):
        return None
    found = place.parent.glob(f"{place.name}-*") if numbered else [place]
    known = [folder for folder in found if _is_of(folder, job)]
    return max(known, key=lambda folder: (folder / _JOB).stat().st_mtime_ns, default=None)


def _is_of(folder: Path, job: dict[str, Any]) -> bool:
    if not (folder / "config.json").exists():
        return False
    with suppress(OSError, ValueError, AttributeError):
        noted = parsed_json(read_regular(folder / _JOB))
        if noted.get("agent") == job["agent"]:
            return True
        # After a restart on several machines the first process may be on another one.
        ended = (folder / "metrics.json").exists()
        return job["id"] != "none" and noted.get("id") == job["id"] and not ended
    return False


def _job() -> dict[str, Any]:
    """Return the job: its name, and the process of torchrun that started this one."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    if name is None:
        return {}
    agent = psutil.Process(os.getppid())
    return {"id": name, "agent": [platform.node(), agent.pid, agent.create_time()]}
