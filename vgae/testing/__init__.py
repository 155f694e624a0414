"""Checks that every graph encoder must pass, of this package or your own.

What ``sklearn.utils.estimator_checks`` is for estimators. From the shell
``python -m vgae.testing package.module:factory``; without an argument it checks the encoders of
this package.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vgae.errors import UsageError
from vgae.testing import _checks, _life
from vgae.testing._cases import Check, ConformanceError, Make

__all__ = [
    "ConformanceError",
    "check_graph_model",
    "failure",
    "graph_model_checks",
    "parametrize_with_graph_checks",
]

_LAWS: dict[str, Check] = {
    name: value
    for module in (_checks, _life)
    for name, value in vars(module).items()
    if name.startswith("check_")
}


def graph_model_checks() -> Iterator[tuple[str, Check]]:
    """Yield the name of each check and the check, to be called with what makes a model.

    The docstring of a check says what it tests and why it matters.
    """
    yield from _LAWS.items()


def check_graph_model(make: Make, *, expected_failures: Mapping[str, str] | None = None) -> None:
    """Run every check on a graph encoder.

    Args:
        make: Called with the number of feature columns, returns a new, untrained encoder, or a
            :class:`~vgae.VAE` with one: a class such as ``GCNEncoder``, or
            ``lambda in_channels: MyEncoder(in_channels, 32, 16)``. The encoder is called with
            ``(x, edge_index)`` and returns a posterior; also ``(mu, logstd)`` or mu alone, as PyG
            has it. It runs on the CPU.
        expected_failures: Name of a check that is known to fail: the reason.

    Raises:
        ConformanceError: If a check fails, or one passes that is expected to fail; it lists all
            of them with what was seen.
        UsageError: If there is no check of that name.

    Example:
        >>> from vgae import GCNEncoder
        >>> check_graph_model(GCNEncoder)
    """
    expected = _known(expected_failures)
    found = []
    for name, check in graph_model_checks():
        seen = failure(check, make)
        if name in expected:
            seen = "passes, and is expected to fail" if seen is None else None
        if seen is not None:
            found.append(f"{name}: {seen}")
    if found:
        lines = "\n  ".join(found)
        raise ConformanceError(f"{len(found)} of {len(_LAWS)} checks failed:\n  {lines}")


def failure(check: Check, make: Make) -> str | None:
    """Run one check; say in a line what was seen if it fails, an error of the model included."""
    try:
        check(make)
    except ConformanceError as error:
        return str(error)
    except Exception as error:  # whatever a model raises is a finding about it
        first = (str(error).splitlines() or [""])[0]
        return f"raised {type(error).__name__}: {first}"
    return None


def parametrize_with_graph_checks(
    makes: Sequence[Make], *, expected_failures: Mapping[str, str] | None = None
) -> Callable[[Any], Any]:
    """Decorate a pytest test of ``make`` and ``check``: it runs once for each pair of them.

    Args:
        makes: As for :func:`check_graph_model`.
        expected_failures: Name of a check that is known to fail: the reason. It is marked as
            ``xfail(strict=True)``, and says so once it passes.

    Example:
        >>> from vgae import GCNEncoder
        >>> @parametrize_with_graph_checks([GCNEncoder])
        ... def test_encoder(make, check):
        ...     check(make)
    """
    import pytest  # only the tests of whoever calls this need it

    expected = _known(expected_failures)
    pairs = [
        pytest.param(
            make,
            check,
            id=f"{_name(make)}-{name}",
            marks=pytest.mark.xfail(reason=expected[name], strict=True)
            if name in expected
            else (),
        )
        for make in makes
        for name, check in graph_model_checks()
    ]
    return pytest.mark.parametrize(("make", "check"), pairs)


def _known(expected_failures: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the expected failures, or say that one is no check."""
    expected = expected_failures or {}
    for name in expected:
        if name not in _LAWS:
            raise UsageError("CHECK", f"no check {name!r}; there are {', '.join(_LAWS)}.")
    return expected


def _name(make: Make) -> str:
    return getattr(make, "__name__", type(make).__name__).strip("<>")
