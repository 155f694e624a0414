r"""Cost of a gravity-inspired decoder over all ordered pairs, without the N x N matrix.

With positions x, masses m and squared distances :math:`r_{ij} = \|x_i - x_j\|^2`, the logits are

.. math:: s_{ij} = m_j - \lambda \log(r_{ij} + \epsilon)

They are no inner product, but r comes from one. With :math:`p = \partial L / \partial s` and
:math:`G_{ij} = -\lambda p_{ij} / (r_{ij} + \epsilon)`, the gradients are

.. math::
    \partial L / \partial x_i = 2 \sum_j (G_{ij} + G_{ji}) (x_i - x_j), \quad
    \partial L / \partial m_j = \sum_i p_{ij}, \quad
    \partial L / \partial \lambda = -\sum_{ij} p_{ij} \log(r_{ij} + \epsilon)

r is symmetric, so only tiles on and above the diagonal are visited, for both directions at once.
Memory is O(N d) plus a few tiles. Positions are centred first, as rounding errors of r grow with
their norm.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from vgae.kernels._all_pairs import AttachGradients, Sweep, Wanted, softplus
from vgae.kernels._sampled import Sampled, sampled_blocks
from vgae.kernels._tiled import softplus_sum
from vgae.kernels.shares import added, rows_of, sharers_of, triangle
from vgae.runtime.processes import Team

# Rows and columns of a tile; several of them are held at once.
TILE = {"cpu": (128, 500), "cuda": (2048, 8192)}
LINKS_AT_ONCE = 1 << 20  # numbers of positions that are gathered for links


class _Sums(NamedTuple):
    """A sum over pairs and its gradients, which tiles add to.

    Attributes:
        total: float64, shape ``()``.
        grad_x: Shape ``(N, d)``.
        grad_mass: Shape ``(N,)``.
        grad_scale: float64, shape ``()``.
    """

    total: Tensor
    grad_x: Tensor
    grad_mass: Tensor
    grad_scale: Tensor

    @classmethod
    def zeros(cls, x: Tensor) -> "_Sums":
        number = x.new_zeros((), dtype=torch.float64)
        return cls(number, torch.zeros_like(x), x.new_zeros(len(x)), number.clone())

    def add_(self, other: "_Sums", factor: float) -> None:
        for mine, more in zip(self, other, strict=True):
            mine.add_(more, alpha=factor)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return ``|x_i - y_j|^2``, never negative, shape ``(*, n, m)`` for ``(*, n, d)`` and m."""
    # One product of longer vectors: [x, |x|^2, 1] . [-2 y, 1, |y|^2].
    norm_x, norm_y = (t.square().sum(dim=-1, keepdim=True) for t in (x, y))
    left = torch.cat([x, norm_x, torch.ones_like(norm_x)], dim=-1)
    right = torch.cat([-2 * y, torch.ones_like(norm_y), norm_y], dim=-1)
    return (left @ right.mT).clamp_min_(0)


def gravity_loss(
    z: Tensor,
    scale: Tensor,
    links: Tensor,
    weight: Tensor,
    non_link_weight: float,
    *,
    epsilon: float,
    sampled: Sampled | None = None,
) -> Tensor:
    r"""Return the weighted cost of all ordered pairs, whose gradient comes in the same pass.

    With the logits above, and P the links and the self-pairs,

    .. math:: \sum_{(i,j) \in P} w_{ij} \, \mathrm{softplus}(-s_{ij})
        + v \sum_{(i,j) \notin P} \mathrm{softplus}(s_{ij})

    Source: Salha, Limnios, Hennequin, Tran & Vazirgiannis (2019), `Gravity-Inspired Graph
    Autoencoders for Directed Link Prediction <https://arxiv.org/abs/1905.09570>`_.

    Args:
        z: Positions and, in the last column, masses, shape ``(N, d + 1)``; float16 and bfloat16
            are computed in float32.
        scale: :math:`\lambda`, shape ``()``.
        links: P, each pair once, shape ``(2, P)``.
        weight: w, shape ``(P,)``.
        non_link_weight: v.
        epsilon: :math:`\epsilon`, above 0.
        sampled: If given, the sum over all pairs of different nodes is estimated without bias
            from blocks of pairs, of equal probability; the rest stays exact.

    Returns:
        The sum, shape ``()``; ``z`` and ``scale`` get gradients, a second derivative raises.
    """
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    with torch.autocast(z.device.type, enabled=False), torch.no_grad():
        x, mass, lam = z[:, :-1], z[:, -1], scale.to(z.dtype)
        x = x - x.mean(dim=0)
        # The pairs of P are among all pairs, too; there they are taken out again.
        team = _sharers(x, len(weight), sampled, all_pairs=bool(non_link_weight))
        own = rows_of(weight, team)
        given = links[:, own], weight[own].to(z.dtype)
        found = _links(x, mass, lam, epsilon, *given, non_link_weight)
        if non_link_weight:
            if sampled is None:
                every = _all_pairs(x, mass, lam, epsilon, team)
            else:
                every = _estimate(x, mass, lam, epsilon, sampled, team)
            found.add_(every, non_link_weight)
        grad_z = torch.cat([found.grad_x, found.grad_mass[:, None]], dim=1)
        sweep = Sweep(found.total, grad_z, found.grad_scale.to(scale.dtype))
        if team.size > 1:
            sweep = added(sweep, Wanted(), team)
    return AttachGradients.apply(z, scale, sweep)


def _sharers(x: Tensor, num_links: int, sampled: Sampled | None, *, all_pairs: bool) -> Team:
    """Return the processes that divide a sum."""
    per_node = len(x) if sampled is None else min(sampled.pairs_per_node, len(x))
    return sharers_of(num_links + len(x) * per_node * all_pairs, x.device)


def _all_pairs(x: Tensor, mass: Tensor, scale: Tensor, epsilon: float, team: Team) -> _Sums:
    """Return a process's share of the sum of softplus over all ordered pairs and self-pairs."""
    num_nodes, sums = len(x), _Sums.zeros(x)
    rows, columns = TILE.get(x.device.type, TILE["cpu"])
    own, _ = triangle(num_nodes, team)
    for top in range(own.start, own.stop, rows):
        bottom = min(top + rows, own.stop)
        # First the square on the diagonal, with both directions; then the tiles to its right.
        for left, right in pairwise([top, *range(bottom, num_nodes, columns), num_nodes]):
            ends = [slice(top, bottom), slice(left, right)]
            row, column = ((x[end], mass[end]) for end in ends)
            parts = _tile(row, column, scale, epsilon, both=left != top)
            _add_tile(sums, parts, ends)
    return sums


def _estimate(
    x: Tensor, mass: Tensor, scale: Tensor, epsilon: float, sampled: Sampled, team: Team
) -> _Sums:
    """Estimate :func:`_all_pairs` from random blocks of nodes, each paired with the next one."""
    num_nodes, own = len(x), rows_of(x, team)
    selves = torch.arange(own.start, own.stop, device=x.device).expand(2, -1)
    # The self-pairs alone, with the cost of a non-link.
    sums = _links(x, mass, scale, epsilon, selves, torch.zeros_like(mass[own]), -1.0)
    if num_nodes < 2:
        return sums
    num_blocks, block, step = sampled_blocks((num_nodes,), sampled.pairs_per_node, x.device.type)
    order = torch.randperm(num_nodes, generator=sampled.generator, device=x.device)
    blocks = order[: num_blocks * block].view(num_blocks, block)
    pairs = [ends[rows_of(blocks, team)] for ends in (blocks, blocks.roll(-1, dims=0))]
    drawn = _Sums.zeros(x)
    for first in range(0, len(pairs[0]), step):
        ends = [nodes[first : first + step] for nodes in pairs]
        row, column = ((x[end], mass[end]) for end in ends)
        _add_tile(drawn, _tile(row, column, scale, epsilon, both=True), ends)
    sums.add_(drawn, num_nodes * (num_nodes - 1) / (2 * num_blocks * block**2))
    return sums


class _Tile(NamedTuple):
    """Sum over the pairs of a tile, and the gradients of both ends and of the scale."""

    total: Tensor
    grad_x: tuple[Tensor, Tensor]
    grad_mass: tuple[Tensor, Tensor]
    grad_scale: Tensor


def _tile(
    row: tuple[Tensor, Tensor],
    column: tuple[Tensor, Tensor],
    scale: Tensor,
    epsilon: float,
    *,
    both: bool,
) -> _Tile:
    """Sum softplus over the pairs from rows to columns and, for ``both``, back.

    Args:
        row: Positions and masses, shapes ``(*, n, d)`` and ``(*, n)``.
        column: Positions and masses, shapes ``(*, m, d)`` and ``(*, m)``.
        scale: As for :func:`gravity_loss`.
        epsilon: As for :func:`gravity_loss`.
        both: Whether the tile holds one direction of its pairs only.
    """
    (x, mass_x), (y, mass_y) = row, column
    shifted = squared_distances(x, y).add_(epsilon)
    log = shifted.log()
    fall = log * scale
    s = mass_y[..., None, :] - fall
    slope = torch.sigmoid(s)
    total = _softplus(s, slope)
    grad_mass = [torch.zeros_like(mass_x), slope.sum(dim=-2)]
    if both:
        s = torch.sub(mass_x[..., :, None], fall, out=fall)
        back = torch.sigmoid(s)
        total = total + _softplus(s, back)
        grad_mass[0] = back.sum(dim=-1)
        slope += back
    grad_scale = -log.mul_(slope).sum(dim=-1).sum(dtype=torch.float64)
    pull = slope.div_(shifted).mul_(-2 * scale)
    grad_x = pull.sum(dim=-1)[..., None] * x - pull @ y
    grad_y = pull.sum(dim=-2)[..., None] * y - pull.mT @ x
    return _Tile(total, (grad_x, grad_y), (grad_mass[0], grad_mass[1]), grad_scale)


def _softplus(s: Tensor, p: Tensor) -> Tensor:
    """Return the sum of softplus, float64; ``s`` is overwritten."""
    s, p = (t.flatten(0, -2) for t in (s, p))
    return softplus_sum(s, p, torch.empty_like(s))


def _add_tile(sums: _Sums, tile: _Tile, ends: list[Tensor] | list[slice]) -> None:
    """Add a tile to the sums of all nodes; ``ends`` are the nodes of rows and of columns."""
    sums.total.add_(tile.total)
    sums.grad_scale.add_(tile.grad_scale)
    for end, grad_x, grad_mass in zip(ends, tile.grad_x, tile.grad_mass, strict=True):
        # Of several blocks, each node is in one at most.
        sums.grad_x[end] += grad_x
        sums.grad_mass[end] += grad_mass


def _links(
    x: Tensor,
    mass: Tensor,
    scale: Tensor,
    epsilon: float,
    links: Tensor,
    weight: Tensor,
    beta: float,
) -> _Sums:
    r"""Return :math:`\sum_k w_k \mathrm{softplus}(-s_k) - \beta \, \mathrm{softplus}(s_k)`."""
    sums = _Sums.zeros(x)
    at_once = max(LINKS_AT_ONCE // max(x.shape[1], 1), 1)
    for (src, dst), w in zip(links.split(at_once, dim=1), weight.split(at_once), strict=True):
        difference = x.index_select(0, src) - x.index_select(0, dst)
        shifted = difference.square().sum(dim=1).add_(epsilon)
        log = shifted.log()
        s = mass.index_select(0, dst) - scale * log
        sums.total.add_((w * softplus(-s) - beta * softplus(s)).sum(dtype=torch.float64))
        slope = -w * torch.sigmoid(-s) - beta * torch.sigmoid(s)
        sums.grad_mass.index_add_(0, dst, slope)
        sums.grad_scale.sub_((slope * log).sum(dtype=torch.float64))
        pull = difference.mul_((-2 * scale * slope / shifted)[:, None])
        sums.grad_x.index_add_(0, src, pull)
        sums.grad_x.index_add_(0, dst, pull, alpha=-1)
    return sums
