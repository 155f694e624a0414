"""The option --max-memory, and commands that keep it."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Most memory of the process, such as 4G, 4GiB or 500M; a number is in MB  [default:"
        " all that is free]",
        show_default=False,
    ),
]


def with_limit(command: Callable[..., None]) -> Callable[..., None]:
    """Run a command within ``--max-memory``, an option that is added unless the command has it."""
    from inspect import Parameter, signature

    own = signature(command).parameters
    has_it = "max_memory" in own

    @wraps(command)
    def wrapped(**given: Any) -> None:
        from vgae.runtime.memory import limited

        size = max_bytes(given["max_memory"] if has_it else given.pop("max_memory"))
        with limited(size):
            command(**given)

    option = Parameter("max_memory", Parameter.KEYWORD_ONLY, default=None, annotation=MaxMemory)
    kept = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in own.values()]
    parameters = kept if has_it else [*kept, option]
    wrapped.__signature__ = signature(command).replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def max_bytes(text: str | None) -> int | None:
    """Return the value of ``--max-memory`` in bytes."""
    from vgae.runtime.memory import num_bytes

    return None if text is None else num_bytes(text)
