"""Negative log-likelihood of an inner-product decoder over all pairs of nodes."""

import logging
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from vgae.kernels import _sampled
from vgae.kernels._all_pairs import AttachGradients, Precision, Wanted
from vgae.kernels._edges import edge_terms, softplus
from vgae.kernels._sampled import Sampled
from vgae.kernels.csr import adjacency

log = logging.getLogger(__name__)

Impl = Literal["auto", "dense", "tiled", "compiled", "triton"]

# For fewer nodes, loading numba takes longer than it saves in some hundred epochs.
_FEWEST = {"compiled": 2000, "triton": 1}
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


def inner_product_nll(
    z: Tensor,
    edge_index: Tensor,
    bias: Tensor | None = None,
    *,
    edge_weight: Tensor | None = None,
    sampled: Sampled | None = None,
    precision: Precision = "high",
    value: bool = True,
    impl: Impl = "auto",
) -> PairNll:
    r"""Return the summed cost of the edges and of all other pairs of two different nodes.

    With :math:`s_{ij} = z_i \cdot z_j + b` and the edges E in both directions,

    .. math::
        \mathrm{edges} = \sum_{(i,j) \in E} \mathrm{softplus}(-s_{ij}), \quad
        \mathrm{non\_edges} = \sum_{i \ne j,\, (i,j) \notin E} \mathrm{softplus}(s_{ij})

    The sum over all pairs needs O(N d) memory; in float32 its rounding error is about 1e-8 nats
    per pair. ``z`` and ``bias`` get gradients; a second derivative raises.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, equation 2.

    Args:
        z: Latent vectors, shape ``(N, d)``; float16 and bfloat16 are computed in float32.
        edge_index: Both directions of every edge, once each, no self-loops, shape ``(2, E)``; or
            the same as a sparse CSR matrix of shape ``(N, N)``, made once by
            :func:`vgae.kernels.csr.adjacency`, which saves the checks and the sorting.
        bias: Bias of the logits, shape ``()``; zero if not given.
        edge_weight: Weight of each edge in the first sum, equal for both directions, in the order
            of the CSR matrix (rows ascending, then columns), shape ``(E,)``; ones if not given.
        sampled: If given, the sum over all pairs and its gradient are estimated without bias
            from B = ``pairs_per_node`` pairs per node, in O(N (d^2 + B d)) time and
            O(N d + B^2) memory; edges and self-pairs stay exact.
        precision: Precision of the Triton kernel: ``"high"`` as float32, ``"tf32"`` (relative
            error of value and gradient about 1e-5) or ``"bf16"`` (4e-5 and 2e-3). The other
            implementations use torch's own settings.
        value: ``False`` computes gradients only: ``non_edges`` is NaN (except for ``"dense"``),
            which saves up to a quarter of the time.
        impl: Implementation, for tests and benchmarks: ``"tiled"`` (torch), ``"compiled"``
            (numba, on a CPU), ``"triton"`` (on a GPU), or ``"dense"``, which builds the N x N
            matrix. ``"auto"`` takes the available one that is usually the fastest.

    Returns:
        The sums, shape ``()``, in the dtype of the computation.

    Raises:
        ValueError: If a shape does not fit, or ``edge_index`` or an option is not as described.
    """
    if z.dim() != 2:
        raise ValueError(f"z must have shape (N, d), got {tuple(z.shape)}.")
    if impl not in get_args(Impl):
        raise ValueError(f"impl must be one of {get_args(Impl)}, got {impl!r}.")
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {get_args(Precision)}, got {precision!r}.")
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    bias = z.new_zeros(()) if bias is None else bias.to(z.dtype)
    n = z.shape[0]
    is_csr = edge_index.layout == torch.sparse_csr
    if is_csr and edge_index.shape != (n, n):
        raise ValueError(
            f"the adjacency must have shape ({n}, {n}) as z has {n} rows, got"
            f" {tuple(edge_index.shape)}."
        )
    adj = edge_index if is_csr else adjacency(edge_index, n)
    if sampled is not None:
        sweep = partial(_sampled.sweep, sampled=sampled)
    elif (impl := chosen_impl(impl, n, z.shape[1], z.device, z.dtype)) == "dense":
        sweep = None
    else:
        # Imported on first use: "compiled" and "triton" load a compiler.
        sweep = import_module(f"vgae.kernels._{impl}").sweep
        sweep = partial(sweep, precision=precision) if impl == "triton" else sweep
    with torch.autocast(z.device.type, enabled=False):
        self_logits = (z * z).sum(dim=-1) + bias
        if sweep is None:
            total = softplus(z @ z.T + bias).sum(dtype=torch.float64)
        else:
            needs_grad = (t.requires_grad and torch.is_grad_enabled() for t in (z, bias))
            found = sweep(z.detach(), bias.detach(), Wanted(value, *needs_grad))
            if not value:
                found = found._replace(total=torch.full_like(found.total, torch.nan))
            total = AttachGradients.apply(z, bias, found)
        edges, edges_as_non_edges = edge_terms(z, bias, adj, edge_weight)
        # In float64: the difference keeps the accuracy of the sum over all pairs.
        non_edges = total - softplus(self_logits).sum(dtype=torch.float64) - edges_as_non_edges
        self_pairs = softplus(-self_logits).sum()
    return PairNll(edges.to(z.dtype), non_edges.to(z.dtype), self_pairs)


def chosen_impl(
    impl: Impl,
    num_nodes: int,
    latent_channels: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Impl:
    """Return ``impl``, or for ``"auto"`` the fastest available implementation.

    Raises:
        ValueError: If the implementation does not support the dtype or device, or is missing.
    """
    if impl == "auto":
        fast: Impl = "triton" if device.type == "cuda" else "compiled"
        worth_it = num_nodes >= _FEWEST[fast] and 1 <= latent_channels <= _WIDEST[fast]
        return fast if worth_it and _is_possible(fast, device, dtype) else "tiled"
    if impl in _NEEDS and not _is_possible(impl, device, dtype):
        raise ValueError(
            f"impl {impl!r} needs float32, {_NEEDS[impl]}; got {dtype} on {device};"
            " 'tiled' works anywhere."
        )
    return impl


def _is_possible(impl: Impl, device: torch.device, dtype: torch.dtype) -> bool:
    if impl == "compiled":
        fits = device.type == "cpu"
    else:
        fits = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return fits and dtype == torch.float32 and _works(impl, device)


@cache
def _works(impl: Impl, device: torch.device) -> bool:
    """Return whether the compiler of an implementation is installed and works."""
    compiler = "numba" if impl == "compiled" else "triton"
    if find_spec(compiler) is None:
        return False
    try:
        sweep = import_module(f"vgae.kernels._{impl}").sweep
        if impl == "triton":  # needs a C compiler: run it on a single pair
            sweep(torch.zeros(1, 1, device=device), torch.zeros((), device=device), Wanted())
    except Exception as error:  # whatever a compiler may raise
        log.warning("%s cannot be used (%s); all pairs are summed by torch", compiler, error)
        return False
    return True
