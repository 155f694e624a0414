"""Reading and writing of npz files without pickled objects."""

import math
import os
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from vgae.errors import DataError
from vgae.runtime import limits, mapped
from vgae.runtime.atomic import replacing
from vgae.runtime.reading import brief, check_regular

_PADDING = 0xD935  # number of the field that aligns a member, as in archives of Android
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Streamed(NamedTuple):
    """An array that is written in pieces: its shape, dtype, and its values in C order."""

    shape: tuple[int, ...]
    dtype: np.dtype
    pieces: Iterable[np.ndarray]

    def write(self, file: BinaryIO) -> None:
        """Write the array as npy."""
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(file, header)
        size = 0
        for piece in self.pieces:
            file.write(np.ascontiguousarray(piece, self.dtype).reshape(-1).view(np.uint8).data)
            size += piece.size
        if size != math.prod(self.shape):
            raise ValueError(f"the pieces have {size} values, not those of {self.shape}.")


def write_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray | Streamed]
) -> None:
    """Write arrays of numbers and text to an npz file, whole or not at all.

    Those in pieces, and of 64 MiB or more, are stored without compression: it takes longer than
    all else, and they can be mapped.
    """
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"arrays of objects would be pickled: {', '.join(objects)}.")
    with (
        replacing(path) as temporary,
        # Six times as fast as the level of numpy.savez_compressed, for a tenth more bytes.
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(_member(archive, name, array), "w", force_zip64=True) as file:
                if isinstance(array, Streamed):
                    array.write(file)  # pyright: ignore[reportArgumentType]
                    continue
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def _member(
    archive: zipfile.ZipFile, name: str, array: np.ndarray | Streamed
) -> zipfile.ZipInfo | str:
    """Return the entry of an array; a large one can be mapped into memory.

    It is not compressed, which gains little, and begins at a multiple of 64 bytes.
    """
    size = math.prod(array.shape) * array.dtype.itemsize
    if not isinstance(array, Streamed) and size <= mapped.LARGE:
        return f"{name}.npy"
    member = zipfile.ZipInfo(f"{name}.npy")
    # 30 bytes of header, the name, 20 bytes of sizes, and 4 of the field that pads.
    padding = -(archive.start_dir + 54 + len(member.filename)) % 64
    member.extra = struct.pack("<HH", _PADDING, padding) + bytes(padding)
    return member


def read_arrays(
    path: str | os.PathLike[str], *, pickled: list[str] | None = None, in_file: str = ""
) -> dict[str, np.ndarray]:
    """Return every array of an npz file.

    Args:
        path: The file.
        in_file: Name of an array that is mapped into memory if it is large and not compressed.
        pickled: List that takes the names of arrays of objects, which are left out; without it
            they are refused.

    Raises:
        DataError: ``NPZ_CORRUPT``; ``PICKLE_REFUSED`` if it holds objects; ``UNPACKED_SIZE`` by
            :data:`vgae.runtime.limits.NPZ`. The message does not name the file.
    """
    path = Path(path)
    try:
        check_regular(path)
        # zipfile does not close a file that it cannot read.
        with path.open("rb") as file:
            # zipfile also accepts an archive at the end of another file.
            if file.read(4) not in (b"PK\3\4", b"PK\5\6"):
                raise DataError("NPZ_CORRUPT", "it is not a zip archive.")
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                _check_members(members, path.stat().st_size)
                found = {}
                for member in members:
                    name = member.filename.removesuffix(".npy")
                    try:
                        may_map = name == in_file and member.file_size > mapped.LARGE
                        found[name] = _array(archive, member, path if may_map else None)
                    except DataError as error:
                        if error.code != "PICKLE_REFUSED" or pickled is None:
                            raise
                        pickled.append(name)
                return found
    except DataError:
        raise
    # On damaged bytes numpy, zipfile and zlib raise a dozen kinds of exceptions.
    except Exception as error:
        raise DataError("NPZ_CORRUPT", f"{brief(error)}.") from None


def check_header(file: BinaryIO, size: int) -> tuple[int, ...]:
    """Return the shape in the header of a npy file of ``size`` bytes, of the right length.

    Raises:
        DataError: ``PICKLE_REFUSED`` if it holds objects; ``NPY_CORRUPT`` if its header states
            another length.
        Exception: If there is no header; of several kinds.
    """
    shape, _, dtype = _header(file)
    if dtype.hasobject:
        raise DataError("PICKLE_REFUSED", "it holds pickled objects.")
    # Integers of Python do not overflow, whatever the shape.
    stated, found = math.prod(map(int, shape)) * dtype.itemsize, size - file.tell()
    if stated != found or any(length < 0 for length in shape):
        raise DataError("NPY_CORRUPT", f"it states {stated} bytes of numbers and has {found}.")
    return tuple(map(int, shape))


def _check_members(members: list[zipfile.ZipInfo], packed: int) -> None:
    """Raise unless the members that an archive lists can be read."""
    if len({member.filename for member in members}) < len(members):
        raise DataError("NPZ_CORRUPT", "two of its members have the same name.")
    if any(member.compress_type not in _METHODS for member in members):
        raise DataError("NPZ_CORRUPT", "a member is compressed in a way that numpy does not use.")
    # zipfile returns no more of a member than the size listed for it.
    limits.NPZ.check(sum(member.file_size for member in members), packed)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, may_map: Path | None) -> np.ndarray:
    """Return an array, mapped into memory if there is a path of the archive and it is stored."""
    if not member.filename.endswith(".npy"):
        raise DataError("NPZ_CORRUPT", f"its member {member.filename!a:.60} is not an array.")
    try:
        with archive.open(member) as file:
            shape = check_header(file, member.file_size)  # pyright: ignore[reportArgumentType]
            if may_map is not None and member.compress_type == zipfile.ZIP_STORED:
                while file.read(2**20):  # to the end, where the checksum is compared
                    pass
                return _mapped(may_map, member, shape)
        with archive.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        _check_text(array)
        return array
    except DataError as error:
        if error.code == "PICKLE_REFUSED":
            raise
        what = f"of its member {member.filename!a:.60}, {error}"
        raise DataError("NPZ_CORRUPT", what) from None


def _mapped(path: Path, member: zipfile.ZipInfo, shape: tuple[int, ...]) -> np.memmap:
    """Return an array that an archive stores as it is, mapped into memory."""
    with path.open("rb") as file:
        file.seek(member.header_offset + 26)
        name, others = struct.unpack("<HH", file.read(4))
        file.seek(name + others, os.SEEK_CUR)
        _, is_fortran, dtype = _header(file)
        order = "F" if is_fortran else "C"
        return np.memmap(file, dtype, "r", offset=file.tell(), shape=shape, order=order)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether columns are first, and dtype in the header of a npy file."""
    is_first = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
    return read(file)


def _check_text(array: np.ndarray) -> None:
    """Raise unless text is Unicode: numpy accepts any 32 bits as a letter, Python does not."""
    if array.dtype.kind != "U" or array.nbytes == 0:
        return
    letters = array.astype(array.dtype.newbyteorder("=")).reshape(-1).view(np.uint32)
    if (letters > 0x10FFFF).any() or ((letters >= 0xD800) & (letters <= 0xDFFF)).any():
        raise DataError("NPZ_CORRUPT", "it holds text that is not Unicode.")
