from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from vgae import VAE
from vgae.recipes.images import BERNOULLI200
from vgae.training.optimizers import optimizer_for

OF_TORCH = {"rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return VAE(nn.Linear(6, 4).to(dtype), nn.Linear(4, 5).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weight_decay", [0, 0.01])
@pytest.mark.parametrize("name", ["rmsprop", "adagrad"])
def test_steps_are_those_of_torch_bit_for_bit(name, weight_decay, dtype, generator):
    """With gradients that are 0, that were once, that are tiny, and of all sizes."""
    recipe = replace(BERNOULLI200, optimizer=name, weight_decay=weight_decay)
    model = network(dtype)
    other = deepcopy(model)
    optimizer = optimizer_for(model, recipe)
    options = {"lr": recipe.lr, "weight_decay": weight_decay}
    expected = OF_TORCH[name](other.parameters(), **options)
    for step in range(300):
        for left, right in zip(model.parameters(), other.parameters(), strict=True):
            size = 10.0 ** torch.randint(-20, 3, left.shape, generator=generator)
            left.grad = torch.randn(left.shape, generator=generator).mul(size).to(dtype)
            left.grad.flatten()[0] = 0
            left.grad.flatten()[1] = float(step == 0)
            right.grad = left.grad.clone()
        optimizer.step()
        expected.step()
    for left, right in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)


def test_squares_of_weights_without_gradients_stay_above_the_subnormal_numbers():
    """The square root of 0 and of subnormal numbers is slow on a CPU."""
    model = network()
    optimizer = optimizer_for(model, replace(BERNOULLI200, optimizer="rmsprop"))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(200):
        optimizer.step()
    for state in optimizer.state.values():
        assert state["square_avg"].min() > torch.finfo(torch.float32).tiny


def test_weights_that_modules_share_are_trained_once():
    model = network()
    model.decoder = model.encoder
    groups = optimizer_for(model, BERNOULLI200).param_groups
    assert [len(group["params"]) for group in groups] == [2]
