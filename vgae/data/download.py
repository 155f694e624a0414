"""download: one file from the network, no more of it than expected, with its progress."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vgae.runtime.progress import showing

_TIMEOUT_SECONDS = 30
_STEP = 2**16


def download(url: str, path: Path, *, limit: int, progress: bool | None = None) -> None:
    """Write what a server sends to a file, and stop where it must have ended.

    Args:
        url: Of the file.
        path: Where to.
        limit: Bytes that it has, at most.
        progress: Whether it is shown; see :func:`vgae.runtime.progress.showing`.

    Raises:
        ValueError: If there is more.
        requests.exceptions.RequestException: If the server or the network fails.
    """
    import requests

    name, size = Path(urlsplit(url).path).name, 0
    with (
        requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS) as response,
        path.open("wb") as file,
    ):
        response.raise_for_status()
        with showing(_length(response, limit), "bytes", wanted=progress) as show:
            for chunk in response.iter_content(_STEP):
                size += len(chunk)
                if size > limit:
                    raise ValueError(f"{url} has more than the {limit} bytes expected")
                file.write(chunk)
                show(size, lambda: name)


def _length(response: Any, limit: int) -> int:
    """Return how many bytes will come, as the server says it, else the most that may."""
    said = response.headers.get("Content-Length", "")
    return min(int(said), limit) if said.isdecimal() and len(said) < 20 else limit
