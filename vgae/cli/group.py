"""Group of commands: wrong options in one line, and summaries of commands that are not cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from vgae.errors import UsageError, did_you_mean

# Newer versions of typer have their own copy of click, whose errors are others.
_WrongUse: Any = typer.BadParameter.__bases__[0]


class Commands(TyperGroup):
    """Group of commands that raises :class:`vgae.errors.UsageError` for a wrong command line."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options of the group."""
        with _in_one_line():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Read the options of a command, and run it."""
        with _in_one_line(ctx):
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with whole summaries, on as many lines as they need."""
        known = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(500)) for name, one in known if one is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@contextmanager
def _in_one_line(group: Any = None) -> Iterator[None]:
    """Turn an error of typer about the command line into one of the package."""
    try:
        yield
    except _WrongUse as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help is the answer
            raise
        name = None if group is None else group.invoked_subcommand
        raise UsageError("USAGE", _message(error, f"vgae {name}" if name else "vgae")) from None


def _message(error: Any, path: str) -> str:
    """Return what is wrong, the nearest name, and the command that lists the right ones."""
    context = error.ctx
    text = error.format_message().rstrip(".")
    path = path if context is None else context.command_path
    if (wrong := getattr(error, "option_name", None)) is not None and context is not None:
        known = [
            name
            for param in context.command.get_params(context)
            for name in (*param.opts, *param.secondary_opts)
            if name.startswith("-")
        ]
        if wrong not in known:
            near = did_you_mean(wrong, known)
            return f"there is no option {wrong!r:.60}; see '{path} --help'.{near}"
    has_graphs = context is not None and any(p.name == "datasets" for p in context.command.params)
    if has_graphs and "extra argument" in text:
        text += "; graphs are named by --datasets"
    if type(error).__name__ == "MissingParameter" and error.param is not None:
        text += _hint(context, error.param)
    text, question, near = text.partition(". Did you mean")
    return f"{text[:1].lower()}{text[1:]}; see '{path} --help'{question}{near or '.'}"


def _hint(context: Any, param: Any) -> str:
    """Return the form of a command line, for a missing argument."""
    if param.param_type_name != "argument":
        return ""
    arguments = (p for p in context.command.params if p.param_type_name == "argument")
    words = [str(p.metavar or p.name).rstrip(".").upper() for p in arguments if p.required]
    return f": {context.command_path} {' '.join(words)}"
