"""Products with a normalised adjacency whose rows are divided among processes."""

import pytest
import torch

from vgae.kernels.partition import RowPattern
from vgae.kernels.patterns import EdgePattern
from vgae.kernels.rows import Rows
from vgae.runtime.processes import team

N = 9


def cases():
    """Return edges, weights and options: some nodes have no edge, some blocks no entry."""
    generator = torch.Generator().manual_seed(0)
    adjacency = torch.rand(N, N, generator=generator).triu(1) > 0.6
    adjacency[3] = adjacency[:, 3] = False
    edges = (adjacency | adjacency.T).nonzero().T
    weight = torch.rand(N, N, generator=generator, dtype=torch.float64)
    weight = (weight + weight.T)[edges[0], edges[1]]
    sign = torch.where((edges.sum(dim=0) % 3) == 0, -1.0, 1.0)
    shuffled = torch.randperm(edges.shape[1], generator=generator)
    blocks = edges[:, (edges < 5).all(dim=0)]
    return [
        (edges, torch.ones_like(weight), {}),
        (edges[:, shuffled], weight[shuffled], {"self_loop_weight": 2.5}),
        (edges, weight * sign, {"signed": True}),
        (blocks, torch.ones(blocks.shape[1], dtype=torch.float64), {}),
        (edges[:, :0], weight[:0], {"self_loop_weight": 3.0}),
    ]


def products(starts, width):
    """Return the own rows of a product, the gradient of the dense matrix, and the diagonal."""
    rows = Rows(team(), starts)
    dense = torch.randn(N, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    factor = torch.randn(N, width, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = []
    for edges, weight, options in cases():
        operator = RowPattern.of(edges, rows).operator(weight, **options)
        own = rows.cut(dense).requires_grad_()
        result = operator @ own
        (result * rows.cut(factor)).sum().backward()
        single = (operator @ own.detach().float()).dtype
        found.append((result.detach(), own.grad, operator.diagonal(), single))
    return found


@pytest.mark.parametrize("starts", [(0, 5, N), (0, 1, 2, N)])
@pytest.mark.parametrize("width", [3, 150])
def test_product_gradient_and_diagonal_are_those_of_one_process(together, starts, width):
    parts = together(len(starts) - 1, products, starts, width)
    dense = torch.randn(N, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    factor = torch.randn(N, width, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for case, (edges, weight, options) in enumerate(cases()):
        whole = EdgePattern.of(edges, N).gcn_norm(weight, **options).to_dense()
        product, gradient, diagonal = (
            torch.cat([part[case][k] for part in parts]) for k in range(3)
        )
        torch.testing.assert_close(product, whole @ dense)
        torch.testing.assert_close(gradient, whole.T @ factor)
        torch.testing.assert_close(diagonal, whole.diagonal())
        assert parts[0][case][3] == torch.float32
