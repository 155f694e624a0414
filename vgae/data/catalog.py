"""The catalogue of data sets: what there is, where its files are, and whether they are intact.

``datasets/catalog.toml`` names each file with its size and sha256. Nothing is used, downloaded
or left behind that does not match them.
"""

import difflib
import hashlib
import logging
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from vgae.errors import DataError, UsageError

Status = Literal["ok", "missing", "damaged"]
Features = Literal["raw", "none"]

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class FileInfo:
    """Size and digest that a file of a data set must have."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue.

    Args:
        name: What ``vgae train NAME`` takes.
        title: One line for people.
        kind: How it is read: ``"planetoid"``, ``"embedded"`` (ships with the package), ...
        url: Folder that the files are downloaded from, with a final slash; empty if none.
        licence: Terms of the data, as far as its source states them.
        citation: Papers to cite; empty if none.
        counts: Published sizes, such as ``nodes`` and ``links``.
        files: What each file must be, by its name.
        path: The file of an embedded data set, else None.
    """

    name: str
    title: str
    kind: str
    url: str
    licence: str
    citation: str
    counts: Mapping[str, int]
    files: Mapping[str, FileInfo]
    path: Path | None


def datasets_dir() -> Path:
    """Return the folder of the catalogue: within the installed package, or beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_datasets"
    return installed if installed.is_dir() else package.parent / "datasets"


def catalogue() -> dict[str, Entry]:
    """Return every data set that is known, by name, in the order of the file."""
    text = (datasets_dir() / "catalog.toml").read_text(encoding="utf-8")
    return {name: _entry(name, table) for name, table in tomllib.loads(text).items()}


def _entry(name: str, table: Mapping[str, Any]) -> Entry:
    return Entry(
        name=name,
        title=table["title"],
        kind=table["kind"],
        url=table.get("url", ""),
        licence=table["licence"],
        citation=table.get("citation", ""),
        counts=dict(table.get("counts", {})),
        files={file: FileInfo(**info) for file, info in table.get("files", {}).items()},
        path=datasets_dir() / table["file"] if "file" in table else None,
    )


def entry(name: str) -> Entry:
    """Return the data set called ``name``; capitals do not matter.

    Raises:
        DataError: ``UNKNOWN_DATASET``, with the names that are known and the nearest one.
    """
    known = catalogue()
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise DataError(
        "UNKNOWN_DATASET", f"there is no data set {name!r}; known are {', '.join(known)}.{hint}"
    )


def check_features(features: str) -> None:
    """Raise ``UsageError`` unless ``features`` is ``"raw"`` or ``"none"``."""
    if features not in get_args(Features):
        raise UsageError("FEATURES", f"features must be 'raw' or 'none', got {features!r}.")


def data_home() -> Path:
    """Return the folder of downloaded data: ``$VGAE_DATA``, or the user's cache folder."""
    return _folder("VGAE_DATA")


def cache_home() -> Path:
    """Return the folder of what can be made anew: ``$VGAE_CACHE``, or the user's cache folder."""
    return _folder("VGAE_CACHE")


def _folder(variable: str) -> Path:
    if folder := os.environ.get(variable):
        return Path(folder).expanduser()
    try:
        import pooch
    except ModuleNotFoundError:  # only a download needs it
        return Path.home() / ".cache" / "vgae"
    return Path(pooch.os_cache("vgae"))


def locate(entry: Entry) -> dict[str, Path]:
    """Return the files of ``entry`` that are there, and where.

    Looks in the folder named after the kind of the data set first, then in :func:`data_home`.
    What the files hold is not looked at: see :func:`verify`.
    """
    home = data_home()
    places = {file: (home / entry.kind / file, home / file) for file in entry.files}
    return {
        file: next(path for path in paths if path.is_file())
        for file, paths in places.items()
        if any(path.is_file() for path in paths)
    }


def missing(entry: Entry) -> list[str]:
    """Return the names of the files of ``entry`` that are not there."""
    found = locate(entry)
    return [file for file in entry.files if file not in found]


def verify(entry: Entry) -> dict[str, Status]:
    """Return, for each file of ``entry``, whether its size and sha256 are as they must be."""
    found = locate(entry)
    return {file: _status(found.get(file), info) for file, info in entry.files.items()}


def _status(path: Path | None, info: FileInfo) -> Status:
    if path is None:
        return "missing"
    intact = path.stat().st_size == info.bytes and _sha256(path) == info.sha256
    return "ok" if intact else "damaged"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError("CANNOT_READ", f"{path} cannot be read: {error.strerror}.") from error


def fetch(
    entry: Entry, *, names: Collection[str] | None = None, retries: int = 2
) -> dict[str, Path]:
    """Return where the files of ``entry`` are, each verified, after a download of what is missing.

    Files that are there are used as they are and never downloaded again, nor removed. A download
    gets its final name only when its sha256 is right, so nothing half-written stays.

    Args:
        entry: The data set.
        names: The files wanted; all of them if None.
        retries: How often a failed download is tried again.

    Returns:
        The path of each file wanted, by its name.

    Raises:
        DataError: ``CHECKSUM`` if a file, there or downloaded, is not what the catalogue says;
            ``CANNOT_READ`` if one may not be read; ``OFFLINE`` if files are missing and cannot
            be downloaded, with what to put where.
    """
    wanted = [file for file in entry.files if names is None or file in names]
    found = locate(entry)
    for file in wanted:
        if file in found:
            _check_intact(entry, file, found[file])
    absent = [file for file in wanted if file not in found]
    if absent:
        found |= _download(entry, absent, retries)
    return {file: found[file] for file in wanted}


def _check_intact(entry: Entry, file: str, path: Path) -> None:
    expected = entry.files[file]
    if _status(path, expected) == "ok":
        return
    raise DataError(
        "CHECKSUM",
        f"{path} is damaged: expected {expected.bytes} bytes with sha256 {expected.sha256}, got "
        f"{path.stat().st_size} bytes with sha256 {_sha256(path)}; "
        f"delete it and run `vgae datasets fetch {entry.name}`.",
    )


def _download(entry: Entry, absent: list[str], retries: int) -> dict[str, Path]:
    """Download ``absent`` into the folder of the kind; pooch verifies before it renames."""
    if os.environ.get("VGAE_OFFLINE", "0") not in ("", "0"):
        raise _offline(entry, absent, "VGAE_OFFLINE is set")
    if not entry.url:
        raise _offline(entry, absent, "it has no address to download from")
    import pooch
    import requests

    source = pooch.create(
        path=data_home() / entry.kind,
        base_url=entry.url,
        registry={file: f"sha256:{entry.files[file].sha256}" for file in absent},
        retry_if_failed=retries,
    )
    try:
        with _quiet_pooch():
            return {
                file: Path(source.fetch(file, downloader=_downloader(entry.files[file].bytes)))
                for file in absent
            }
    except (requests.exceptions.RequestException, OSError) as error:
        absent = [file for file in absent if file not in locate(entry)]
        unreachable = isinstance(error, requests.exceptions.ConnectionError)
        reason = f"no connection to {urlsplit(entry.url).netloc}" if unreachable else error
        raise _offline(entry, absent, _one_line(reason)) from error
    except ValueError as error:
        raise DataError(
            "CHECKSUM",
            f"what {entry.url} sent for {entry.name} was thrown away ({_one_line(error)}); "
            "a proxy or a login page may have answered: try again from another network.",
        ) from error


def _downloader(limit: int) -> Any:
    """Return what pooch calls for one file; it stops where the file must end."""

    def stream(url: str, output_file: str, _: object) -> None:
        import requests

        size = 0
        with (
            requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS) as response,
            Path(output_file).open("wb") as file,
        ):
            response.raise_for_status()
            for chunk in response.iter_content(2**16):
                size += len(chunk)
                if size > limit:
                    raise ValueError(f"{url} has more than the {limit} bytes expected")
                file.write(chunk)

    return stream


def _offline(entry: Entry, absent: list[str], reason: str) -> DataError:
    """Name everything that a person needs to bring the files by hand."""
    plural = "files are" if len(absent) > 1 else "file is"
    lines = [
        f"{entry.name}: {len(absent)} {plural} missing and cannot be downloaded ({reason}); "
        f"put what is listed into {data_home() / entry.kind} and run this again.",
        *(
            f"  {file}  {entry.files[file].bytes} bytes  sha256 {entry.files[file].sha256}  "
            f"{entry.url}{file}"
            for file in absent
        ),
    ]
    return DataError("OFFLINE", "\n".join(lines))


def _one_line(reason: Exception | str) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Silence pooch's log of each download: errors are raised, progress is the caller's talk."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
