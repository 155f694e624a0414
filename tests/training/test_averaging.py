"""The average of the weights over the later part of a training."""

import math

import pytest
from torch import nn

from vgae.training.averaging import averaged


def test_the_average_weighs_late_weights_most_and_all_in_the_end():
    """Polynomial-decay averaging: after t steps the k-th counts as k^8, about."""
    line = nn.Linear(1, 1, bias=False).double()
    average = averaged(line)
    for k in range(1, 201):
        line.weight.data.fill_(float(k))
        average.update_parameters(line)
    # Exactly (k + 7)! / (k - 1)!.
    weights = [math.prod(range(k, k + 8)) for k in range(1, 201)]
    expected = sum(k * w for k, w in zip(range(1, 201), weights, strict=True)) / sum(weights)
    assert average.module.weight.item() == pytest.approx(expected)
