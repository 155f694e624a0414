"""Average of the weights of a model over the later part of a training."""

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vgae.vae import VAE


def averaged(model: VAE) -> AveragedModel:
    r"""Return a copy of a model that, at each ``update_parameters(model)``, averages its weights.

    .. math:: \bar\theta_t = \bar\theta_{t-1} + \frac{9}{t + 8} (\theta_t - \bar\theta_{t-1})

    The t-th weights have a weight of about t^8: the average covers about the last ninth of a
    training of any length, without a decay rate to choose.

    Source: Shamir & Zhang (2013), `Stochastic Gradient Descent for Non-smooth Optimization
    <https://arxiv.org/abs/1212.1824>`_, section 3.2 (polynomial-decay averaging, eta = 8).
    """

    def average(mean: Tensor, new: Tensor, num_averaged: Tensor | int) -> Tensor:
        return mean + 9 / (num_averaged + 9) * (new - mean)

    return AveragedModel(model, avg_fn=average, use_buffers=True)
