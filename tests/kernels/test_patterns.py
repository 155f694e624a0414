"""Sorted patterns of links, against the matrices of the same edges."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.utils import to_dense_adj

from vgae.kernels.csr import gcn_norm
from vgae.kernels.patterns import EdgePattern


@given(st.integers(1, 7), st.floats(0.1, 9), st.randoms(use_true_random=False))
def test_a_pattern_sorted_once_gives_the_same_norm_for_all_weights(n, loop, random):
    pairs = [(u, v) for u in range(n) for v in range(u) if random.random() < 0.5]
    u, v = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    index = torch.cat([torch.stack([u, v]), torch.stack([v, u])], dim=1)
    half = torch.tensor([random.choice([0.0, 1.0, 2.5]) for _ in pairs], dtype=torch.float64)
    weight = torch.cat([half, half])
    shuffled = torch.tensor(random.sample(range(len(weight)), len(weight)), dtype=torch.int64)
    index, weight = index[:, shuffled], weight[shuffled]
    matrix = EdgePattern.of(index, n).gcn_norm(weight, self_loop_weight=loop)
    # Sorted, without repeats and in range: torch checks what csr_tensor takes on trust.
    parts = (matrix.crow_indices(), matrix.col_indices(), matrix.values())
    torch.sparse_csr_tensor(*parts, matrix.shape, check_invariants=True)
    expected = gcn_norm(index, n, weight, self_loop_weight=loop)
    torch.testing.assert_close(matrix.to_dense(), expected.to_dense())
    adj = to_dense_adj(index, edge_attr=weight, max_num_nodes=n)[0] if len(weight) else 0
    adj = adj + loop * torch.eye(n, dtype=torch.float64)
    scale = adj.sum(1).rsqrt()
    torch.testing.assert_close(matrix.to_dense(), scale[:, None] * adj * scale)


def test_blocks_of_rows_of_a_large_pattern_give_the_same_norm(monkeypatch):
    u, v = torch.combinations(torch.arange(9)).T[:, ::2]
    pattern = EdgePattern.of(torch.cat([torch.stack([u, v]), torch.stack([v, u])], dim=1), 9)
    whole = pattern.gcn_norm().to_dense()
    monkeypatch.setattr("vgae.kernels.patterns._MANY", 0)
    monkeypatch.setattr("vgae.kernels.patterns._ROWS", 4)
    assert torch.equal(pattern.gcn_norm().to_dense(), whole)


def test_signed_weights_are_divided_by_the_degrees_of_their_magnitudes():
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    weight = torch.tensor([-2.0, -2.0, 1.0, 1.0])
    found = gcn_norm(edges, 3, weight, signed=True).to_dense()
    degree = torch.tensor([3.0, 4.0, 2.0])
    adj = torch.tensor([[1.0, -2, 0], [-2, 1, 1], [0, 1, 1]])
    assert torch.allclose(found, adj / (degree[:, None] * degree).sqrt())
    pattern = EdgePattern.of(edges, 3)
    assert torch.allclose(pattern.gcn_norm(weight, signed=True).to_dense(), found)
