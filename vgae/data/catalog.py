"""Catalogue of data sets: their files, downloads and checksums.

``datasets/catalog.toml`` lists each file with its size and sha256. A file that does not match them
is neither used nor kept from a download.
"""

import hashlib
import logging
import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from vgae.data.download import download
from vgae.data.packed import opened
from vgae.errors import DataError, did_you_mean

Status = Literal["ok", "missing", "damaged"]
Features = Literal["raw", "none"]

_STEP = 2**16
_IMAGE_KINDS = ("idx", "sklearn")


@dataclass(frozen=True)
class FileInfo:
    """Required size and digest of the content of a file.

    A ``gzipped`` one is downloaded, and may be stored, as gzip with ``.gz`` after its name.
    """

    bytes: int
    sha256: str
    gzipped: bool = False


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue.

    Attributes:
        name: Name for ``vgae train NAME``.
        title: Description of one line.
        kind: Format: ``"planetoid"``, ``"embedded"`` (a graph of the package), ``"idx"`` or
            ``"sklearn"`` (images of scikit-learn).
        licence: Terms of the data, as far as its source states them.
        url: Folder of the downloads, with a final slash; empty if none.
        citation: Papers to cite; empty if none.
        counts: Published sizes, such as ``nodes`` and ``links``.
        files: Size and digest of each file, by its name.
        path: File of an embedded data set, else None.
        folder: Folder of its files within :func:`data_home`; empty if it is named after the kind.
    """

    name: str
    title: str
    kind: str
    licence: str
    url: str = ""
    citation: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, FileInfo] = field(default_factory=dict)
    path: Path | None = None
    folder: str = ""

    @property
    def holds_images(self) -> bool:
        """``True`` for a data set of images, which is for :func:`vgae.load_images`."""
        return self.kind in _IMAGE_KINDS


def datasets_dir() -> Path:
    """Return the folder of the catalogue, within the installed package or beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_datasets"
    return installed if installed.is_dir() else package.parent / "datasets"


def catalogue() -> dict[str, Entry]:
    """Return all data sets by name, in the order of the file."""
    folder, entries = datasets_dir(), {}
    text = (folder / "catalog.toml").read_text(encoding="utf-8")
    for name, table in tomllib.loads(text).items():
        files = {file: FileInfo(**info) for file, info in table.pop("files", {}).items()}
        path = folder / table.pop("file") if "file" in table else None
        entries[name] = Entry(name, **table, files=files, path=path)
    return entries


def entry(name: str) -> Entry:
    """Return the data set of this name, in any case.

    Raises:
        DataError: ``UNKNOWN_DATASET``, with all names and the nearest one.
    """
    known = catalogue()
    if name.lower() in known:
        return known[name.lower()]
    what = f"there is no data set {name!r}; known are {', '.join(known)}."
    raise DataError("UNKNOWN_DATASET", what + did_you_mean(name, known))


def data_home() -> Path:
    """Return the folder of downloaded data: ``$VGAE_DATA``, or the user's cache folder."""
    return _folder("VGAE_DATA")


def cache_home() -> Path:
    """Return the folder of derived files: ``$VGAE_CACHE``, or the user's cache folder."""
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
    """Return the download folder of a data set."""
    return data_home() / (entry.folder or entry.kind)


def locate(entry: Entry) -> dict[str, Path]:
    """Return the paths of the present files of ``entry``, by name; :func:`verify` checks them.

    The folder of the data set goes before :func:`data_home`; in each, a file that may be gzip goes
    before its name with ``.gz``.
    """
    found = {}
    for file, info in entry.files.items():
        names = (file, f"{file}.gz") if info.gzipped else (file,)
        paths = (folder / name for folder in (_home(entry), data_home()) for name in names)
        if path := next(filter(Path.is_file, paths), None):
            found[file] = path
    return found


def missing(entry: Entry) -> list[str]:
    """Return the names of the missing files of ``entry``."""
    found = locate(entry)
    return [file for file in entry.files if file not in found]


def verify(entry: Entry) -> dict[str, Status]:
    """Compare the size and sha256 of each file of ``entry`` with the catalogue."""
    found = locate(entry)
    return {file: _status(found.get(file), info) for file, info in entry.files.items()}


def _status(path: Path | None, info: FileInfo) -> Status:
    if path is None:
        return "missing"
    if not info.gzipped and path.stat().st_size != info.bytes:
        return "damaged"
    try:
        return "ok" if _content(path, info) == (info.bytes, info.sha256) else "damaged"
    except DataError as error:
        if error.code != "GZIP_CORRUPT":
            raise
        return "damaged"


def _content(path: Path, info: FileInfo) -> tuple[int, str]:
    """Return size and sha256 of the content of a file; stop once a gzip exceeds its size."""
    digest, size = hashlib.sha256(), 0
    with opened(path, gzipped=info.gzipped) as file:
        while (size <= info.bytes or not info.gzipped) and (chunk := file.read(_STEP)):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def fetch(
    entry: Entry,
    *,
    names: Collection[str] | None = None,
    retries: int = 2,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Verify the files of ``entry``, download missing ones, and return their paths by name.

    Present files are never downloaded again or removed. A download gets its final name once its
    sha256 is correct, so partial files do not stay.

    Args:
        entry: The data set.
        names: Names of the wanted files; all of them if None.
        retries: Number of further attempts after a failed download.
        progress: Whether to show a download on stderr; see :func:`vgae.runtime.progress.showing`.

    Raises:
        DataError: ``CHECKSUM`` if a file does not match the catalogue; ``CANNOT_READ``;
            ``OFFLINE`` if files are missing and cannot be downloaded, with a list of them.
    """
    wanted = [file for file in entry.files if names is None or file in names]
    found = {file: path for file, path in locate(entry).items() if file in wanted}
    for file, path in found.items():
        _check_intact(entry, entry.files[file], path)
    if absent := [file for file in wanted if file not in found]:
        found |= _download(entry, absent, retries, progress=progress)
    return {file: found[file] for file in wanted}


def _check_intact(entry: Entry, expected: FileInfo, path: Path) -> None:
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
    """Download ``absent`` into the folder of the data set, each verified before it is named."""
    if os.environ.get("VGAE_OFFLINE", "0") not in ("", "0"):
        raise _offline(entry, absent, "VGAE_OFFLINE is set")
    if not entry.url:
        raise _offline(entry, absent, "it has no address to download from")
    import pooch
    import requests

    wanted = {file: (_stored(entry, file), entry.files[file]) for file in absent}
    # The catalogue has no digest of compressed bytes: the downloader checks the content.
    digests = {s: None if info.gzipped else f"sha256:{info.sha256}" for s, info in wanted.values()}
    source = pooch.create(_home(entry), entry.url, registry=digests, retry_if_failed=retries)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # errors are raised, and the caller shows the progress
    try:
        return {
            file: Path(source.fetch(stored, downloader=_downloader(info, **options)))
            for file, (stored, info) in wanted.items()
        }
    except (requests.exceptions.RequestException, OSError) as error:
        absent = [file for file in absent if file not in locate(entry)]
        unreachable = isinstance(error, requests.exceptions.ConnectionError)
        reason = f"no connection to {urlsplit(entry.url).netloc}" if unreachable else error
        raise _offline(entry, absent, _one_line(reason)) from error
    except ValueError as error:
        raise DataError(
            "CHECKSUM",
            f"the download of {entry.name} from {entry.url} was discarded ({_one_line(error)}); "
            "a proxy or a login page may have answered: try again from another network.",
        ) from error
    finally:
        logger.setLevel(level)


def _stored(entry: Entry, file: str) -> str:
    """Return the name of a file in the download folder."""
    return f"{file}.gz" if entry.files[file].gzipped else file


def _downloader(info: FileInfo, **options: Any) -> Any:
    """Return the downloader of one file for pooch."""
    # Incompressible data grow by a few bytes in 2**14, and by a header.
    limit = info.bytes + info.bytes // 1000 + 1000 if info.gzipped else info.bytes

    def stream(url: str, output_file: str, _: object) -> None:
        download(url, Path(output_file), limit=limit, **options)
        if info.gzipped and _status(Path(output_file), info) != "ok":
            raise ValueError(f"{url} does not match the catalogue")

    return stream


def _offline(entry: Entry, absent: list[str], reason: str) -> DataError:
    """Return an error that lists all that is needed to add the files by hand."""
    plural = "files are" if len(absent) > 1 else "file is"
    text = (
        f"{entry.name}: {len(absent)} {plural} missing and cannot be downloaded ({reason}); "
        f"put the files below into {_home(entry)} and run this again."
    )
    for file in absent:
        info = entry.files[file]
        url = f"{entry.url}{_stored(entry, file)}"
        text += f"\n  {file}  {info.bytes} bytes  sha256 {info.sha256}  {url}"
        if info.gzipped:
            text += "  (compressed or not; size and sha256 uncompressed)"
    return DataError("OFFLINE", text)


def _one_line(reason: Exception | str) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__
