"""Average of the weights of a model over the later part of a training."""

# pyright: reportPrivateImportUsage=false

import copy
from collections import defaultdict
from itertools import chain

import torch
from torch import Tensor, nn

from vgae.models.embedding import parameter_like
from vgae.vae import VAE


class AveragedWeights(nn.Module):
    r"""Copy of a model whose weights are the average of those at each :meth:`update`.

    .. math:: \bar\theta_t = \bar\theta_{t-1} + \frac{9}{t + 8} (\theta_t - \bar\theta_{t-1})

    The t-th weights have a weight of about t^8: the average covers about the last ninth of a
    training of any length, without a decay rate to choose. The first update replaces the weights
    of the copy. Buffers are averaged too; those of integers are copied.

    Source: Shamir & Zhang (2013), `Stochastic Gradient Descent for Non-smooth Optimization
    <https://arxiv.org/abs/1212.1824>`_, section 3.2 (polynomial-decay averaging, eta = 8).

    Args:
        model: Model to copy.

    Attributes:
        module: The copy. Names of the state dict are those of
            :class:`torch.optim.swa_utils.AveragedModel`.
        n_averaged: Number of updates, int64 on the device of the model, shape ``()``.
    """

    n_averaged: Tensor

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        count = torch.zeros((), dtype=torch.int64, device=parameter_like(model).device)
        self.register_buffer("n_averaged", count)

    @torch.no_grad()
    def update(self, model: VAE) -> None:
        """Add the present weights of a model on the same device.

        It never waits for the device and may be recorded as part of a CUDA graph.
        """
        weight = 9 / (self.n_averaged + 9)
        old = self.n_averaged.clamp(max=1.0)  # 0 at the first update, then 1
        for means, new in _alike(self.module, model):
            if not (means[0].is_floating_point() or means[0].is_complex()):
                torch._foreach_copy_(means, new)
                continue
            torch._foreach_mul_(means, old.to(means[0]))
            changes = torch._foreach_sub(new, means)
            torch._foreach_mul_(changes, weight.to(means[0]))
            torch._foreach_add_(means, changes)
        self.n_averaged += 1


def _alike(copied: nn.Module, model: nn.Module) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Return the tensors of two models, side by side, in lists of equal device and dtype."""
    lists: dict[object, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
    tensors = (chain(part.parameters(), part.buffers()) for part in (copied, model))
    for mean, new in zip(*tensors, strict=True):
        means, news = lists[mean.device, mean.dtype]
        means.append(mean)
        news.append(new)
    return list(lists.values())
