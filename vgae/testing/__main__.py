"""Command ``python -m vgae.testing package.module:factory``: one line per check."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, cast

import typer

from vgae.encoders import GCNEncoder, LinearGCNEncoder, PyGEncoder
from vgae.errors import UsageError, VgaeError
from vgae.gaussian import PointMass
from vgae.models.registry import MODELS
from vgae.runtime.text import columns
from vgae.testing import failure, graph_model_checks
from vgae.testing._cases import Make

_OPTIONS: Mapping[str, Any] = {"self_loop_weight": 6.0, "latent_norm": 1.8, "degrees": True}
OURS: Mapping[str, Any] = {
    **{model.encoder_class.__name__: model.encoder_class for model in MODELS.values()},
    "GCNEncoder, all options": partial(
        GCNEncoder, activation="elu", dropout=(0.2, 0.2), **_OPTIONS
    ),
    "GCNEncoder, PointMass": partial(GCNEncoder, posterior=PointMass, bias=False),
    "LinearGCNEncoder, all options": partial(LinearGCNEncoder, dropout=0.2, **_OPTIONS),
    "PyGEncoder": lambda in_channels: PyGEncoder(GCNEncoder(in_channels)),
}


def factory(path: str) -> Make:
    """Import ``package.module:factory``, or raise ``UsageError``."""
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        rule = f"{path!r} must be package.module:factory, a function of the number of features"
        raise UsageError("FACTORY", f"{rule} that returns an encoder: {error}.") from None
    if not callable(found):
        raise UsageError("FACTORY", f"{path} must be callable, got {type(found).__name__}.")
    return cast(Make, found)


def run(arguments: Sequence[str]) -> int:
    """Check the named encoders, or those of this package; return the exit status, 0 or 1."""
    makes = {path: factory(path) for path in arguments} or OURS
    failed = 0
    for title, make in makes.items():
        typer.echo(title)
        seen = [(name, failure(check, make)) for name, check in graph_model_checks()]
        typer.echo(columns([["  " + name, "FAILED" if s else "ok", s or ""] for name, s in seen]))
        failed += sum(s is not None for _, s in seen)
    count = len(makes) * len(dict(graph_model_checks()))
    typer.echo(f"\n{count - failed} of {count} checks passed.")
    return int(failed > 0)


def main(arguments: Sequence[str]) -> None:
    """Run the checks and exit with the status; print an error of the package in one line."""
    try:
        sys.exit(run(arguments))
    except VgaeError as error:
        typer.echo(f"error[{error.code}]: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
