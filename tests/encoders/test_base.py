"""A graph encoder of two methods can be named, saved and masked."""

import pytest
import torch

from vgae.encoders import GCNEncoder, GraphEncoder
from vgae.kernels.csr import edges_to_csr
from vgae.recipes import PAPER


def test_without_more_the_arguments_are_passed_on_dense(sbm):
    encoder = GraphEncoder(40, 2)
    assert encoder.prepare(None, sbm.edge_index) == (None, sbm.edge_index)
    weight = torch.ones(sbm.edge_index.shape[1])
    sparse = edges_to_csr(sbm.edge_index, 120)
    x, edges, same = encoder.prepare(sparse, sbm.edge_index, weight, masked=True)
    assert torch.equal(x, sparse.to_dense())
    assert edges is sbm.edge_index
    assert same is weight


def test_features_are_scaled_if_there_is_a_scale():
    encoder, x = GraphEncoder(2, 1), torch.ones(3, 2)
    assert encoder.scaled(x) is x
    encoder.feature_scale = torch.tensor([2.0, 3.0])
    assert encoder.scaled(x)[0].tolist() == [2.0, 3.0]
    assert [*encoder.state_dict()] == ["feature_scale"]


def test_memory_is_predicted_from_two_layers():
    assert GraphEncoder.widths(PAPER, num_heads=2) == [32, 32]


def test_a_subclass_has_to_say_how_it_is_built():
    with pytest.raises(NotImplementedError):
        GraphEncoder(5, 3).config()
    assert issubclass(GCNEncoder, GraphEncoder)
