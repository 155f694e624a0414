"""Settings of every training, the base class of the named recipes."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from numbers import Real
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from vgae.errors import UsageError, did_you_mean

Keep = Literal["best", "last"]
Optimizer = Literal["adam", "rmsprop", "adagrad"]
Ranges = Mapping[str, tuple[float, float]]
MOST = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of every training; a recipe adds those of its model.

    Attributes:
        name: Name in tables and run folders.
        optimizer: Optimizer of torch, ``"adam"``, ``"rmsprop"`` or ``"adagrad"``.
        lr: Learning rate.
        weight_decay: L2 penalty: its product with a weight is added to the gradient.
        epochs: Maximum number of passes over the data; 0 keeps the initial weights.
        beta: Weight of the KL divergence.
        warmup: Number of epochs over which beta rises linearly from 0.
        average: Whether the model is the average of the weights over the later epochs; see
            :class:`vgae.training.averaging.AveragedWeights`.
        keep: Epoch whose weights become the model: the ``best`` one on the validation data, or the
            ``last``.
        patience: Number of epochs without a better validation score after which training stops;
            0 never stops early.
        eval_every: Number of epochs between two validations.
    """

    name: str
    optimizer: Optimizer = "adam"
    lr: float = 0.01
    weight_decay: float = 0.0
    epochs: int = 200
    beta: float = 1.0
    warmup: int = 0
    average: bool = False
    keep: Keep = "last"
    patience: int = 0
    eval_every: int = 5

    ranges: ClassVar[Ranges] = {
        **dict.fromkeys(("lr", "weight_decay", "epochs", "beta", "warmup", "patience"), (0, MOST)),
        "eval_every": (1, MOST),
    }

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that are younger than the first checkpoints."""

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f.name, f.type, getattr(self, f.name), self.ranges.get(f.name))

    @property
    def chosen(self) -> frozenset[str]:
        """Names of the fields that :meth:`override` changed."""
        return self.__dict__.get("_chosen", frozenset())

    def override(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with some fields changed, to values or to the text of values.

        Raises:
            UsageError: If a field does not exist, or its value is of another type.
        """
        types = {f.name: f.type for f in fields(self)}
        values = {}
        for name, value in settings.items():
            if name not in types:
                what = f"{name!r} is no field of a recipe; they are {', '.join(types)}."
                raise UsageError("RECIPE", what + did_you_mean(name, types))
            is_text = isinstance(value, str) and types[name] is not str
            values[name] = _parse(name, value, types[name]) if is_text else _plain(value)
        changed = replace(self, **values)
        object.__setattr__(changed, "_chosen", self.chosen | values.keys())
        return changed

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return settings from the JSON of ``asdict``, in which tuples are lists.

        Raises:
            TypeError: If a field does not exist, or is missing and has no default.
            UsageError: If a value is out of range.
        """
        if not isinstance(values, Mapping):
            raise TypeError("a recipe must be a JSON object")
        # Earlier versions wrote the names of the changed fields as "chosen".
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "chosen"
        }
        return cls(**given)

    def identity(self) -> dict[str, Any]:
        """Return the fields that must be equal to continue from a checkpoint.

        Checkpoints of earlier versions lack the fields in ``later``, which are left out at their
        defaults.
        """
        free = {"name", "epochs", "patience"}
        defaults = {f.name: f.default for f in fields(self)}
        free |= {name for name in self.later if getattr(self, name) == defaults[name]}
        return {name: value for name, value in asdict(self).items() if name not in free}

    def __str__(self) -> str:
        """Return the recipe as TOML, one ``field = value`` per line."""
        # Strings, numbers, lists and booleans are the same in JSON and TOML.
        return "\n".join(f"{name} = {json.dumps(v)}" for name, v in asdict(self).items())


def _check(name: str, kind: Any, value: Any, span: tuple[float, float] | None) -> None:
    """Raise ``UsageError`` unless a value is of its type and in its range."""
    if get_origin(kind) is Literal and value not in get_args(kind):
        what = f"{name} must be one of {get_args(kind)}, got {value!r}."
        raise UsageError("RECIPE", what + did_you_mean(value, get_args(kind)))
    if kind in (bool, str) and type(value) is not kind:
        raise UsageError("RECIPE", f"{name} must be of type {kind.__name__}, got {value!r:.60}.")
    if span is None:
        return
    low, high = span
    outside = f"{name} must lie in [{low}, {high}], got "
    if isinstance(value, tuple) != (kind == tuple[int, ...]):
        raise UsageError("RECIPE", f"{outside}{value!r:.60}.")
    for number in value if isinstance(value, tuple) else (value,):
        if kind in (int, tuple[int, ...]) and type(number) is not int:
            raise UsageError("RECIPE", f"{name} must be an integer, got {number!r:.60}.")
        inside = isinstance(number, Real) and low <= number <= high  # pyright: ignore
        if not inside or type(number) is bool:  # NaN fails too
            raise UsageError("RECIPE", f"{outside}{number!r:.60}.")


def _plain(value: Any) -> Any:
    """Convert numpy's numbers to Python's, and lists and arrays to tuples."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(map(_plain, value)) if isinstance(value, (tuple, list)) else value


def _parse(name: str, text: str, kind: Any) -> object:
    """Parse a value; widths are integers separated by commas."""
    if kind == tuple[int, ...]:
        return tuple(_parse(name, part, int) for part in text.split(",") if part.strip())
    if get_origin(kind) is Literal:
        return text
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        value = kind(text)
    except (ValueError, KeyError):
        expected = "true or false" if kind is bool else kind.__name__
        raise UsageError("RECIPE", f"{name} must be {expected}, got {text!r}.") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError("RECIPE", f"{name} must be finite, got {text!r}.")
    return value
