"""Optimizers of the recipes."""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from vgae.models.embedding import parameter_like
from vgae.recipes.base import Training
from vgae.vae import VAE

# On a CPU, the square root of 0 takes torch 5 times, that of a subnormal number 35 times as long
# as that of this number, whose root is so far below ``eps`` that adding it to eps changes nothing.
_LEAST_SQUARE = 2.0**-120


def optimizer_for(model: VAE, recipe: Training, *, capturable: bool = False) -> Optimizer:
    """Return the optimizer of a recipe for all parameters of a model.

    Args:
        model: Model, on its device.
        recipe: Settings: ``optimizer``, ``lr`` and ``weight_decay``.
        capturable: Whether its steps may be recorded as part of a CUDA graph; not for ``adagrad``.
    """
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    # Checkpoints number the parameters, in the order in which the state dict names them.
    stored = model.state_dict(keep_vars=True).values()
    known = {id(p): p for p in (*stored, *model.parameters()) if isinstance(p, nn.Parameter)}
    parameters = list(known.values())
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, fused=True, capturable=capturable, **options)
    like = parameter_like(model)
    slow = like.device.type == "cpu" and like.dtype == torch.float32
    if recipe.optimizer == "adagrad":
        options["initial_accumulator_value"] = _LEAST_SQUARE if slow else 0
        return torch.optim.Adagrad(parameters, **options)
    optimizer = torch.optim.RMSprop(parameters, capturable=capturable, **options)
    if slow:
        optimizer.register_step_pre_hook(_raise_squares)
    return optimizer


def _raise_squares(optimizer: Optimizer, _: object, __: object) -> None:
    """Raise means of squares, which decay where a weight has no gradient, to the least.

    Every 100 steps: they fall to 0.37 of it meanwhile, and slow numbers begin at 1/64 of it.
    """
    for state in optimizer.state.values():
        if int(state["step"]) % 100 != 1:
            return
        state["square_avg"].clamp_min_(_LEAST_SQUARE)
