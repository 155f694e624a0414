"""Negative log-likelihood of an inner-product decoder over all pairs of nodes."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from vgae.kernels import _edges, _sampled
from vgae.kernels._all_pairs import AttachGradients, Precision, Sweep, Wanted, plus, softplus
from vgae.kernels._available import FEWEST_COMPILED, fault, works
from vgae.kernels._sampled import Sampled
from vgae.kernels.csr import EdgePattern

Impl = Literal["auto", "dense", "tiled", "compiled", "triton"]

_FEWEST = {"compiled": FEWEST_COMPILED, "triton": 1}  # nodes
# For wider latent vectors, torch's matrix products are as fast, or a GPU runs out of registers.
_WIDEST = {"compiled": 64, "triton": 128}
_NEEDS = {"compiled": "a CPU and numba", "triton": "a GPU of compute capability 8.0 and triton"}


class PairNll(NamedTuple):
    """Summed cost in nats of the edges, of the non-edges and of the self-pairs, unweighted.

    The first two count each link and each non-link twice, once per direction. The third counts the
    N self-pairs as edges, as Kipf & Welling's code does; the likelihood of a graph excludes them.
    """

    edges: Tensor
    non_edges: Tensor
    self_pairs: Tensor


def pair_loss(
    z: Tensor,
    pattern: EdgePattern,
    weight: Tensor,
    non_edge_weight: float,
    bias: Tensor | None = None,
    *,
    sampled: Sampled | None = None,
    precision: Precision = "high",
    impl: Impl = "auto",
) -> Tensor:
    r"""Return the weighted cost of all pairs of nodes, whose gradient comes in the same pass.

    With :math:`s_{ij} = z_i \cdot z_j + b`, and P the edges in both directions and the self-pairs,

    .. math:: \sum_{(i,j) \in P} w_{ij} \, \mathrm{softplus}(-s_{ij})
        + v \sum_{(i,j) \notin P} \mathrm{softplus}(s_{ij})

    The sum over all pairs needs O(N d) memory; in float32 its rounding error is about 1e-8 nats
    per pair. ``z`` and ``bias`` get gradients; a second derivative raises.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, equation 2.

    Args:
        z: Latent vectors, shape ``(N, d)``; float16 and bfloat16 are computed in float32.
        pattern: The edges and self-pairs.
        weight: w, equal for both directions of an edge, shape ``(E + N,)``.
        non_edge_weight: v; at 0 the other pairs are not visited.
        bias: Bias of the logits, shape ``()``; zero if not given.
        sampled: If given, the sum over all pairs and its gradient are estimated without bias
            from B = ``pairs_per_node`` pairs per node, in O(N (d^2 + B d)) time and
            O(N d + B^2) memory; edges and self-pairs stay exact.
        precision: Precision of the Triton kernel: ``"high"`` as float32, ``"tf32"`` (relative
            error of value and gradient about 1e-5) or ``"bf16"`` (4e-5 and 2e-3). The other
            implementations use torch's own settings.
        impl: Implementation, for tests and benchmarks: ``"tiled"`` (torch), ``"compiled"``
            (numba, on a CPU), ``"triton"`` (on a GPU), or ``"dense"``, which builds the N x N
            matrix. ``"auto"`` takes the available one that is usually the fastest.

    Returns:
        The sum, shape ``()``, in the dtype of the computation.

    Raises:
        ValueError: If a shape does not fit, or an option is not as described.
    """
    _check_shape(z)
    if impl not in get_args(Impl):
        raise ValueError(f"impl must be one of {get_args(Impl)}, got {impl!r}.")
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {get_args(Precision)}, got {precision!r}.")
    if pattern.num_nodes != len(z):
        raise ValueError(f"z must have {pattern.num_nodes} rows, one per node, got {len(z)}.")
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    bias = None if bias is None else bias.to(z.dtype)
    needs = (t is not None and t.requires_grad and torch.is_grad_enabled() for t in (z, bias))
    wanted = Wanted(True, *needs)  # noqa: FBT003
    with torch.autocast(z.device.type, enabled=False), torch.no_grad():
        # The entries are among all pairs, too; there they are taken out again.
        found = _edges.sweep(z, bias, pattern[:2], weight.to(z.dtype), non_edge_weight, wanted)
        if non_edge_weight:
            sweep = _chosen_sweep(z, sampled, precision, impl)
            # In float64: the difference keeps the accuracy of the sum over all pairs.
            found = plus(found, sweep(z, bias, wanted), non_edge_weight, wanted)
    return AttachGradients.apply(z, bias, found)


def inner_product_nll(
    z: Tensor,
    edge_index: Tensor | EdgePattern,
    bias: Tensor | None = None,
    *,
    edge_weight: Tensor | None = None,
    **options: Any,
) -> PairNll:
    r"""Return the summed cost of the edges, of all other pairs, and of the self-pairs.

    With :math:`s_{ij} = z_i \cdot z_j + b` and the edges E in both directions,

    .. math::
        \mathrm{edges} = \sum_{(i,j) \in E} \mathrm{softplus}(-s_{ij}), \quad
        \mathrm{non\_edges} = \sum_{i \ne j,\, (i,j) \notin E} \mathrm{softplus}(s_{ij})

    Args:
        z: Latent vectors, shape ``(N, d)``.
        edge_index: Both directions of every edge, once each, no self-loops, shape ``(2, E)``; or
            their pattern, which saves the checks and the sorting.
        bias: Bias of the logits, shape ``()``; zero if not given.
        edge_weight: Weight of each edge in the first sum, equal for both directions, shape
            ``(E,)``; ones if not given.
        options: Those of :func:`pair_loss`.

    Raises:
        ValueError: As for :func:`pair_loss`; or if ``edge_index`` is not as described.
    """
    _check_shape(z)
    is_sorted = isinstance(edge_index, EdgePattern)
    pattern = edge_index if is_sorted else EdgePattern.of(edge_index, len(z))
    if edge_weight is None:
        edge_weight = torch.ones(pattern.num_edges, device=z.device)
    edges, selves = pattern.values(edge_weight, 0.0), pattern.is_loop

    def cost(weight: Tensor, non_edge_weight: float) -> Tensor:
        return pair_loss(z, pattern, weight, non_edge_weight, bias, **options)

    return PairNll(cost(edges, 0.0), cost(torch.zeros_like(edges), 1.0), cost(selves, 0.0))


def _check_shape(z: Tensor) -> None:
    if z.dim() != 2:
        raise ValueError(f"z must have shape (N, d), got {tuple(z.shape)}.")


def _chosen_sweep(
    z: Tensor, sampled: Sampled | None, precision: Precision, impl: Impl
) -> Callable[[Tensor, Tensor | None, Wanted], Sweep]:
    """Return the implementation of the sum over all pairs."""
    if sampled is not None:
        return partial(_sampled.sweep, sampled=sampled)
    impl = chosen_impl(impl, len(z), z.shape[1], z.device, z.dtype)
    if impl == "dense":
        return _dense_sweep
    # Imported on first use: "compiled" and "triton" load a compiler.
    sweep = import_module(f"vgae.kernels._{impl}").sweep
    return partial(sweep, precision=precision) if impl == "triton" else sweep


def _dense_sweep(z: Tensor, bias: Tensor | None, wanted: Wanted) -> Sweep:  # noqa: ARG001
    """Build the N x N matrix of logits, and let autograd differentiate it."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        bias = (z.new_zeros(()) if bias is None else bias).detach().requires_grad_()
        total = softplus(z @ z.T + bias).sum(dtype=torch.float64)
        return Sweep(total.detach(), *torch.autograd.grad(total, (z, bias)))


def chosen_impl(
    impl: Impl,
    num_nodes: int,
    latent_channels: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Impl:
    """Return ``impl``, or for ``"auto"`` the fastest available implementation.

    Raises:
        ValueError: If the implementation does not support the dtype or device, is missing, or
            fails there; with the reason.
    """
    if impl == "auto":
        fast: Impl = "triton" if device.type == "cuda" else "compiled"
        worth_it = num_nodes >= _FEWEST[fast] and 1 <= latent_channels <= _WIDEST[fast]
        is_possible = worth_it and dtype == torch.float32 and works(fast, device, latent_channels)
        return fast if is_possible else "tiled"
    is_float = dtype == torch.float32
    if impl in _NEEDS and (not is_float or fault(impl, device, latent_channels)):
        reason = f" ({fault(impl, device, latent_channels)})" if is_float else ""
        raise ValueError(
            f"impl {impl!r} needs float32, {_NEEDS[impl]}; got {dtype} on {device}{reason};"
            " 'tiled' works anywhere."
        )
    return impl
