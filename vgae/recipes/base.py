"""Training: how long and how fast, whatever is trained; the base of the named recipes."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from numbers import Real
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from vgae.errors import UsageError

Keep = Literal["best", "last"]
Optimizer = Literal["adam", "rmsprop", "adagrad"]
Ranges = Mapping[str, tuple[float, float]]
MOST = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings that every training has; a recipe adds those of its model.

    Attributes:
        name: What tables and run folders call it.
        optimizer: ``"adam"``, ``"rmsprop"`` or ``"adagrad"``, each as torch has it.
        lr: Its learning rate.
        weight_decay: Times a weight, it is added to the weight's gradient.
        epochs: Passes over the data, at most; 0 leaves the initial weights.
        beta: Weight of the KL divergence.
        warmup: Epochs over which beta rises from 0, in a straight line.
        average: Whether the model is the average of the weights over the later epochs; see
            :func:`vgae.training.averaging.averaged`.
        keep: Which weights become the model: those of the epoch that is ``best`` on what is held
            out for validation, or of the ``last``.
        patience: Epochs without a better validation score after which training stops; 0 never
            stops early.
        eval_every: Epochs between two looks at what is held out for validation.
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
        "lr": (0, MOST),
        "weight_decay": (0, MOST),
        "epochs": (0, MOST),
        "beta": (0, MOST),
        "warmup": (0, MOST),
        "patience": (0, MOST),
        "eval_every": (1, MOST),
    }

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f.name, f.type, getattr(self, f.name), self.ranges.get(f.name))

    @property
    def chosen(self) -> frozenset[str]:
        """Names of the fields that :meth:`override` set, which is no setting itself."""
        return self.__dict__.get("_chosen", frozenset())

    def override(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with some fields changed.

        Args:
            settings: Fields and their values, or the values as text.

        Raises:
            UsageError: If a field does not exist or its value is of another type.
        """
        types = {f.name: f.type for f in fields(self)}
        values = {}
        for name, value in settings.items():
            if name not in types:
                raise UsageError(
                    "RECIPE", f"{name!r} is no field of a recipe; they are {', '.join(types)}."
                )
            is_text = isinstance(value, str) and types[name] is not str
            values[name] = _parse(name, value, types[name]) if is_text else _plain(value)
        changed = replace(self, **values)
        object.__setattr__(changed, "_chosen", self.chosen | values.keys())
        return changed

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return settings from what JSON made of ``asdict``: lists become tuples again.

        Raises:
            TypeError: If a field does not exist, or is missing and has no default.
            UsageError: If a value is out of range.
        """
        if not isinstance(values, Mapping):
            raise TypeError("a recipe must be a JSON object")
        # Earlier versions wrote the names of the fields that were set.
        tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "chosen"
        }
        return cls(**tuples)

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a training to go on from another's checkpoint."""
        free = ("name", "epochs", "patience")  # how long, not how
        return {name: value for name, value in asdict(self).items() if name not in free}

    def __str__(self) -> str:
        """Return the recipe as TOML, one ``field = value`` per line."""
        # A string, number, list or truth value is written alike in JSON and in TOML.
        return "\n".join(f"{name} = {json.dumps(v)}" for name, v in asdict(self).items())


def _check(name: str, kind: Any, value: Any, span: tuple[float, float] | None) -> None:
    """Raise ``UsageError`` unless a value is of its kind and in its range."""
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise UsageError("RECIPE", f"{name} must be one of {get_args(kind)}, got {value!r}.")
    if kind in (bool, str) and type(value) is not kind:
        raise UsageError("RECIPE", f"{name} must be of type {kind.__name__}, got {value!r:.60}.")
    if span is None:
        return
    if isinstance(value, tuple) != (kind == tuple[int, ...]):
        raise UsageError(
            "RECIPE", f"{name} must lie in [{span[0]}, {span[1]}], got {value!r:.60}."
        )
    for number in value if isinstance(value, tuple) else (value,):
        if kind in (int, tuple[int, ...]) and type(number) is not int:
            raise UsageError("RECIPE", f"{name} must be an integer, got {number!r:.60}.")
        low, high = span
        inside = isinstance(number, Real) and low <= number <= high  # pyright: ignore
        if not inside:  # NaN fails too
            raise UsageError("RECIPE", f"{name} must lie in [{low}, {high}], got {number!r:.60}.")


def _plain(value: Any) -> Any:
    """Return Python's own numbers and tuples for those of numpy and for lists."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(map(_plain, value)) if isinstance(value, (tuple, list)) else value


def _parse(name: str, text: str, kind: Any) -> object:
    """Read a value from text; widths are integers with commas between."""
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
