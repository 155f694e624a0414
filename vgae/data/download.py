"""Download of one file of limited size, with progress."""

from pathlib import Path
from urllib.parse import urlsplit

from vgae.runtime.progress import showing

_TIMEOUT_SECONDS = 30
_STEP = 2**16


def download(url: str, path: Path, *, limit: int, progress: bool | None = None) -> None:
    """Download a file; for ``progress`` see :func:`vgae.runtime.progress.showing`.

    Raises:
        ValueError: If the file has more than ``limit`` bytes.
        requests.exceptions.RequestException: If the server or the network fails.
    """
    import requests

    name, size = Path(urlsplit(url).path).name, 0
    with (
        requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS) as response,
        path.open("wb") as file,
    ):
        response.raise_for_status()
        stated = response.headers.get("Content-Length", "")
        total = min(int(stated), limit) if stated.isdecimal() and len(stated) < 20 else limit
        with showing(total, "bytes", wanted=progress) as show:
            for chunk in response.iter_content(_STEP):
                size += len(chunk)
                if size > limit:
                    raise ValueError(f"{url} has more than the {limit} bytes expected")
                file.write(chunk)
                show(size, lambda: name)
