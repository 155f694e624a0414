"""Checks for graph encoders, like ``sklearn.utils.estimator_checks`` for estimators.

From the shell: ``python -m vgae.testing package.module:factory``; without an argument it checks
the encoders of this package.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vgae.errors import UsageError
from vgae.testing import _checks
from vgae.testing._cases import Check, ConformanceError, Make, restoring

__all__ = [
    "ConformanceError",
    "check_graph_model",
    "failure",
    "graph_model_checks",
    "parametrize_with_graph_checks",
]

_CHECKS: dict[str, Check] = {
    name: restoring(value) for name, value in vars(_checks).items() if name.startswith("check_")
}


def graph_model_checks() -> Iterator[tuple[str, Check]]:
    """Yield name and function of each check; its docstring gives the requirement and its reason.

    A check is called with a function that returns a model; see :func:`check_graph_model`.
    """
    yield from _CHECKS.items()


def check_graph_model(make: Make, *, expected_failures: Mapping[str, str] | None = None) -> None:
    """Run every check on a graph encoder.

    Args:
        make: Function from the number of features to a new, untrained encoder, or to a
            :class:`~vgae.VAE` with one: a class such as ``GCNEncoder``, or
            ``lambda in_channels: MyEncoder(in_channels, 32, 16)``. The encoder is called with
            ``(x, edge_index)`` on the CPU and returns a posterior, or ``(mu, logstd)`` or mu as in
            PyG.
        expected_failures: Reasons by name of the checks that are known to fail.

    Raises:
        ConformanceError: If a check fails, or passes although it is expected to fail; the message
            lists all such checks and their findings.
        UsageError: If the name of an expected failure is unknown.

    Example:
        >>> from vgae import GCNEncoder
        >>> check_graph_model(GCNEncoder)
    """
    expected = _known(expected_failures)
    seen = {name: failure(check, make) for name, check in graph_model_checks()}
    for name in expected:
        seen[name] = "passes, but is expected to fail" if seen[name] is None else None
    if found := [f"{name}: {text}" for name, text in seen.items() if text is not None]:
        head = f"{len(found)} of {len(_CHECKS)} checks failed:"
        raise ConformanceError("\n  ".join([head, *found]))


def failure(check: Check, make: Make) -> str | None:
    """Run one check; return its finding in one line, or None if it passes."""
    try:
        check(make)
    except ConformanceError as error:
        return str(error)
    except Exception as error:  # any error of a model is a finding
        first = (str(error).splitlines() or [""])[0]
        return f"raised {type(error).__name__}: {first}"
    return None


def parametrize_with_graph_checks(
    makes: Sequence[Make], *, expected_failures: Mapping[str, str] | None = None
) -> Callable[[Any], Any]:
    """Parametrize a pytest test of ``make`` and ``check`` by all pairs of them.

    Args:
        makes: Functions that return models; see :func:`check_graph_model`.
        expected_failures: Reasons by name of the checks that are known to fail, which are marked
            as ``xfail(strict=True)``.

    Example:
        >>> from vgae import GCNEncoder
        >>> @parametrize_with_graph_checks([GCNEncoder])
        ... def test_encoder(make, check):
        ...     check(make)
    """
    import pytest  # a dependency of tests only

    marks: dict[str, Any] = {
        name: pytest.mark.xfail(reason=reason, strict=True)
        for name, reason in _known(expected_failures).items()
    }
    pairs = [
        pytest.param(make, check, id=f"{_name(make)}-{name}", marks=marks.get(name, ()))
        for make in makes
        for name, check in graph_model_checks()
    ]
    return pytest.mark.parametrize(("make", "check"), pairs)


def _known(expected_failures: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the expected failures, or raise an error for an unknown name."""
    expected = expected_failures or {}
    for name in expected:
        if name not in _CHECKS:
            raise UsageError("CHECK", f"no check {name!r}; the checks are {', '.join(_CHECKS)}.")
    return expected


def _name(make: Make) -> str:
    return getattr(make, "__name__", type(make).__name__).strip("<>")
