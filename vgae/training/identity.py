"""Identity of a model: its classes with their source, its hyper-parameters, its shapes."""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence, Set
from functools import partial
from types import CellType, CodeType, FunctionType
from typing import Any

from torch import Tensor, nn

_KNOWN = ("builtins", "torch", "torch_geometric", "vgae")


def model_identity(model: nn.Module) -> str:
    """Return the SHA-256 of what a model is before it is trained, in hexadecimal.

    It covers each module: its class; the source of the class, unless it is one of this package,
    PyTorch or PyG; the attributes that are plain values, functions or classes, without those that
    begin with an underscore; the shapes of its parameters and buffers. The values of the weights
    do not count, nor do random generators.
    """
    rows = [[name, _module(part)] for name, part in model.named_modules()]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _module(part: nn.Module) -> list[Any]:
    tensors = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
    shapes = {name: [list(value.shape), str(value.dtype)] for name, value in tensors}
    values = {
        name: _plain(value)
        for name, value in vars(part).items()
        if not name.startswith("_") and name != "training"
    }
    return [_class(type(part)), values, shapes]


def _class(kind: type) -> list[Any]:
    """Return the name of a class, and the source of it and of its bases."""
    own = [base for base in kind.__mro__ if base.__module__.split(".")[0] not in _KNOWN]
    return [f"{kind.__module__}.{kind.__qualname__}", [_source(base) for base in own]]


def _source(part: Any) -> Any:
    """Return the source of a class or function or, where there is no file, its bytecode."""
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):
        members = vars(part).values() if isinstance(part, type) else [part]
        return [_code(f.__code__) for f in members if isinstance(f, FunctionType)]


def _code(code: CodeType) -> list[Any]:
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_name, code.co_code.hex(), list(code.co_names), constants]


def _plain(value: Any, depth: int = 4) -> Any:
    """Return a value as JSON; of an object of another kind only its class, without an address.

    Containers and the variables of a function are followed to a depth that bounds cycles.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, Tensor):
        return [str(value.dtype), list(value.shape)]
    if isinstance(value, type):
        return _class(value)
    inner = partial(_plain, depth=depth - 1)
    if depth == 0:
        return type(value).__qualname__
    if isinstance(value, partial):
        return [inner(value.func), inner(value.args), inner(value.keywords)]
    if isinstance(value, FunctionType):
        names = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        held = {name: cell.cell_contents for name, cell in names if cell != CellType()}
        return [value.__qualname__, _source(value), inner(value.__defaults__), inner(held)]
    if isinstance(value, Mapping):
        return {repr(key): inner(v) for key, v in value.items()}
    if isinstance(value, Set):
        return sorted(map(repr, value))
    if isinstance(value, Sequence):
        return [inner(v) for v in value]
    return getattr(value, "__qualname__", type(value).__qualname__)
