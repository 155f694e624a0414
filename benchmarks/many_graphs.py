"""What one training epoch on many small graphs costs on a CPU, on the same generated graphs.

Each graph has two groups of nodes, which are linked more often within; the 16 features tell the
groups apart with noise. Every side has the paper's encoder and trains on all links. The sides that
visit one graph after another add up the gradients and take one step of Adam an epoch, which is
their fastest form; tensors of each graph or batch are prepared before. PyG normalises adjacencies
in every layer, as the graphs are many.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from harness import Row, answer, compare, find, options
from meter import Step, timed
from ours import epochs_of
from peers import PyGEncoder, seed_all
from problems import Problem
from report import bar, begin, finish, ratio, table
from torch_geometric.data import Batch, Data
from torch_geometric.nn import VGAE
from torch_geometric.utils import batched_negative_sampling

from vgae.decoders import InnerProductDecoder
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.models.embedding import encoder_inputs
from vgae.models.graphs import build_model
from vgae.recipes import PAPER
from vgae.runtime.streams import stream

FEATURES, PER_BATCH = 16, 100
BASE = "ours"


def planted(num_graphs: int, num_nodes: int, seed: int = 0) -> GraphCollection:
    """Return graphs of two groups with 30 % of the pairs within a group and 3 % of the others."""
    generator = torch.Generator().manual_seed(seed)
    grid = BlockGrid(torch.full((num_graphs,), num_nodes))
    group = torch.randint(2, (grid.num_nodes,), generator=generator)
    pairs = grid.pairs(torch.arange(grid.num_pairs))
    rate = torch.where(group[pairs[0]] == group[pairs[1]], 0.3, 0.03)
    links = pairs[:, torch.rand(len(rate), generator=generator) < rate]
    links = links[:, (links[0] * grid.num_nodes + links[1]).argsort()]
    x = torch.randn(grid.num_nodes, FEATURES, generator=generator) + 2 * group[:, None]
    return GraphCollection(links=links, num_nodes=grid.num_nodes, x=x, sizes=grid.sizes)


def one_by_one(graphs: GraphCollection) -> list[Graph]:
    """Return the graphs that have links; the others have no loss in PyG."""
    assert graphs.x is not None
    starts = graphs.grid.ptr[:-1].tolist()
    count = graphs.batch[graphs.links[0]].bincount(minlength=graphs.num_graphs).tolist()
    links, xs = graphs.links.split(count, dim=1), graphs.x.split(graphs.sizes.tolist())
    return [
        Graph(links=pairs - start, num_nodes=len(x), x=x)
        for start, pairs, x in zip(starts, links, xs, strict=True)
        if pairs.shape[1]
    ]


def ours(graphs: GraphCollection) -> Step:
    """Train on all graphs at once, as ``fit`` does."""
    split = split_links(graphs, val=0, test=0, seed=0)
    loop = epochs_of(Problem(graphs, split), PAPER, cuda_graph=False)
    return lambda: next(loop)


def ours_one_by_one(graphs: GraphCollection) -> Step:
    """Train on one graph after another."""
    recipe, noise = PAPER, stream(0, "noise")
    model = build_model("vgae", FEATURES, recipe, stream(0, "init")).train()
    decoder = model.decoder
    assert isinstance(decoder, InnerProductDecoder)
    given = []
    for part in one_by_one(graphs):
        edges = part.edge_index
        target = decoder.prepare(edges, part.num_nodes)
        given.append((encoder_inputs(model, part, edges), target))
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        for inputs, target in given:
            loss = -model(inputs, target, noise).elbo(recipe.beta) / graphs.grid.num_terms
            loss.backward()
        optimizer.step()

    return step


def pyg_data(graphs: GraphCollection) -> list[Any]:
    """Return the graphs as PyG has them, with both directions of each link."""
    return [Data(x=part.x, edge_index=part.edge_index) for part in one_by_one(graphs)]


def pyg_one_by_one(graphs: GraphCollection) -> Step:
    """Train on one graph after another, with as many sampled non-links as links."""
    model, optimizer = pyg_model()
    given = pyg_data(graphs)

    def step() -> None:
        optimizer.zero_grad()
        for data in given:
            z = model.encode(data.x, data.edge_index)
            # It calls negative_sampling for this graph.
            loss = model.recon_loss(z, data.edge_index) + model.kl_loss() / len(z)
            (loss / len(given)).backward()
        optimizer.step()

    return step


def pyg_batches(graphs: GraphCollection) -> Step:
    """Train on batches of 100 graphs, one step each, with non-links sampled within graphs."""
    model, optimizer = pyg_model()
    data = pyg_data(graphs)
    starts = range(0, len(data), PER_BATCH)
    batches: list[Any] = [Batch.from_data_list(data[k : k + PER_BATCH]) for k in starts]

    def step() -> None:
        for batch in batches:
            optimizer.zero_grad()
            z = model.encode(batch.x, batch.edge_index)
            others = batched_negative_sampling(batch.edge_index, batch.batch)
            loss = model.recon_loss(z, batch.edge_index, others) + model.kl_loss() / len(z)
            loss.backward()
            optimizer.step()

    return step


def pyg_model() -> tuple[VGAE, torch.optim.Optimizer]:
    """Return PyG's model with the paper's widths, and its optimizer."""
    seed_all(0)
    model = VGAE(PyGEncoder(FEATURES, cached=False)).train()
    return model, torch.optim.Adam(model.parameters(), lr=PAPER.lr)


SIDES: dict[str, Callable[[GraphCollection], Step]] = {
    BASE: ours,
    "ours-one-by-one": ours_one_by_one,
    "pyg-one-by-one": pyg_one_by_one,
    "pyg-batches": pyg_batches,
}


def run_side(args: argparse.Namespace) -> Row:
    """Measure one side in this process."""
    torch.set_num_threads(args.threads[0])
    train, graphs = SIDES[args.side], planted(args.graphs, args.nodes)
    train(planted(50, args.nodes))()  # loads libraries
    step = train(graphs)
    if "one-by-one" not in args.side:  # where the first graphs of an epoch warm up the others
        timed(step, steps=2, seconds=args.seconds)
    wall, cpu = timed(step, steps=args.epochs, seconds=args.seconds)
    return {
        "wall_ms": 1e3 * statistics.median(wall),
        "cpu_ms": 1e3 * statistics.median(cpu),
        "epochs": len(wall),
    }


def acceptance(rows: Sequence[Row], threads: int) -> list[Row]:
    """Return whether the bars are met; the batches of PyG have none."""
    base = find(rows, threads=threads, side=BASE)
    found = []
    for side, least in (("ours-one-by-one", 5.0), ("pyg-one-by-one", 1.0), ("pyg-batches", 0.0)):
        row = find(rows, threads=threads, side=side)
        name = f"{side} / {BASE}, wall time of an epoch, {threads} threads"
        verdict = bar(name, ratio(row, base, "wall_ms"), at_least=least)
        found.append(verdict | {"cpu_time": ratio(row, base, "cpu_ms")})
    return found


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    parser = options("Measure an epoch on many small graphs.", threads=(1,), repeats=3)
    parser.add_argument("--graphs", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=20, help="of each graph")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--epochs", type=int, default=5, help="measured per side and round")
    parser.add_argument("--seconds", type=float, default=10.0, help="at most so long per side")
    args = parser.parse_args()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args)
    cells = [{"threads": n, "side": side} for n, side in product(args.threads, args.sides)]
    report["sides"] = compare(cells, args.repeats)
    if args.sides == list(SIDES):
        report["acceptance"] = acceptance(report["sides"], args.threads[0])
    figures = dict.fromkeys(("wall_ms", "cpu_ms"), ".1f")
    table(report["sides"], {"threads": "d", "side": "s", **figures})
    finish(report, args.json)


if __name__ == "__main__":
    main()
