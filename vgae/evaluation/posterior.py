"""Statistics of the posteriors of all nodes or images."""

from torch import Tensor


def active_dimensions(mu: Tensor, threshold: float = 1e-2) -> int:
    r"""Count the latent dimensions whose posterior mean varies between nodes or images.

    .. math:: \#\{k : \operatorname{Var}_i(\mu_{ik}) > threshold\}

    The others carry nearly no information. The variance of n items is divided by n.

    Source: Burda, Grosse & Salakhutdinov (2016), `Importance Weighted Autoencoders
    <https://arxiv.org/abs/1509.00519>`_, section 5, with the threshold 10^-2.

    Args:
        mu: Posterior means, shape ``(n, d)``.
        threshold: Variance above which a dimension is active.
    """
    return int((mu.double().var(dim=0, correction=0) > threshold).sum())
