"""Arrays and graphs of files that ``torch.save`` wrote, without running anything that they name.

This is the only module that calls ``torch.load``. It has ``weights_only=True``, which builds
tensors and plain values alone. The names by which numpy pickles an array lead to the records
below, not to numpy, whose state setters run in C: the array is built afterwards, from bytes of
checked length.
"""

import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError
from vgae.runtime.reading import brief, file_size


class _Record:
    """Arguments and state of a pickled object."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Record):
    pass


class _Dtype(_Record):
    pass


class _ArrayClass:
    pass


def _no_bytes() -> bytes:
    """Return what ``bytes()`` does, which takes no arguments here."""
    return b""


class Stored(_Record):
    """Object of PyG: the values in its store by name."""

    def values(self) -> dict[str, Any]:
        """Return the values by name.

        Raises:
            ValueError: If the state is none that PyG writes.
        """
        state = self.state
        for key in ("_store", "_mapping"):
            inner = state.get(key) if isinstance(state, dict) else None
            state = inner.state if isinstance(inner, Stored) else inner if inner else state
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise ValueError("an object has another state than PyG writes")
        return {key: value for key, value in state.items() if key[:1] != "_"}


class _PygClass:
    """Name of a class of PyG that is no data."""


def _batch(*_: Any) -> Stored:
    """Return the record of a batch, whose class PyG makes by a call."""
    return Stored()


class _BatchMaker:
    def __new__(cls) -> Any:
        return _batch


_RECORDS = [
    (_no_bytes, "builtins.bytes"),
    (_no_bytes, "__builtin__.bytes"),
    (_Array, "numpy.core.multiarray._reconstruct"),
    (_Array, "numpy._core.multiarray._reconstruct"),
    (_ArrayClass, "numpy.ndarray"),
    (_Dtype, "numpy.dtype"),
]
_OF_PYG = [
    *_RECORDS,
    (Stored, "torch_geometric.data.data.Data"),
    (Stored, "torch_geometric.data.storage.GlobalStorage"),
    (_PygClass, "torch_geometric.data.data.DataEdgeAttr"),
    (_PygClass, "torch_geometric.data.data.DataTensorAttr"),
    (_PygClass, "torch_geometric.data.batch.Batch"),
    (_BatchMaker, "torch_geometric.data.batch.DynamicInheritanceGetter"),
    (_batch, f"{__name__}._batch"),
]


def read_integers(path: Path) -> dict[str, np.ndarray]:
    """Return the integer tensors and arrays of a dictionary, by name; other entries are left out.

    Raises:
        DataError: ``CANNOT_READ``; ``FILE_EMPTY``; ``PT_REFUSED`` if the file is damaged, or holds
            anything but tensors, arrays and plain values.
    """
    size, content = file_size(path), _content(path, _RECORDS)
    try:
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}, not a dictionary")
        found = {str(name): _integers(value, size) for name, value in content.items()}
    except ValueError as error:
        raise DataError("PT_REFUSED", f"{path}: {brief(error)}.") from None
    return {name: value for name, value in found.items() if value is not None}


def read_objects(path: Path) -> Any:
    """Return what ``torch.save`` wrote of PyG: :class:`Stored`, tensors and plain values.

    Raises:
        DataError: As :func:`read_integers`.
    """
    file_size(path)
    return _content(path, _OF_PYG)


def _content(path: Path, records: Sequence[tuple[Any, str]]) -> Any:
    """Return the content of a file, with records in place of the objects that are named."""
    try:
        _check_stored(path)
        with _allowed_alone(records):
            return torch.load(path, map_location="cpu", weights_only=True)
    # On other bytes torch raises a dozen kinds of exceptions, some with a page of text.
    except Exception as error:
        raise DataError(
            "PT_REFUSED",
            f"{path}: it is damaged, or holds more than tensors, arrays and plain values"
            f" ({type(error).__name__}); save a dictionary of these by torch.save.",
        ) from None


@contextmanager
def _allowed_alone(records: Sequence[tuple[Any, str]]) -> Iterator[None]:
    """Allow files to name these alone; PyG, once it is imported, allows its own classes."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(list(records)):
            yield
    finally:
        torch.serialization.add_safe_globals(before)


def _check_stored(path: Path) -> None:
    """Raise unless the members of a zip archive are as long as the file says, as torch's are."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("a member is compressed")


def _integers(value: Any, size: int) -> np.ndarray | None:
    """Return an entry as an array; ``None`` if it is not one of integers."""
    if isinstance(value, Tensor):
        # A few bytes may stand for any number of elements, by strides of zero; indices of sparse
        # tensors are not checked.
        if value.layout != torch.strided or value.numel() * value.element_size() > size:
            raise ValueError("a tensor is sparse, or larger than the file")
        return None if value.is_floating_point() or value.is_complex() else value.numpy()
    return _array(value) if isinstance(value, _Array) else None


def _array(record: _Array) -> np.ndarray | None:
    """Build an array from the state of ``numpy.ndarray.__setstate__``."""
    match record.state:
        case (1, tuple() as shape, _Dtype(args=(str() as text, *_)) as dtype, fortran, data):
            order = dtype.state[1] if isinstance(dtype.state, tuple) else ""
        case _:
            raise ValueError("an array has another state than numpy writes")
    if not re.fullmatch(r"[<>|]?[iu][1248]", f"{order}{text}"):
        return None
    kind = np.dtype(f"{order}{text}")
    if not isinstance(data, bytes) or any(type(length) is not int for length in shape):
        raise ValueError("an array has another state than numpy writes")
    if math.prod(shape) * kind.itemsize != len(data) or min(shape, default=0) < 0:
        raise ValueError("an array states another length than it has")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C").copy()
