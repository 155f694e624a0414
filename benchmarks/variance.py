"""How noisy the sampled gradients are, at a trained model: no clock, only draws.

What is estimated is the gradient of the sum over all non-edges, with respect to z and to the
weights of the encoder. An estimator's error is its squared distance from the exact gradient, over
the squared norm of that, as a mean over draws.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import networkx as nx
import torch
from check import value_and_gradient
from harness import Row, find, say, spawn
from problems import Problem, named_problem
from report import bar, begin, finish, ratio, table
from torch import Tensor
from torch_geometric.utils import negative_sampling

import vgae
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.kernels import PAIRS_PER_NODE, Sampled, _sampled, _tiled, inner_product_nll
from vgae.kernels._all_pairs import Wanted
from vgae.models.embedding import encoder_inputs
from vgae.recipes import PAPER
from vgae.runtime.streams import stream

HEAVY_TAILED_NODES = 10_000


def heavy_tailed() -> Problem:
    """Return a graph without features whose degrees follow a power law, of 10,000 nodes."""
    links = nx.powerlaw_cluster_graph(HEAVY_TAILED_NODES, 5, 0.3, seed=0)
    graph = Graph.from_networkx(links)
    return Problem(graph, split_links(graph))


GRAPHS: dict[str, Callable[[], Problem]] = {
    "cora": partial(named_problem, "cora", "raw"),
    "citeseer": partial(named_problem, "citeseer", "raw"),
    "pubmed-links": partial(named_problem, "pubmed", "none"),
    "heavy-tailed": heavy_tailed,
}


def measure(name: str, num_epochs: int, num_draws: int) -> Row:
    """Train on one graph and return the errors of all estimators under ``"rows"``."""
    problem = GRAPHS[name]()
    z, weights = trained_z(problem, num_epochs)
    num_nodes, num_edges = problem.graph.num_nodes, 2 * problem.split.train.shape[1]
    # The number of pairs nearest to that of the edges which the blocks of the sampler allow.
    per_node = max(round(num_edges / num_nodes), 1)
    estimators = estimators_of(problem, z.detach(), per_node)
    random.seed(0)  # PyG draws from Python's generator.
    rows = []
    for estimator, (num_pairs, draw) in estimators.items():
        in_z, in_weights = mean_squared_errors(problem, z, weights, draw, num_draws)
        say(f"{name}, {estimator}: {in_z:.3g}, {in_weights:.3g}")
        row = {"graph": name, "estimator": estimator, "pairs": num_pairs}
        rows.append({**row, "mse_z": in_z, "mse_weights": in_weights})
    return {"rows": rows}


def trained_z(problem: Problem, num_epochs: int) -> tuple[Tensor, list[Tensor]]:
    """Train with the exact loss; return a sample of the posterior, and the encoder's weights."""
    graph, split = problem.graph, problem.split
    recipe = replace(PAPER, epochs=num_epochs, pairs="exact")
    model = vgae.fit(graph, split, recipe=recipe, device="cpu").model
    q = model.encoder(*encoder_inputs(model, graph, split.message_edge_index))
    return q.rsample(stream(1, "noise")), list(model.encoder.parameters())


Draw = Callable[[], Tensor]
"""Draws an estimate of the gradient with respect to z, shape ``(N, d)``."""


def estimators_of(problem: Problem, z: Tensor, per_node: int) -> dict[str, tuple[int, Draw]]:
    """Return the pairs that each estimator draws, and the estimator.

    Args:
        problem: Graph and split.
        z: Shape ``(N, d)``.
        per_node: Pairs a node of those that are to be compared.
    """
    num_nodes, edge_index = problem.graph.num_nodes, problem.split.message_edge_index
    generator = stream(0, "pairs")
    # Edges and self-pairs are exact in ours; they are what the two exact gradients differ by.
    rest = exact_gradient(problem, z) - all_pairs_gradient(z)

    def ours(block: int, *, control_variate: bool = True) -> tuple[int, Draw]:
        settings = {"sampled": Sampled(block, generator), "control_variate": control_variate}
        bias = z.new_zeros(())
        num_pairs = num_nodes // block * block**2
        return (
            num_pairs,
            lambda: rest + _sampled.sweep(z, bias, Wanted(), **settings).grad_z.double(),
        )

    num_pairs, with_line = ours(per_node)
    return {
        "uniform": (num_pairs, lambda: uniform_gradient(z, edge_index, num_pairs)),
        "ours-plain": ours(per_node, control_variate=False),
        "ours": (num_pairs, with_line),
        "ours-default": ours(PAIRS_PER_NODE),
    }


def uniform_gradient(z: Tensor, edge_index: Tensor, num_pairs: int) -> Tensor:
    """Estimate as PyG samples: the mean over drawn non-edges, times the number of non-edges."""
    num_nodes = len(z)
    src, dst = negative_sampling(edge_index, num_nodes, num_neg_samples=num_pairs)
    num_non_edges = num_nodes * (num_nodes - 1) - edge_index.shape[1]
    weight = num_non_edges / len(src)
    p = weight * torch.sigmoid((z[src] * z[dst]).sum(dim=1, keepdim=True))
    gradient = torch.zeros_like(z).index_add_(0, src, p * z[dst]).index_add_(0, dst, p * z[src])
    return gradient.double()


def exact_gradient(problem: Problem, z: Tensor) -> Tensor:
    """Return the gradient of the sum over all non-edges, float64, shape ``(N, d)``."""
    edge_index = problem.split.message_edge_index
    _, gradient = value_and_gradient(
        lambda z: inner_product_nll(z, edge_index, impl="tiled").non_edges, z.double()
    )
    return gradient


def all_pairs_gradient(z: Tensor) -> Tensor:
    """Return the gradient of the sum over all pairs, float64, shape ``(N, d)``."""
    return _tiled.sweep(z.double(), z.new_zeros((), dtype=torch.float64), Wanted()).grad_z


def mean_squared_errors(
    problem: Problem, z: Tensor, weights: Sequence[Tensor], draw: Draw, num_draws: int
) -> tuple[float, float]:
    """Return the relative mean squared error with respect to z, and to all weights at once."""

    def squares(gradient: Tensor) -> Tensor:
        """Return the squared norms of a gradient of z and of what it is for the weights."""
        of_weights = torch.autograd.grad(z, weights, gradient.to(z.dtype), retain_graph=True)
        parts = [gradient.square().sum(), sum(w.double().square().sum() for w in of_weights)]
        return torch.stack(parts)

    exact = exact_gradient(problem, z.detach())
    error = torch.stack([squares(draw() - exact) for _ in range(num_draws)]).mean(dim=0)
    in_z, in_weights = (error / squares(exact)).tolist()
    return in_z, in_weights


def acceptance(rows: Sequence[Row]) -> list[Row]:
    """Return whether our error is at most a tenth of PyG's, at as many pairs."""
    found = []
    for graph in dict.fromkeys(row["graph"] for row in rows):
        ours, uniform = (find(rows, graph=graph, estimator=e) for e in ("ours", "uniform"))
        for figure in ("mse_z", "mse_weights"):
            name = f"ours / uniform, {figure}, {graph}"
            found.append(bar(name, ratio(ours, uniform, figure), at_most=0.1))
    return found


def main(args: argparse.Namespace) -> None:
    """Measure each graph in a process of its own, then print JSON and a table."""
    report = begin(args)
    rows = []
    for graph in GRAPHS:
        say(f"variance on {graph}")
        result = spawn({"side": graph, "threads": max(args.threads)})
        rows += result.get("rows") or [{"graph": graph, **result}]
    report |= {"variance": rows, "acceptance": acceptance(rows)}
    columns = {"graph": "s", "estimator": "s", "pairs": "d", "mse_z": ".3g", "mse_weights": ".3g"}
    table(rows, columns)
    finish(report, args.json)
