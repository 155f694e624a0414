"""Before anything is timed: our exact loss must be the one on the N x N matrix."""

import sys
from collections.abc import Callable

import torch
from harness import Row, spawn
from ours import Loss, our_loss
from peers import dense_loss
from torch import Tensor

from vgae.decoders import InnerProductDecoder
from vgae.graphs.canonical import both_directions
from vgae.runtime.streams import stream

TOLERANCE = 1e-5
LARGEST = 4000  # nodes whose N x N matrix, in float64 too, is built without asking


def stop_unless_exact(threads: int) -> Row:
    """Have the side ``check`` measure the errors in a process of its own; return them if small."""
    errors = spawn({"side": "check", "threads": threads})
    if not all(isinstance(error, float) and error <= TOLERANCE for error in errors.values()):
        sys.exit(f"our loss or its gradient is not the dense one: relative errors {errors}")
    return errors


def check(links: Tensor, num_nodes: int, dim: int) -> Row:
    """Return how far our loss and its gradient are from the dense ones at a random ``z``.

    Args:
        links: Each once, shape ``(2, M)``; those among the first 4,000 nodes are looked at.
        num_nodes: N.
        dim: Columns of ``z``.
    """
    num_nodes = min(num_nodes, LARGEST)
    edge_index = both_directions(links[:, (links < num_nodes).all(dim=0)])
    decoder = InnerProductDecoder(weighting="kipf")
    z = random_z(num_nodes, dim)
    return errors(
        lambda z: -decoder.log_prob(z, edge_index) / num_nodes**2,
        z,
        value_and_gradient(dense_loss(edge_index, num_nodes), z),
    )


def reference(edge_index: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return Kipf & Welling's loss and its gradient in float64, the small ones from the matrix."""
    num_nodes = z.shape[0]
    if num_nodes <= LARGEST:
        return value_and_gradient(dense_loss(edge_index, num_nodes, torch.float64), z.double())
    return value_and_gradient(our_loss(edge_index, num_nodes, impl="tiled"), z.double())


def errors(loss: Loss, z: Tensor, expected: tuple[Tensor, Tensor]) -> Row:
    """Return how far a loss and its gradient are off, relative to what is expected."""
    value, gradient = value_and_gradient(loss, z)
    return {
        "loss": abs((value - expected[0]) / expected[0]).item(),
        "gradient": ((gradient - expected[1]).norm() / expected[1].norm()).item(),
    }


def value_and_gradient(loss: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """Return a loss, shape ``()``, and its gradient with respect to ``z``."""
    z = z.detach().requires_grad_()
    value = loss(z)
    value.backward()
    assert z.grad is not None
    return value.detach(), z.grad


def random_z(num_nodes: int, dim: int) -> Tensor:
    """Return a sample of the prior: standard normal latent vectors, shape ``(N, d)``."""
    return torch.randn(num_nodes, dim, generator=stream(0, "noise"))
