"""The catalogue of data sets: what there is, where its files are, and whether they are intact.

``datasets/catalog.toml`` names each file with its size and sha256. Nothing is used, downloaded
or left behind that does not match them.
"""

import difflib
import gzip
import hashlib
import logging
import os
import tomllib
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast, get_args
from urllib.parse import urlsplit

from vgae.data.download import download
from vgae.errors import DataError, UsageError

Status = Literal["ok", "missing", "damaged"]
Features = Literal["raw", "none"]

_STEP = 2**16
_GZIP_MAGIC = b"\x1f\x8b"
_IMAGE_KINDS = ("idx", "sklearn")


@dataclass(frozen=True)
class FileInfo:
    """Size and digest that a file of a data set must have.

    Args:
        bytes: Its size.
        sha256: In hexadecimal.
        gzipped: Whether it may lie compressed, with ``.gz`` after its name, and is downloaded so.
            Size and digest are those of what it holds: one content has many compressed forms.
    """

    bytes: int
    sha256: str
    gzipped: bool = False


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue.

    Args:
        name: What ``vgae train NAME`` takes.
        title: One line for people.
        kind: How it is read: ``"planetoid"``, ``"embedded"`` (a graph that ships with the
            package), ``"idx"`` or ``"sklearn"`` (images that ship with scikit-learn).
        url: Folder that the files are downloaded from, with a final slash; empty if none.
        licence: Terms of the data, as far as its source states them.
        citation: Papers to cite; empty if none.
        counts: Published sizes, such as ``nodes`` and ``links``.
        files: What each file must be, by its name.
        path: The file of an embedded data set, else None.
        folder: Folder of its files within :func:`data_home`; empty if it is named after the kind.
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
    folder: str = ""

    @property
    def holds_images(self) -> bool:
        """Whether it is for :func:`vgae.load_images`, and not a graph."""
        return self.kind in _IMAGE_KINDS


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
        folder=table.get("folder", ""),
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


def _home(entry: Entry) -> Path:
    """Return the folder that the files of a data set are downloaded into."""
    return data_home() / (entry.folder or entry.kind)


def locate(entry: Entry) -> dict[str, Path]:
    """Return the files of ``entry`` that are there, and where.

    Looks in the folder of the data set first, then in :func:`data_home`; in each, for a file that
    may be compressed, under its name and then with ``.gz`` after it. What the files hold is not
    looked at: see :func:`verify`.
    """
    places = {
        file: [
            folder / name
            for folder in (_home(entry), data_home())
            for name in ((file, f"{file}.gz") if info.gzipped else (file,))
        ]
        for file, info in entry.files.items()
    }
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
    if not info.gzipped and path.stat().st_size != info.bytes:
        return "damaged"
    try:
        intact = _content(path, info) == (info.bytes, info.sha256)
    except DataError as error:
        if error.code != "GZIP_CORRUPT":
            raise
        intact = False
    return "ok" if intact else "damaged"


def _content(path: Path, info: FileInfo) -> tuple[int, str]:
    """Return size and sha256 of what a file holds; of one that may be gzip no more than due."""
    digest, size = hashlib.sha256(), 0
    with opened(path, gzipped=info.gzipped) as file:
        while (size <= info.bytes or not info.gzipped) and (chunk := file.read(_STEP)):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


@contextmanager
def opened(path: Path, *, gzipped: bool = True) -> Iterator[BinaryIO]:
    """Open a file to read its bytes, decompressed if its first two say that it is gzip.

    Args:
        path: A regular file.
        gzipped: Whether it may be gzip; if not, its bytes are taken as they are.

    Raises:
        DataError: ``CANNOT_READ``; ``GZIP_CORRUPT`` while it is read, if it is cut short, or has
            a wrong checksum or something else after its end.
    """
    try:
        with path.open("rb") as file:
            if not (gzipped and file.peek(2)[:2] == _GZIP_MAGIC):
                yield file
                return
            with gzip.GzipFile(fileobj=file) as inner:
                yield cast(BinaryIO, inner)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            "GZIP_CORRUPT", f"{path} is damaged ({_one_line(error)}); bring or download it anew."
        ) from None
    except OSError as error:
        raise DataError("CANNOT_READ", f"{path} cannot be read: {error.strerror}.") from error


def fetch(
    entry: Entry,
    *,
    names: Collection[str] | None = None,
    retries: int = 2,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Return where the files of ``entry`` are, each verified, after a download of what is missing.

    Files that are there are used as they are and never downloaded again, nor removed. A download
    gets its final name only when its sha256 is right, so nothing half-written stays.

    Args:
        entry: The data set.
        names: The files wanted; all of them if None.
        retries: How often a failed download is tried again.
        progress: Whether to show a download on stderr; see :func:`vgae.runtime.progress.showing`.

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
        found |= _download(entry, absent, retries, progress=progress)
    return {file: found[file] for file in wanted}


def _check_intact(entry: Entry, file: str, path: Path) -> None:
    expected = entry.files[file]
    if _status(path, expected) == "ok":
        return
    size, digest = _content(path, expected)
    within = " uncompressed" if expected.gzipped else ""
    more = "at least " if expected.gzipped and size > expected.bytes else ""
    raise DataError(
        "CHECKSUM",
        f"{path} is damaged: expected {expected.bytes} bytes{within} with sha256 "
        f"{expected.sha256}, got {more}{size} bytes with sha256 {digest}; "
        f"delete it and run `vgae datasets fetch {entry.name}`.",
    )


def _download(entry: Entry, absent: list[str], retries: int, **options: Any) -> dict[str, Path]:
    """Download ``absent`` into the folder of the data set; nothing unverified gets its name."""
    if os.environ.get("VGAE_OFFLINE", "0") not in ("", "0"):
        raise _offline(entry, absent, "VGAE_OFFLINE is set")
    if not entry.url:
        raise _offline(entry, absent, "it has no address to download from")
    import pooch
    import requests

    wanted = {file: entry.files[file] for file in absent}
    source = pooch.create(
        path=_home(entry),
        base_url=entry.url,
        registry={
            # What is compressed has no digest of its own: the downloader looks into it.
            _stored(file, info): None if info.gzipped else f"sha256:{info.sha256}"
            for file, info in wanted.items()
        },
        retry_if_failed=retries,
    )
    try:
        with _quiet_pooch():
            return {
                file: Path(
                    source.fetch(_stored(file, info), downloader=_downloader(info, **options))
                )
                for file, info in wanted.items()
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


def _stored(file: str, info: FileInfo) -> str:
    """Return the name that a file is downloaded by."""
    return f"{file}.gz" if info.gzipped else file


def _downloader(info: FileInfo, **options: Any) -> Any:
    """Return what pooch calls for one file."""
    # What cannot be compressed grows by a few bytes in 2**14, and by a header.
    limit = info.bytes + info.bytes // 1000 + 1000 if info.gzipped else info.bytes

    def stream(url: str, output_file: str, _: object) -> None:
        download(url, Path(output_file), limit=limit, **options)
        if info.gzipped and _status(Path(output_file), info) != "ok":
            raise ValueError(f"{url} does not hold what the catalogue says")

    return stream


def _offline(entry: Entry, absent: list[str], reason: str) -> DataError:
    """Name everything that a person needs to bring the files by hand."""
    plural = "files are" if len(absent) > 1 else "file is"
    lines = [
        f"{entry.name}: {len(absent)} {plural} missing and cannot be downloaded ({reason}); "
        f"put what is listed into {_home(entry)} and run this again.",
        *(_listed(entry, file, entry.files[file]) for file in absent),
    ]
    return DataError("OFFLINE", "\n".join(lines))


def _listed(entry: Entry, file: str, info: FileInfo) -> str:
    line = f"  {file}  {info.bytes} bytes  sha256 {info.sha256}  {entry.url}{_stored(file, info)}"
    return f"{line}  (compressed or not; size and sha256 uncompressed)" if info.gzipped else line


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
