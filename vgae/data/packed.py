"""Bytes of files, plain or compressed by gzip, bzip2, xz or zip, of bounded size."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from vgae.errors import DataError
from vgae.runtime import limits
from vgae.runtime.reading import brief

SUFFIXES = (".gz", ".bz2", ".xz", ".zip")

_MAGIC = {
    ".gz": (b"\x1f\x8b",),
    ".bz2": (b"BZh",),
    ".xz": (b"\xfd7zXZ\x00",),
    ".zip": (b"PK\3\4", b"PK\5\6"),
}
_TITLES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
# That of LZMA can demand gigabytes of memory before it yields a byte.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_OF_SYSTEMS = (".ds_store", "thumbs.db", "desktop.ini")
_XZ_MEMORY = 256 * 2**20
_STEP = 2**16


def unpacked_name(path: Path) -> Path:
    """Return the name of a file without ``.gz``, ``.bz2``, ``.xz`` or ``.zip``.

    An archive ``links.zip`` has the name of its only member, without folders.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return Path(path.name)
    inner = Path(path.stem)
    if suffix == ".zip" and not inner.suffix and path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                return Path(_only_member(archive, path).filename.replace("\\", "/")).with_stem(
                    inner.name
                )
        # The reader of the file reports what is wrong with it.
        except Exception:
            return inner
    return inner


class Unpacked(io.BufferedIOBase):
    """Bytes of a file, counted; those that are unpacked are limited."""

    def __init__(self, path: Path, file: BinaryIO, suffix: str = "") -> None:
        self._path = path
        self._file = file
        self._suffix = suffix
        self._packed = path.stat().st_size
        self.count = 0

    def readable(self) -> bool:
        """Return ``True``."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most ``size`` bytes, or raise ``UNPACKED_SIZE``."""
        size = -1 if size is None else size
        if not self._suffix:
            data = self._file.read(size)
            self.count += len(data)
            return data
        with _intact(self._path, self._suffix):
            data = self._file.read(size)
        self.count += len(data)
        limits.TEXT.check(self.count, self._packed, self._path)
        return data

    read1 = read


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """Open a file to read its bytes, decompressed if its suffix or its first bytes say so.

    Raises:
        DataError: ``CANNOT_READ``; ``GZIP_CORRUPT``, ``BZIP2_CORRUPT``, ``XZ_CORRUPT`` or
            ``ZIP_CORRUPT`` if it is damaged, also during reading; ``ZIP_MEMBERS`` if an archive
            has not exactly one member; ``UNPACKED_SIZE`` by :data:`vgae.runtime.limits.TEXT`.
    """
    suffix = path.suffix.lower()
    with opened(path) as file, ExitStack() as stack:
        if suffix not in SUFFIXES or isinstance(file, gzip.GzipFile):
            yield Unpacked(path, file, ".gz" if isinstance(file, gzip.GzipFile) else "")
            return
        first = file.read(8)
        if not first.startswith(_MAGIC[suffix]):
            title = _TITLES[suffix]
            raise DataError(
                f"{title.upper()}_CORRUPT",
                f"{path} is not {title}, it begins with {first!r}; download it again, or, if it is"
                f" unpacked already, rename it to {path.stem}.",
            )
        file.seek(0)
        with _intact(path, suffix):
            inner: Any
            if suffix == ".bz2":
                inner = stack.enter_context(bz2.BZ2File(file))
            elif suffix == ".xz":
                inner = io.BufferedReader(_Xz(file))
            else:
                archive = stack.enter_context(zipfile.ZipFile(file))
                inner = stack.enter_context(archive.open(_only_member(archive, path)))
        yield Unpacked(path, inner, suffix)


@contextmanager
def opened(path: Path, *, gzipped: bool = True) -> Iterator[BinaryIO]:
    """Open a regular file to read its bytes, decompressed if it may be gzip and begins so.

    Raises:
        DataError: ``CANNOT_READ``; ``GZIP_CORRUPT`` during reading, if it is truncated, has a
            wrong checksum, or goes on after its end.
    """
    try:
        with path.open("rb") as file:
            if not (gzipped and file.peek(2)[:2] in _MAGIC[".gz"]):
                yield file
                return
            with gzip.GzipFile(fileobj=file) as inner:
                yield cast(BinaryIO, inner)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, ".gz", error) from None
    except OSError as error:
        raise DataError("CANNOT_READ", f"{path} cannot be read: {error.strerror}.") from error


def whole(path: Path) -> bytes:
    """Return the bytes of a document, decompressed; for readers that need it at once.

    Raises:
        DataError: ``FILE_SIZE`` beyond :data:`vgae.runtime.limits.DOCUMENT`; or as
            :func:`unpacked`.
    """
    parts = []
    with unpacked(path) as file:
        while part := file.read(2**20):
            parts.append(part)
            if file.count > limits.DOCUMENT:
                raise DataError(
                    "FILE_SIZE",
                    f"{path}: it has more than {limits.DOCUMENT >> 20} MiB, the most that is read"
                    " of this format; save the links as an edge list (.csv or .parquet).",
                )
    return b"".join(parts)


def _damaged(path: Path, suffix: str, error: Exception) -> DataError:
    code = f"{_TITLES[suffix].upper()}_CORRUPT"
    return DataError(code, f"{path} is damaged ({brief(error)}); download it again.")


@contextmanager
def _intact(path: Path, suffix: str) -> Iterator[None]:
    """Convert the exceptions of a decompressor, of which there are a dozen kinds."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(path, suffix, error) from None


def _only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Return the only member of an archive; its name is no path."""
    members = [
        member
        for member in archive.infolist()
        if not (member.is_dir() or member.filename.startswith("__MACOSX/"))
        and member.filename.rpartition("/")[2].lower() not in _OF_SYSTEMS
    ]
    if len(members) != 1:
        shown = ", ".join(f"{member.filename!a:.60}" for member in members[:5])
        raise DataError(
            "ZIP_MEMBERS",
            f"{path} has {len(members)} members{f' ({shown}, ...)' if shown else ''}; unpack it"
            f" ('unzip {path.name}') and give the file or the folder.",
        )
    (member,) = members
    if member.flag_bits & 1:
        raise DataError("ZIP_MEMBERS", f"{path} is encrypted; unpack it ('unzip {path.name}').")
    if member.compress_type not in _METHODS:
        raise DataError(
            "ZIP_CORRUPT",
            f"{path} is compressed by method {member.compress_type}, not by deflate or bzip2;"
            f" unpack it ('unzip {path.name}').",
        )
    return member


class _Xz(io.RawIOBase):
    """Content of xz streams, one after the other, with a limit on the memory of the decoder."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = self._new()
        self._rest = b""

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while True:
            if self._decoder.eof:
                self._rest = self._decoder.unused_data or self._rest
                self._rest = (self._rest or self._file.read(_STEP)).lstrip(b"\0")
                if not self._rest:
                    return 0
                self._decoder = self._new()
            if self._decoder.needs_input and not self._rest:
                self._rest = self._file.read(_STEP)
                if not self._rest:
                    raise EOFError("it ends within a stream")
            data, self._rest = self._decoder.decompress(self._rest, len(buffer)), b""
            if data:
                buffer[: len(data)] = data
                return len(data)
