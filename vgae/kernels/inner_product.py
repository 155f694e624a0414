"""The negative log-likelihood of an inner-product decoder, over every pair of nodes."""

import logging
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from vgae.kernels import _sampled, _tiled
from vgae.kernels._all_pairs import Precision, Sweeper, Wanted, all_pairs
from vgae.kernels._edges import edge_terms, softplus
from vgae.kernels.csr import adjacency

log = logging.getLogger(__name__)

Impl = Literal["auto", "dense", "tiled", "compiled", "triton"]
Pairs = Literal["exact", "sampled"]

# Below, loading numba takes longer than it saves in some hundred epochs.
_COMPILED_FROM = 2000
# With wider latent vectors torch's matrix products are as fast, or a GPU runs out of registers.
_WIDEST = {"compiled": 64, "triton": 128}


class PairNll(NamedTuple):
    """Summed cost in nats of the edges, of the non-edges, and of self-pairs; weights are yours.

    The first two count ordered pairs of two different nodes, so each link and each non-link
    twice. The third is what the N self-pairs cost if they are counted as edges, as Kipf &
    Welling's code does; the likelihood of a graph leaves them out.
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
    pairs: Pairs = "exact",
    pairs_per_node: int = _sampled.PAIRS_PER_NODE,
    generator: torch.Generator | None = None,
    precision: Precision = "high",
    value: bool = True,
    impl: Impl = "auto",
) -> PairNll:
    r"""Sum the cost of every edge and of every other pair of two different nodes.

    With :math:`s_{ij} = z_i \cdot z_j + b` and the edges E in both directions,

    .. math::
        \mathrm{edges} = \sum_{(i,j) \in E} \mathrm{softplus}(-s_{ij}), \quad
        \mathrm{non\_edges} = \sum_{i \ne j,\, (i,j) \notin E} \mathrm{softplus}(s_{ij})

    The second sum is that over all pairs less that over the edges and over the self-pairs; the
    sum over all pairs is exact and needs O(N d) memory. In float32 the rounding error is some
    1e-8 nats per pair. Gradients reach ``z`` and ``bias``, once: a second derivative raises.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, equation 2.

    Args:
        z: Latent vectors, shape ``(N, d)``; float16 and bfloat16 are computed in float32.
        edge_index: Both directions of every edge, once each, no self-loops, shape ``(2, E)``; or
            the same as a sparse CSR matrix of shape ``(N, N)``, which saves checking and sorting
            them anew (:func:`vgae.kernels.csr.adjacency` makes it).
        bias: Added to each logit, shape ``()``; zero if not given.
        edge_weight: Of each edge in the first sum, equal for both directions, in the order of the
            CSR matrix (rows ascending, then columns), shape ``(E,)``; ones if not given.
        pairs: ``"exact"`` visits every pair. ``"sampled"`` estimates their sum and its gradient,
            each without bias, from B = ``pairs_per_node`` pairs a node, in O(N (d^2 + B d)) time
            and O(N d + B^2) memory; edges and self-pairs stay exact.
        pairs_per_node: For ``"sampled"``, at least 1; below 16 it saves little.
        generator: Where the sampled pairs come from, on the device of ``z``.
        precision: Of the Triton kernel: ``"high"`` as float32, ``"tf32"`` (some 1e-5 of the value
            and of the gradient) or ``"bf16"`` (4e-5 and 2e-3). The other ways have torch's own.
        value: ``False`` where only gradients are wanted: ``non_edges`` is NaN (but for
            ``"dense"``), which saves up to a quarter of the time.
        impl: For tests and benchmarks, one way of summing: ``"tiled"`` (torch), ``"compiled"``
            (numba, on a CPU), ``"triton"`` (on a GPU), or ``"dense"``, which builds the N x N
            matrix. ``"auto"`` takes the one that is usually the fastest of those that are there.

    Returns:
        The sums, shape ``()``, in the dtype of the computation.

    Raises:
        ValueError: If a shape does not fit, ``edge_index`` is not what it must be, or an option
            has no such value.
    """
    if z.dim() != 2:
        raise ValueError(f"z must have shape (N, d), got {tuple(z.shape)}.")
    for name, value_, choices in (
        ("impl", impl, get_args(Impl)),
        ("pairs", pairs, get_args(Pairs)),
        ("precision", precision, get_args(Precision)),
    ):
        if value_ not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value_!r}.")
    if pairs_per_node < 1:
        raise ValueError(f"pairs_per_node must be at least 1, got {pairs_per_node}.")
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    bias = z.new_zeros(()) if bias is None else bias.to(z.dtype)
    adj = _as_csr(edge_index, z.shape[0])
    if pairs == "sampled":
        sweeper = partial(_sampled.sweep, per_node=pairs_per_node, generator=generator)
    else:
        sweeper = _sweeper(chosen_impl(impl, z.shape[0], z.shape[1], z.device, z.dtype), precision)
    with torch.autocast(z.device.type, enabled=False):
        self_logits = (z * z).sum(dim=-1) + bias
        if sweeper is None:
            total = softplus(z @ z.T + bias).sum(dtype=torch.float64)
        else:
            total = all_pairs(z, bias, sweeper, value=value)
        edges, edges_as_non_edges = edge_terms(z, bias, adj, edge_weight)
        # In float64, so that the difference keeps what the sum over all pairs is exact to.
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
    """Return which way of summing ``impl`` stands for; the fastest there is for ``"auto"``.

    Raises:
        ValueError: If there is no such way, or not for this dtype and device, or not installed.
    """
    if impl == "auto":
        fast: Impl = "triton" if device.type == "cuda" else "compiled"
        large_enough = num_nodes >= (1 if fast == "triton" else _COMPILED_FROM)
        worth_it = large_enough and 1 <= latent_channels <= _WIDEST[fast]
        return fast if worth_it and _is_possible(fast, device, dtype) else "tiled"
    if not _is_possible(impl, device, dtype):
        needs = {
            "compiled": "a CPU and numba",
            "triton": "a GPU of compute capability 8.0 and triton",
        }[impl]
        raise ValueError(
            f"impl {impl!r} needs float32, {needs}; got {dtype} on {device};"
            " 'tiled' works anywhere."
        )
    return impl


def _is_possible(impl: Impl, device: torch.device, dtype: torch.dtype) -> bool:
    if impl == "compiled":
        return device.type == "cpu" and dtype == torch.float32 and _has_numba()
    if impl == "triton":
        return (
            device.type == "cuda"
            and dtype == torch.float32
            and torch.cuda.get_device_capability(device) >= (8, 0)
            and _has_triton(device)
        )
    return True


@cache
def _has_numba() -> bool:
    """Whether numba is there and works: it is loaded, which takes a second the first time."""
    if find_spec("numba") is None:
        return False
    try:
        import_module("vgae.kernels._compiled")
    # numba refuses a numpy that is too new for it, and a machine with no folder for its cache.
    except (ImportError, RuntimeError) as error:
        log.warning("numba cannot be used (%s); all pairs are summed by torch", error)
        return False
    return True


@cache
def _has_triton(device: torch.device) -> bool:
    """Whether triton is there and works: it needs a C compiler, and is tried on a single pair."""
    if find_spec("triton") is None:
        return False
    one, bias = torch.zeros(1, 1, device=device), torch.zeros((), device=device)
    try:
        import_module("vgae.kernels._triton").sweep(one, bias, Wanted())
    except Exception as error:  # whatever a compiler may raise
        log.warning("triton cannot be used (%s); all pairs are summed by torch", error)
        return False
    return True


def _sweeper(impl: Impl, precision: Precision) -> Sweeper | None:
    """Return the function behind a name; ``None`` for the dense reference."""
    # Loaded when needed: each brings a compiler along.
    if impl == "compiled":
        return import_module("vgae.kernels._compiled").sweep
    if impl == "triton":
        return partial(import_module("vgae.kernels._triton").sweep, precision=precision)
    return _tiled.sweep if impl == "tiled" else None


def _as_csr(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Return the adjacency as CSR, whichever form it came in."""
    if edge_index.layout == torch.sparse_csr:
        if edge_index.shape != (num_nodes, num_nodes):
            raise ValueError(
                f"the adjacency must have shape ({num_nodes}, {num_nodes}) as z has {num_nodes}"
                f" rows, got {tuple(edge_index.shape)}."
            )
        return edge_index
    return adjacency(edge_index, num_nodes)
