"""What this package runs: a training epoch as ``fit`` makes it, and the loss alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import torch
from problems import Problem
from torch import Tensor

from vgae.kernels import pair_loss
from vgae.kernels.patterns import EdgePattern
from vgae.models.embedding import encoder_inputs, evaluating
from vgae.models.graphs import build_model
from vgae.recipes import PAPER, Recipe
from vgae.runtime.devices import Compute
from vgae.runtime.streams import stream
from vgae.training.links import prepare
from vgae.training.loop import Epoch, epochs
from vgae.training.prepared import FitResult
from vgae.vae import VAE

Loss = Callable[[Tensor], Tensor]
"""Of latent vectors, shape ``(N, d)``; a mean over pairs of nodes, shape ``()``."""


class Trainer(NamedTuple):
    """A model in training.

    Attributes:
        step: Takes one step of the optimizer, on the whole graph; returns the loss before it.
        means: Returns the posterior means, without gradients, shape ``(N, d)``.
    """

    step: Callable[[], Tensor]
    means: Callable[[], Tensor]


def ours(problem: Problem, *, pairs: str) -> Trainer:
    """Train as ``fit`` does, with the pairs of its loss ``"exact"`` or ``"sampled"``."""
    model, inputs, optimizer = our_model(problem, pairs)
    num_nodes = problem.graph.num_nodes
    loop = epochs(
        model,
        optimizer,
        inputs,
        model.decoder.prepare(problem.split.message_edge_index.to(problem.device), num_nodes),
        num_items=num_nodes**2,
        generator=stream(problem.seed, "noise", problem.device),
    )
    return Trainer(lambda: next(loop).loss, lambda: our_means(model, inputs))


def our_model(
    problem: Problem, pairs: str = "exact"
) -> tuple[VAE, tuple[Any, Any], torch.optim.Optimizer]:
    """Return model, inputs in their fastest form, and optimizer, as ``fit`` makes them."""
    graph = problem.graph
    in_channels = graph.num_features or graph.num_nodes
    recipe = replace(PAPER, pairs=pairs)
    model = build_model("vgae", in_channels, recipe, stream(problem.seed, "init"))
    model.decoder.generator = stream(problem.seed, "pairs", problem.device)
    model.to(problem.device)
    inputs = encoder_inputs(model, graph, problem.split.message_edge_index)
    return model, inputs, torch.optim.Adam(model.parameters(), lr=recipe.lr, fused=True)


def our_means(model: VAE, inputs: tuple[Any, Any]) -> Tensor:
    """Return the posterior means, shape ``(N, d)``."""
    with evaluating(model):
        return model.encoder(*inputs).mu


def our_loss(edge_index: Tensor, num_nodes: int, **settings: Any) -> Loss:
    """Return Kipf & Welling's loss, the mean over all N^2 pairs.

    Args:
        edge_index: Both directions of every link, shape ``(2, E)``.
        num_nodes: N.
        settings: Those of ``pair_loss``.
    """
    pattern, num_edges = EdgePattern.of(edge_index, num_nodes), edge_index.shape[1]
    weight = torch.full(pattern.col.shape, 1 / (2 * num_edges), device=edge_index.device)
    others = num_nodes**2 - num_edges
    return lambda z: pair_loss(z, pattern, weight, 1 / (2 * others), **settings)


def gradient_step(loss: Loss, z: Tensor) -> Callable[[], None]:
    """Return a function that computes a loss and its gradient with respect to ``z`` once."""
    z = z.clone().requires_grad_()

    def step() -> None:
        z.grad = None
        loss(z).backward()

    return step


def trained(problem: Problem, recipe: Recipe, **options: Any) -> FitResult:
    """Return the result of ``fit`` without the health check, which may train again.

    Args:
        problem: Graph, split and device.
        recipe: Settings.
        options: Those of ``Compute``.
    """
    compute = Compute(problem.device, **options)
    prepared = prepare(
        problem.graph, problem.split, recipe=recipe, seed=problem.seed, device=compute
    )
    return replace(prepared, health=None).train(progress=False)


def epochs_of(problem: Problem, recipe: Recipe, *, cuda_graph: bool) -> Iterator[Epoch]:
    """Return the loop of ``fit``, without average and validation."""
    compute = Compute(problem.device, cuda_graph=cuda_graph)
    prepared = prepare(
        problem.graph, problem.split, recipe=recipe, seed=problem.seed, device=compute
    )
    model, data = prepared.model, prepared.problem
    noise, model.encoder.generator, model.decoder.generator = (
        stream(problem.seed, name, problem.device) for name in ("noise", "dropout", "pairs")
    )
    return epochs(
        model,
        torch.optim.Adam(model.parameters(), recipe.lr, fused=True, capturable=cuda_graph),
        data.inputs,
        data.target,
        beta=recipe.beta,
        num_items=data.num_items,
        generator=noise,
        steps=data.steps,
    )


def pair_sweep(
    z: Tensor, impl: str, *, name: str = "sweep", **settings: Any
) -> tuple[Tensor, Tensor]:
    """Return the sum of softplus over all pairs, without a bias, and its gradient.

    Args:
        z: Latent vectors, shape ``(N, d)``.
        impl: Module that has the sweep: ``"triton"``, or ``"tiled"`` for any dtype and device.
        name: Name of the sweep; ``"block_sweep"`` sums within blocks.
        settings: Those of the sweep.
    """
    sweep = getattr(import_module(f"vgae.kernels._{impl}"), name)
    wanted = import_module("vgae.kernels._all_pairs").Wanted(grad_bias=False)
    found = sweep(z, None, wanted, **settings)
    return found.total, found.grad_z
