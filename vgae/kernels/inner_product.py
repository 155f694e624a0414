"""Negative log-likelihood of a bilinear decoder over all pairs of nodes."""

import math
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from vgae.kernels import _edges, _sampled, shares
from vgae.kernels._all_pairs import AttachGradients, Precision, Sweep, Wanted, plus, softplus
from vgae.kernels._available import FEWEST_COMPILED, fault, works
from vgae.kernels._sampled import Sampled
from vgae.kernels.blocks import Blocks, sweep_each
from vgae.kernels.patterns import EdgePattern, PairPattern
from vgae.runtime.processes import ALONE, Team

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


def all_pairs(
    z: Tensor,
    w: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    signature: Tensor | None = None,
    blocks: Blocks | None = None,
    sampled: Sampled | None = None,
    precision: Precision = "high",
    impl: Impl = "auto",
) -> Tensor:
    r"""Return the sum of softplus over the logits of all pairs of vectors.

    .. math::
        \sum_{i=1}^n \sum_{j=1}^m \mathrm{softplus}(s_{ij}), \quad
        s_{ij} = z_i \cdot w_j + b
        \quad \text{or} \quad s_{ij} = \sum_k \epsilon_k z_{ik} z_{jk} + b

    The second form, without ``w``, has all N^2 ordered pairs of one set, each vector with itself
    among them; since it is symmetric, a CPU computes half of them. The gradient comes in the same
    pass, in O((n + m) d) memory; in float32 the rounding error is about 1e-8 nats per pair. ``z``,
    ``w`` and ``bias`` get gradients; a second derivative raises.

    Args:
        z: Vectors, shape ``(n, d)``; float16 and bfloat16 are computed in float32.
        w: Vectors of a second set, shape ``(m, d)``; by default each pair is of two rows of ``z``.
        bias: b, shape ``()``; zero if not given.
        signature: Constant :math:`\epsilon`, 1 or -1 for each dimension, shape ``(d,)``; all 1 if
            not given. It needs ``z`` alone: for two sets, multiply one of them.
        blocks: If given, the sum is over the pairs within each block, such as the nodes of one of
            many graphs; ``w`` then has as many rows as ``z``.
        sampled: If given, the sum and its gradient are estimated without bias from
            B = ``pairs_per_node`` pairs per vector of the larger set, in O((n + m) (d^2 + B d))
            time and O((n + m) d + B^2) memory. Of blocks, only those are estimated for which that
            is faster.
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
    given = _Given.of(z, w, bias, signature).divided(blocks, sampled)
    sweep = _chosen_sweep(given, blocks, sampled, precision, impl)
    return given.attached(lambda wanted: sweep(given.z, given.bias, wanted))


def pair_loss(
    z: Tensor,
    pattern: EdgePattern | PairPattern,
    weight: Tensor,
    non_edge_weight: float,
    bias: Tensor | None = None,
    *,
    w: Tensor | None = None,
    signature: Tensor | None = None,
    **options: Any,
) -> Tensor:
    r"""Return the weighted cost of all pairs, whose gradient comes in the same pass.

    With the logits :math:`s_{ij}` of :func:`all_pairs` and some pairs P,

    .. math:: \sum_{(i,j) \in P} w_{ij} \, \mathrm{softplus}(-s_{ij})
        + v \sum_{(i,j) \notin P} \mathrm{softplus}(s_{ij})

    With blocks, all pairs are those within blocks, as P must be.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, equation 2.

    Args:
        z: Latent vectors, shape ``(N, d)``.
        pattern: P, which stays exact: of one set, the edges in both directions and the self-pairs;
            of two sets, any pairs of a row of ``z`` and one of ``w``.
        weight: Weight of each entry of P, zero for those that do not count, shape ``(nnz,)``; of
            one set equal for both directions of an edge.
        non_edge_weight: v; at 0 the other pairs are not visited.
        bias: As for :func:`all_pairs`, like ``w`` and ``signature``.
        w: Vectors of the columns, if those are not the rows, shape ``(m, d)``.
        signature: Constant factor of each dimension, shape ``(d,)``.
        options: ``blocks``, ``sampled``, ``precision`` and ``impl``, as for :func:`all_pairs`.

    Returns:
        The sum, shape ``()``, in the dtype of the computation.

    Raises:
        ValueError: If a shape does not fit, or an option is not as described.
    """
    given = _Given.of(z, w, bias, signature)
    _check_pattern(given, pattern)
    parts = options.get("blocks"), options.get("sampled")
    given = given.divided(*parts, num_entries=len(weight), others=bool(non_edge_weight))
    sweep = _chosen_sweep(given, **options)
    places = pattern if given.team.size == 1 else shares.PatternShare.of(pattern, given.team)

    def found(wanted: Wanted) -> Sweep:
        # The entries are among all pairs, too; there they are taken out again.
        entries = _edges.sweep(
            *(given.z, given.bias, places, weight.to(given.z.dtype), non_edge_weight, wanted),
            *(given.w, given.signature),
        )
        if not non_edge_weight:
            return entries
        # In float64: the difference keeps the accuracy of the sum over all pairs.
        return plus(entries, sweep(given.z, given.bias, wanted), non_edge_weight, wanted)

    return given.attached(found)


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


class _Given(NamedTuple):
    """Vectors and bias of the logits, in the dtype of the computation."""

    z: Tensor
    w: Tensor | None
    bias: Tensor | None
    signature: Tensor | None
    team: Team = ALONE
    """Processes among which the sum is divided."""

    @classmethod
    def of(
        cls, z: Tensor, w: Tensor | None, bias: Tensor | None, signature: Tensor | None
    ) -> "_Given":
        """Check the shapes and convert half precision."""
        _check_shape(z)
        if w is not None and (w.dim() != 2 or w.shape[1] != z.shape[1]):
            raise ValueError(f"w must have shape (m, {z.shape[1]}), got {tuple(w.shape)}.")
        if signature is not None and (w is not None or signature.shape != z.shape[1:]):
            what = "is for one set of vectors; multiply z by it" if w is not None else ""
            what = what or f"must have shape ({z.shape[1]},), got {tuple(signature.shape)}"
            raise ValueError(f"signature {what}.")
        if bias is not None and bias.shape != ():
            raise ValueError(f"bias must have shape (), got {tuple(bias.shape)}.")
        z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
        w, bias, signature = (None if t is None else t.to(z.dtype) for t in (w, bias, signature))
        return cls(z, w, bias, signature)

    def divided(
        self,
        blocks: Blocks | None,
        sampled: Sampled | None,
        num_entries: int = 0,
        *,
        others: bool = True,
    ) -> "_Given":
        """Choose the processes by the number of pairs, which do not count without ``others``."""
        if shares.sharers().size == 1:
            return self
        sizes = len(self.z), len(self.z if self.w is None else self.w)
        num_pairs = math.prod(sizes) if blocks is None else blocks.num_pairs
        if sampled is not None:
            num_pairs = min(num_pairs, sampled.pairs_per_node * max(sizes))
        num_terms = num_entries + num_pairs * others
        return self._replace(team=shares.sharers_of(num_terms, self.z.device))

    def attached(self, compute: Callable[[Wanted], Sweep]) -> Tensor:
        """Return the total of a sweep that computes the gradients that are needed."""
        z, w, bias, _, team = self
        vectors = z if w is None else torch.cat([z, w])
        needs = (t is not None and t.requires_grad for t in (vectors, bias))
        wanted = Wanted(True, *(need and torch.is_grad_enabled() for need in needs))  # noqa: FBT003
        with torch.autocast(z.device.type, enabled=False), torch.no_grad():
            found = compute(wanted)
            if team.size > 1:
                found = shares.added(found, wanted, team)
        return AttachGradients.apply(vectors, bias, found)


def _check_shape(z: Tensor) -> None:
    if z.dim() != 2:
        raise ValueError(f"z must have shape (N, d), got {tuple(z.shape)}.")


def _check_pattern(given: _Given, pattern: EdgePattern | PairPattern) -> None:
    """Raise ``ValueError`` unless the pattern has the shape of the logits."""
    if isinstance(pattern, EdgePattern):
        if pattern.num_nodes != len(given.z):
            wanted = pattern.num_nodes
            raise ValueError(f"z must have {wanted} rows, one per node, got {len(given.z)}.")
        if given.w is not None:
            raise ValueError("two sets of vectors need a PairPattern, got an EdgePattern.")
        return
    shape = (len(given.z), len(given.z if given.w is None else given.w))
    if given.w is None or pattern.shape != shape:
        raise ValueError(f"a PairPattern of shape {pattern.shape} needs z and w of as many rows.")


def _chosen_sweep(
    given: _Given,
    blocks: Blocks | None = None,
    sampled: Sampled | None = None,
    precision: Precision = "high",
    impl: Impl = "auto",
) -> Callable[[Tensor, Tensor | None, Wanted], Sweep]:
    """Return the implementation of the sum over all pairs."""
    if impl not in get_args(Impl):
        raise ValueError(f"impl must be one of {get_args(Impl)}, got {impl!r}.")
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {get_args(Precision)}, got {precision!r}.")
    z, w, _, signature, team = given
    others = {"w": w, "signature": signature}
    options = {name: value for name, value in others.items() if value is not None}
    if blocks is not None:
        blocks.check(len(z), z.device)
        if w is not None:
            blocks.check(len(w), w.device)
        if not blocks.are_one:
            return _block_sweep(given, options, blocks, sampled, precision, impl)
    if sampled is not None:
        return partial(_sampled.sweep, sampled=sampled, team=team, **options)
    if impl == "compiled" and not (z.numel() and (w is None or w.numel())):
        impl = "tiled"  # compiled code takes no empty sets, nor vectors without dimensions
    num_nodes = len(z) if w is None else math.isqrt(len(z) * len(w))
    impl = chosen_impl(impl, num_nodes, z.shape[1], z.device, z.dtype)
    sweep = _whole_sweep(impl, precision)
    if team.size > 1:
        sweep = partial(shares.pairs_share, sweep, team)
    return partial(sweep, **options)


def _whole_sweep(impl: Impl, precision: Precision) -> Callable[..., Sweep]:
    """Return an implementation of the sum over all pairs of one set or two."""
    if impl == "dense":
        return _dense_sweep
    # Imported on first use: "compiled" and "triton" load a compiler.
    sweep = import_module(f"vgae.kernels._{impl}").sweep
    return partial(sweep, precision=precision) if impl == "triton" else sweep


def _block_sweep(
    given: _Given,
    options: dict[str, Any],
    blocks: Blocks,
    sampled: Sampled | None,
    precision: Precision,
    impl: Impl,
) -> Callable[[Tensor, Tensor | None, Wanted], Sweep]:
    """Return the implementation of the sum over the pairs within blocks."""
    z, estimated, team = given.z, [], given.team
    if sampled is not None:
        largest = _sampled.largest_exact(sampled, z.device)
        estimated, blocks = blocks.above(largest), blocks.up_to(largest)
    impl = "tiled" if impl == "compiled" and not z.numel() else impl
    impl = chosen_impl(impl, math.isqrt(blocks.num_pairs), z.shape[1], z.device, z.dtype)
    if impl == "dense":
        exact = _dense_sweep
    else:
        module = "compiled_graphs" if impl == "compiled" else impl
        sweep = import_module(f"vgae.kernels._{module}").block_sweep
        exact = partial(sweep, precision=precision) if impl == "triton" else sweep
    if team.size > 1:
        exact = partial(shares.blocks_share, exact, _whole_sweep(impl, precision), team)
    exact = partial(exact, **options, blocks=blocks)
    if sampled is None or not estimated:
        return exact
    draw = partial(_sampled.sweep, sampled=sampled, team=team)

    def both(z: Tensor, bias: Tensor | None, wanted: Wanted) -> Sweep:
        drawn = sweep_each(draw, estimated, z, bias, wanted, **options)
        return plus(exact(z, bias, wanted), drawn, 1, wanted)

    return both


def _dense_sweep(
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,  # noqa: ARG001
    w: Tensor | None = None,
    signature: Tensor | None = None,
    blocks: Blocks | None = None,
) -> Sweep:
    """Build the matrix of logits, and let autograd differentiate it."""
    with torch.enable_grad():
        vectors = (z if w is None else torch.cat([z, w])).detach().requires_grad_()
        rows, columns = vectors[: len(z)], vectors if w is None else vectors[len(z) :]
        rows = rows if signature is None else rows * signature
        bias = (z.new_zeros(()) if bias is None else bias).detach().requires_grad_()
        logits = rows @ columns.T + bias
        logits = logits if blocks is None else logits[blocks.holds]
        total = softplus(logits).sum(dtype=torch.float64)
        return Sweep(total.detach(), *torch.autograd.grad(total, (vectors, bias)))


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
