import torch

from vgae.evaluation.posterior import active_dimensions


def test_dimensions_with_a_variance_above_the_threshold_are_active(generator):
    mu = torch.randn(1000, 4, generator=generator) * torch.tensor([1.0, 0.2, 0.05, 0.0])
    assert active_dimensions(mu) == 2
    assert active_dimensions(mu, threshold=0.5) == 1
    assert active_dimensions(mu + 100) == 2
    assert active_dimensions(mu[:1]) == 0
