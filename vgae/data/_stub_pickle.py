"""Arrays, sparse matrices and adjacency lists of Python 2 pickles, without unpickling.

Unpickling runs any code that the file names. Here ``pickle`` is not even imported: a small stack
machine has only the opcodes of the published Planetoid files. The six globals that they name
become inert records; a call only records its arguments. The arrays are built afterwards, from
bytes of checked length. A single parser reads and decides, so no file can look harmless to a scan
and different to what runs it.

Every reader raises :class:`vgae.errors.DataError`: ``CANNOT_READ``; ``PICKLE_REFUSED`` for
anything but data of the published kinds; ``PLANETOID_CORRUPT``.
"""

import math
import pickletools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from vgae.errors import DataError
from vgae.graphs.arrays import check_format
from vgae.runtime.reading import brief

MAX_FILE_BYTES = 16 * 2**20  # the largest real file, ind.pubmed.allx, has 7.6 MB
MAX_OPCODES = 1_000_000  # the longest real file, ind.pubmed.graph, has 178,216

_GLOBALS = {
    "scipy.sparse.csr csr_matrix": "csr_matrix",
    "numpy.core.multiarray _reconstruct": "_reconstruct",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "collections defaultdict": "defaultdict",
    "__builtin__ list": "list",
}
_DTYPES = ("f4", "f8", "i4", "i8")


@dataclass(frozen=True)
class _Global:
    """Name of one of the six globals, not callable."""

    name: str


@dataclass(eq=False)
class _Stub:
    """Record of an object: the name of its global, the arguments of the call, and its state."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a regular file of at most ``MAX_FILE_BYTES``."""
    try:
        if not path.is_file():
            raise DataError("CANNOT_READ", f"{path} is not a file.")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            what = f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read."
            raise DataError("PICKLE_REFUSED", what)
        return path.read_bytes()
    except OSError as error:
        raise DataError("CANNOT_READ", f"{path} cannot be read: {error.strerror}.") from error


def read_matrix(path: Path) -> np.ndarray:
    """Return a pickled array of two dimensions, float or int."""
    with _naming(path):
        return _array(_run(read_bytes(path)), ndim=2)


def read_csr(path: Path) -> sp.csr_array:
    """Return a pickled CSR matrix, its indices checked."""
    with _naming(path):
        return _csr(_run(read_bytes(path)))


def read_adjacency(path: Path) -> dict[int, list[int]]:
    """Return the pickled neighbours of each node."""
    with _naming(path):
        data = read_bytes(path)
        return _adjacency(_run(data), max_entries=len(data))


class _RefusedError(Exception):
    """The file holds more than data."""


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn every fault of the content into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except _RefusedError as error:
        raise DataError("PICKLE_REFUSED", f"{path} is refused: {error}.") from None
    except (ValueError, TypeError, IndexError, KeyError) as error:
        reason = brief(error) if isinstance(error, ValueError) else "broken structure"
        what = f"{path} is damaged or not of Planetoid form ({reason}); download it again."
        raise DataError("PLANETOID_CORRUPT", what) from None


class _Machine:
    """Stack, marks and memo of a pickle that is read."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        # A dict, so that a huge memo index costs no memory.
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def memoize(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def pack(self, size: int) -> None:
        items = [self.stack.pop() for _ in range(size)]
        self.push(tuple(reversed(items)))

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("appends to something that is no list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if type(self.stack[-1]) is not dict or len(keys) != len(values):
            raise ValueError("sets items of something that is no dictionary")
        # Other keys could be nested deep enough to exhaust the stack when hashed.
        if any(type(key) not in (int, str) for key in keys):
            raise ValueError("a key is neither an integer nor a string")
        self.stack[-1].update(zip(keys, values, strict=True))

    def call(self) -> None:
        """Record a call; published files call only these three globals."""
        args, function = self.stack.pop(), self.stack.pop()
        if type(function) is not _Global or type(args) is not tuple:
            raise _RefusedError("it calls something that is not one of the known globals")
        if function.name in ("_reconstruct", "dtype"):
            self.push(_Stub(function.name, args))
        elif function.name == "defaultdict" and _names_only(args, "list"):
            self.push({})
        else:
            raise _RefusedError(f"it calls {function.name} in a way that published files do not")

    def make(self) -> None:
        """Record the creation of an object; published files create only CSR matrices."""
        args, kind = self.stack.pop(), self.stack.pop()
        if not _names_only((kind,), "csr_matrix") or args != ():
            raise _RefusedError("it creates an object that published files do not")
        self.push(_Stub(kind.name, ()))

    def set_state(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is not _Stub or target.state is not None:
            raise _RefusedError("it sets the state of something other than an array")
        target.state = state


def _names_only(args: tuple[Any, ...], name: str) -> bool:
    return len(args) == 1 and type(args[0]) is _Global and args[0].name == name


def _push_global(machine: _Machine, name: str) -> None:
    if name not in _GLOBALS:
        raise _RefusedError(f"it names the global {name[:80]!a}")
    machine.push(_Global(_GLOBALS[name]))


def _check_protocol(_: _Machine, version: int) -> None:
    if version != 2:
        raise _RefusedError(f"it is of pickle protocol {version}, published files are of 2")


# All opcodes of the published files, and SETITEM, which one node more would add.
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _check_protocol,
    "STOP": lambda *_: None,
    "GLOBAL": _push_global,
    **dict.fromkeys(("BININT", "BININT1", "BININT2"), _Machine.push),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.pack(1),
    "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.update(machine.pop_to_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.memoize),
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.make(),
    "BUILD": lambda machine, _: machine.set_state(),
}


def _run(data: bytes) -> Any:
    """Return the value that a pickle leaves on the stack: plain values and stubs."""
    machine = _Machine()
    end = 0
    for count, (opcode, arg, position) in enumerate(pickletools.genops(data)):
        if opcode.name not in _STEPS:
            raise _RefusedError(f"opcode {opcode.name} is not one that published files use")
        if count >= MAX_OPCODES:
            raise _RefusedError(f"it has more than {MAX_OPCODES} opcodes")
        _STEPS[opcode.name](machine, arg)
        end = (position or 0) + 1
    if len(machine.stack) != 1 or end != len(data):
        raise ValueError("something is left over at the end")
    return machine.stack[0]


def _array(value: Any, *, ndim: int) -> np.ndarray:
    """Build an array from the state of ``numpy.ndarray.__setstate__``."""
    match value:
        case _Stub(
            kind="_reconstruct",
            args=(_Global(name="ndarray"), (0,), "b"),
            state=(1, tuple() as shape, record, bool() as fortran, str() as text),
        ):
            dtype = _dtype(record)
        case _:
            raise ValueError("no array where one must be")
    if len(shape) != ndim or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"the shape of an array is not {ndim} sizes")
    # Integers of Python do not overflow, whatever the shape.
    if math.prod(shape) * dtype.itemsize != len(text):
        raise ValueError(f"an array of {len(text)} bytes does not have the shape it states")
    order = "F" if fortran else "C"
    return np.frombuffer(bytearray(text, "latin1"), dtype).reshape(shape, order=order)


def _dtype(record: Any) -> np.dtype:
    match record:
        case _Stub(
            kind="dtype",
            args=(str() as code, 0, 1),
            state=(3, "<", None, None, None, -1, -1, 0),
        ) if code in _DTYPES:
            return np.dtype(f"<{code}")
    raise ValueError(f"an array is of another type than {', '.join(_DTYPES)}")


def _csr(value: Any) -> sp.csr_array:
    """Build a sparse matrix from the attributes of ``scipy.sparse.csr_matrix``."""
    match value:
        case _Stub(
            kind="csr_matrix",
            state={"_shape": (int(rows), int(columns)), "data": data, "indices": indices, **rest},
        ):
            parts = [_array(part, ndim=1) for part in (data, indices, rest.get("indptr"))]
        case _:
            raise ValueError("no sparse matrix where one must be")
    data, indices, indptr = parts
    if indices.dtype.kind != "i" or indptr.dtype.kind != "i":
        raise ValueError("the indices of a sparse matrix are not integers")
    if len(indptr) != rows + 1 or not len(data) == len(indices) == indptr[-1]:
        raise ValueError("the parts of a sparse matrix disagree on its size")
    matrix = sp.csr_array((data, indices, indptr), shape=(rows, columns))
    check_format(matrix)
    return matrix


def _adjacency(value: Any, *, max_entries: int) -> dict[int, list[int]]:
    if type(value) is not dict or any(type(nodes) is not list for nodes in value.values()):
        raise ValueError("no dictionary of lists where one must be")
    # Many nodes may refer to one list of neighbours, hence to more entries than bytes.
    if sum(map(len, value.values())) > max_entries:
        raise _RefusedError("it states more links than it has bytes")
    if any(type(node) is not int for node in chain(value, *value.values())):
        raise ValueError("a node is not an integer")
    return value
