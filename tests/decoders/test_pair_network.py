"""The network of two latent vectors is symmetric unless the pair has an order."""

import torch

from vgae.decoders.pair_network import PairNetwork


def test_pairs_without_order_have_symmetric_values_and_those_with_order_do_not():
    z, pairs = torch.randn(5, 3), torch.tensor([[0, 1, 2], [3, 4, 0]])
    for ordered in (False, True):
        network = PairNetwork(3, 2, ordered=ordered)
        torch.nn.init.normal_(network.out)
        same = torch.allclose(network(z, pairs), network(z, pairs.flip(0)), atol=1e-6)
        assert same != ordered
