"""Rows that are divided among processes: their division, their ring, gradients, posteriors."""

import pytest
import torch

from vgae.gaussian import DiagGaussian, PointMass
from vgae.kernels.csr import csr_tensor, edges_to_csr, scipy_csr
from vgae.kernels.rows import RowPosterior, Rows
from vgae.runtime.processes import Team, team


def test_rows_are_divided_by_their_cost_and_each_process_has_some():
    assert Rows.balanced(Team(0, 2), torch.tensor([3, 1, 1, 1])).starts == (0, 1, 4)
    assert Rows.balanced(Team(0, 3), torch.tensor([9, 1, 1, 1, 1, 1])).starts == (0, 1, 2, 6)
    assert Rows.balanced(Team(0, 3), torch.tensor([1, 1, 9])).starts == (0, 1, 2, 3)
    assert Rows.balanced(Team(0, 3), torch.tensor([0, 0, 0])).starts == (0, 1, 2, 3)
    even = Rows.balanced(Team(3, 4), torch.ones(10))
    assert [len(even.part(rank)) for rank in range(4)] == [2, 3, 2, 3]
    assert (even.own, even.count) == (range(7, 10), 10)


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_own_rows_of_dense_and_sparse_matrices(index):
    torch.manual_seed(0)
    dense = torch.rand(6, 4) * (torch.rand(6, 4) > 0.5)
    rows = Rows(Team(1, 3), (0, 2, 3, 6))
    assert rows.cut(dense).equal(dense[2:3])
    csr = edges_to_csr(dense.nonzero().T, 6, dense[dense > 0])
    parts = csr.crow_indices().to(index), csr.col_indices().to(index), csr.values()
    csr = csr_tensor(*parts, (6, 4))
    assert torch.from_numpy(scipy_csr(rows.cut(csr)).toarray()).equal(dense[2:3])


def divided(matrix):
    """Return what each process computes with its rows of a matrix."""
    us = team()
    rows = Rows(us, (0, 1, 2, 7) if us.size == 3 else (0, 5, 7))
    own = rows.cut(matrix).requires_grad_()
    seen = [(rank, len(block)) for rank, block in rows.blocks(own)]
    gathered = rows.gathered(own)
    (gathered.square() * torch.arange(7)[:, None]).sum().backward()
    full = matrix.clone().requires_grad_()
    taken = rows.taken(full)
    taken.square().sum().backward()
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    q = RowPosterior(DiagGaussian(own.detach(), own.detach() - 1), rows)
    point = RowPosterior(PointMass(own.detach()), rows)
    sizes = Rows.of_sizes(us, us.rank + 2).starts
    assert point.rsample().equal(point.mu)
    return {
        "seen": seen,
        "gathered": gathered.detach(),
        "own": rows.cut(matrix.new_tensor(range(7))[:, None]),
        "grad": own.grad,
        "taken": (taken.detach(), full.grad),
        "sample": (q.rsample(generators[0]), generators[0].get_state()),
        "posterior": (q.mu, q.kl()),
        "point": (point.mu, point.kl()),
        "sizes": sizes,
        "sent": us.sent,
    }


@pytest.mark.parametrize("size", [2, 3])
def test_rows_of_all_processes_their_gradients_and_posteriors(together, size):
    matrix = torch.randn(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = together(size, divided, matrix)
    one = DiagGaussian(matrix, matrix - 1)
    generator = torch.Generator().manual_seed(3)
    sample = one.rsample(generator)
    factor = torch.arange(7, dtype=torch.float64)[:, None]
    for rank, own in enumerate(found):
        assert [other for other, _ in own["seen"]] == [(rank - k) % size for k in range(size)]
        assert sum(count for _, count in own["seen"]) == 7
        assert own["gathered"].equal(matrix)
        rows = own["own"][:, 0].long()
        torch.testing.assert_close(own["grad"], (2 * matrix * factor)[rows])
        torch.testing.assert_close(own["taken"][0], matrix[rows])
        torch.testing.assert_close(own["taken"][1], 2 * matrix)
        assert own["sample"][0].equal(sample)
        assert own["sample"][1].equal(generator.get_state())
        assert own["posterior"][0].equal(matrix)
        assert own["posterior"][1].equal(one.kl())
        assert own["point"][0].equal(matrix)
        assert own["point"][1].equal(torch.zeros(7, dtype=torch.float64))
        assert own["sizes"] == ((0, 2, 5) if size == 2 else (0, 2, 5, 9))
        assert own["sent"] > 0
