"""Identity of a model: its classes with their source, its hyper-parameters, its shapes.

Several processes compare it, and all else that must be the same.
"""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from functools import partial
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vgae.errors import UsageError
from vgae.runtime.processes import Team

_KNOWN = ("builtins", "torch", "torch_geometric", "vgae")
_INTERNAL = {*vars(nn.Module()), "_trained_on"}


def model_identity(model: nn.Module) -> str:
    """Return the SHA-256 of what a model is before it is trained, in hexadecimal.

    It covers each module: its class; the source of the class, unless it is one of this package,
    PyTorch or PyG; its attributes, such as numbers, functions, configurations and arrays; the
    shapes of its parameters and buffers, and whether they are trained. The values of the weights
    do not count, nor do random generators, nor global variables that a function reads.
    """
    rows = [[name, _module(part)] for name, part in model.named_modules()]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def weights_digest(model: nn.Module) -> str:
    """Return the SHA-256 of the weights and buffers of a model, in hexadecimal."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        flat = value.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_same(us: Team, described: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` unless all processes train the same.

    Args:
        us: The processes.
        described: What must be the same, by its name in the message.
    """
    first, *others = us.of_all(described)
    for rank, other in enumerate(others, 1):
        differing = [name for name in first if other.get(name) != first[name]]
        if not differing:
            continue
        # Names of the data say more than what follows from them.
        name = differing[0]
        values = f" ({other.get(name)}, not {first[name]})"
        raise UsageError(
            "RANKS_DIFFER",
            f"process {rank} of {us.size} differs from the first in {', '.join(differing[:4])}"
            f"{values if len(values) < 60 else ''}; give all of them the same data, options and"
            " software.",
        )


def _module(part: nn.Module) -> list[Any]:
    tensors = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
    shapes = {
        name: [list(value.shape), str(value.dtype), value.requires_grad] for name, value in tensors
    }
    kind = _class(type(part))
    # PyTorch and PyG keep caches in private attributes.
    values = {
        name: _Values()(value)
        for name, value in vars(part).items()
        if name not in _INTERNAL and (kind[1] or not name.startswith("_"))
    }
    return [kind, values, shapes]


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


class _Values:
    """Values as JSON; of an object of another kind its class and attributes, without an address.

    An object that occurs again is described once, which bounds cycles.
    """

    def __init__(self) -> None:
        self.seen: dict[int, object] = {}  # keeps the objects alive, whose ids would be reused

    def __call__(self, value: Any) -> Any:
        atom = _atom(value)
        if atom is not None:
            return atom
        name = [getattr(value, "__qualname__", None), _class(type(value))]
        if id(value) in self.seen:
            return name
        self.seen[id(value)] = value
        return [*name, *map(self, _parts(value))]


def _atom(value: Any) -> Any:
    """Return a value without parts as JSON; ``None`` for another one."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, Tensor | np.ndarray | np.generic):
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        digest = None if array.dtype.hasobject else hashlib.sha256(array.tobytes()).hexdigest()
        return [str(array.dtype), list(array.shape), digest]
    if isinstance(value, Enum):
        return [_class(type(value)), value.name]
    return _class(value) if isinstance(value, type) else None


def _parts(value: Any) -> list[Any]:
    """Return the values that an object consists of, in a fixed order."""
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, FunctionType):
        names = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        held = [[name, cell.cell_contents] for name, cell in names if cell != CellType()]
        return [repr(_source(value)), value.__defaults__, value.__kwdefaults__, held]
    if isinstance(value, Mapping):
        return [[repr(key), v] for key, v in value.items()]
    if isinstance(value, Set):
        return sorted(map(repr, value))
    if isinstance(value, Sequence):
        return list(value)
    # A module that is held without being registered is known by its class.
    return [] if isinstance(value, nn.Module) else [getattr(value, "__dict__", None)]
